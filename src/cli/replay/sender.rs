//! Writes records to the topic, idempotently, and knows at the end whether the broker has every one of them.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use spendstream_pipeline::intake::client;
use spendstream_schemas::config::KafkaConfig;

use super::verdict::Record;

/// How long a record may wait for its acknowledgement.
const DELIVERY: Duration = Duration::from_mins(2);
/// How often progress is shown on a terminal.
const SHOW: Duration = Duration::from_millis(500);
/// How long the broker may be silent before that is said.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts acknowledgements, and keeps librdkafka quiet.
#[derive(Clone, Default)]
pub struct Acknowledged(Arc<Tally>);

#[derive(Default)]
struct Tally {
    delivered: AtomicU64,
    failed: AtomicU64,
    /// The first failure.
    error: std::sync::Mutex<Option<KafkaError>>,
}

/// Errors come back from the calls; librdkafka's own lines, one per attempt, would bury them.
impl ClientContext for Acknowledged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(?level, facility, line, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.0.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                self.0.failed.fetch_add(1, Ordering::Relaxed);
                if let Ok(mut first) = self.0.error.lock() {
                    first.get_or_insert_with(|| error.clone());
                }
            }
        }
    }
}

/// Sends; in a dry run only counts.
pub struct Sender {
    topic: String,
    /// `None` in a dry run.
    producer: Option<BaseProducer<Acknowledged>>,
    acknowledged: Acknowledged,
    sent: u64,
    shown: Instant,
}

impl Sender {
    pub fn new(kafka: &KafkaConfig, dry_run: bool) -> anyhow::Result<Self> {
        let acknowledged = Acknowledged::default();
        let mut config = client::producer(kafka);
        config
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", DELIVERY.as_millis().to_string())
            .set("message.max.bytes", "8388608")
            .set("linger.ms", "20")
            .set("compression.type", "lz4");
        let producer = (!dry_run).then(|| config.create_with_context(acknowledged.clone())).transpose();
        let producer = producer.context("producer")?;
        Ok(Self { topic: kafka.topic.clone(), producer, acknowledged, sent: 0, shown: Instant::now() })
    }

    /// Hands a record over; waits while librdkafka's queue is full.
    ///
    /// # Errors
    /// When it cannot be sent, or an earlier one failed.
    pub fn send(&mut self, record: &Record) -> anyhow::Result<()> {
        self.sent += 1;
        self.show();
        let Some(producer) = &self.producer else { return Ok(()) };
        let mut mark =
            OwnedHeaders::new().insert(Header { key: "spendstream.replayed", value: Some(record.origin.as_str()) });
        for (name, value) in &record.headers {
            mark = mark.insert(Header { key: name, value: Some(value.as_slice()) });
        }
        let mut message = BaseRecord::<[u8], [u8]>::to(&self.topic).payload(&record.payload).headers(mark);
        if let Some(key) = &record.key {
            message = message.key(key);
        }
        loop {
            match producer.send(message) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    producer.poll(Duration::from_millis(100));
                    message = back;
                }
                Err((error, _)) => bail!("{} cannot be sent to topic {}: {error}", record.origin, self.topic),
            }
        }
        producer.poll(Duration::ZERO);
        self.failure()
    }

    /// Waits until every record is acknowledged.
    ///
    /// # Errors
    /// When any was not.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(producer) = &self.producer {
            // Nothing outlives `message.timeout.ms`, so this ends.
            let (since, mut said) = (Instant::now(), false);
            while producer.in_flight_count() > 0 {
                producer.poll(Duration::from_millis(100));
                if !said && since.elapsed() >= PATIENCE {
                    said = true;
                    let waiting = producer.in_flight_count();
                    eprintln!(
                        "waiting for the broker to take {waiting} messages; it is given message.timeout.ms (2 minutes unless set)"
                    );
                }
            }
        }
        if std::io::stderr().is_terminal() && self.sent > 0 {
            eprintln!("\r{} sent", self.sent);
        }
        self.failure()
    }

    fn failure(&self) -> anyhow::Result<()> {
        let tally = &self.acknowledged.0;
        let failed = tally.failed.load(Ordering::Relaxed);
        if failed == 0 {
            return Ok(());
        }
        let why = tally.error.lock().ok().and_then(|error| error.as_ref().map(ToString::to_string)).unwrap_or_default();
        let delivered = tally.delivered.load(Ordering::Relaxed);
        bail!(
            "{failed} messages were not taken by topic {} ({why}), {delivered} were; run it again: repeats count once",
            self.topic
        )
    }

    fn show(&mut self) {
        if self.shown.elapsed() >= SHOW && std::io::stderr().is_terminal() {
            self.shown = Instant::now();
            eprint!("\r{} sent", self.sent);
        }
    }
}
