//! Section `[store]`: where budgets, alerts, the directory and keys are kept.

use serde::{Deserialize, Serialize};

/// The control store.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:./FILE` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    pub url: String,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: "sqlite:./spendstream.db".into() }
    }
}

impl StoreConfig {
    /// What is wrong, if anything.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        let rest = ["sqlite:", "postgres://", "postgresql://"].iter().find_map(|scheme| self.url.strip_prefix(scheme));
        // The address may hold a password: it is not repeated.
        rest.is_none_or(str::is_empty)
            .then(|| ("store.url", "is no store; write sqlite:./FILE or postgres://USER@HOST/DATABASE".to_owned()))
    }
}
