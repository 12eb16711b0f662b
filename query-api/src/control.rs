//! The way to the control store: opened when it is first needed, and asked for again as long as it is away.
//!
//! In comes `store.url`, out comes an open store or the reason why there is none. A server starts, and answers what only needs
//! the lake, without it.

use spendstream_control::{Result, Store};
use tokio::sync::OnceCell;

/// The control store, or where it will be.
pub struct ControlStore {
    url: String,
    store: OnceCell<Store>,
}

impl std::fmt::Debug for ControlStore {
    /// Without the address, which may hold a password.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ControlStore").field("open", &self.store.initialized()).finish_non_exhaustive()
    }
}

impl ControlStore {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), store: OnceCell::new() }
    }

    /// The open store; a failed attempt is tried again by the next call.
    ///
    /// # Errors
    /// When the database does not answer or is none of ours.
    pub async fn get(&self) -> Result<Store> {
        self.store.get_or_try_init(|| Store::open(&self.url)).await.cloned()
    }

    /// Closes what was opened.
    pub async fn close(&self) {
        if let Some(store) = self.store.get() {
            store.close().await;
        }
    }
}
