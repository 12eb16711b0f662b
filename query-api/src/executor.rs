//! Runtimes of their own for queries: planning, scanning and aggregating never hold up the server that answers health checks.
//!
//! In goes a future, out comes a handle that stops it when dropped. Short work (is this a statement? what is the lake's newest
//! version?) has threads that no query ever gets, so it is answered however busy the queries are. A query whose operator does
//! not give its thread back cannot starve another: there are threads enough for all that may run at a time. It never runs
//! anything else.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::sql::stop::Stop;

/// Deeply nested expressions recurse; only the pages that are touched are ever backed by memory.
const STACK_BYTES: usize = 64 << 20;
/// For short work: one that reads the lake's log, one beside it.
const SHORT_THREADS: usize = 2;
/// More are of no use on any machine.
const MAX_THREADS: usize = 512;

/// Owns the runtimes.
#[derive(Debug)]
pub struct Executor {
    short: Threads,
    queries: Threads,
}

impl Executor {
    /// Threads for `concurrency` queries at a time, of which each works on as many partitions as there are cores.
    ///
    /// # Errors
    /// When the operating system gives no threads.
    pub fn start(concurrency: usize) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = concurrency.max(1).saturating_mul(cores + 1).min(MAX_THREADS);
        Ok(Self { short: Threads::start("short", SHORT_THREADS)?, queries: Threads::start("query", threads)? })
    }

    /// Runs short work to its end; dropping the future stops it. `None` when it panicked or the program ends.
    pub async fn short<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut task = Aborting(self.short.handle.spawn(work));
        (&mut task.0).await.ok()
    }

    /// Tasks of queries that are not gone, those that a query started included.
    #[cfg(test)]
    pub fn alive(&self) -> usize {
        self.queries.handle.metrics().num_alive_tasks()
    }

    /// Starts a query that ends when the returned guard is dropped.
    pub fn query(&self, future: impl Future<Output = ()> + Send + 'static, stop: Stop) -> QueryGuard {
        QueryGuard { stop, _task: Aborting(self.queries.handle.spawn(future)) }
    }
}

/// One runtime.
#[derive(Debug)]
struct Threads {
    handle: Handle,
    // Taken when dropped: a runtime may not be dropped the waiting way inside another one.
    runtime: Option<Runtime>,
}

impl Threads {
    fn start(name: &str, threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(name)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Stops its query when dropped: a client that goes away takes its query along.
#[derive(Debug)]
pub struct QueryGuard {
    stop: Stop,
    _task: Aborting<()>,
}

impl Drop for QueryGuard {
    fn drop(&mut self) {
        self.stop.raise();
    }
}

/// Aborts its task when dropped.
#[derive(Debug)]
struct Aborting<T>(JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
