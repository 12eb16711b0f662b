//! The dead-letter topic. In: [`DeadLetter`]s of a commit; out: acknowledged records, before the commit that passes their offsets.
//!
//! Keyed by source position, so that a repeat after a restart replaces the first in a compacted topic; the message's own key
//! travels in `spendstream.key`. A record that the broker refuses as too large is cut to its first 64 KiB.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use spendstream_schemas::count::Count;
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::usage_event::UsageRow;

use crate::batch::DeadLetter;
use crate::status::Status;

const KEPT_BYTES: usize = 64 << 10;
const RETRY: Duration = Duration::from_secs(1);
/// Letters that are on their way at a time; each is copied for that.
const IN_FLIGHT: usize = 1_000;

/// Writes dead letters.
pub struct DeadLetters {
    producer: FutureProducer,
    topic: String,
    status: Arc<Status>,
    /// The topic did not take the last letter.
    failing: AtomicBool,
}

impl DeadLetters {
    /// `client` is what a consumer of the same cluster uses; the producer is idempotent.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(mut client: ClientConfig, topic: &str, status: Arc<Status>) -> Result<Self, KafkaError> {
        let producer = client
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "8388608")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .create()?;
        Ok(Self { producer, topic: topic.to_owned(), status, failing: AtomicBool::new(false) })
    }

    /// Returns when every record is acknowledged; retries for ever, because what is not in the topic may not be passed.
    /// Dropping the future stops trying.
    pub async fn send(&self, letters: &[(Arc<SourcePartition>, DeadLetter)]) {
        let mut sends = FuturesUnordered::new();
        for (source, letter) in letters {
            if sends.len() >= IN_FLIGHT {
                sends.next().await;
            }
            sends.push(self.send_one(source, letter));
        }
        while sends.next().await.is_some() {}
    }

    async fn send_one(&self, source: &SourcePartition, letter: &DeadLetter) {
        let mut cut: Option<DeadLetter> = None;
        loop {
            let current = cut.as_ref().unwrap_or(letter);
            let key = format!("{}/{}/{}/{}", source.topic, source.partition, letter.offset, letter.index);
            let record =
                FutureRecord::to(&self.topic).key(&key).payload(&current.payload).headers(headers(source, current));
            match self.producer.send(record, Timeout::After(Duration::from_secs(30))).await {
                Ok(_) => return self.written(),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _))
                    if current.payload.len() > KEPT_BYTES =>
                {
                    cut = Some(truncated(letter));
                }
                Err((error, _)) => {
                    self.refused(&error);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Said once, and by `/readyz` until the commit that waits is through.
    fn refused(&self, error: &KafkaError) {
        let topic = &self.topic;
        let why = format!(
            "commits wait: the dead-letter topic '{topic}' does not take rejected messages ({error}); create it, allow this program to write to it, or set kafka.dead_letter_topic; nothing is lost, reading pauses when the queues are full"
        );
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!("{why}");
        }
        self.status.set_lake_failure(Some(why));
    }

    fn written(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(topic = %self.topic, "the dead-letter topic takes rejected messages again");
        }
    }
}

fn truncated(letter: &DeadLetter) -> DeadLetter {
    let sha256 = Sha256::digest(&letter.payload).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    DeadLetter {
        payload: letter.payload[..KEPT_BYTES].to_vec(),
        truncated_sha256: Some(letter.truncated_sha256.clone().unwrap_or(sha256)),
        ..letter.clone()
    }
}

fn headers(source: &SourcePartition, letter: &DeadLetter) -> OwnedHeaders {
    let add = |headers: OwnedHeaders, key: &str, value: &str| headers.insert(Header { key, value: Some(value) });
    let mut headers = OwnedHeaders::new();
    headers = add(headers, "spendstream.reason", letter.reason);
    headers = add(headers, "spendstream.detail", &letter.detail);
    headers = add(headers, "spendstream.cluster", &source.cluster);
    headers = add(headers, "spendstream.topic", &source.topic);
    headers = add(headers, "spendstream.partition", &source.partition.to_string());
    headers = add(headers, "spendstream.offset", &letter.offset.to_string());
    headers = add(headers, "spendstream.index", &letter.index.to_string());
    for (name, value) in &letter.headers {
        headers = headers.insert(Header { key: name, value: Some(value.as_slice()) });
    }
    if let Some(key) = &letter.key {
        headers = headers.insert(Header { key: "spendstream.key", value: Some(key.as_slice()) });
    }
    if let Some(sha256) = &letter.truncated_sha256 {
        headers = add(headers, "spendstream.truncated", "true");
        headers = add(headers, "spendstream.sha256", sha256);
    }
    headers
}

/// A decoded row as an event v1: what is kept of an item that was readable and is rejected all the same.
#[must_use]
pub fn event_json(row: &UsageRow<'_>) -> Vec<u8> {
    let mut event = Map::new();
    for (text, value) in row.texts.iter() {
        if let (Some(value), false) = (value, text.event_name().is_empty()) {
            event.insert(text.event_name().to_owned(), Value::from(value));
        }
    }
    let time = chrono::DateTime::from_timestamp_micros(row.time_micros).unwrap_or_default();
    event.insert("time".into(), Value::from(time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)));
    if !row.tags.is_empty() {
        let tags = row.tags.iter().map(|(key, value)| (key.to_string(), Value::from(value.as_ref())));
        event.insert("tags".into(), Value::Object(tags.collect()));
    }
    if let Some(latency) = row.latency_ms {
        event.insert("latency_ms".into(), Value::from(latency));
    }
    if let Some(hit) = row.cache_hit {
        event.insert("cache_hit".into(), Value::from(hit));
    }
    if let Some(cost) = &row.reported_cost {
        event.insert("reported_cost".into(), json!({ "amount": cost.amount.to_string(), "currency": cost.currency }));
    }
    let mut text = Value::Object(event).to_string();
    text.pop();
    // Written by hand, so that decimals keep their digits: a JSON value would make floats of them.
    text.push_str(",\"usage\":{");
    text.push_str(&usage_members(row).join(","));
    text.push_str("}}");
    text.into_bytes()
}

fn usage_members(row: &UsageRow<'_>) -> Vec<String> {
    // Uncached input follows from the others; a zero says nothing.
    let counts = Count::ALL
        .into_iter()
        .filter(|count| *count != Count::UncachedInput && row.counts.get(*count) != 0)
        .map(|count| format!("\"{}\":{}", count.column(), row.counts.get(count)));
    let quantities =
        row.quantities.iter().map(|(meter, amount)| format!("{}:{}", Value::from(meter.as_ref()), amount.normalize()));
    counts.chain(quantities).collect()
}
