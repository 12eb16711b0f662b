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
use rdkafka::producer::FutureRecord;
use rdkafka::util::Timeout;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use spendstream_schemas::count::Count;
use spendstream_schemas::hex::hex;
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::meter::{CODE_INTERPRETER_SESSION, Token, alternatives, is_known};
use spendstream_schemas::note::{CostQuality, Note};
use spendstream_schemas::usage_event::{Quantity, UsageRow};

use crate::batch::DeadLetter;
use crate::intake::renewed::Renewed;
use crate::status::Status;

const KEPT_BYTES: usize = 64 << 10;
const RETRY: Duration = Duration::from_secs(1);
/// How long librdkafka tries before a letter is tried anew, unless the operator says otherwise.
const TIMEOUT: (&str, &str) = ("message.timeout.ms", "60000");
/// Letters that are on their way at a time; each is copied for that.
const IN_FLIGHT: usize = 1_000;
/// Both cached and of a modality.
const OVERLAPS: [&str; 3] = [Token::CacheReadAudio.name(), Token::CacheReadImage.name(), Token::CacheReadVideo.name()];

/// Writes dead letters.
pub struct DeadLetters {
    producer: Renewed,
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
        client
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "8388608")
            .set("linger.ms", "5")
            .set("compression.type", "lz4");
        if client.get(TIMEOUT.0).is_none() {
            client.set(TIMEOUT.0, TIMEOUT.1);
        }
        let producer = Renewed::new(Box::new(move || client.create()))?;
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
            match self.producer.get().send(record, Timeout::After(Duration::from_secs(30))).await {
                Ok(_) => {
                    self.producer.delivered();
                    return self.written();
                }
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _))
                    if current.payload.len() > KEPT_BYTES =>
                {
                    cut = Some(truncated(letter));
                }
                Err((error, _)) => {
                    self.producer.missed();
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
    let sha256 = hex(&Sha256::digest(&letter.payload));
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

/// A decoded row as an event v1: what is kept of an item that was readable and is rejected all the same, or cannot be told without
/// its content.
///
/// All that is charged and by whom survives, but what only the way here knows: the payload's kind, a span's ids, and which assumption
/// was made. A cost that was not exact is not exact again: where the figures do not lead to the same note, a count without a name says so.
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
    text.push_str(",\"usage\":");
    text.push_str(&usage(row));
    text.push('}');
    text.into_bytes()
}

/// The usage object, within a body where one says more: which model answered, and that a session was assumed.
fn usage(row: &UsageRow<'_>) -> String {
    let sessions = sessions(row);
    let usage = format!("{{{}}}", usage_members(row, sessions.is_some()).join(","));
    if row.model_answered.is_none() && sessions.is_none() {
        return usage;
    }
    let mut members = vec![format!("\"usage\":{usage}")];
    members.extend(row.model_answered.as_ref().map(|model| format!("\"model\":{}", Value::from(model.as_ref()))));
    members.extend(sessions.map(|count| {
        let calls = vec![r#"{"type":"code_interpreter_call"}"#; count];
        format!("\"output\":[{}]", calls.join(","))
    }));
    format!("{{{}}}", members.join(","))
}

/// How many sessions were charged that another call may have paid for.
fn sessions(row: &UsageRow<'_>) -> Option<usize> {
    let amount = row.quantities.iter().find(|(meter, _)| meter == CODE_INTERPRETER_SESSION).map(|(_, amount)| *amount);
    amount.filter(|_| row.notes.contains(Note::SessionAssumed)).and_then(|amount| amount.to_usize())
}

fn usage_members(row: &UsageRow<'_>, tells_sessions: bool) -> Vec<String> {
    // Overlaps that were assumed are assumed again from the same sums.
    let assumed = row.notes.contains(Note::CachedPartsAssumed);
    let is_overlap = |meter: &str| OVERLAPS.contains(&meter);
    let told = |meter: &str| (!tells_sessions || meter != CODE_INTERPRETER_SESSION) && (!assumed || !is_overlap(meter));
    let of = |meter: &str| row.quantities.iter().find(|(name, _)| name == meter).map(|(_, amount)| *amount);
    // Uncached input follows from the others; a zero says nothing, but that there was nothing at all.
    let said = |count: &Count| *count == Count::Input || row.counts.get(*count) != 0;
    let counts = Count::ALL.into_iter().filter(|count| *count != Count::UncachedInput).filter(said).map(|count| {
        let mut value = Decimal::from(row.counts.get(count));
        // By plain names those that live for 12 hours are beside the others.
        if count == Count::CacheWrite {
            value -= of(Token::CacheWrite12h.name()).unwrap_or_default();
        }
        format!("\"{}\":{}", count.column(), value.normalize())
    });
    let mut members: Vec<String> = counts.collect();
    // What is no meter is read among a provider's tools only.
    let is_meter = |meter: &str| is_known(meter) || !alternatives(meter).is_empty();
    let quantities = row.quantities.iter().filter(|(meter, _)| told(meter));
    let (meters, tools): (Vec<_>, Vec<_>) = quantities.partition(|(meter, _)| is_meter(meter));
    let member = |(meter, amount): &Quantity<'_>| format!("{}:{}", Value::from(meter.as_ref()), amount.normalize());
    members.extend(meters.into_iter().map(member));
    if !tools.is_empty() {
        let tools: Vec<String> = tools.into_iter().map(member).collect();
        members.push(format!("\"server_side_tool_usage_details\":{{{}}}", tools.join(",")));
    }
    if !assumed && row.counts.get(Count::CacheRead) > 0 && !row.quantities.iter().any(|(meter, _)| is_overlap(meter)) {
        // That nothing was both is told, too.
        members.push(format!("\"{}\":0", Token::CacheReadAudio.name()));
    }
    let again = match row.quality {
        CostQuality::Exact => true,
        CostQuality::UpperBound => tells_sessions,
        CostQuality::Estimated => assumed,
    };
    if row.notes.contains(Note::TokensUnexplained) || !again {
        members.push("\"unexplained_tokens\":1".to_owned());
    }
    members
}

#[cfg(test)]
mod tests;
