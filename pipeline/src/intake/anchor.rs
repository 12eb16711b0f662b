//! Whether a topic is still the one that is read. In: messages that were read some seconds ago, by offset and timestamp. Out: partitions where
//! the broker has another message at that offset now: their topic was deleted and created again while it was read.
//!
//! The consumer itself does not see it: it goes on at its offset in the new topic, and what lies before is never read. A thread of its own
//! asks, because a broker may take its time.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use spendstream_schemas::config::KafkaConfig;

use super::batching::Recreated;
use super::client;

/// How often partitions are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How long one message may take to come; no answer is no verdict.
const PATIENCE: Duration = Duration::from_secs(2);

/// Partition, offset and timestamp of a message that was read.
type Anchor = (i32, i64, i64);

/// See the module.
pub struct Anchors {
    ask: SyncSender<Vec<Anchor>>,
    found: Receiver<(i32, Recreated)>,
    /// What was newest when it was looked the last time: old enough that a newer topic would show.
    before: BTreeMap<i32, (i64, i64)>,
    next: Instant,
}

impl Anchors {
    /// Starts the thread, which ends with this.
    ///
    /// # Errors
    /// When librdkafka refuses a property, or no thread can be had.
    pub fn start(kafka: &KafkaConfig, now: Instant) -> anyhow::Result<Self> {
        let consumer: BaseConsumer = client::common(kafka)
            .set("group.id", format!("{}.anchor", kafka.group))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "50")
            .create()
            .map_err(client::refused)?;
        let (ask, asked) = sync_channel::<Vec<Anchor>>(1);
        let (tell, found) = sync_channel(64);
        let topic = kafka.topic.clone();
        std::thread::Builder::new().name("anchor".to_owned()).spawn(move || {
            while let Ok(anchors) = asked.recv() {
                for anchor in anchors {
                    if let Some(recreated) = look(&consumer, &topic, anchor)
                        && tell.send((anchor.0, recreated)).is_err()
                    {
                        return;
                    }
                }
                let _ = consumer.unassign();
            }
        })?;
        Ok(Self { ask, found, before: BTreeMap::new(), next: now + EVERY })
    }

    /// Has the messages that were newest the last time looked at, when it is time; `newest` says which are now.
    pub fn look(&mut self, now: Instant, newest: impl FnOnce() -> BTreeMap<i32, (i64, i64)>) {
        if now < self.next {
            return;
        }
        self.next = now + EVERY;
        let newest = newest();
        // A partition that was taken anew since is checked by its assignment.
        let known =
            std::mem::take(&mut self.before).into_iter().filter(|(partition, _)| newest.contains_key(partition));
        let anchors: Vec<Anchor> = known.map(|(partition, (offset, at))| (partition, offset, at)).collect();
        self.before = newest;
        if !anchors.is_empty() {
            // Still busy with those before: later.
            let _ = self.ask.try_send(anchors);
        }
    }

    /// A partition that is another one, told once each.
    pub fn found(&mut self) -> Option<(i32, Recreated)> {
        self.found.try_recv().ok()
    }
}

/// Reads the message at an offset; `None` when it is the same, is gone, or does not come.
fn look(consumer: &BaseConsumer, topic: &str, (partition, offset, known): Anchor) -> Option<Recreated> {
    let read = || -> Result<Option<(i64, Option<i64>)>, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
        consumer.assign(&list)?;
        let message = consumer.poll(PATIENCE).transpose()?;
        Ok(message.map(|message| (message.offset(), message.timestamp().to_millis())))
    };
    match read() {
        Ok(Some((at, found))) if at == offset && found != Some(known) => Some(Recreated { offset, known, found }),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(partition, %error, "the message that was read last cannot be read again");
            None
        }
    }
}
