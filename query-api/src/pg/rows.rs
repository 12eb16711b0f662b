//! The rows of one answer on their way to a client. In: an answer of the engine; out: its rows as messages, a batch at a time.
//!
//! Rows are made when they are asked for, so a client that reads slowly slows its own query only. Counts what it made, and how it ended.

use arrow::record_batch::RecordBatch;
use bytes::BytesMut;
use tokio::time::Instant;

use super::encode::{Writer, writers};
use super::failure::Failure;
use super::reply;
use super::types::Column;
use crate::error::QueryError;
use crate::metrics::{Ending, Metrics};
use crate::sql::engine::Answer;

/// See the module.
pub struct Rows {
    answer: Answer,
    columns: Vec<Column>,
    batch: Option<Batch>,
    /// Of the whole answer, bytes.
    limit: usize,
    made: usize,
    metrics: Metrics,
    ending: Ending,
}

struct Batch {
    writers: Vec<Writer>,
    rows: usize,
    next: usize,
}

impl Rows {
    /// `limit` is in bytes of the whole answer.
    pub fn new(answer: Answer, columns: Vec<Column>, limit: usize, metrics: Metrics, ending: Ending) -> Self {
        Self { answer, columns, batch: None, limit, made: 0, metrics, ending }
    }

    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The same rows in the columns that the client was told of; a value that is of another type by now is brought into it.
    ///
    /// # Errors
    /// When there are more or fewer columns: a table was made anew meanwhile.
    pub fn described(mut self, described: Vec<Column>) -> Result<Self, Failure> {
        if described.len() != self.columns.len() {
            return Err(Failure::new("0A000", "the columns of a prepared statement have changed; prepare it again"));
        }
        self.columns = described;
        Ok(self)
    }

    /// When the engine ends it.
    pub fn deadline(&self) -> Instant {
        self.answer.deadline()
    }

    /// Waits for the next batch; false after the last.
    ///
    /// # Errors
    /// Why the query failed.
    pub async fn more(&mut self) -> Result<bool, QueryError> {
        match self.answer.next().await {
            Some(Ok(batch)) => {
                let taken = self.take(&batch);
                self.ended(taken)
            }
            Some(Err(error)) => self.ended(Err(error)),
            None => {
                self.ending.outcome = "ok";
                Ok(false)
            }
        }
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<bool, QueryError> {
        let unwritable = |error| QueryError::Execution(format!("a value cannot be written: {error}"));
        let writers = writers(batch, &self.columns).map_err(unwritable)?;
        self.batch = Some(Batch { writers, rows: batch.num_rows(), next: 0 });
        Ok(true)
    }

    /// Appends the next row of the batch at hand; false when it has no more.
    ///
    /// # Errors
    /// When the answer is longer than one may be.
    pub fn write(&mut self, out: &mut BytesMut) -> Result<bool, QueryError> {
        let Some(batch) = self.batch.as_mut().filter(|batch| batch.next < batch.rows) else {
            self.batch = None;
            return Ok(false);
        };
        let before = out.len();
        reply::row(out, batch.writers.len(), |out| {
            batch.writers.iter().for_each(|write| reply::value(out, |out| write(batch.next, out)));
        });
        batch.next += 1;
        self.made += out.len() - before;
        self.metrics.answered(1, out.len() - before);
        if self.made > self.limit {
            return self.ended(Err(QueryError::AnswerTooLarge { limit: self.limit }));
        }
        Ok(true)
    }

    fn ended(&mut self, result: Result<bool, QueryError>) -> Result<bool, QueryError> {
        if let Err(error) = &result {
            self.ending.outcome = error.kind();
        }
        result
    }
}
