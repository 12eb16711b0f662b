//! Puts messages into a topic: idempotent, acknowledged by all, each to the partition that its key names.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::broker::Broker;
use super::topics;

const TIMEOUT: Duration = Duration::from_mins(1);

/// A producer to one topic.
pub struct Producer {
    inner: ThreadedProducer<Count>,
    topic: String,
    partitions: i32,
    sent: AtomicU64,
}

/// Counts what the broker has acknowledged.
struct Count(Arc<AtomicU64>);

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // A purged message of an aborted transaction never was in the topic.
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Producer {
    /// For `topic` with its `partitions`.
    pub fn new(broker: &Broker, topic: &str, partitions: i32) -> Self {
        Self::build(broker, topic, partitions, None)
    }

    /// One whose messages count only when their transaction is committed.
    pub fn transactional(broker: &Broker, topic: &str, partitions: i32, id: &str) -> Self {
        let producer = Self::build(broker, topic, partitions, Some(id));
        producer.inner.init_transactions(TIMEOUT).unwrap();
        producer
    }

    fn build(broker: &Broker, topic: &str, partitions: i32, transactional: Option<&str>) -> Self {
        let mut config = topics::client(&broker.address());
        config.set("enable.idempotence", "true").set("linger.ms", "5").set("message.timeout.ms", "120000");
        config.set("message.max.bytes", "4000000");
        if let Some(id) = transactional {
            config.set("transactional.id", id).set("message.timeout.ms", "60000");
        }
        let inner = config.create_with_context(Count(Arc::new(AtomicU64::new(0)))).unwrap();
        Self { inner, topic: topic.to_owned(), partitions, sent: AtomicU64::new(0) }
    }

    /// Sends a message keyed by `key`; equal keys go to the same partition.
    pub fn send(&self, key: &str, payload: &[u8]) {
        self.send_with(key, payload, &[]);
    }

    /// The same with headers.
    pub fn send_with(&self, key: &str, payload: &[u8], headers: &[(&str, &str)]) {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
        let mut record = BaseRecord::to(&self.topic).key(key).payload(payload).headers(headers);
        record = record.partition(self.partition(key));
        loop {
            match self.inner.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    let _ = self.inner.flush(Duration::from_millis(100));
                }
                Err((error, _)) => panic!("producing to {}: {error}", self.topic),
            }
        }
        self.sent.fetch_add(1, Ordering::SeqCst);
    }

    /// Where a key goes: FNV-1a, the same in every run.
    pub fn partition(&self, key: &str) -> i32 {
        let hash = key.bytes().fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        i32::try_from(hash % u32::try_from(self.partitions).unwrap()).unwrap()
    }

    /// Waits until the broker has everything that was sent.
    pub fn flush(&self) {
        self.inner.flush(TIMEOUT).unwrap();
        let delivered = self.inner.context().0.load(Ordering::SeqCst);
        assert_eq!(delivered, self.sent.load(Ordering::SeqCst), "messages that the broker acknowledged");
    }

    /// Sends what `send` sends in one transaction and ends it.
    pub fn transaction(&self, end: End, send: impl FnOnce(&Self)) {
        self.inner.begin_transaction().unwrap();
        send(self);
        self.flush();
        match end {
            End::Commit => self.inner.commit_transaction(TIMEOUT).unwrap(),
            End::Abort => self.inner.abort_transaction(TIMEOUT).unwrap(),
        }
    }
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Commit,
    Abort,
}
