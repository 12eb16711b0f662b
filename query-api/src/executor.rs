//! A runtime of its own for queries: planning, scanning and aggregating never hold up the server that answers health checks.
//!
//! In goes a future, out comes a handle that stops it when dropped. It never runs anything else.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Deeply nested expressions recurse; only the pages that are touched are ever backed by memory.
const STACK_BYTES: usize = 64 << 20;

/// Owns the runtime of the queries.
#[derive(Debug)]
pub struct Executor {
    handle: Handle,
    // Taken when dropped: a runtime may not be dropped the waiting way inside another one.
    runtime: Option<Runtime>,
}

impl Executor {
    /// # Errors
    /// When the operating system gives no threads.
    pub fn start() -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().thread_name("query").thread_stack_size(STACK_BYTES).enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Starts a task that is aborted when the returned guard is dropped.
    pub fn spawn<F>(&self, future: F) -> TaskGuard
    where
        F: Future<Output = ()> + Send + 'static,
    {
        TaskGuard(self.handle.spawn(future))
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Aborts its task when dropped: a client that goes away takes its query along.
#[derive(Debug)]
pub struct TaskGuard(JoinHandle<()>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.abort();
    }
}
