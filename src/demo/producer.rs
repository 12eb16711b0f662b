//! Sends the demo's traffic: messages come in, go to the broker when they are due, and a count of what was sent comes out.
//!
//! Runs on a thread of its own. It never runs further ahead of the lake than the embedded broker can remember, and ends at
//! once when told to: what it has sent by then is flushed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::broker::WINDOW_BYTES;
use super::traffic::{Message, Sent, Traffic};
use super::usage::Counts;

/// Shortest wait between two looks at what is due or committed.
const TICK: Duration = Duration::from_millis(5);
const FLUSH: Duration = Duration::from_secs(10);

/// What was sent, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub calls: u64,
    pub repeats: u64,
    pub unreadable: u64,
    /// All input tokens of the calls.
    pub input: u64,
    pub cache_read: u64,
    pub output: u64,
}

impl Totals {
    /// Messages of all kinds.
    pub fn messages(&self) -> u64 {
        self.calls + self.repeats + self.unreadable
    }

    fn add(&mut self, sent: Sent) {
        match sent {
            Sent::Call(Counts { input, cache_read, output, .. }) => {
                self.calls += 1;
                self.input += input;
                self.cache_read += cache_read;
                self.output += output;
            }
            Sent::Repeat => self.repeats += 1,
            Sent::Unreadable => self.unreadable += 1,
        }
    }
}

/// A running producer.
pub struct Running {
    thread: JoinHandle<anyhow::Result<Totals>>,
    stop: SyncSender<()>,
    committed: Arc<AtomicU64>,
}

impl Running {
    /// Starts sending `traffic` to `topic` at `broker`.
    ///
    /// # Errors
    /// When the client or the thread cannot be made.
    pub fn start(broker: &str, topic: &str, traffic: Traffic) -> anyhow::Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker).set("linger.ms", "5").set("compression.codec", "lz4");
        // As Java's producers, and those of this program that write to a real topic.
        config.set("partitioner", "murmur2_random");
        let client = config.create_with_context(Deliveries::default()).context("producer of the demo")?;
        let (stop, stopped) = sync_channel(1);
        let committed = Arc::new(AtomicU64::new(0));
        let sender = Sender {
            client,
            topic: topic.to_owned(),
            window: Window::new(WINDOW_BYTES),
            stopped,
            committed: Arc::clone(&committed),
        };
        let thread = std::thread::Builder::new().name("demo-producer".into()).spawn(move || sender.run(traffic))?;
        Ok(Self { thread, stop, committed })
    }

    /// Tells it how many of its messages are in the lake or dead-lettered for good.
    pub fn committed(&self, messages: u64) {
        self.committed.store(messages, Ordering::Relaxed);
    }

    /// Whether it ended by itself, which only an error makes it do; [`Self::stop`] says which.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it, and says what was sent. Waits for the flush, up to ten seconds.
    ///
    /// # Errors
    /// When a message could not be delivered.
    pub fn stop(self) -> anyhow::Result<Totals> {
        match self.stop.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
        self.thread.join().map_err(|_| anyhow!("the producer of the demo ended in a panic"))?
    }
}

/// Counts messages that the broker did not take.
#[derive(Default)]
struct Deliveries {
    failed: AtomicU64,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread's own state.
struct Sender {
    client: BaseProducer<Deliveries>,
    topic: String,
    window: Window,
    stopped: Receiver<()>,
    committed: Arc<AtomicU64>,
}

impl Sender {
    fn run(mut self, traffic: Traffic) -> anyhow::Result<Totals> {
        let mut totals = Totals::default();
        let started = Instant::now();
        for message in traffic {
            if !self.wait_until(started + message.due) || !self.send(&message)? {
                break;
            }
            totals.add(message.sent);
        }
        self.client.flush(FLUSH).context("the embedded broker took no more messages")?;
        match self.client.context().failed.load(Ordering::Relaxed) {
            0 => Ok(totals),
            failed => Err(anyhow!("the embedded broker refused {failed} messages")),
        }
    }

    /// Waits for the moment and for room; `false` when told to stop.
    fn wait_until(&mut self, due: Instant) -> bool {
        loop {
            self.window.committed(self.committed.load(Ordering::Relaxed));
            let wait = due.saturating_duration_since(Instant::now());
            if wait.is_zero() && self.window.has_room() {
                return true;
            }
            if !self.pause(wait.max(TICK)) {
                return false;
            }
        }
    }

    /// `false` when told to stop.
    fn pause(&self, wait: Duration) -> bool {
        self.client.poll(Duration::ZERO);
        matches!(self.stopped.recv_timeout(wait), Err(std::sync::mpsc::RecvTimeoutError::Timeout))
    }

    /// Hands one message to the client; `false` when told to stop while its queue is full.
    fn send(&mut self, message: &Message) -> anyhow::Result<bool> {
        loop {
            let mut record = BaseRecord::to(&self.topic).key(message.key.as_str()).payload(&message.payload[..]);
            if let Some(content_type) = message.content_type {
                let header = Header { key: "content-type", value: Some(content_type) };
                record = record.headers(OwnedHeaders::new_with_capacity(1).insert(header));
            }
            match self.client.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    if !self.pause(TICK) {
                        return Ok(false);
                    }
                }
                Err((error, _)) => return Err(error).context("producer of the demo"),
            }
        }
        self.window.sent(message.payload.len() + message.key.len());
        Ok(true)
    }
}

/// How many bytes were sent and not yet committed.
struct Window {
    limit: u64,
    bytes: u64,
    /// Sizes of the messages that wait, in the order they were sent.
    waiting: VecDeque<u64>,
    committed: u64,
}

/// What a message costs the broker beside its own bytes, roughly.
const OVERHEAD: u64 = 64;

impl Window {
    fn new(limit: u64) -> Self {
        Self { limit, bytes: 0, waiting: VecDeque::new(), committed: 0 }
    }

    fn sent(&mut self, bytes: usize) {
        let bytes = bytes as u64 + OVERHEAD;
        self.bytes += bytes;
        self.waiting.push_back(bytes);
    }

    /// `messages` since the start; partitions advance evenly, so the oldest are taken to be the ones.
    fn committed(&mut self, messages: u64) {
        while self.committed < messages {
            let Some(bytes) = self.waiting.pop_front() else { break };
            self.bytes -= bytes;
            self.committed += 1;
        }
    }

    fn has_room(&self) -> bool {
        self.bytes < self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::{OVERHEAD, Window};

    #[test]
    fn the_window_opens_with_commits_only() {
        let mut window = Window::new(2 * (100 + OVERHEAD));
        window.sent(100);
        assert!(window.has_room());
        window.sent(100);
        assert!(!window.has_room());
        window.committed(0);
        assert!(!window.has_room());
        window.committed(1);
        assert!(window.has_room());
        window.sent(400);
        window.committed(2);
        assert!(!window.has_room());
        window.committed(3);
        assert!(window.has_room());
    }
}
