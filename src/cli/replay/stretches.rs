//! From where to where each partition of the dead-letter topic is read. Asks the broker; reads no letter and commits nothing.
//!
//! Where the last whole replay ended is the committed offset of a group of its own, with the topic it replayed to beside it: two
//! pipelines may share a dead-letter topic and a group's name, and neither may pass over the other's letters.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};

pub const TIMEOUT: Duration = Duration::from_secs(15);

/// What of a partition is to be read: from the first offset, to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub from: i64,
    pub end: i64,
}

/// Which topics are meant.
#[derive(Clone, Copy, Debug)]
pub struct Topics<'a> {
    pub letters: &'a str,
    /// Where they are sent again.
    pub source: &'a str,
}

/// The stretches of all partitions that have something to read; `again` forgets what was replayed before.
///
/// # Errors
/// When the broker does not answer, or there is no such topic.
pub fn find<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: Topics<'_>,
    since_millis: Option<i64>,
    again: bool,
) -> anyhow::Result<BTreeMap<i32, Stretch>> {
    let topic = topics.letters;
    let at = || format!("topic {topic}");
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).with_context(at)?;
    let partitions: Vec<i32> =
        metadata.topics().iter().flat_map(MetadataTopic::partitions).map(MetadataPartition::id).collect();
    if partitions.is_empty() {
        bail!("topic {topic} does not exist: nothing was ever rejected, or kafka.dead_letter_topic names another");
    }
    let remembered = if again { BTreeMap::new() } else { remembered(consumer, topics, &partitions)? };
    let mut ends = BTreeMap::new();
    for partition in &partitions {
        ends.insert(*partition, consumer.fetch_watermarks(topic, *partition, TIMEOUT).with_context(at)?);
    }
    let young = match since_millis {
        Some(millis) => young(consumer, topic, &ends, millis).with_context(at)?,
        None => BTreeMap::new(),
    };
    let stretches = ends.into_iter().map(|(partition, (low, high))| {
        let from = first((low, high), remembered.get(&partition).copied(), young.get(&partition).copied());
        (partition, Stretch { from, end: high })
    });
    Ok(stretches.filter(|(_, stretch)| stretch.from < stretch.end).collect())
}

/// Where to begin: after what was replayed, and not before `young`. An offset that the topic does not have is one of a topic that
/// was deleted, or of letters that expired.
fn first((low, high): (i64, i64), remembered: Option<i64>, young: Option<i64>) -> i64 {
    let from = remembered.filter(|offset| (low..=high).contains(offset)).unwrap_or(low);
    young.map_or(from, |young| from.max(young))
}

fn remembered<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: Topics<'_>,
    partitions: &[i32],
) -> anyhow::Result<BTreeMap<i32, i64>> {
    let mut asked = TopicPartitionList::new();
    for partition in partitions {
        asked.add_partition(topics.letters, *partition);
    }
    let committed = consumer
        .committed_offsets(asked, TIMEOUT)
        .context("how far the last replay went is not known; --again starts over without asking")?;
    let known = committed.elements().into_iter().filter(|element| element.metadata() == topics.source);
    Ok(known
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        })
        .collect())
}

/// The first offset of each partition that is not older; the end when nothing is.
fn young<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    ends: &BTreeMap<i32, (i64, i64)>,
    millis: i64,
) -> anyhow::Result<BTreeMap<i32, i64>> {
    let mut asked = TopicPartitionList::new();
    for partition in ends.keys() {
        asked.add_partition_offset(topic, *partition, Offset::Offset(millis))?;
    }
    let found = consumer.offsets_for_times(asked, TIMEOUT)?;
    let offset = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => ends.get(&element.partition()).map(|(_, high)| *high),
    };
    Ok(found.elements().iter().filter_map(|element| Some((element.partition(), offset(element)?))).collect())
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn a_replay_begins_where_the_last_one_ended() {
        for (remembered, young, expected) in [
            (None, None, 10),
            (Some(15), None, 15),
            (Some(20), None, 20),
            (Some(9), None, 10),
            (Some(21), None, 10),
            (Some(15), Some(12), 15),
            (Some(15), Some(18), 18),
            (None, Some(20), 20),
        ] {
            assert_eq!(first((10, 20), remembered, young), expected, "{remembered:?} {young:?}");
        }
    }
}
