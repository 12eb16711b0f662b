//! Reads the dead-letter topic of the embedded broker: reasons and how often each was given come out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long to wait for letters that were counted but do not come.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts up to `expected` dead letters by their header `spendstream.reason`. Blocks the thread, at most five seconds.
///
/// # Errors
/// When the topic cannot be read.
pub fn by_reason(broker: &str, topic: &str, expected: u64) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut reasons = BTreeMap::new();
    if expected == 0 {
        return Ok(reasons);
    }
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("group.id", "demo-report")
        .set("enable.auto.commit", "false")
        .create()
        .context("reader of dead letters")?;
    let mut from_the_start = TopicPartitionList::new();
    from_the_start.add_partition_offset(topic, 0, Offset::Beginning)?;
    reader.assign(&from_the_start).with_context(|| format!("topic {topic}"))?;
    let until = Instant::now() + PATIENCE;
    let mut read = 0;
    while read < expected && Instant::now() < until {
        let Some(message) = reader.poll(Duration::from_millis(100)) else { continue };
        let message = message.with_context(|| format!("topic {topic}"))?;
        read += 1;
        *reasons.entry(reason(&message)).or_insert(0) += 1;
    }
    Ok(reasons)
}

fn reason<M: Message>(message: &M) -> String {
    let header = |headers: &M::Headers| -> Option<String> {
        let header = headers.iter().find(|header| header.key == "spendstream.reason")?;
        header.value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    message.headers().and_then(header).unwrap_or_else(|| "without a reason".to_owned())
}
