//! The yardstick: librdkafka reading the whole topic with its default settings and throwing the messages away.

use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long nothing may come before the topic is taken to be shorter than it should be.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads `events` messages of `topic` from the beginning, all partitions; gives the bytes of their payloads.
///
/// # Errors
/// When the topic has fewer or cannot be read.
pub fn consume(brokers: &str, topic: &str, events: u64) -> anyhow::Result<u64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "benchmark-raw")
        .set("enable.auto.commit", "false")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).with_context(|| format!("topic {topic}"))?;
    let mut all = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(rdkafka::metadata::MetadataTopic::partitions) {
        all.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let (mut read, mut bytes) = (0, 0);
    while read < events {
        let Some(message) = consumer.poll(PATIENCE) else { bail!("only {read} of {events} messages came") };
        bytes += message?.payload_len() as u64;
        read += 1;
    }
    Ok(bytes)
}
