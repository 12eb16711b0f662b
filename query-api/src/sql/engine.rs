//! Runs one statement within its limits: in comes SQL, out come record batches as they are made.
//!
//! Time (`query.timeout`, waiting included), memory, rows, statement size and the number of queries at a time are bounded; a
//! query beyond a limit fails alone. A query whose [`Answer`] is dropped stops. Statements that may not run and the lake's
//! status are answered beside the queries, not among them. Never writes anything.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use spendstream_schemas::config::{Config, QueryConfig};
use spendstream_storage::Lake;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::catalog::control::{self, Tables};
use crate::catalog::{Catalog, LakeStatus, Snapshot};
use crate::control::ControlStore;
use crate::error::{QueryError, one_line};
use crate::executor::{Executor, QueryGuard};
use crate::pg::catalog::PgCatalog;
use crate::sql::handed::{narrow, narrowed};
use crate::sql::portions::{portioned, scanned};
use crate::sql::session::PART_OF_MEMORY;
use crate::sql::stop::{Stop, stoppable};
use crate::sql::{currency, guard, session};

mod prepared;

pub use prepared::{Bound, Described};

/// Batches that wait for a slow reader; then the query waits.
const BATCHES_AHEAD: usize = 4;

/// Answers queries over one lake.
pub struct Engine {
    lake: Lake,
    catalog: Arc<Catalog>,
    limits: QueryConfig,
    permits: Arc<Semaphore>,
    executor: Executor,
}

impl Engine {
    /// Opens the lake's store; the table itself may come later.
    ///
    /// # Errors
    /// When `lake.uri` or its options are wrong, or the machine gives no threads.
    pub fn open(config: &Config) -> Result<Self, QueryError> {
        let lake = Lake::open(&config.lake).map_err(|error| QueryError::Config(one_line(&error.to_string())))?;
        Self::over(&lake, config, Vec::new())
    }

    /// As [`Engine::open`], with the tables of the control store beside those of the lake.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_with(config: &Config, control: &Arc<ControlStore>) -> Result<Self, QueryError> {
        let lake = Lake::open(&config.lake).map_err(|error| QueryError::Config(one_line(&error.to_string())))?;
        let beside = control::tables(control).map_err(|error| QueryError::from_engine(&error, 0))?;
        Self::over(&lake, config, beside)
    }

    /// Answers queries over the tables of a lake, and over other tables beside them.
    ///
    /// # Errors
    /// When the machine gives no threads or no folder for temporary files.
    pub fn over(lake: &Lake, config: &Config, beside: Tables) -> Result<Self, QueryError> {
        let mut base = session::base_state(&config.query).map_err(|error| QueryError::from_engine(&error, 0))?;
        currency::register(&mut base, config).map_err(|error| QueryError::from_engine(&error, 0))?;
        let executor = Executor::start(config.query.concurrency)
            .map_err(|error| QueryError::Internal(format!("no threads: {error}")))?;
        let catalog = Catalog::new(lake, &config.lake, base).with_tables(beside).with_timezone(config.reports.zone());
        Ok(Self {
            lake: lake.clone(),
            catalog: Arc::new(catalog),
            limits: config.query.clone(),
            permits: Arc::new(Semaphore::new(config.query.concurrency.max(1))),
            executor,
        })
    }

    /// What clients that speak PostgreSQL look up, over the same functions and limits.
    ///
    /// # Errors
    /// When its tables cannot be made, which only a wrong build can do.
    pub fn postgres(&self) -> Result<PgCatalog, QueryError> {
        PgCatalog::new(self.catalog.base())
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &QueryConfig {
        &self.limits
    }

    /// The lake, for what is in it beside its tables: the price books that priced it.
    #[must_use]
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Where the lake is, as configured.
    #[must_use]
    pub fn lake_uri(&self) -> &str {
        self.catalog.uri()
    }

    /// Queries that run or hold a place right now.
    #[must_use]
    pub fn active(&self) -> usize {
        self.limits.concurrency.max(1) - self.permits.available_permits()
    }

    /// Starts a statement and waits until its columns are known.
    ///
    /// # Errors
    /// When it may not run, cannot be planned, or a limit was reached before its first row.
    pub async fn query(&self, sql: &str) -> Result<Answer, QueryError> {
        self.start(sql, None, None).await
    }

    /// As [`Engine::query`], on a version that was fetched before, so that several statements see the same rows.
    ///
    /// # Errors
    /// As [`Engine::query`].
    pub async fn query_at(&self, snapshot: &Snapshot, sql: &str) -> Result<Answer, QueryError> {
        self.start(sql, Some(snapshot.clone()), None).await
    }

    /// The newest version of the lake.
    ///
    /// # Errors
    /// When there is no lake or it cannot be read.
    pub async fn snapshot(&self) -> Result<Snapshot, QueryError> {
        self.newest(Instant::now() + self.limits.timeout).await
    }

    async fn newest(&self, deadline: Instant) -> Result<Snapshot, QueryError> {
        let catalog = Arc::clone(&self.catalog);
        self.short(deadline, async move { catalog.newest().await }).await
    }

    async fn start(&self, sql: &str, at: Option<Snapshot>, wire: Option<Bound>) -> Result<Answer, QueryError> {
        let deadline = Instant::now() + self.limits.timeout;
        let (text, max_bytes) = (sql.to_owned(), self.limits.max_statement_bytes);
        // What may not run is refused at once, however busy the queries are.
        self.short(deadline, async move { guard::parse(&text, max_bytes).map(drop) }).await?;
        let permit = self.place(deadline).await?;
        let snapshot = match at {
            Some(snapshot) => snapshot,
            None => self.newest(deadline).await?,
        };
        let version = snapshot.version;
        let (head, planned) = oneshot::channel();
        let (rows, batches) = mpsc::channel(BATCHES_AHEAD);
        let stop = Stop::default();
        let (state, wire) = match wire {
            Some(bound) => (bound.catalog.state(&snapshot)?, Some(bound)),
            None => (snapshot.state, None),
        };
        let run = Run {
            state,
            wire,
            sql: sql.to_owned(),
            limits: self.limits.clone(),
            stop: stop.clone(),
            rows,
            _permit: permit,
        };
        let query = self.executor.query(run.start(head), stop);
        let head = tokio::time::timeout_at(deadline, planned).await.map_err(|_| self.timeout())?;
        let schema = head.map_err(|_| QueryError::Internal("the query stopped".into()))??;
        Ok(Answer { schema, version, batches, deadline, timeout: self.limits.timeout, ended: false, _query: query })
    }

    /// One of `query.concurrency` places.
    async fn place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, QueryError> {
        match tokio::time::timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(QueryError::Internal("the query engine is stopping".into())),
            Err(_) => {
                let concurrency = self.limits.concurrency.max(1);
                Err(QueryError::Busy { concurrency, waited: self.limits.timeout })
            }
        }
    }

    /// Work that never waits for a query.
    async fn short<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        match tokio::time::timeout_at(deadline, self.executor.short(work)).await {
            Ok(Some(done)) => done,
            Ok(None) => Err(QueryError::Internal("a look-up stopped".into())),
            Err(_) => Err(self.timeout()),
        }
    }

    fn timeout(&self) -> QueryError {
        QueryError::Timeout { limit: self.limits.timeout }
    }

    /// Size and age of the lake's newest version, within the time limit of a query.
    ///
    /// # Errors
    /// When there is no lake or it cannot be read.
    pub async fn status(&self) -> Result<LakeStatus, QueryError> {
        let catalog = Arc::clone(&self.catalog);
        self.short(Instant::now() + self.limits.timeout, async move { catalog.status().await }).await
    }
}

/// Rows of one query, as they come.
pub struct Answer {
    schema: SchemaRef,
    version: u64,
    batches: mpsc::Receiver<Next>,
    deadline: Instant,
    timeout: Duration,
    ended: bool,
    // Dropping an answer stops its query.
    _query: QueryGuard,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Answer").field("schema", &self.schema).field("version", &self.version).finish_non_exhaustive()
    }
}

impl Answer {
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The lake's version that was read.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When the query is ended, whoever still waits for rows.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The next rows; `None` after the last, nothing after an error.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.ended {
            return None;
        }
        let next = match tokio::time::timeout_at(self.deadline, self.batches.recv()).await {
            Ok(Some(next)) => next.transpose(),
            // Only a task that died leaves without saying that it is done; that must not look like a complete answer.
            Ok(None) => Some(Err(QueryError::Internal("the query stopped halfway".into()))),
            Err(_) => Some(Err(QueryError::Timeout { limit: self.timeout })),
        };
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Rows, or `None` after the last of them.
type Next = Result<Option<RecordBatch>, QueryError>;

/// What the query's own task owns.
struct Run {
    state: SessionState,
    wire: Option<Bound>,
    sql: String,
    limits: QueryConfig,
    stop: Stop,
    rows: mpsc::Sender<Next>,
    // Held until this task is gone, so that `query.concurrency` counts what runs, not what is waited for. Tasks that the query
    // engine started for it may outlast it by one call on one batch.
    _permit: OwnedSemaphorePermit,
}

impl Run {
    async fn start(self, head: oneshot::Sender<Result<SchemaRef, QueryError>>) {
        match self.plan().await {
            Ok(stream) => {
                let schema = narrow(&stream.schema());
                if head.send(Ok(Arc::clone(&schema))).is_ok() {
                    self.pump(stream, &schema).await;
                }
            }
            // Nobody waits any more when sending fails.
            Err(error) => drop(head.send(Err(error))),
        }
    }

    async fn plan(&self) -> Result<SendableRecordBatchStream, QueryError> {
        let engine = |error| QueryError::from_engine(&error, self.limits.memory_bytes);
        // Parsed once more: a deep statement is best dropped on the thread, with the stack, that made it.
        let statement = guard::parse(&self.sql, self.limits.max_statement_bytes)?;
        // A context of its own gives the query its own start time.
        let state = SessionContext::new_with_state(self.state.clone()).state();
        let plan = match &self.wire {
            Some(bound) => bound.plan(&state, statement, &self.sql).await.map_err(engine)?,
            None => state.statement_to_plan(statement).await.map_err(engine)?,
        };
        guard::check_plan(&plan)?;
        let plan = state.create_physical_plan(&plan).await.map_err(engine)?;
        let at_once = self.limits.memory_bytes / PART_OF_MEMORY;
        let rows = scanned(&plan, at_once, state.config().batch_size()).map_err(engine)?;
        let plan = portioned(plan, at_once).map_err(engine)?;
        let plan = stoppable(plan, &self.stop).map_err(engine)?;
        let context = TaskContext::from(&state);
        let settings = context.session_config().clone().with_batch_size(rows);
        execute_stream(plan, Arc::new(context.with_session_config(settings))).map_err(engine)
    }

    async fn pump(&self, mut stream: SendableRecordBatchStream, schema: &SchemaRef) {
        let mut rows = 0;
        while let Some(next) = stream.next().await {
            let next =
                next.map_err(|error| QueryError::from_engine(&error, self.limits.memory_bytes)).and_then(|batch| {
                    rows += batch.num_rows();
                    if rows > self.limits.max_rows {
                        Err(QueryError::TooManyRows { limit: self.limits.max_rows })
                    } else {
                        narrowed(batch, schema).map(Some).map_err(|error| QueryError::Execution(error.to_string()))
                    }
                });
            let last = next.is_err();
            if self.rows.send(next).await.is_err() || last {
                return;
            }
        }
        // When nobody listens any more there is nobody to tell.
        let _ = self.rows.send(Ok(None)).await;
    }
}

#[cfg(test)]
mod tests;
