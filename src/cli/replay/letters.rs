//! Reads the dead-letter topic from where the last replay ended and sends what was asked for. It ends where the topic ended when
//! reading began, so that letters which are rejected again do not come round.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{Message, Offset, TopicPartitionList};
use spendstream_pipeline::intake::client;
use spendstream_schemas::config::KafkaConfig;

use super::sender::{Acknowledged, Sender};
use super::stretches::{self, Stretch, Topics};
use super::verdict::{Letter, Verdict, of_letter};
use super::{Count, send};

type Reader = BaseConsumer<Acknowledged>;

/// Without any message for so long the broker is taken for gone.
const PATIENCE: Duration = Duration::from_mins(1);

/// Which letters to send.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub reason: Option<&'a str>,
    /// By the Kafka timestamp of the letter.
    pub since_millis: Option<i64>,
    pub limit: u64,
    /// Those too that an earlier replay sent.
    pub again: bool,
}

/// The dead-letter topic, read by a group of its own that takes no partition from the pipeline.
pub struct Letters<'a> {
    kafka: &'a KafkaConfig,
    consumer: Reader,
    group: String,
    stretches: BTreeMap<i32, Stretch>,
}

impl<'a> Letters<'a> {
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn open(kafka: &'a KafkaConfig) -> anyhow::Result<Self> {
        let group = format!("{}.replay", kafka.group);
        let mut config = client::consumer(kafka);
        config.set("group.id", &group).set("enable.partition.eof", "true");
        let consumer = config.create_with_context(Acknowledged::default()).context("reader of dead letters")?;
        Ok(Self { kafka, consumer, group, stretches: BTreeMap::new() })
    }

    /// Sends what is wanted, in order. What is committed is left to [`Letters::remember`]: sent is not acknowledged.
    ///
    /// # Errors
    /// When the broker does not answer or a letter cannot be sent.
    pub fn read(&mut self, wanted: &Wanted<'_>, sender: &mut Sender, count: &mut Count) -> anyhow::Result<()> {
        let (kafka, topic) = (self.kafka, self.kafka.dead_letter_topic.as_str());
        let topics = Topics { letters: topic, source: &kafka.topic };
        self.stretches = stretches::find(&self.consumer, topics, wanted.since_millis, wanted.again)
            .with_context(|| format!("brokers {}", kafka.brokers))?;
        self.assign().with_context(|| format!("topic {topic}"))?;
        let mut open = self.stretches.clone();
        while !open.is_empty() && count.sent < wanted.limit {
            let message = match self.consumer.poll(PATIENCE) {
                None => bail!(
                    "topic {topic}: no message for {} s; is the broker at {} there?",
                    PATIENCE.as_secs(),
                    kafka.brokers
                ),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                    continue;
                }
                Some(message) => message.with_context(|| format!("topic {topic}"))?,
            };
            let (partition, offset) = (message.partition(), message.offset());
            let Some(Stretch { end, .. }) = open.get(&partition).copied() else { continue };
            if offset < end {
                one(&message, kafka, wanted, sender, count)?;
            }
            if offset + 1 >= end {
                open.remove(&partition);
            }
        }
        Ok(())
    }

    fn assign(&self) -> anyhow::Result<()> {
        if self.stretches.is_empty() {
            return Ok(());
        }
        let mut assigned = TopicPartitionList::new();
        for (partition, stretch) in &self.stretches {
            assigned.add_partition_offset(&self.kafka.dead_letter_topic, *partition, Offset::Offset(stretch.from))?;
        }
        Ok(self.consumer.assign(&assigned)?)
    }

    /// Whether there was nothing to read.
    pub fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    pub fn group(&self) -> &str {
        &self.group
    }

    /// Commits that everything read was replayed. Only after every record was acknowledged.
    ///
    /// # Errors
    /// When the group's offsets cannot be written.
    pub fn remember(&self) -> anyhow::Result<()> {
        let mut done = TopicPartitionList::new();
        for (partition, stretch) in &self.stretches {
            let topic = &self.kafka.dead_letter_topic;
            done.add_partition_offset(topic, *partition, Offset::Offset(stretch.end))?;
            if let Some(mut element) = done.find_partition(topic, *partition) {
                element.set_metadata(&self.kafka.topic);
            }
        }
        self.consumer.commit(&done, CommitMode::Sync).with_context(|| {
            format!("all was sent, but group {} cannot be told: the next replay sends it once more", self.group)
        })
    }
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
