//! librdkafka's callbacks as events: nothing is decided or awaited in a callback, which runs inside `poll`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use crate::metrics::Metrics;

/// A change of what this instance owns. The loop answers it with `assign` or `unassign`, when it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebalance {
    Assigned(Vec<i32>),
    Revoked,
    /// The session ran out: somebody else may own the partitions already.
    Lost,
}

/// See the module.
pub struct IntakeContext {
    inbox: Mutex<VecDeque<Rebalance>>,
    closing: AtomicBool,
    /// No broker answered lately.
    unreachable: AtomicBool,
    metrics: Arc<Metrics>,
}

impl IntakeContext {
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { inbox: Mutex::default(), closing: AtomicBool::new(false), unreachable: AtomicBool::new(false), metrics }
    }

    /// As [`IntakeContext::new`], for a consumer that takes the place of one which no broker answered.
    #[must_use]
    pub fn unreached(metrics: Arc<Metrics>) -> Self {
        let context = Self::new(metrics);
        context.unreachable.store(true, Ordering::Release);
        context
    }

    /// The oldest event that was not taken yet.
    pub fn take(&self) -> Option<Rebalance> {
        self.inbox.lock().pop_front()
    }

    /// From now on partitions are given back at once: the consumer is being closed.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// True while no broker answers.
    pub fn is_unreachable(&self) -> bool {
        self.unreachable.load(Ordering::Acquire)
    }

    /// No broker answers: said once, until one does.
    pub fn not_reached(&self, why: &str) {
        if !self.unreachable.swap(true, Ordering::AcqRel) {
            tracing::warn!("no Kafka broker answers ({why}); what was read is kept and reading resumes by itself");
        }
    }

    /// A broker answered.
    pub fn reached(&self) {
        if self.unreachable.swap(false, Ordering::AcqRel) {
            tracing::info!("a Kafka broker answers again");
        }
    }
}

impl ClientContext for IntakeContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "kafka: {message}");
            }
            // Each attempt to connect says so while no broker answers, which was said already.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning if !self.is_unreachable() => {
                tracing::warn!(facility, "kafka: {message}");
            }
            _ => tracing::debug!(facility, "kafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use rdkafka::error::RDKafkaErrorCode::AllBrokersDown;
        if error.rdkafka_error_code() == Some(AllBrokersDown) {
            self.not_reached(reason);
        }
    }

    fn stats(&self, statistics: Statistics) {
        for topic in statistics.topics.values() {
            for (partition, figures) in topic.partitions.iter().filter(|(id, _)| **id >= 0) {
                // What was read is not safe yet: only what the lake has is behind us.
                let end = if figures.ls_offset >= 0 { figures.ls_offset } else { figures.hi_offset };
                // The end is asked for again and again while the partition is read, also where nothing comes.
                if figures.fetch_state == "active" && end >= 0 {
                    let label = partition.to_string();
                    let committed = self.metrics.committed_offset.with_label_values(&[&label]).get();
                    let lag = end.saturating_sub(committed.max(figures.lo_offset)).max(0);
                    self.metrics.lag.with_label_values(&[&label]).set(lag);
                }
            }
        }
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.reached();
        }
    }
}

impl ConsumerContext for IntakeContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let closing = self.closing.load(Ordering::Acquire);
        let event = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS if !closing => {
                let mut ids: Vec<i32> = partitions
                    .elements()
                    .iter()
                    .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
                    .collect();
                ids.sort_unstable();
                Rebalance::Assigned(ids)
            }
            _ if closing => {
                // Everything was flushed before closing; nothing is left to wait for.
                if let Err(error) = consumer.unassign() {
                    tracing::debug!(%error, "giving partitions back");
                }
                return;
            }
            _ if consumer.assignment_lost() => Rebalance::Lost,
            _ => Rebalance::Revoked,
        };
        self.inbox.lock().push_back(event);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        if let Err(error) = result {
            // Only lag tools read these offsets.
            tracing::debug!(%error, "committing offsets to the group");
        }
    }
}
