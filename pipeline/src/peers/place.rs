//! Where the topics of other instances are read from. In: topics and times; out: a list to assign, and how far that is behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use crate::control::now;

/// How long the broker may take to say what there is.
const ASK: Duration = Duration::from_secs(5);

/// All partitions of these topics.
///
/// # Errors
/// One line, when a topic is missing or cannot be read.
pub(super) async fn partitions(
    consumer: &Arc<StreamConsumer>,
    topics: [(&String, Offset); 2],
) -> Result<TopicPartitionList, String> {
    let mut list = TopicPartitionList::new();
    for (topic, from) in topics {
        let (asked, name) = (Arc::clone(consumer), topic.clone());
        let metadata = tokio::task::spawn_blocking(move || asked.fetch_metadata(Some(&name), ASK))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("the topic '{topic}' cannot be read: {error}"))?;
        let partitions: Vec<i32> = (metadata.topics().iter().filter(|found| found.name() == topic))
            .flat_map(|found| found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id))
            .collect();
        if partitions.is_empty() {
            return Err(format!("the topic '{topic}' does not exist"));
        }
        for partition in partitions {
            list.add_partition_offset(topic, partition, from).map_err(|error| error.to_string())?;
        }
    }
    Ok(list)
}

/// Starts a topic where it was so long ago, as far as it keeps that; at its end where nothing came since.
pub(super) async fn rewound(
    consumer: &Arc<StreamConsumer>,
    mut list: TopicPartitionList,
    topic: &str,
    ago: Duration,
) -> Result<TopicPartitionList, String> {
    let since = now().timestamp_millis() - i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    let mut times = TopicPartitionList::new();
    for partition in list.elements_for_topic(topic) {
        let since = Offset::Offset(since.max(0));
        times.add_partition_offset(topic, partition.partition(), since).map_err(|error| error.to_string())?;
    }
    let consumer = Arc::clone(consumer);
    let found = tokio::task::spawn_blocking(move || consumer.offsets_for_times(times, ASK));
    let found = found.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    for element in found.elements() {
        let from = if matches!(element.offset(), Offset::Offset(_)) { element.offset() } else { Offset::End };
        list.set_partition_offset(element.topic(), element.partition(), from).map_err(|error| error.to_string())?;
    }
    Ok(list)
}

/// The partitions of a topic that are not read from their end, and their ends as they are now.
pub(super) async fn behind(
    consumer: &Arc<StreamConsumer>,
    list: &TopicPartitionList,
    topic: &str,
) -> Result<HashMap<i32, i64>, String> {
    let starts: Vec<(i32, i64)> = list
        .elements_for_topic(topic)
        .iter()
        .filter_map(|element| Some((element.partition(), element.offset().to_raw().filter(|offset| *offset >= 0)?)))
        .collect();
    let (consumer, topic) = (Arc::clone(consumer), topic.to_owned());
    let ends = tokio::task::spawn_blocking(move || {
        let end = |(partition, start): (i32, i64)| {
            let (_, high) = consumer.fetch_watermarks(&topic, partition, ASK)?;
            Ok::<_, KafkaError>((high > start).then_some((partition, high)))
        };
        starts.into_iter().map(end).collect::<Result<Vec<_>, _>>()
    });
    let ends = ends.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(ends.into_iter().flatten().collect())
}
