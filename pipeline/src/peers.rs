//! What instances tell one another, by two Kafka topics. In: sums of batches from the live thread, holds from decide. Out: those of the others, to the
//! same places; how many there are.
//!
//! Both topics are hints. Sums go by source partition, in order, each with its range of offsets: what does not follow is read from the lake.
//! Holds go by the id of their call and are read at a start from where they can be in force, so that calls which ran across a kill -9 still count.
//! A topic that is missing or refuses is said once; then totals of other instances are those of the lake, and holds are this process's.

mod held;
mod place;
mod topics;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use prost::Message as _;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureRecord};
use rdkafka::{Message as _, Offset};
use spendstream_schemas::config::{Config, KafkaConfig};
use spendstream_schemas::ids::SourcePartition;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::aggregate::share::{Position, Shared, batch};
use crate::aggregate::thread::{ToLive, ToPeers};
use crate::budget::holds::{Change, HoldId};
use crate::budget::live::Live;
use crate::control::{now, pause};
use crate::intake::client;
use crate::intake::renewed::{RENEW, Renewed};
use held::{Held, hold, hold_id, key};
use place::{behind, partitions, rewound};

/// How often others hear that this instance is there.
const BEAT: Duration = Duration::from_secs(2);
/// Who was not heard of for so long is not there.
const GONE: i64 = 10_000_000;
/// How long a stop waits for the broker to take what was held last.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How often changes of holds are sent.
const HOLDS: Duration = Duration::from_millis(20);
/// How long after a failure the topics are looked for again.
const RETRY: Duration = Duration::from_secs(5);
/// How long budgets wait at most for what was held before this process started: a topic that is not compacted may be long.
const CATCH_UP: Duration = Duration::from_secs(30);
/// How long the start waits for the topics to be made where they are missing.
const TOPICS: Duration = Duration::from_secs(5);
/// How long the lake may take to be read once a batch is known to be missing.
const READING: Duration = Duration::from_secs(5);
/// What is read again of the past beyond two commits.
const SLACK: Duration = Duration::from_secs(30);

/// Tells the end of a claim, which the topic must not keep for ever, from that of a hold.
fn unclaimed() -> OwnedHeaders {
    OwnedHeaders::new().insert(Header { key: "unclaimed", value: Some("") })
}

/// What connects this instance with the others.
pub struct Peers {
    kafka: KafkaConfig,
    instance: u64,
    producer: Renewed,
    live: Arc<Live>,
    to_live: mpsc::WeakSender<ToLive>,
    /// Others are there: sums are worth sending.
    in_company: AtomicBool,
    /// By partition that is or was read here.
    committed: Mutex<HashMap<SourcePartition, i64>>,
    /// How far back batches may be that are not in the lake.
    uncommitted: Duration,
}

impl Peers {
    /// `None` when no topics are configured.
    ///
    /// # Errors
    /// When librdkafka refuses a property.
    pub fn new(
        config: &Config,
        live: &Arc<Live>,
        to_live: mpsc::WeakSender<ToLive>,
    ) -> anyhow::Result<Option<Arc<Self>>> {
        let kafka = &config.kafka;
        if kafka.totals_topic.is_empty() || kafka.holds_topic.is_empty() {
            return Ok(None);
        }
        let mut properties = client::producer(kafka);
        properties
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("message.timeout.ms", "10000")
            .set("message.max.bytes", "8388608")
            .set("compression.type", "lz4");
        let producer = Renewed::new(Box::new(move || properties.create())).map_err(client::refused)?;
        // What does not come by the topic is in the lake one commit later, and read there at once.
        live.share_holds(config.lake.commit_interval + READING);
        Ok(Some(Arc::new(Self {
            kafka: kafka.clone(),
            instance: Uuid::new_v4().as_u64_pair().0,
            producer,
            live: Arc::clone(live),
            to_live,
            in_company: AtomicBool::new(false),
            committed: Mutex::default(),
            uncommitted: config.lake.commit_interval * 2 + SLACK,
        })))
    }

    /// Starts to tell and to listen; ends when it is stopped or the live thread is gone.
    pub fn start(self: &Arc<Self>, sums: mpsc::Receiver<ToPeers>, stop: &watch::Receiver<bool>) {
        let (peers, stop) = (Arc::clone(self), stop.clone());
        tokio::spawn(async move {
            // First: a broker that makes topics by itself would make them in the wrong way.
            if tokio::time::timeout(TOPICS, topics::ensure(&peers.kafka)).await.is_err() {
                tracing::debug!("the broker does not say in time whether the topics are there");
            }
            tokio::spawn(Arc::clone(&peers).tell_sums(sums));
            tokio::spawn(Arc::clone(&peers).tell_holds(stop.clone()));
            tokio::spawn(Arc::clone(&peers).beat(stop.clone()));
            tokio::spawn(peers.listen(stop));
        });
    }

    /// The batches that are read here, in order. Nobody waits for them: librdkafka keeps the order of a partition.
    async fn tell_sums(self: Arc<Self>, mut sums: mpsc::Receiver<ToPeers>) {
        while let Some(told) = sums.recv().await {
            match told {
                ToPeers::Committed(source, to) => {
                    self.committed.lock().insert((*source).clone(), to);
                }
                ToPeers::Groups(groups) if self.in_company.load(Ordering::Relaxed) => {
                    let committed = self.committed.lock().get(&*groups.source).copied();
                    let batch = Some(batch(&groups, committed));
                    let shared = Shared { instance: self.instance, batch, ..Shared::default() };
                    let (key, payload) = (groups.source.to_string(), shared.encode_to_vec());
                    self.send(FutureRecord::to(&self.kafka.totals_topic).key(&key).payload(&payload));
                }
                ToPeers::Groups(_) => {}
            }
        }
    }

    async fn tell_holds(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let is_last = pause(HOLDS, &mut stop).await;
            let told = self.live.take_changes().into_iter().map(|change| self.tell(&change)).collect::<Vec<_>>();
            if is_last {
                let deliveries = told.into_iter().filter_map(|(_, delivery)| delivery);
                if tokio::time::timeout(LAST_WORDS, futures::future::join_all(deliveries)).await.is_err() {
                    tracing::warn!(
                        "the broker did not take the last of what is held here: others count it when its calls are read"
                    );
                }
                // Only then: others share its part among them.
                self.say(true);
                return;
            }
            // Until the broker has them, they count as what nobody else knows; what it did not take is told again.
            let mut missing = Vec::new();
            for (id, delivery) in told {
                let is_there = match delivery {
                    Some(delivery) => matches!(delivery.await, Ok(Ok(_))),
                    None => false,
                };
                missing.extend((!is_there).then_some(id));
            }
            if missing.is_empty() {
                self.live.told(now());
            } else {
                self.producer.missed();
                tracing::warn!(
                    changes = missing.len(),
                    "the broker did not take what is held here; it is told again, and others are left their share"
                );
                self.live.tell_again(missing);
            }
        }
    }

    /// Hands a change to librdkafka; `None` where it has no room.
    fn tell(&self, change: &Change) -> (HoldId, Option<DeliveryFuture>) {
        let (id, payload, headers) = match change {
            Change::Placed(id, hold) => (*id, Some(Held::new(hold, self.instance).encode_to_vec()), None),
            Change::Gone(id) => (*id, None, None),
            Change::Unclaimed(id) => (*id, None, Some(unclaimed())),
        };
        let key = key(id);
        let record = FutureRecord::to(&self.kafka.holds_topic).key(&key);
        let record = FutureRecord { payload: payload.as_ref(), headers, ..record };
        (id, self.producer.get().send_result(record).ok())
    }

    async fn beat(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Some(delivery) = self.say(false) {
                let peers = Arc::clone(&self);
                tokio::spawn(async move {
                    match delivery.await {
                        Ok(Ok(_)) => peers.producer.delivered(),
                        _ => peers.producer.missed(),
                    }
                });
            }
            pause(BEAT, &mut stop).await;
        }
    }

    /// Tells the others that this instance is there, or leaves.
    fn say(&self, leaves: bool) -> Option<DeliveryFuture> {
        let key = format!("instance/{:016x}", self.instance);
        let committed = self.committed.lock().iter().map(|(source, to)| Position::new(source, *to)).collect();
        let shared = Shared { instance: self.instance, batch: None, leaves, committed };
        self.send(FutureRecord::to(&self.kafka.totals_topic).key(&key).payload(&shared.encode_to_vec()))
    }

    /// Hands a message to librdkafka. What finds no room or no broker is left out: the lake has it.
    fn send(&self, record: FutureRecord<'_, String, Vec<u8>>) -> Option<DeliveryFuture> {
        self.producer.get().send_result(record).ok()
    }

    /// Hears what the others tell, until it is stopped.
    async fn listen(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut failures = 0_u32;
        let mut seen: HashMap<u64, i64> = HashMap::new();
        while !*stop.borrow() {
            match self.hear(&mut seen, &mut stop).await {
                Ok(()) => return,
                // A topic that was made a moment ago may not be known to every broker yet.
                Err(_) if failures == 0 => failures = 1,
                Err(why) if failures == 1 => {
                    failures = 2;
                    self.live.heard_all();
                    tracing::warn!(
                        "{why}; until it is there, totals of other instances come by the lake every live.reconcile_interval, and holds end with this process"
                    );
                }
                Err(_) => {}
            }
            let wait = if failures == 1 { BEAT } else { RETRY };
            if pause(wait, &mut stop).await {
                return;
            }
        }
    }

    /// `seen`: when each instance was heard of last.
    async fn hear(&self, seen: &mut HashMap<u64, i64>, stop: &mut watch::Receiver<bool>) -> Result<(), String> {
        let consumer: StreamConsumer = client::common(&self.kafka)
            .set("group.id", format!("{}.peers.{:016x}", self.kafka.group, self.instance))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "latest")
            .set("fetch.wait.max.ms", "50")
            .create()
            .map_err(|error| error.to_string())?;
        let consumer = Arc::new(consumer);
        let topics = [(&self.kafka.totals_topic, Offset::End), (&self.kafka.holds_topic, Offset::Beginning)];
        let list = partitions(&consumer, topics).await?;
        // Sums are heard from where they may not be in the lake yet, holds from where none can be in force any more.
        let list = rewound(&consumer, list, &self.kafka.totals_topic, self.uncommitted).await?;
        let list = rewound(&consumer, list, &self.kafka.holds_topic, self.live.config().max_hold_ttl).await?;
        let mut behind = behind(&consumer, &list, &self.kafka.holds_topic).await?;
        consumer.assign(&list).map_err(|error| error.to_string())?;
        // Who is there says so once per beat: before, nobody knows how many grant beside this one.
        let (start, mut is_whole) = (tokio::time::Instant::now(), false);
        let mut last = start;
        loop {
            let heard = behind.is_empty() || start.elapsed() >= CATCH_UP;
            if !is_whole && heard && start.elapsed() >= BEAT + BEAT / 4 {
                is_whole = true;
                self.live.heard_all();
            }
            let message = tokio::select! {
                _ = stop.wait_for(|stopped| *stopped) => return Ok(()),
                message = consumer.recv() => message,
                () = tokio::time::sleep(BEAT / 4) => {
                    // Its own beat comes back every two seconds.
                    if last.elapsed() >= RENEW {
                        return Err(format!("nothing was heard for {} s", RENEW.as_secs()));
                    }
                    self.count(seen, now());
                    continue
                }
            };
            // librdkafka goes on by itself after an error.
            let Ok(message) = message else { continue };
            last = tokio::time::Instant::now();
            if message.topic() == self.kafka.holds_topic {
                behind.retain(|partition, end| *partition != message.partition() || message.offset() + 1 < *end);
                self.hear_hold(message.key(), message.payload(), message.headers().is_some());
            } else if !self.hear_sums(message.payload(), seen).await {
                return Ok(());
            }
        }
    }

    /// False when nobody sums up any more.
    async fn hear_sums(&self, payload: Option<&[u8]>, seen: &mut HashMap<u64, i64>) -> bool {
        let Some(shared) = payload.and_then(|payload| Shared::decode(payload).ok()) else { return true };
        if shared.instance == self.instance {
            // Its own words come back: so do those of others.
            let at = now();
            self.live.heard(at);
            let at = at.timestamp_micros();
            // After a silence the words of others may come a moment later than its own.
            if seen.insert(self.instance, at).is_some_and(|before| at - before > GONE / 2) {
                for heard in seen.values_mut() {
                    *heard = at;
                }
            }
            return true;
        }
        if shared.leaves {
            seen.remove(&shared.instance);
        } else {
            seen.insert(shared.instance, now().timestamp_micros());
        }
        self.count(seen, now());
        let told = match shared.batch {
            Some(batch) => ToLive::Foreign(Box::new(batch)),
            None => ToLive::ForeignCommits(shared.committed),
        };
        let Some(live) = self.to_live.upgrade() else { return false };
        live.send(told).await.is_ok()
    }

    fn count(&self, seen: &mut HashMap<u64, i64>, now: DateTime<Utc>) {
        // Who does not even hear itself cannot tell who is gone: until it does, all are there that were.
        let heard = seen.get(&self.instance).copied().unwrap_or(now.timestamp_micros());
        seen.retain(|instance, at| *instance == self.instance || heard - *at < GONE);
        let others = seen.keys().filter(|instance| **instance != self.instance).count();
        self.in_company.store(others > 0, Ordering::Relaxed);
        self.live.set_others(u32::try_from(others).unwrap_or(u32::MAX));
    }

    /// `is_marked`: with the headers of [`unclaimed`].
    fn hear_hold(&self, key: Option<&[u8]>, payload: Option<&[u8]>, is_marked: bool) {
        let Some(id) = key.and_then(|key| std::str::from_utf8(key).ok()).and_then(hold_id) else { return };
        let now = now();
        let change = match payload.map(Held::decode) {
            None if is_marked => Change::Unclaimed(id),
            None => Change::Gone(id),
            Some(Ok(held)) if held.instance == self.instance => return,
            Some(Ok(held)) => match hold(&held, now.timestamp_micros()) {
                Some(hold) => Change::Placed(id, hold),
                None => return,
            },
            Some(Err(_)) => return,
        };
        self.live.hear(change, now);
    }
}
