//! The Kafka broker of the demo: librdkafka's own mock cluster, inside this process, on a loopback port that it picks.
//!
//! It keeps 5 MiB or 100 000 messages of a partition and silently forgets the oldest beyond that, so whoever produces must
//! stay within [`WINDOW_BYTES`] of what is committed. Nothing survives the process. Never for real events.

use anyhow::Context;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Partitions of the topic with events.
const PARTITIONS: i32 = 8;

/// Bytes of messages that may wait for their commit: two fifths of what eight partitions hold, so that an uneven spread
/// of keys does no harm.
pub const WINDOW_BYTES: u64 = 16 << 20;

/// A running broker; it ends when this is dropped.
pub struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Broker {
    /// Starts it with the two topics.
    ///
    /// # Errors
    /// When no loopback port can be had or a topic cannot be made.
    pub fn start(topic: &str, dead_letter_topic: &str) -> anyhow::Result<Self> {
        let cluster = MockCluster::new(1).context("embedded broker")?;
        cluster.create_topic(topic, PARTITIONS, 1).with_context(|| format!("embedded broker: topic {topic}"))?;
        cluster
            .create_topic(dead_letter_topic, 1, 1)
            .with_context(|| format!("embedded broker: topic {dead_letter_topic}"))?;
        Ok(Self { cluster })
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}
