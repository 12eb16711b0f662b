//! The one loop that talks to Kafka, on a thread of its own. In: messages, rebalances, fences; out: batches to the workers.
//!
//! Offsets come from the lake alone: an assignment is answered with `assign` only when the committer said where each
//! partition stands ([`super::assignment`]). The loop never waits for the lake without polling, so that the group keeps this member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::RwLock;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use spendstream_schemas::config::{Config, KafkaConfig};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::anchor::Anchors;
use super::batching::Batching;
use super::client;
use super::context::{IntakeContext, Rebalance};
use super::renewed::{self, RENEW};
use crate::batch::Generation;
use crate::buffers::Buffers;
use crate::committer::{Position, Question};
use crate::metrics::Metrics;
use crate::status::Status;
use crate::worker::ToWorker;

/// Messages read between two looks at everything else.
const BURST: usize = 32;
/// How long a poll waits for a message: also how often everything else is looked at.
const POLL: Duration = Duration::from_millis(50);
/// A batch that is not full goes on after this time.
const LINGER: Duration = Duration::from_millis(100);

/// The consumer with its callbacks.
pub type KafkaConsumer = BaseConsumer<IntakeContext>;

/// The consumer of now, for who only speaks by it.
pub type CurrentConsumer = Arc<RwLock<Arc<KafkaConsumer>>>;

/// A consumer of the topic that is a member of the group from now on.
///
/// # Errors
/// When librdkafka refuses a property.
pub fn connect(kafka: &KafkaConfig, context: IntakeContext) -> anyhow::Result<Arc<KafkaConsumer>> {
    let consumer: Arc<KafkaConsumer> =
        Arc::new(client::consumer(kafka).create_with_context(context).map_err(client::refused)?);
    consumer.subscribe(&[kafka.topic.as_str()]).context("kafka: subscribing")?;
    Ok(consumer)
}

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
    /// Where decode threads put what they have read.
    pub buffers: Buffers,
}

/// See the module.
pub struct Intake {
    pub(super) consumer: Arc<KafkaConsumer>,
    current: CurrentConsumer,
    /// Since when no broker answers this consumer.
    away: Option<Instant>,
    pub(super) config: Config,
    pub(super) wires: Wires,
    pub(super) owned: Vec<i32>,
    pub(super) partitions: BTreeMap<i32, Batching>,
    /// The committer's answer to an assignment, when one is awaited.
    pub(super) positions: Option<oneshot::Receiver<Vec<Position>>>,
    /// The answer, and since when, where the broker did not say its offsets yet.
    pub(super) unstarted: Option<(Vec<Position>, Instant)>,
    /// A batch that found its worker's queue full; while there is one, consumption is paused.
    pub(super) held: Option<(usize, ToWorker)>,
    pub(super) last_flush: Instant,
    anchors: Option<Anchors>,
    /// Partitions whose topic was re-created while it was read: they stay stopped, and why.
    pub(super) recreated: BTreeMap<i32, String>,
}

/// The one clock here: the loop that does the waiting owns the clock.
pub(super) fn now() -> Instant {
    Instant::now()
}

impl Intake {
    #[must_use]
    pub fn new(current: CurrentConsumer, config: Config, wires: Wires) -> Self {
        let consumer = Arc::clone(&current.read());
        let anchors = match Anchors::start(&config.kafka, now()) {
            Ok(anchors) => Some(anchors),
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "a topic that is re-created while it is read is not noticed");
                None
            }
        };
        Self {
            consumer,
            current,
            away: None,
            config,
            wires,
            owned: Vec::new(),
            partitions: BTreeMap::new(),
            positions: None,
            unstarted: None,
            held: None,
            last_flush: now(),
            anchors,
            recreated: BTreeMap::new(),
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
            self.look_at_anchors();
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

    /// A topic that was re-created while it was read: nothing more of it is taken, and what is not committed is dropped.
    fn look_at_anchors(&mut self) {
        let Some(anchors) = &mut self.anchors else { return };
        anchors.look(now(), || {
            let newest = |(id, batching): (&i32, &Batching)| Some((*id, batching.newest()?));
            self.partitions.iter().filter_map(newest).collect()
        });
        let mut is_news = false;
        while let Some((partition, recreated)) = self.anchors.as_mut().and_then(Anchors::found) {
            // A look that was under way while the partition was given back says nothing of who has it now.
            if self.partitions.contains_key(&partition) && !is_news {
                // The others of the topic are no longer what they were either.
                let why = self.recreated_line(partition, recreated);
                self.recreated.extend(self.owned.iter().map(|id| (*id, why.clone())));
                is_news = true;
            }
        }
        if is_news {
            self.ask_positions();
        }
    }

    fn look_at_kafka(&mut self) {
        let is_away = self.consumer.context().is_unreachable();
        self.wires.status.set_kafka_away(is_away);
        if !is_away {
            self.away = None;
        } else if renewed::is_due(&mut self.away, now()) {
            self.renew();
        }
    }

    /// Reads on by another consumer. What was read and is not committed is dropped and read again, as after a lost session.
    fn renew(&mut self) {
        let context = IntakeContext::unreached(Arc::clone(&self.wires.metrics));
        match connect(&self.config.kafka, context) {
            Ok(consumer) => {
                tracing::warn!("no Kafka broker answered for {} s; connecting anew", RENEW.as_secs());
                self.consumer.context().close();
                self.release();
                *self.current.write() = Arc::clone(&consumer);
                // Leaving the group may wait for a broker.
                renewed::drop_aside(std::mem::replace(&mut self.consumer, consumer));
            }
            Err(error) => tracing::warn!(error = %format!("{error:#}"), "a new connection to Kafka is refused"),
        }
    }

    pub(super) fn poll_error(&self, error: &KafkaError) {
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

    pub(super) fn next_generation(&self) -> Generation {
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
        self.unstarted = None;
        for worker in &self.wires.workers {
            // A full queue is no loss: the next assignment drops what is older.
            let _ = worker.try_send(ToWorker::Release);
        }
        self.wires.metrics.released();
        self.wires.status.set_consuming(false);
        if let Err(error) = self.consumer.unassign() {
            tracing::warn!(%error, "giving partitions back");
        }
    }
}
