//! Writes messages to the source topic and tells what Kafka has. Bounded: librdkafka's queue has a size, a message has a time,
//! and what exceeds either is answered, never kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use spendstream_schemas::config::Config;

use super::problem::Refusal;
use crate::intake::client;
use crate::intake::renewed::Renewed;

/// One message for the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub key: String,
    pub payload: Bytes,
    pub headers: Vec<(String, String)>,
}

/// What Kafka has of some messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Acknowledged messages.
    pub taken: usize,
    /// Positions of those that the broker refuses for their size.
    pub too_large: Vec<usize>,
    /// Why the others are not there; the same request may be sent again, repeats are counted once.
    pub failed: Option<Refusal>,
}

/// See the module.
pub struct Producer {
    kafka: Renewed<Watch>,
    topic: String,
    /// No broker answered when last heard of.
    away: Arc<AtomicBool>,
    retry_after: Duration,
}

/// Hears from librdkafka that all brokers are down.
struct Watch(Arc<AtomicBool>);

impl ClientContext for Watch {
    fn error(&self, error: KafkaError, reason: &str) {
        // librdkafka repeats itself with every attempt to connect; once is enough until a broker answers again.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) && self.0.swap(true, Ordering::Relaxed)
        {
            return;
        }
        if self.0.load(Ordering::Relaxed)
            && error.rdkafka_error_code() == Some(RDKafkaErrorCode::BrokerTransportFailure)
        {
            return;
        }
        tracing::warn!(%error, reason, "the producer behind POST /v1/events and /v1/traces");
    }
}

impl Producer {
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let away = Arc::new(AtomicBool::new(false));
        let limits = &config.pipeline;
        let mut properties = client::producer(&config.kafka);
        properties
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "8388608")
            .set("message.timeout.ms", limits.acknowledge_timeout.as_millis().to_string())
            .set("queue.buffering.max.kbytes", limits.producer_queue_bytes.div_ceil(1024).to_string())
            .set("linger.ms", "5")
            .set("compression.type", "lz4");
        let watched = Arc::clone(&away);
        let make = move || properties.create_with_context(Watch(Arc::clone(&watched)));
        let producer = Renewed::new(Box::new(make)).map_err(client::refused)?;
        Ok(Self { kafka: producer, topic: config.kafka.topic.clone(), away, retry_after: limits.retry_after })
    }

    /// Returns when each message is acknowledged, refused or given up. `timestamp_ms` becomes the records' timestamp.
    pub async fn send(&self, messages: &[Message], timestamp_ms: i64) -> Sent {
        let mut sent = Sent::default();
        let mut waiting = Vec::with_capacity(messages.len());
        let producer = self.kafka.get();
        for (position, message) in messages.iter().enumerate() {
            match producer.send_result(self.record(message, timestamp_ms)) {
                Ok(delivery) => waiting.push((position, delivery)),
                Err((error, _)) => self.note(&mut sent, position, &error),
            }
            // What follows would meet the same.
            if sent.failed.is_some() {
                break;
            }
        }
        for (position, delivery) in waiting {
            match delivery.await {
                Ok(Ok(_)) => {
                    self.away.store(false, Ordering::Relaxed);
                    self.kafka.delivered();
                    sent.taken += 1;
                }
                Ok(Err((error, _))) => self.note(&mut sent, position, &error),
                Err(_) => sent.failed = Some(self.unavailable("the producer stopped")),
            }
        }
        sent
    }

    fn record<'m>(&'m self, message: &'m Message, timestamp_ms: i64) -> FutureRecord<'m, String, [u8]> {
        let record = FutureRecord::to(&self.topic).payload(&*message.payload).key(&message.key).timestamp(timestamp_ms);
        if message.headers.is_empty() {
            return record;
        }
        let headers = message
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }));
        record.headers(headers)
    }

    fn note(&self, sent: &mut Sent, position: usize, error: &KafkaError) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => sent.too_large.push(position),
            Some(RDKafkaErrorCode::QueueFull) => {
                self.kafka.missed();
                let detail = "pipeline.producer_queue_bytes of events wait for Kafka already";
                sent.failed = Some(self.not_now(detail));
            }
            Some(RDKafkaErrorCode::MessageTimedOut) => {
                self.kafka.missed();
                let detail = "Kafka did not acknowledge within pipeline.acknowledge_timeout";
                sent.failed = Some(self.not_now(detail));
            }
            _ => {
                self.kafka.missed();
                sent.failed = Some(self.unavailable(&error.to_string()));
            }
        }
    }

    /// 503 while no broker answers, else 429: Kafka is slower than what is posted.
    pub fn not_now(&self, detail: &str) -> Refusal {
        if self.away.load(Ordering::Relaxed) {
            return self.unavailable("no broker answers");
        }
        Refusal::later(StatusCode::TOO_MANY_REQUESTS, format!("{detail}; send it again later"), self.retry_after)
    }

    fn unavailable(&self, why: &str) -> Refusal {
        let detail = format!("Kafka did not take it ({why}); send all of it again, repeats are counted once");
        Refusal::later(StatusCode::SERVICE_UNAVAILABLE, detail, self.retry_after)
    }
}
