//! Fills a new topic: a number of events in, a topic with exactly that many acknowledged messages out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use crate::loadgen;

/// Creates topics with that many partitions.
///
/// # Errors
/// When the broker does not create one of them.
pub fn create_topics(brokers: &str, topics: &[(&str, i32)]) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let new: Vec<_> =
        topics.iter().map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let results = runtime.block_on(admin.create_topics(&new, &AdminOptions::new()))?;
    for result in results {
        if let Err((topic, code)) = result {
            bail!("topic {topic}: {code}");
        }
    }
    Ok(())
}

/// Counts messages that the broker did not take.
#[derive(Default)]
struct Deliveries {
    failed: AtomicU64,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Produces `events` messages of the load generator, see [`fill_with`].
///
/// # Errors
/// When a message was not acknowledged.
pub fn fill(brokers: &str, topic: &str, events: u64, start_ms: i64) -> anyhow::Result<u64> {
    fill_with(brokers, topic, events, |number, payload| loadgen::event(number, start_ms, payload))
}

/// Produces `events` messages with lz4 to `topic` and waits until all are acknowledged; gives the bytes of their payloads.
///
/// # Errors
/// When a message was not acknowledged.
pub fn fill_with(brokers: &str, topic: &str, events: u64, event: impl Fn(u64, &mut String)) -> anyhow::Result<u64> {
    let producer = producer(brokers)?;
    let (mut payload, mut bytes) = (String::new(), 0);
    for number in 0..events {
        payload.clear();
        event(number, &mut payload);
        bytes += payload.len() as u64;
        let key = loadgen::id(number);
        send(&producer, || BaseRecord::to(topic).key(&key).payload(&payload))?;
    }
    acknowledged(&producer)?;
    Ok(bytes)
}

/// Produces `messages` without key and payload to each partition, all of one moment (milliseconds since the epoch), and waits until all are
/// acknowledged: offsets that a lake can claim to have read.
///
/// # Errors
/// When a message was not acknowledged.
pub fn fill_empty(brokers: &str, topic: &str, partitions: i32, messages: u64, timestamp_ms: i64) -> anyhow::Result<()> {
    let producer = producer(brokers)?;
    for _ in 0..messages {
        for partition in 0..partitions {
            send(&producer, || BaseRecord::<(), ()>::to(topic).partition(partition).timestamp(timestamp_ms))?;
        }
    }
    acknowledged(&producer)
}

fn producer(brokers: &str) -> anyhow::Result<BaseProducer<Deliveries>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("compression.codec", "lz4").set("linger.ms", "50");
    config.set("batch.size", "1000000").set("queue.buffering.max.messages", "500000");
    config.create_with_context(Deliveries::default()).context("a producer")
}

/// Hands one message over, however long the queue is full.
fn send<'a, K, P>(producer: &BaseProducer<Deliveries>, record: impl Fn() -> BaseRecord<'a, K, P>) -> anyhow::Result<()>
where
    K: ToBytes + ?Sized + 'a,
    P: ToBytes + ?Sized + 'a,
{
    loop {
        match producer.send(record()) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(20));
            }
            Err((error, _)) => return Err(error).context("producing"),
        }
    }
}

fn acknowledged(producer: &BaseProducer<Deliveries>) -> anyhow::Result<()> {
    producer.flush(Duration::from_mins(2)).context("waiting for acknowledgements")?;
    match producer.context().failed.load(Ordering::Relaxed) {
        0 => Ok(()),
        failed => bail!("{failed} messages were not acknowledged"),
    }
}
