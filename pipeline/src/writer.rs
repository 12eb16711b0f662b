//! Collects priced batches into files and cuts commits. In: [`ToWriter`]; out: [`ToCommitter::Commit`].
//!
//! On a thread of its own: encoding is CPU work. A commit is cut by time, rows, bytes or open dates, or by a flush; what
//! belongs to an older generation is dropped, because its partitions were assigned anew since.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spendstream_schemas::config::LakeConfig;
use spendstream_schemas::ids::RangeError;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::batch::{Generation, LakeCommit, PartitionProgress, PricedBatch};
use crate::committer::{Cut, ToCommitter};
use crate::flush::FlushToken;
use crate::lake::{EncodeError, FileEncoder};
use crate::worker::ToWriter;

/// How long the thread sleeps at most when nothing is pending.
const IDLE: Duration = Duration::from_secs(1);

/// What stops the writer: both are faults of this program, so nothing is skipped.
#[derive(Debug, Error)]
enum WriterError {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("batches of a partition do not join: {0}")]
    Gap(#[from] RangeError),
}

/// See the module.
pub struct Writer {
    config: LakeConfig,
    runtime: Handle,
    generation: watch::Receiver<Generation>,
    out: mpsc::Sender<ToCommitter>,
    encoder: FileEncoder,
    pending: Cut,
    progress: BTreeMap<i32, PartitionProgress>,
    /// Bytes of the dead letters that wait.
    letter_bytes: usize,
    /// When the oldest pending batch came.
    since: Option<Instant>,
    current: Generation,
}

/// The one clock here: the thread that cuts commits by time owns the clock.
fn now() -> Instant {
    Instant::now()
}

impl Writer {
    #[must_use]
    pub fn new(
        config: &LakeConfig,
        runtime: Handle,
        generation: watch::Receiver<Generation>,
        out: mpsc::Sender<ToCommitter>,
    ) -> Self {
        let current = *generation.borrow();
        Self {
            config: config.clone(),
            runtime,
            generation,
            out,
            encoder: FileEncoder::new(config),
            pending: Cut::default(),
            progress: BTreeMap::new(),
            letter_bytes: 0,
            since: None,
            current,
        }
    }

    /// Works until the channel before or behind it closes.
    pub fn run(mut self, mut inbox: mpsc::Receiver<ToWriter>) {
        loop {
            let wait = self
                .since
                .map_or(IDLE, |since| self.config.commit_interval.saturating_sub(now().duration_since(since)));
            let runtime = self.runtime.clone();
            let result = match runtime.block_on(async { tokio::time::timeout(wait, inbox.recv()).await }) {
                Ok(Some(ToWriter::Batch(batch))) => self.take(*batch).and_then(|()| self.cut_if_due()),
                Ok(Some(ToWriter::Flush(token))) => self.flush(token),
                Ok(None) => return,
                Err(_) => self.cut_if_due(),
            };
            if let Err(error) = result {
                // Rows of our own schema always encode; a fault here must stop, not skip.
                tracing::error!(%error, "rows could not be encoded; the pipeline stops taking more");
                return;
            }
        }
    }

    fn renew(&mut self) {
        let generation = *self.generation.borrow_and_update();
        if generation > self.current {
            self.current = generation;
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.encoder = FileEncoder::new(&self.config);
        self.pending = Cut::default();
        self.progress.clear();
        self.letter_bytes = 0;
        self.since = None;
    }

    fn take(&mut self, batch: PricedBatch) -> Result<(), WriterError> {
        self.renew();
        if batch.generation != self.current {
            return Ok(());
        }
        for (date, rows) in &batch.rows {
            self.encoder.push(*date, rows)?;
        }
        if !self.pending.books.iter().any(|book| book.version() == batch.book.version()) && batch.tally.rows > 0 {
            self.pending.books.push(Arc::clone(&batch.book));
        }
        self.letter_bytes += batch.dead_letters.iter().map(|letter| letter.payload.len()).sum::<usize>();
        let letters = batch.dead_letters.into_iter().map(|letter| (Arc::clone(&batch.source), letter));
        self.pending.dead_letters.extend(letters);
        self.pending.cost = self.pending.cost + batch.cost;
        match self.progress.get_mut(&batch.source.partition) {
            None => {
                self.progress.insert(
                    batch.source.partition,
                    PartitionProgress {
                        source: batch.source,
                        generation: batch.generation,
                        range: batch.range,
                        tally: batch.tally,
                    },
                );
            }
            Some(progress) => match progress.range.then(batch.range) {
                Ok(range) => {
                    progress.range = range;
                    progress.tally.add(batch.tally);
                }
                Err(error) => return Err(error.into()),
            },
        }
        self.since.get_or_insert_with(now);
        Ok(())
    }

    fn cut_if_due(&mut self) -> Result<(), WriterError> {
        let Some(since) = self.since else { return Ok(()) };
        let due = now().duration_since(since) >= self.config.commit_interval
            || self.encoder.rows() >= self.config.commit_rows as u64
            || self.encoder.bytes() >= self.config.commit_bytes
            || self.letter_bytes >= self.config.commit_bytes
            || self.encoder.open_dates() > self.config.max_open_dates;
        if due { self.cut() } else { Ok(()) }
    }

    fn flush(&mut self, token: Arc<FlushToken>) -> Result<(), WriterError> {
        if !token.arrived() {
            return Ok(());
        }
        // Before the token joins what is pending: clearing that for a new generation would lose it.
        self.renew();
        self.pending.flushes.push(token);
        self.cut()
    }

    fn cut(&mut self) -> Result<(), WriterError> {
        self.renew();
        let mut cut = std::mem::take(&mut self.pending);
        cut.generation = self.current;
        cut.commit = LakeCommit {
            files: self.encoder.finish()?,
            progress: std::mem::take(&mut self.progress).into_values().collect(),
            dead_letters: std::mem::take(&mut cut.dead_letters),
        };
        self.since = None;
        self.letter_bytes = 0;
        // Blocks while the commit before is under way: that is how a slow lake slows everything before it.
        if self.out.blocking_send(ToCommitter::Commit(Box::new(cut))).is_err() {
            tracing::debug!("the committer is gone");
        }
        Ok(())
    }
}
