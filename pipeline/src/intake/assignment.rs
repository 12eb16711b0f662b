//! Where each partition of an assignment starts. In: the committer's answer and the broker's range; out: `assign`, workers told,
//! partitions that must not be read stopped loudly.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use spendstream_schemas::config::{KafkaConfig, KafkaStart};
use spendstream_schemas::ids::{OffsetRange, SourcePartition};
use tokio::sync::oneshot;

use super::batching::{Batching, Recreated};
use super::consumer::{Intake, now};
use crate::batch::RawBatch;
use crate::committer::{Position, Question};
use crate::worker::ToWorker;

/// Bound of a question to the broker about its offsets, and the pause before it is asked again.
const WATERMARKS: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(1);

/// How a partition starts.
#[derive(Debug, PartialEq, Eq)]
struct Beginning {
    /// The first offset that counts.
    from: i64,
    /// The message before it, which must be the one that was committed: its offset and its timestamp by the lake.
    before: Option<(i64, i64)>,
    /// The first offset that is read: `before`, where the broker still has it.
    first: i64,
}

/// Decides by the lake's next offset, if there is one, the timestamp of the message before it, and what the broker has.
fn beginning(
    kafka: &KafkaConfig,
    source: &SourcePartition,
    (low, high): (i64, i64),
    committed: Option<i64>,
    last_timestamp_ms: Option<i64>,
) -> Result<Beginning, String> {
    let Some(from) = committed else {
        let from = if kafka.start == KafkaStart::Latest { high } else { low };
        return Ok(Beginning { from, before: None, first: from });
    };
    if !(low..=high).contains(&from) {
        return Err(format!(
            "partition {} of topic '{}' stops: the lake's next offset is {from}, the broker has {low} to {high}. If the topic was \
             re-created or replaced, start again with a new kafka.cluster (now '{}'); if messages expired before they were read, they are lost",
            source.partition, source.topic, source.cluster
        ));
    }
    let before = last_timestamp_ms.filter(|_| from > 0).map(|known| (from - 1, known));
    let first = before.map_or(from, |(offset, _)| offset.max(low));
    Ok(Beginning { from, before, first })
}

/// Why a partition stays stopped.
fn ended(kafka: &KafkaConfig, partition: i32) -> String {
    format!(
        "partition {partition} of topic '{}' stops: the topic was re-created or replaced while it was read, and what came before that was \
         noticed is unknown; start again with a new kafka.cluster (now '{}')",
        kafka.topic, kafka.cluster
    )
}

impl Intake {
    pub(super) fn ask_positions(&mut self) {
        let generation = self.next_generation();
        self.partitions.clear();
        self.held = None;
        self.unstarted = None;
        let (reply, answer) = oneshot::channel();
        let partitions = self.owned.iter().map(|id| Arc::new(self.source(*id))).collect();
        // A question of an older generation is dropped by the committer, so there is always room soon.
        if self.wires.questions.blocking_send(Question { partitions, generation, reply }).is_ok() {
            self.positions = Some(answer);
        }
    }

    fn source(&self, partition: i32) -> SourcePartition {
        SourcePartition {
            cluster: self.config.kafka.cluster.clone(),
            topic: self.config.kafka.topic.clone(),
            partition,
        }
    }

    pub(super) fn answers(&mut self) {
        if let Some((positions, since)) = self.unstarted.take() {
            if now().duration_since(since) < RETRY {
                self.unstarted = Some((positions, since));
            } else {
                self.start(positions);
            }
        }
        let Some(waiting) = &mut self.positions else { return };
        match waiting.try_recv() {
            Ok(positions) => {
                self.positions = None;
                self.start(positions);
            }
            Err(oneshot::error::TryRecvError::Empty) => {}
            Err(oneshot::error::TryRecvError::Closed) => self.positions = None,
        }
    }

    /// Starts reading where the lake says.
    fn start(&mut self, positions: Vec<Position>) {
        // All before anything starts: what the lake was read for is kept where the broker has to be asked again.
        let mut ranges = Vec::with_capacity(positions.len());
        for position in &positions {
            match self.watermarks(&position.source) {
                Ok(range) => ranges.push(range),
                Err(why) => {
                    tracing::warn!(partition = position.source.partition, "{why}; trying again");
                    self.unstarted = Some((positions, now()));
                    return;
                }
            }
        }
        let generation = *self.wires.generation.borrow();
        let mut assignment = TopicPartitionList::new();
        let mut failure = None;
        for (position, range) in positions.into_iter().zip(ranges) {
            let Position { source, committed, last_timestamp_ms, is_ended, horizon } = position;
            let partition = source.partition;
            let found = self.recreated.get(&partition).cloned();
            let is_news = found.is_some() && !is_ended;
            let ended = found.or_else(|| is_ended.then(|| ended(&self.config.kafka, partition)));
            let began =
                ended.map_or_else(|| beginning(&self.config.kafka, &source, range, committed, last_timestamp_ms), Err);
            let Beginning { from, before, first } = match began {
                Ok(beginning) => beginning,
                Err(why) => {
                    // Of a whole topic that was re-created one line is enough.
                    if failure.as_ref() != Some(&why) {
                        tracing::error!(partition, "{why}");
                    }
                    self.wires.metrics.stopped.with_label_values(&[&partition.to_string()]).set(1);
                    failure = Some(why);
                    let told = ToWorker::Assign { partition, generation, horizon };
                    if let Some(next) = committed.filter(|_| is_news)
                        && (self.wires.workers[self.worker(partition)].blocking_send(told).is_err()
                            || !self.mark(&source, next, true))
                    {
                        return;
                    }
                    continue;
                }
            };
            self.wires.metrics.stopped.with_label_values(&[&partition.to_string()]).set(0);
            let told = ToWorker::Assign { partition, generation, horizon };
            if self.wires.workers[self.worker(partition)].blocking_send(told).is_err() {
                return;
            }
            if committed.is_none() && self.config.kafka.start == KafkaStart::Latest && !self.mark(&source, from, false)
            {
                return;
            }
            if assignment.add_partition_offset(&source.topic, partition, Offset::Offset(first)).is_ok() {
                self.partitions
                    .insert(partition, Batching::new(source, generation, from, before, self.wires.buffers.clone()));
            }
        }
        self.reading(&assignment, failure);
    }

    fn reading(&self, assignment: &TopicPartitionList, failure: Option<String>) {
        if let Err(error) = self.consumer.assign(assignment) {
            tracing::error!(%error, "kafka refused the assignment");
        }
        // librdkafka keeps a partition paused through a rebalance: without this, what a flush or a full queue paused stays so.
        self.pause(false);
        self.wires.status.set_failure(failure);
        self.wires.metrics.assigned.set(i64::try_from(self.partitions.len()).unwrap_or(i64::MAX));
        self.wires.status.set_consuming(true);
        tracing::info!(partitions = self.partitions.len(), "reading");
    }

    /// Where "latest" was is written down at once: what comes while nobody reads is not skipped at the next start. So is that a topic
    /// was re-created, which nobody could tell any more by what is committed.
    fn mark(&self, source: &Arc<SourcePartition>, next: i64, is_end: bool) -> bool {
        let Ok(range) = OffsetRange::new(next, next) else { return false };
        let generation = *self.wires.generation.borrow();
        let (bytes, messages) = (Vec::new(), Vec::new());
        let empty = RawBatch { source: Arc::clone(source), generation, range, bytes, messages, is_end };
        self.wires.workers[self.worker(source.partition)].blocking_send(ToWorker::Batch(empty)).is_ok()
    }

    pub(super) fn recreated_line(&self, partition: i32, recreated: Recreated) -> String {
        let Recreated { offset, known, found } = recreated;
        format!(
            "partition {partition} of topic '{}' stops: its message at offset {offset} is not the one that was read (timestamp {found:?} instead of \
             {known}), so the topic was re-created or replaced; start again with a new kafka.cluster (now '{}')",
            self.config.kafka.topic, self.config.kafka.cluster
        )
    }

    pub(super) fn stop_recreated(&mut self, partition: i32, recreated: Recreated) {
        let why = self.recreated_line(partition, recreated);
        tracing::error!(partition, "{why}");
        self.partitions.remove(&partition);
        self.wires.metrics.stopped.with_label_values(&[&partition.to_string()]).set(1);
        self.wires.status.set_failure(Some(why));
        let mut stopped = TopicPartitionList::new();
        stopped.add_partition(&self.config.kafka.topic, partition);
        if let Err(error) = self.consumer.pause(&stopped) {
            tracing::debug!(%error, "pausing a stopped partition");
        }
    }

    /// The offsets that the broker has: the first, and the one after the last.
    fn watermarks(&self, source: &SourcePartition) -> Result<(i64, i64), String> {
        self.consumer
            .fetch_watermarks(&source.topic, source.partition, WATERMARKS)
            .map_err(|error| format!("the broker does not say its offsets: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::config::{KafkaConfig, KafkaStart};
    use spendstream_schemas::ids::SourcePartition;

    use super::{Beginning, beginning};

    fn check(start: KafkaStart, committed: Option<i64>, known: Option<i64>, expected: (i64, Option<(i64, i64)>, i64)) {
        let kafka = KafkaConfig { start, ..KafkaConfig::default() };
        let source = SourcePartition { cluster: "c".into(), topic: "t".into(), partition: 3 };
        let (from, before, first) = expected;
        let found = beginning(&kafka, &source, (10, 20), committed, known);
        assert_eq!(found, Ok(Beginning { from, before, first }), "{committed:?} {known:?}");
    }

    #[test]
    fn a_partition_starts_where_the_lake_says_or_else_where_it_is_configured() {
        use KafkaStart::{Earliest, Latest};
        check(Earliest, None, None, (10, None, 10));
        check(Latest, None, None, (20, None, 20));
        check(Latest, Some(15), None, (15, None, 15));
        check(Earliest, Some(15), Some(7), (15, Some((14, 7)), 14));
        check(Earliest, Some(20), Some(7), (20, Some((19, 7)), 19));
        // The message before has expired: there is nothing to compare.
        check(Earliest, Some(10), Some(7), (10, Some((9, 7)), 10));
    }

    #[test]
    fn an_offset_that_the_broker_does_not_have_stops_the_partition() {
        let source = SourcePartition { cluster: "c".into(), topic: "t".into(), partition: 3 };
        for offset in [9, 21] {
            let found = beginning(&KafkaConfig::default(), &source, (10, 20), Some(offset), None);
            let Err(why) = found else { panic!("{found:?}") };
            assert!(why.starts_with("partition 3 of topic 't' stops: the lake's next offset is "), "{why}");
            assert!(why.contains(&format!("{offset}, the broker has 10 to 20")), "{why}");
        }
    }
}
