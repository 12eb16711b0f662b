//! The one loop that talks to Kafka, on a thread of its own. In: messages, rebalances, fences; out: batches to the workers.
//!
//! Offsets come from the lake alone: an assignment is answered with `assign` only when the committer said where each
//! partition stands. The loop never waits for the lake without polling, so that the group keeps this member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use spendstream_schemas::config::{Config, KafkaStart};
use spendstream_schemas::ids::{OffsetRange, SourcePartition};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::{SendTimeoutError, TrySendError};
use tokio::sync::{mpsc, oneshot, watch};

use super::batching::{Batching, Recreated};
use super::context::{IntakeContext, Rebalance};
use crate::batch::{Generation, RawBatch};
use crate::committer::{Position, Question};
use crate::flush::FlushToken;
use crate::metrics::Metrics;
use crate::status::Status;
use crate::worker::ToWorker;

/// Messages read between two looks at everything else.
const BURST: usize = 32;
/// How long a poll waits for a message: also how often everything else is looked at.
const POLL: Duration = Duration::from_millis(50);
/// A batch that is not full goes on after this time.
const LINGER: Duration = Duration::from_millis(100);
/// A full queue is waited for this long before consumption is paused.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bound of a question to the broker about its offsets.
const WATERMARKS: Duration = Duration::from_secs(10);

/// The consumer with its callbacks.
pub type KafkaConsumer = BaseConsumer<IntakeContext>;

/// What the loop is wired to.
pub struct Wires {
    pub workers: Vec<mpsc::Sender<ToWorker>>,
    pub questions: mpsc::Sender<Question>,
    /// The generation that counts; every stage drops what is older.
    pub generation: watch::Sender<Generation>,
    /// A generation in which another instance was found to own a partition.
    pub fenced: watch::Receiver<Option<Generation>>,
    pub stop: watch::Receiver<bool>,
    pub status: Arc<Status>,
    pub metrics: Arc<Metrics>,
    pub runtime: Handle,
}

/// See the module.
pub struct Intake {
    consumer: Arc<KafkaConsumer>,
    config: Config,
    wires: Wires,
    owned: Vec<i32>,
    partitions: BTreeMap<i32, Batching>,
    /// The committer's answer to an assignment, when one is awaited.
    positions: Option<oneshot::Receiver<Vec<Position>>>,
    /// A batch that found its worker's queue full; while there is one, consumption is paused.
    held: Option<(usize, ToWorker)>,
    last_flush: Instant,
}

/// The one clock here: the loop that does the waiting owns the clock.
fn now() -> Instant {
    Instant::now()
}

impl Intake {
    #[must_use]
    pub fn new(consumer: Arc<KafkaConsumer>, config: Config, wires: Wires) -> Self {
        Self {
            consumer,
            config,
            wires,
            owned: Vec::new(),
            partitions: BTreeMap::new(),
            positions: None,
            held: None,
            last_flush: now(),
        }
    }

    /// Runs until a stop is asked for, then flushes what was read, bounded by `pipeline.shutdown_timeout`.
    pub fn run(mut self) {
        while !*self.wires.stop.borrow() {
            self.rebalances();
            self.fences();
            self.answers();
            self.retry_held();
            self.look_at_kafka();
            self.read();
        }
        self.flush(self.config.pipeline.shutdown_timeout, "stop");
        self.consumer.context().close();
        self.wires.status.set_consuming(false);
    }

    /// Reads a few messages, so that everything else in the loop costs next to nothing per message.
    fn read(&mut self) {
        let consumer = Arc::clone(&self.consumer);
        for _ in 0..BURST {
            match consumer.poll(POLL) {
                Some(Ok(message)) => self.take(&message),
                Some(Err(error)) => self.poll_error(&error),
                None => return self.send_all(),
            }
        }
        if now().duration_since(self.last_flush) >= LINGER {
            self.send_all();
        }
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let id = message.partition();
        let Some(batching) = self.partitions.get_mut(&id) else { return };
        if let Err(recreated) = batching.push(message) {
            return self.stop_recreated(id, recreated);
        }
        let Some(batching) = self.partitions.get(&id) else { return };
        if batching.messages() >= self.config.pipeline.batch_messages
            || batching.bytes() >= self.config.pipeline.batch_bytes
        {
            self.send_partition(id);
        }
    }

    fn look_at_kafka(&self) {
        self.wires.status.set_kafka_away(self.consumer.context().is_unreachable());
    }

    fn poll_error(&self, error: &KafkaError) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.wires.status.set_failure(Some(format!(
                    "kafka: an offset of the lake is no longer in topic '{}': {error}; if the topic was re-created, set a new kafka.cluster",
                    self.config.kafka.topic
                )));
                tracing::error!(%error, topic = %self.config.kafka.topic,
                    "an offset of the lake is no longer in the topic; the partition stops. If the topic was re-created or messages expired, set a new kafka.cluster and start again");
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                tracing::warn!(topic = %self.config.kafka.topic, "the topic does not exist (yet); create it, or set kafka.topic");
            }
            Some(RDKafkaErrorCode::AllBrokersDown) => self.consumer.context().not_reached(&error.to_string()),
            // One broker or one connection; the client tries again by itself, and says so when none is left.
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::OperationTimedOut,
            ) => tracing::debug!(%error, "kafka"),
            _ => tracing::warn!(%error, "kafka"),
        }
    }

    fn rebalances(&mut self) {
        while let Some(event) = self.consumer.context().take() {
            match event {
                Rebalance::Assigned(partitions) => {
                    tracing::info!(?partitions, "partitions assigned");
                    self.owned = partitions;
                    self.ask_positions();
                }
                Rebalance::Revoked => {
                    self.flush(self.config.pipeline.revoke_timeout, "rebalance");
                    self.release();
                }
                Rebalance::Lost => {
                    tracing::warn!(
                        "the session with the group was lost; what was not committed is dropped and read again by its new owner"
                    );
                    self.release();
                }
            }
        }
    }

    /// Another instance committed a partition of ours: what is pending is dropped, and the lake says where to go on.
    fn fences(&mut self) {
        let fenced = *self.wires.fenced.borrow_and_update();
        if fenced.is_some_and(|generation| generation == *self.wires.generation.borrow()) && !self.owned.is_empty() {
            tracing::warn!("another instance committed one of our partitions; reading again from the lake's offsets");
            self.ask_positions();
        }
    }

    fn next_generation(&self) -> Generation {
        let next = Generation(self.wires.generation.borrow().0 + 1);
        self.wires.generation.send_replace(next);
        next
    }

    fn release(&mut self) {
        self.next_generation();
        self.owned.clear();
        self.partitions.clear();
        self.positions = None;
        self.held = None;
        self.wires.metrics.assigned.set(0);
        self.wires.status.set_consuming(false);
        if let Err(error) = self.consumer.unassign() {
            tracing::warn!(%error, "giving partitions back");
        }
    }

    fn ask_positions(&mut self) {
        let generation = self.next_generation();
        self.partitions.clear();
        self.held = None;
        let (reply, answer) = oneshot::channel();
        let partitions = self.owned.iter().map(|id| Arc::new(self.source(*id))).collect();
        // A question of an older generation is dropped by the committer, so there is always room soon.
        if self.wires.questions.blocking_send(Question { partitions, generation, reply }).is_ok() {
            self.positions = Some(answer);
        }
    }

    fn source(&self, partition: i32) -> SourcePartition {
        SourcePartition {
            cluster: self.config.kafka.cluster.clone(),
            topic: self.config.kafka.topic.clone(),
            partition,
        }
    }

    fn answers(&mut self) {
        let Some(waiting) = &mut self.positions else { return };
        match waiting.try_recv() {
            Ok(positions) => {
                self.positions = None;
                self.start(positions);
            }
            Err(oneshot::error::TryRecvError::Empty) => {}
            Err(oneshot::error::TryRecvError::Closed) => self.positions = None,
        }
    }

    /// Starts reading where the lake says.
    fn start(&mut self, positions: Vec<Position>) {
        let generation = *self.wires.generation.borrow();
        let mut assignment = TopicPartitionList::new();
        let mut failure = None;
        for Position { source, committed, last_timestamp_ms, horizon } in positions {
            let from = match self.starting_offset(&source, committed) {
                Ok(from) => from,
                Err(Refusal::Retry(why)) => {
                    tracing::warn!(partition = source.partition, "{why}; trying again");
                    return self.ask_positions();
                }
                Err(Refusal::Stop(why)) => {
                    tracing::error!(partition = source.partition, "{why}");
                    self.wires.metrics.stopped.with_label_values(&[&source.partition.to_string()]).set(1);
                    failure = Some(why);
                    continue;
                }
            };
            let partition = source.partition;
            self.wires.metrics.stopped.with_label_values(&[&partition.to_string()]).set(0);
            let told = ToWorker::Assign { partition, generation, horizon };
            if self.wires.workers[self.worker(partition)].blocking_send(told).is_err() {
                return;
            }
            if committed.is_none() && self.config.kafka.start == KafkaStart::Latest && !self.mark_start(&source, from) {
                return;
            }
            // The message before is read too: it must be the one that was committed.
            let before = committed.and(last_timestamp_ms).filter(|_| from > 0).map(|known| (from - 1, known));
            let first = before.map_or(from, |(offset, _)| offset.max(self.low(&source)));
            if assignment.add_partition_offset(&source.topic, partition, Offset::Offset(first)).is_ok() {
                self.partitions.insert(partition, Batching::new(source, generation, from, before));
            }
        }
        if let Err(error) = self.consumer.assign(&assignment) {
            tracing::error!(%error, "kafka refused the assignment");
        }
        // librdkafka keeps a partition paused through a rebalance: without this, what a flush or a full queue paused stays so.
        self.pause(false);
        self.wires.status.set_failure(failure);
        self.wires.metrics.assigned.set(i64::try_from(self.partitions.len()).unwrap_or(i64::MAX));
        self.wires.status.set_consuming(true);
        tracing::info!(partitions = self.partitions.len(), "reading");
    }

    /// Where "latest" was is written down at once: what comes while nobody reads is not skipped at the next start.
    fn mark_start(&self, source: &Arc<SourcePartition>, from: i64) -> bool {
        let Ok(range) = OffsetRange::new(from, from) else { return false };
        let generation = *self.wires.generation.borrow();
        let empty = RawBatch { source: Arc::clone(source), generation, range, bytes: Vec::new(), messages: Vec::new() };
        self.wires.workers[self.worker(source.partition)].blocking_send(ToWorker::Batch(empty)).is_ok()
    }

    /// The broker's first offset; the start of the partition when it does not say.
    fn low(&self, source: &SourcePartition) -> i64 {
        self.consumer.fetch_watermarks(&source.topic, source.partition, WATERMARKS).map_or(0, |(low, _)| low)
    }

    fn stop_recreated(&mut self, partition: i32, recreated: Recreated) {
        let Recreated { offset, known, found } = recreated;
        let why = format!(
            "partition {partition} of topic '{}' stops: its message at offset {offset} is not the one in the lake (timestamp {found:?} instead of \
             {known}), so the topic was re-created or replaced; start again with a new kafka.cluster (now '{}')",
            self.config.kafka.topic, self.config.kafka.cluster
        );
        tracing::error!(partition, "{why}");
        self.partitions.remove(&partition);
        self.wires.metrics.stopped.with_label_values(&[&partition.to_string()]).set(1);
        self.wires.status.set_failure(Some(why));
        let mut stopped = TopicPartitionList::new();
        stopped.add_partition(&self.config.kafka.topic, partition);
        if let Err(error) = self.consumer.pause(&stopped) {
            tracing::debug!(%error, "pausing a stopped partition");
        }
    }

    fn starting_offset(&self, source: &SourcePartition, committed: Option<i64>) -> Result<i64, Refusal> {
        let (low, high) = self
            .consumer
            .fetch_watermarks(&source.topic, source.partition, WATERMARKS)
            .map_err(|error| Refusal::Retry(format!("the broker does not say its offsets: {error}")))?;
        match committed {
            None if self.config.kafka.start == KafkaStart::Latest => Ok(high),
            None => Ok(low),
            Some(offset) if (low..=high).contains(&offset) => Ok(offset),
            Some(offset) => Err(Refusal::Stop(format!(
                "partition {} of topic '{}' stops: the lake's next offset is {offset}, the broker has {low} to {high}. If the topic was \
                 re-created or replaced, start again with a new kafka.cluster (now '{}'); if messages expired before they were read, they are lost",
                source.partition, source.topic, source.cluster
            ))),
        }
    }

    fn worker(&self, partition: i32) -> usize {
        usize::try_from(partition).unwrap_or(0) % self.wires.workers.len()
    }

    fn send_all(&mut self) {
        self.last_flush = now();
        let waiting: Vec<i32> =
            self.partitions.iter().filter(|(_, batching)| !batching.is_empty()).map(|(id, _)| *id).collect();
        for id in waiting {
            self.send_partition(id);
        }
    }

    fn send_partition(&mut self, id: i32) {
        if self.held.is_some() {
            return;
        }
        let worker = self.worker(id);
        let Some(batch) = self.partitions.get_mut(&id).and_then(Batching::take) else { return };
        match self.wires.workers[worker].try_send(ToWorker::Batch(batch)) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(batch)) => self.wait_for_room(worker, batch),
        }
    }

    /// A short wait costs nothing; a longer one pauses, so that the thread keeps polling.
    fn wait_for_room(&mut self, worker: usize, message: ToWorker) {
        let sender = &self.wires.workers[worker];
        match self.wires.runtime.block_on(sender.send_timeout(message, PATIENCE)) {
            Ok(()) | Err(SendTimeoutError::Closed(_)) => {}
            Err(SendTimeoutError::Timeout(message)) => {
                self.wires.metrics.paused.inc();
                tracing::info!("the lake is slower than Kafka: consumption pauses until there is room");
                self.held = Some((worker, message));
                self.pause(true);
            }
        }
    }

    fn retry_held(&mut self) {
        let Some((worker, message)) = self.held.take() else { return };
        match self.wires.workers[worker].try_send(message) {
            Ok(()) => self.pause(false),
            Err(TrySendError::Full(message)) => self.held = Some((worker, message)),
            Err(TrySendError::Closed(_)) => {}
        }
    }

    fn pause(&self, paused: bool) {
        let result = self.consumer.assignment().and_then(|assignment| {
            if paused { self.consumer.pause(&assignment) } else { self.consumer.resume(&assignment) }
        });
        if let Err(error) = result {
            tracing::warn!(%error, paused, "kafka: pausing or resuming");
        }
    }

    /// Commits what was read, within a bound; what does not make it is dropped and read again.
    fn flush(&mut self, bound: Duration, why: &str) {
        if self.partitions.is_empty() {
            return;
        }
        self.pause(true);
        let deadline = now() + bound;
        while self.held.is_some() && now() < deadline {
            self.retry_held();
            self.poll_quietly();
        }
        self.send_all();
        let (token, mut done) = FlushToken::new(self.wires.workers.len());
        let token = Arc::new(token);
        for worker in &self.wires.workers {
            let left = deadline.saturating_duration_since(now());
            let told = worker.send_timeout(ToWorker::Flush(Arc::clone(&token)), left);
            if self.wires.runtime.block_on(told).is_err() {
                break;
            }
        }
        drop(token);
        while !*done.borrow_and_update() && now() < deadline {
            self.poll_quietly();
            if done.has_changed().is_err() && !*done.borrow() {
                break;
            }
        }
        if *done.borrow() {
            tracing::info!(why, "what was read is committed");
        } else {
            tracing::warn!(why, bound = ?bound, "what was not committed in time is dropped; it will be read again");
        }
    }

    /// Keeps the membership alive; messages of paused partitions do not come, and would be read again anyway.
    fn poll_quietly(&self) {
        if let Some(Err(error)) = self.consumer.poll(Duration::from_millis(20)) {
            self.poll_error(&error);
        }
    }
}

/// Why a partition does not start.
enum Refusal {
    Retry(String),
    Stop(String),
}
