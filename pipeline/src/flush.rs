//! "Commit what you have": a token that goes through every stage behind the last batch and says when all of it is durable.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Passed through all workers to the writer, which waits for every worker's copy before it commits.
#[derive(Debug)]
pub struct FlushToken {
    missing: AtomicUsize,
    done: watch::Sender<bool>,
}

impl FlushToken {
    /// A token for so many workers, and the end at which to wait: it turns true when the commit is durable.
    #[must_use]
    pub fn new(workers: usize) -> (Self, watch::Receiver<bool>) {
        let (done, waiting) = watch::channel(false);
        (Self { missing: AtomicUsize::new(workers), done }, waiting)
    }

    /// One worker's copy arrived; true for the last one.
    pub fn arrived(&self) -> bool {
        self.missing.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Everything before the token is durable.
    pub fn committed(&self) {
        self.done.send_replace(true);
    }
}
