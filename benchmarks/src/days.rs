//! Days of a lake: how many rows a day shall have comes in, priced rows as the pipeline makes them come out. Pure, and the same every time.
//!
//! One day is read and priced; every other day is that one again at its own time, with offsets and ids of its own, which costs a fraction.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::{Context, ensure};
use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{FieldRef, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_pipeline::batch::{Generation, LakeCommit, PartitionProgress, Tally};
use spendstream_pipeline::decode::Decoder;
use spendstream_pipeline::lake::FileEncoder;
use spendstream_pipeline::price::engine::{Engine, Lineage};
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::ids::{OffsetRange, SourcePartition};

use crate::{loadgen, stages};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;
/// Source partitions of every lake made here.
pub const PARTITIONS: i32 = 4;
/// `kafka.cluster` as it is by default.
const CLUSTER: &str = "main";
/// Of so many events one at most names a model that no book knows.
const UNKNOWN_EVERY: u64 = 120;

/// How a day is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub topic: String,
    /// The day as it is made, days since the epoch.
    pub first: i32,
    /// Commits of the day.
    pub commits: u32,
    /// Rows of one partition in one commit.
    pub part_rows: u32,
    /// Kafka's timestamp of the messages, milliseconds since the epoch, where there are any: a pipeline that goes on looks at it.
    pub timestamp_ms: Option<i64>,
}

impl Plan {
    /// A day of at most so many rows: as many as every commit and partition get the same of, one at least.
    #[must_use]
    pub fn new(topic: &str, first: i32, rows: u64, commits: u32) -> Self {
        let part_rows = u32::try_from(rows / u64::from(commits) / 4).unwrap_or(u32::MAX).max(1);
        Self { topic: topic.to_owned(), first, commits, part_rows, timestamp_ms: None }
    }

    /// Rows of the day.
    #[must_use]
    pub fn rows(&self) -> u64 {
        u64::from(self.commits) * u64::from(self.part_rows) * u64::from(PARTITIONS.unsigned_abs())
    }

    /// The next offset of each partition after the day was written so many times.
    #[must_use]
    pub fn offset(&self, times: u32) -> i64 {
        i64::from(times) * i64::from(self.commits) * i64::from(self.part_rows)
    }

    fn source(&self, partition: i32) -> SourcePartition {
        SourcePartition { cluster: CLUSTER.to_owned(), topic: self.topic.clone(), partition }
    }
}

/// Which copy of the day is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Copies before it: its offsets and ids follow theirs.
    pub number: u32,
    /// Days after the first.
    pub days: i32,
}

/// One copy a day, for so many days.
pub fn each_day(days: u32) -> Vec<Copy> {
    (0..days).zip(0..).map(|(number, days)| Copy { number, days }).collect()
}

/// So many copies, all on the same day.
pub fn one_day(times: u32) -> Vec<Copy> {
    (0..times).map(|number| Copy { number, days: 0 }).collect()
}

/// Rows of one partition in one commit.
struct Part {
    source: Arc<SourcePartition>,
    from: i64,
    /// The number of its first event.
    number: u64,
    batches: Vec<RecordBatch>,
}

/// The rows of a day; see the module.
pub struct Day {
    plan: Plan,
    /// Those of the first commit first.
    parts: Vec<Part>,
}

impl Day {
    /// Reads and prices the day's events.
    ///
    /// # Errors
    /// When one of them is not read, which is a fault of this program.
    pub fn make(plan: &Plan) -> anyhow::Result<Self> {
        let (mut decoder, mut engine) = (Decoder::new(&DecodeConfig::default()), stages::engine()?);
        let sources: Vec<_> = (0..PARTITIONS).map(|partition| Arc::new(plan.source(partition))).collect();
        let (mut parts, mut number) = (Vec::new(), 0);
        for commit in 0..plan.commits {
            let from = i64::from(commit) * i64::from(plan.part_rows);
            for source in &sources {
                let batches = priced(plan, (source, from, number), &mut decoder, &mut engine)?;
                parts.push(Part { source: Arc::clone(source), from, number, batches });
                number += u64::from(plan.part_rows);
            }
        }
        Ok(Self { plan: plan.clone(), parts })
    }

    /// A commit of a copy of the day, as files and offsets.
    ///
    /// # Errors
    /// When the rows cannot be encoded, which is a fault of this program.
    pub fn commit(&self, copy: Copy, commit: u32, encoder: &mut FileEncoder) -> anyhow::Result<LakeCommit> {
        let per_commit = usize::try_from(PARTITIONS)?;
        let offset = self.plan.offset(copy.number);
        let numbers = u64::from(copy.number) * self.plan.rows();
        let mut progress = Vec::with_capacity(per_commit);
        for part in self.parts.iter().skip(commit as usize * per_commit).take(per_commit) {
            let mut number = numbers + part.number;
            for rows in &part.batches {
                encoder.push(self.plan.first + copy.days, &shifted(rows, number, copy.days, offset)?)?;
                number += rows.num_rows() as u64;
            }
            let rows = u64::from(self.plan.part_rows);
            let from = offset + part.from;
            let last_timestamp_ms = self.plan.timestamp_ms;
            progress.push(PartitionProgress {
                source: Arc::clone(&part.source),
                generation: Generation(1),
                range: OffsetRange::new(from, from + i64::from(self.plan.part_rows))?,
                tally: Tally { messages: rows, rows, last_timestamp_ms, ..Tally::default() },
            });
        }
        ensure!(!progress.is_empty(), "the day has {} commits, and number {commit} was asked for", self.plan.commits);
        Ok(LakeCommit { files: encoder.finish()?, progress, dead_letters: Vec::new() })
    }
}

/// Batches of one partition in one commit, from an offset and a number on.
fn priced(
    plan: &Plan,
    (source, from, number): (&Arc<SourcePartition>, i64, u64),
    decoder: &mut Decoder,
    engine: &mut Engine,
) -> anyhow::Result<Vec<RecordBatch>> {
    let start_ms = i64::from(plan.first) * DAY_MS;
    let time_of = |number: u64| {
        let share = u128::from(number) * u128::from(DAY_MS.unsigned_abs()) / u128::from(plan.rows());
        start_ms.saturating_add(i64::try_from(share).unwrap_or(i64::MAX))
    };
    let (mut batches, mut at) = (Vec::new(), 0);
    while at < plan.part_rows {
        let count = stages::BATCH.min(plan.part_rows - at);
        let (offset, first) = (from + i64::from(at), number + u64::from(at));
        let range = OffsetRange::new(offset, offset + i64::from(count))?;
        let batch = stages::batch_at(source, range, start_ms + DAY_MS, |of| event(first + of, time_of(first + of)))?;
        let columns = stages::columns(decoder, &batch, engine);
        let ingest_micros = time_of(first + u64::from(count)).saturating_mul(1_000);
        let (mut rows, _) = engine.price(columns, Lineage { source, ingest_micros })?;
        let (date, rows) = rows.pop().context("events without rows")?;
        let (found, first_day) = (rows.num_rows(), plan.first);
        ensure!(
            date == first_day && found == count as usize,
            "{count} events of day {first_day} gave {found} rows of day {date}"
        );
        batches.push(rows);
        at += count;
        let book = Arc::clone(engine.book());
        engine.refresh(&book);
    }
    Ok(batches)
}

/// The event of the load generator of that number, with a latency and tags.
#[must_use]
pub fn event(number: u64, time_ms: i64) -> Vec<u8> {
    let mut plain = String::new();
    loadgen::event(number, time_ms.saturating_sub_unsigned(number), &mut plain);
    if number.is_multiple_of(UNKNOWN_EVERY) {
        plain = plain.replace("\"model\":\"gpt-5-mini\"", "\"model\":\"house-model\"");
    }
    let dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let environment = ["prod", "prod", "prod", "staging", "dev"][(dice % 5) as usize];
    let slow = if dice.is_multiple_of(50) { dice % 20_000 } else { 0 };
    let (latency, feature) = (120 + dice / 5 % 900 + slow, dice / 7 % 30);
    let mut text = String::new();
    // Ordinary writes to a String cannot fail.
    let _ = write!(
        text,
        r#"{{"latency_ms":{latency},"tags":{{"env":"{environment}","feature":"feature-{feature}"}},{}"#,
        plain.strip_prefix('{').unwrap_or_default()
    );
    text.into_bytes()
}

/// The same rows on another day, with other ids and offsets.
fn shifted(rows: &RecordBatch, number: u64, days: i32, offset: i64) -> Result<RecordBatch, ArrowError> {
    let micros = i64::from(days) * DAY_MS * 1_000;
    let column = |(field, column): (&FieldRef, &ArrayRef)| -> ArrayRef {
        match field.name().as_str() {
            "event_id" => {
                let ids = (number..).take(rows.num_rows()).map(loadgen::id);
                Arc::new(StringArray::from_iter_values(ids))
            }
            "event_time" | "ingest_time" => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                let times = times.unary::<_, TimestampMicrosecondType>(|time| time + micros);
                Arc::new(times.with_data_type(field.data_type().clone()))
            }
            "source_offset" => Arc::new(column.as_primitive::<Int64Type>().unary::<_, Int64Type>(|from| from + offset)),
            _ => Arc::clone(column),
        }
    };
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns()).map(column).collect();
    RecordBatch::try_new(schema, columns)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use arrow::array::AsArray;
    use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
    use spendstream_pipeline::lake::FileEncoder;
    use spendstream_schemas::config::LakeConfig;

    use super::{Copy, DAY_MS, Day, PARTITIONS, Plan, each_day, one_day, shifted};

    #[test]
    fn a_day_is_cut_into_equal_parts() {
        let plan = Plan::new("t", 20_727, 1_000, 3);
        assert_eq!((plan.part_rows, plan.rows(), plan.offset(2)), (83, 996, 498));
        assert_eq!(Plan::new("t", 0, 0, 7).rows(), 28, "never none");
        assert_eq!(each_day(2), [Copy { number: 0, days: 0 }, Copy { number: 1, days: 1 }]);
        assert_eq!(one_day(2)[1], Copy { number: 1, days: 0 });
    }

    #[test]
    fn copies_follow_one_another_in_offsets_ids_and_time() {
        let plan = Plan::new("t", 20_727, 960, 2);
        let day = Day::make(&plan).unwrap();
        let mut ids = HashSet::new();
        for number in [0_u32, 3] {
            let (days, offset) = (i32::try_from(number).unwrap(), plan.offset(number));
            for part in &day.parts {
                let first = u64::from(number) * plan.rows() + part.number;
                let rows = shifted(&part.batches[0], first, days, offset).unwrap();
                assert_eq!(rows.schema(), part.batches[0].schema());
                let column = |name: &str| rows.column_by_name(name).unwrap();
                ids.extend(column("event_id").as_string::<i32>().iter().map(|id| id.unwrap().to_owned()));
                assert_eq!(column("source_offset").as_primitive::<Int64Type>().value(0), offset + part.from);
                let times = column("event_time").as_primitive::<TimestampMicrosecondType>();
                let is_there = |time: &i64| time.div_euclid(DAY_MS * 1_000) == i64::from(20_727 + days);
                assert!(times.values().iter().all(is_there));
            }
        }
        assert_eq!(ids.len() as u64, 2 * plan.rows());
    }

    #[test]
    fn a_commit_has_every_partition_and_one_file_of_its_day() {
        let plan = Plan::new("t", 20_727, 960, 2);
        let day = Day::make(&plan).unwrap();
        let mut encoder = FileEncoder::new(&LakeConfig::default());
        let commit = day.commit(Copy { number: 5, days: 4 }, 1, &mut encoder).unwrap();
        assert_eq!(commit.progress.len(), usize::try_from(PARTITIONS).unwrap());
        assert_eq!(commit.progress[0].range.from(), 5 * 240 + 120);
        assert_eq!((commit.files.len(), commit.files[0].rows, commit.files[0].date), (1, 480, 20_731));
        assert!(day.commit(Copy { number: 0, days: 0 }, 2, &mut encoder).is_err());
    }
}
