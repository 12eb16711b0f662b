//! One committer per process: makes cuts durable, one after the other, and says where partitions stand. In: [`ToCommitter`]
//! and questions; out: versions of the table, acknowledged dead letters, offsets for the group.
//!
//! Order inside a commit: dead letters acknowledged, price-book versions kept, files and offsets in one Delta commit. What
//! is older than the current generation is dropped; a commit under way is given up when the generation moves on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::PriceBook;
use spendstream_storage::Lake;
use tokio::sync::{mpsc, oneshot, watch};

use crate::aggregate::thread::ToLive;
use crate::batch::{DeadLetter, Generation, LakeCommit, Tally};
use crate::dead_letter::DeadLetters;
use crate::dedupe::fingerprint::Fingerprint;
use crate::dedupe::horizon::Horizon;
use crate::dedupe::rebuild;
use crate::flush::FlushToken;
use crate::intake::consumer::CurrentConsumer;

use crate::lake::checkpoint::Counters;
use crate::lake::recent::recent_rows;
use crate::lake::{CommitError, Committer as LakeCommitter};
use crate::metrics::Metrics;
use crate::price::archive::Keeper;
use crate::status::Status;

const RETRY: Duration = Duration::from_secs(1);

/// What one commit is cut from: the lake's part, and what has to happen around it.
#[derive(Default)]
pub struct Cut {
    pub generation: Generation,
    pub commit: LakeCommit,
    /// While it is collected; moved into `commit` when it is cut.
    pub dead_letters: Vec<(Arc<SourcePartition>, DeadLetter)>,
    /// Books that priced rows of it.
    pub books: Vec<Arc<PriceBook>>,
    pub flushes: Vec<Arc<FlushToken>>,
    pub cost: Amount,
}

/// Where a partition stands, and what it charged lately.
pub struct Position {
    pub source: Arc<SourcePartition>,
    /// The next offset by the lake; `None` when it has none yet.
    pub committed: Option<i64>,
    /// Kafka's timestamp of the message before that offset, when the lake knows it.
    pub last_timestamp_ms: Option<i64>,
    /// The topic was found to be another one.
    pub is_ended: bool,
    pub horizon: Box<Horizon>,
}

/// What the committer is told.
pub enum ToCommitter {
    Commit(Box<Cut>),
}

/// "Where do these partitions stand?" Overtakes commits of older generations.
pub struct Question {
    pub partitions: Vec<Arc<SourcePartition>>,
    pub generation: Generation,
    pub reply: oneshot::Sender<Vec<Position>>,
}

/// What the committer is wired to.
pub struct Wires {
    pub lake: Lake,
    pub keeper: Keeper,
    pub dead_letters: DeadLetters,
    pub consumer: CurrentConsumer,
    pub generation: watch::Receiver<Generation>,
    pub fenced: watch::Sender<Option<Generation>>,
    pub status: Arc<Status>,
    pub metrics: Arc<Metrics>,
    pub live: mpsc::Sender<ToLive>,
    /// Offsets watched for repeats.
    /// Offsets and rows of a partition that are watched for repeats.
    pub horizon: (i64, usize),
}

/// Tells readiness and metrics that a commit under way does not get through.
struct RetryWatch {
    counters: Arc<Counters>,
    seen: u64,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
}

impl RetryWatch {
    fn new(committer: &LakeCommitter, wires: &Wires) -> Self {
        let counters = committer.counters();
        let seen = counters.retries.load(Ordering::Relaxed);
        Self { counters, seen, status: Arc::clone(&wires.status), metrics: Arc::clone(&wires.metrics) }
    }

    /// Looks every second, for as long as it is polled.
    async fn run(&mut self) {
        loop {
            tokio::time::sleep(RETRY).await;
            if self.look() > 0 {
                let why = self.counters.last_failure.lock().clone();
                self.status.set_lake_failure(Some(format!(
                    "commits wait: {why}; nothing is lost, reading pauses when the queues are full"
                )));
            }
        }
    }

    /// Counts what was retried since the last look.
    fn look(&mut self) -> u64 {
        let retries = self.counters.retries.load(Ordering::Relaxed);
        let new = retries.saturating_sub(self.seen);
        self.seen = retries;
        self.metrics.commit_retries.inc_by(new);
        let failures = self.counters.checkpoint_failures.load(Ordering::Relaxed);
        self.metrics.checkpoint_failures.inc_by(failures.saturating_sub(self.metrics.checkpoint_failures.get()));
        new
    }
}

/// See the module.
pub struct CommitLoop {
    committer: LakeCommitter,
    wires: Wires,
}

/// The one clock here: measures how long a commit took.
fn now() -> Instant {
    Instant::now()
}

impl CommitLoop {
    #[must_use]
    pub fn new(committer: LakeCommitter, wires: Wires) -> Self {
        Self { committer, wires }
    }

    /// Works until both channels close.
    pub async fn run(mut self, mut cuts: mpsc::Receiver<ToCommitter>, mut questions: mpsc::Receiver<Question>) {
        loop {
            tokio::select! {
                biased;
                question = questions.recv() => match question {
                    Some(question) => self.answer(question).await,
                    None => match cuts.recv().await {
                        Some(ToCommitter::Commit(cut)) => self.commit(*cut).await,
                        None => return,
                    },
                },
                cut = cuts.recv() => match cut {
                    Some(ToCommitter::Commit(cut)) => self.commit(*cut).await,
                    None => return,
                },
            }
        }
    }

    fn is_current(&self, generation: Generation) -> bool {
        *self.wires.generation.borrow() == generation && *self.wires.fenced.borrow() != Some(generation)
    }

    async fn commit(&mut self, mut cut: Cut) {
        if !self.is_current(cut.generation) {
            return;
        }
        let flushes = std::mem::take(&mut cut.flushes);
        if !cut.commit.progress.is_empty() {
            let mut generation = self.wires.generation.clone();
            let mine = cut.generation;
            let mut watch = RetryWatch::new(&self.committer, &self.wires);
            let done = tokio::select! {
                done = self.make_durable(cut) => done,
                _ = generation.wait_for(|current| *current != mine) => false,
                () = watch.run() => false,
            };
            watch.look();
            if done {
                self.wires.status.set_lake_failure(None);
            } else {
                return;
            }
        }
        for flush in flushes {
            flush.committed();
        }
    }

    /// True when the cut is in the table.
    async fn make_durable(&mut self, cut: Cut) -> bool {
        let started = now();
        self.wires.dead_letters.send(&cut.commit.dead_letters).await;
        for book in &cut.books {
            self.keep(book).await;
        }
        let mut offsets = TopicPartitionList::new();
        for progress in &cut.commit.progress {
            let (source, next) = (&progress.source, Offset::Offset(progress.range.to()));
            if let Err(error) = offsets.add_partition_offset(&source.topic, source.partition, next) {
                tracing::debug!(%error, "an offset for the group");
            }
        }
        let ends: Vec<(i32, i64)> =
            cut.commit.progress.iter().map(|progress| (progress.source.partition, progress.range.to())).collect();
        let told = ToLive::committed(&cut.commit.progress);
        let committed = match self.committer.commit(cut.commit).await {
            Ok(committed) => committed,
            Err(CommitError::Fenced { partition, expected, found }) => {
                tracing::warn!(%partition, expected, found, "another instance committed this partition; what is pending is dropped");
                self.wires.metrics.fenced.inc();
                self.wires.fenced.send_replace(Some(cut.generation));
                return false;
            }
            Err(CommitError::Cancelled) => return false,
            Err(CommitError::Refused(error)) => {
                tracing::error!(%error, "the table is no longer one this program may write; nothing more is committed");
                self.wires.status.set_lake_failure(Some(error.to_string()));
                // Waiting here stops the stages before; the generation cannot help, an operator must.
                return std::future::pending().await;
            }
        };
        if self.wires.live.send(told).await.is_err() {
            tracing::debug!("the live totals are gone");
        }
        let metrics = &self.wires.metrics;
        metrics.commits.inc();
        for (partition, next) in &ends {
            metrics.committed_to(*partition, *next);
        }
        metrics.committed_rows.inc_by(committed.rows);
        metrics.file_bytes.inc_by(committed.bytes);
        metrics.commit_seconds.observe(now().duration_since(started).as_secs_f64());
        // For lag tools only: offsets are taken from the lake.
        let consumer = Arc::clone(&self.wires.consumer.read());
        if let Err(error) = consumer.commit(&offsets, CommitMode::Async) {
            tracing::debug!(%error, "committing offsets to the group");
        }
        true
    }

    async fn keep(&mut self, book: &PriceBook) {
        while let Err(error) = self.wires.keeper.ensure(book).await {
            tracing::warn!(%error, "the price book cannot be kept under the lake; the commit waits and tries again");
            self.wires.status.set_lake_failure(Some(error.to_string()));
            self.wires.metrics.commit_retries.inc();
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Answers when the lake can be read; gives up when the question is out of date.
    async fn answer(&mut self, question: Question) {
        loop {
            if *self.wires.generation.borrow() != question.generation {
                return;
            }
            match self.positions(&question.partitions).await {
                Ok(positions) => {
                    self.wires.status.set_lake_failure(None);
                    // Nobody waits any more when the question went out of date meanwhile.
                    drop(question.reply.send(positions));
                    return;
                }
                Err(error) => {
                    tracing::warn!(error = %format!("{error:#}"), "the lake's offsets cannot be read; trying again");
                    self.wires.status.set_lake_failure(Some(format!("{error:#}")));
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    async fn positions(&mut self, partitions: &[Arc<SourcePartition>]) -> anyhow::Result<Vec<Position>> {
        let sources: Vec<SourcePartition> = partitions.iter().map(|source| source.as_ref().clone()).collect();
        let offsets = self.committer.offsets(&sources).await?;
        let mut positions = Vec::with_capacity(partitions.len());
        for source in partitions {
            let committed = offsets.get(source.as_ref()).copied().flatten();
            self.wires.metrics.committed_to(source.partition, committed.unwrap_or_default());
            let horizon = Box::new(self.horizon(source, committed).await?);
            let Tally { last_timestamp_ms, is_ended, .. } = self.committer.tally(source);
            positions.push(Position { source: Arc::clone(source), committed, last_timestamp_ms, is_ended, horizon });
        }
        Ok(positions)
    }

    /// What was charged over the last offsets, from the lake.
    async fn horizon(&self, source: &SourcePartition, committed: Option<i64>) -> anyhow::Result<Horizon> {
        let (span, most) = self.wires.horizon;
        let mut horizon = Horizon::new(span, most);
        let Some(committed) = committed else { return Ok(horizon) };
        let oldest = committed.saturating_sub(span);
        let mut seen = Vec::new();
        let mut rows = recent_rows(&self.wires.lake, source, oldest, &rebuild::columns()).await?;
        while let Some(batch) = rows.try_next().await? {
            seen.extend(rebuild::fingerprints(&batch)?);
            // Files come in no order: of what was read only the newest rows can count.
            if seen.len() / 2 > horizon.rows_to_rebuild() {
                keep_newest(&mut seen, horizon.rows_to_rebuild());
            }
        }
        keep_newest(&mut seen, horizon.rows_to_rebuild());
        seen.sort_unstable_by_key(|(offset, index, _)| (*offset, *index));
        for (offset, _, fingerprint) in &seen {
            horizon.remember(*offset, fingerprint);
        }
        Ok(horizon)
    }
}

/// Keeps the last `most` rows by offset and index, in no order.
fn keep_newest(rows: &mut Vec<(i64, i32, Fingerprint)>, most: usize) {
    if rows.len() > most {
        let surplus = rows.len() - most;
        rows.select_nth_unstable_by_key(surplus, |(offset, index, _)| (*offset, *index));
        rows.drain(..surplus);
    }
}
