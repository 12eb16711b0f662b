//! Reads the dead-letter topic from one end to the other and sends what was asked for. It ends where the topic ended when
//! reading began, so that letters which are rejected again do not come round.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{Message, Offset, TopicPartitionList};
use spendstream_pipeline::intake::client;
use spendstream_schemas::config::KafkaConfig;

use super::sender::{Acknowledged, Sender};
use super::verdict::{Letter, Verdict, of_letter};
use super::{Count, send};

type Reader = BaseConsumer<Acknowledged>;

const TIMEOUT: Duration = Duration::from_secs(15);
/// Without any message for so long the broker is taken for gone.
const PATIENCE: Duration = Duration::from_mins(1);

/// Which letters to send.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub reason: Option<&'a str>,
    /// By the Kafka timestamp of the letter.
    pub since_millis: Option<i64>,
}

pub fn read(
    kafka: &KafkaConfig,
    wanted: &Wanted<'_>,
    limit: u64,
    sender: &mut Sender,
    count: &mut Count,
) -> anyhow::Result<()> {
    let topic = kafka.dead_letter_topic.as_str();
    let mut config = client::consumer(kafka);
    // A reader of its own: it takes no partition from the pipeline and commits nothing.
    config.set("group.id", format!("{}.replay", kafka.group)).set("enable.partition.eof", "true");
    let consumer: Reader = config.create_with_context(Acknowledged::default()).context("reader of dead letters")?;
    let mut ends =
        start(&consumer, topic, wanted.since_millis).with_context(|| format!("brokers {}", kafka.brokers))?;
    while !ends.is_empty() && count.sent < limit {
        let message = match consumer.poll(PATIENCE) {
            None => bail!(
                "topic {topic}: no message for {} s; is the broker at {} there?",
                PATIENCE.as_secs(),
                kafka.brokers
            ),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ends.remove(&partition);
                continue;
            }
            Some(message) => message.with_context(|| format!("topic {topic}"))?,
        };
        let (partition, offset) = (message.partition(), message.offset());
        let Some(end) = ends.get(&partition).copied() else { continue };
        if offset < end {
            one(&message, kafka, wanted, sender, count)?;
        }
        if offset + 1 >= end {
            ends.remove(&partition);
        }
    }
    Ok(())
}

fn one(
    message: &BorrowedMessage<'_>,
    kafka: &KafkaConfig,
    wanted: &Wanted<'_>,
    sender: &mut Sender,
    count: &mut Count,
) -> anyhow::Result<()> {
    let place = format!("{}/{}/{}", message.topic(), message.partition(), message.offset());
    // Offsets are found by time, but times within a partition need not rise.
    let too_old = wanted.since_millis.is_some_and(|since| message.timestamp().to_millis().is_some_and(|at| at < since));
    if too_old {
        count.filtered += 1;
        return Ok(());
    }
    let letter = letter(message);
    match of_letter(&letter, &kafka.topic, wanted.reason, &place) {
        Verdict::Send(mut record) => {
            record.headers = reading_headers(message);
            send(&record, sender, count)?;
        }
        Verdict::Skip(skip) => count.skip(&place, skip, &detail(message)),
        Verdict::Leave => count.filtered += 1,
    }
    Ok(())
}

fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a [u8]> {
    message.headers()?.iter().find(|header| header.key == name)?.value
}

/// The rejected message's own headers that say what its payload is; a binary `CloudEvent` is nothing without them.
fn reading_headers(message: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let kept = |name: &str| name.eq_ignore_ascii_case("content-type") || name.to_ascii_lowercase().starts_with("ce_");
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    headers
        .filter(|header| kept(header.key))
        .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
        .collect()
}

fn letter<'a>(message: &'a BorrowedMessage<'_>) -> Letter<'a> {
    let text = |name: &str| header(message, name).and_then(|value| std::str::from_utf8(value).ok());
    Letter {
        payload: message.payload(),
        key: header(message, "spendstream.key"),
        reason: text("spendstream.reason"),
        topic: text("spendstream.topic"),
        truncated: header(message, "spendstream.truncated").is_some(),
    }
}

/// What helps to find the whole message elsewhere.
fn detail(message: &BorrowedMessage<'_>) -> String {
    let text = |name: &str| header(message, name).map(|value| String::from_utf8_lossy(value).into_owned());
    let parts = [
        ("offset", text("spendstream.offset")),
        ("partition", text("spendstream.partition")),
        ("sha256", text("spendstream.sha256")),
    ];
    let parts: Vec<_> = parts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?))).collect();
    if parts.is_empty() { String::new() } else { format!(" (it was {})", parts.join(", ")) }
}

/// Assigns every partition from its beginning, or from a time on; returns where each ends now. Empty ones are left out.
fn start(consumer: &Reader, topic: &str, since_millis: Option<i64>) -> anyhow::Result<HashMap<i32, i64>> {
    let at = || format!("topic {topic}");
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).with_context(at)?;
    let partitions: Vec<i32> =
        metadata.topics().iter().flat_map(MetadataTopic::partitions).map(MetadataPartition::id).collect();
    if partitions.is_empty() {
        bail!("topic {topic} does not exist: nothing was ever rejected, or kafka.dead_letter_topic names another");
    }
    let mut assigned = TopicPartitionList::new();
    let mut ends = HashMap::new();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition, TIMEOUT).with_context(at)?;
        if low < high {
            let offset = since_millis.map_or(Offset::Offset(low), Offset::Offset);
            assigned.add_partition_offset(topic, partition, offset)?;
            ends.insert(partition, high);
        }
    }
    if since_millis.is_some() && !ends.is_empty() {
        assigned = consumer.offsets_for_times(assigned, TIMEOUT).with_context(at)?;
        for element in assigned.elements() {
            // Nothing that young: Kafka answers with the end.
            if !matches!(element.offset(), Offset::Offset(_)) {
                ends.remove(&element.partition());
            }
        }
    }
    let mut wanted = TopicPartitionList::new();
    for element in assigned.elements().iter().filter(|element| ends.contains_key(&element.partition())) {
        wanted.add_partition_offset(topic, element.partition(), element.offset())?;
    }
    if !ends.is_empty() {
        consumer.assign(&wanted).with_context(at)?;
    }
    Ok(ends)
}
