//! Events at a pace: so many a second go to a topic until it is told to stop, by a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::loadgen;

/// How often a slice of a second's events is sent.
const SLICE: Duration = Duration::from_millis(5);

/// A producer at work.
pub struct Stream {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<anyhow::Result<()>>,
}

/// A producer that sends soon.
///
/// # Errors
/// When librdkafka refuses a property.
pub fn producer(brokers: &str) -> anyhow::Result<BaseProducer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("compression.codec", "lz4").set("linger.ms", "5");
    config.set("queue.buffering.max.messages", "500000").create().context("a producer")
}

impl Stream {
    /// Sends `per_second` events a second, numbered from `first`, each of the moment it is sent.
    ///
    /// # Errors
    /// When no producer can be made.
    pub fn start(brokers: &str, topic: &str, per_second: u64, first: u64) -> anyhow::Result<Self> {
        let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (producer, topic) = (producer(brokers)?, topic.to_owned());
        let (stop, count) = (Arc::clone(&over), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let started = Instant::now();
            let (mut number, mut payload) = (0, String::new());
            while !stop.load(Ordering::Relaxed) {
                let due = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX) * per_second / 1_000_000;
                while number < due {
                    payload.clear();
                    loadgen::event(first + number, now_ms() - i64::try_from(first + number)?, &mut payload);
                    let key = loadgen::id(first + number);
                    // A full queue is a broker that cannot follow: the pace shows it.
                    if producer.send(BaseRecord::to(&topic).key(&key).payload(&payload)).is_err() {
                        producer.poll(SLICE);
                        continue;
                    }
                    number += 1;
                }
                count.store(number, Ordering::Relaxed);
                producer.poll(SLICE);
            }
            producer.flush(Duration::from_mins(1)).context("waiting for acknowledgements")
        });
        Ok(Self { over, sent, thread })
    }

    /// Stops; how many it sent.
    ///
    /// # Errors
    /// When the broker did not take them.
    pub fn stop(self) -> anyhow::Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the producer panicked"))??;
        Ok(self.sent.load(Ordering::Relaxed))
    }
}

/// Milliseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "the clock of events that are sent at a pace")]
#[must_use]
pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
