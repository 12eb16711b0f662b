//! Checkpoints and log clean-up, off the way of a commit. In: a version. Out: a checkpoint of it; that it fails is a
//! warning and a count, never an error of a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use deltalake_core::logstore::LogStoreRef;
use deltalake_core::protocol::checkpoints::{cleanup_metadata, create_checkpoint};
use deltalake_core::{DeltaTable, DeltaTableError};
use parking_lot::Mutex;

/// What happened since the start, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    pub commits: AtomicU64,
    /// Versions that others took first.
    pub conflicts: AtomicU64,
    /// Requests to the store that failed and were made again.
    pub retries: AtomicU64,
    /// Why the last of them failed, on one line.
    pub last_failure: Mutex<String>,
    /// Commits whose answer was lost and that were found in the table.
    pub recognised: AtomicU64,
    pub checkpoints: AtomicU64,
    pub checkpoint_failures: AtomicU64,
}

/// Makes checkpoints, one at a time.
#[derive(Clone)]
pub struct Checkpointer {
    store: LogStoreRef,
    every: u64,
    busy: Arc<AtomicBool>,
    counters: Arc<Counters>,
}

impl Checkpointer {
    pub fn new(store: LogStoreRef, every: u64, counters: Arc<Counters>) -> Self {
        Self { store, every, busy: Arc::default(), counters }
    }

    /// Starts a checkpoint when `version` is due for one and none is running. Returns its task.
    pub fn after(&self, version: u64) -> Option<tokio::task::JoinHandle<()>> {
        let due = version > 0 && self.every > 0 && version.is_multiple_of(self.every);
        if !due || self.busy.swap(true, Ordering::AcqRel) {
            return None;
        }
        let this = self.clone();
        Some(tokio::spawn(async move {
            match checkpoint(this.store, version).await {
                Ok(removed) => {
                    this.counters.checkpoints.fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(version, removed, "checkpoint of the lake's table written");
                }
                Err(error) => {
                    this.counters.checkpoint_failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(version, %error, "no checkpoint of the lake's table; the next one is tried in time");
                }
            }
            this.busy.store(false, Ordering::Release);
        }))
    }
}

/// Writes a checkpoint of `version`, removes what the log's retention no longer needs, and says how many files that were.
async fn checkpoint(store: LogStoreRef, version: u64) -> Result<usize, DeltaTableError> {
    let mut table = DeltaTable::new(store);
    table.load_version(version).await?;
    create_checkpoint(&table, None).await?;
    cleanup_metadata(&table, None).await
}
