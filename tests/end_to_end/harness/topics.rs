//! Topics and groups: created, deleted, read to the end; who is in a group; how far a topic goes.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::broker::Broker;
use super::wait;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Basic settings of every client of the tests.
pub fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("log_level", "2").set("reconnect.backoff.max.ms", "500");
    config
}

/// Creates a topic and waits until the broker has it.
pub fn create(broker: &Broker, topic: &str, partitions: i32) {
    create_with(broker, topic, partitions, &[]);
}

/// The same with settings: `cleanup.policy`.
pub fn create_with(broker: &Broker, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = client(&broker.address()).create().unwrap();
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let new = settings.iter().fold(new, |new, (key, value)| new.set(key, value));
    wait::until(&format!("topic {topic} is created"), || {
        let made = block_on(admin.create_topics([&new], &AdminOptions::new())).expect("the broker answers");
        made[0].is_ok().then_some(())
    });
    wait::until(&format!("topic {topic} has leaders"), || {
        (ends(broker, topic).len() == count(partitions)).then_some(())
    });
}

/// Deletes a topic and waits until the broker has forgotten it.
pub fn delete(broker: &Broker, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = client(&broker.address()).create().unwrap();
    block_on(admin.delete_topics(&[topic], &AdminOptions::new())).expect("the broker answers")[0].as_ref().unwrap();
    wait::until(&format!("topic {topic} is gone"), || ends(broker, topic).is_empty().then_some(()));
}

/// The next offset of each partition; empty if there is no such topic (or not all of it yet).
pub fn ends(broker: &Broker, topic: &str) -> BTreeMap<i32, i64> {
    let consumer = broker.consumer();
    let Ok(metadata) = consumer.fetch_metadata(Some(topic), TIMEOUT) else { return BTreeMap::new() };
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none()) else {
        return BTreeMap::new();
    };
    let end = |partition: i32| Some((partition, consumer.fetch_watermarks(topic, partition, TIMEOUT).ok()?.1));
    found.partitions().iter().filter_map(|partition| end(partition.id())).collect()
}

/// How many members a consumer group has, as the broker sees it.
pub fn members(broker: &Broker, group: &str) -> usize {
    let consumer = broker.consumer();
    let list = consumer.client().fetch_group_list(Some(group), TIMEOUT);
    let Ok(list) = list else { return 0 };
    list.groups().iter().find(|found| found.name() == group).map_or(0, |group| group.members().len())
}

/// A message as it lies in a topic.
#[derive(Clone, Debug)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    pub key: Vec<u8>,
    pub payload: Vec<u8>,
    pub headers: BTreeMap<String, String>,
}

/// Everything in a topic from the first offset to the present end.
pub fn read(broker: &Broker, topic: &str) -> Vec<Record> {
    let ends = ends(broker, topic);
    let consumer: BaseConsumer = client(&broker.address())
        .set("group.id", "reader-of-the-tests")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in ends.keys() {
        list.add_partition_offset(topic, *partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut records = Vec::new();
    let mut open = ends.len();
    wait::until(&format!("topic {topic} is read"), || {
        while open > 0 {
            match consumer.poll(Duration::from_millis(100))? {
                Ok(message) => records.push(record(&message)),
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => open -= 1,
                Err(error) => panic!("reading {topic}: {error}"),
            }
        }
        Some(())
    });
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

fn record(message: &impl Message) -> Record {
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    let headers = message.headers().map_or_else(BTreeMap::new, |headers| {
        headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().unwrap_or_default().to_vec(),
        payload: message.payload().unwrap_or_default().to_vec(),
        headers,
    }
}

fn count(partitions: i32) -> usize {
    usize::try_from(partitions).unwrap()
}

/// The admin client is asynchronous only.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
