//! Rows, commits and what a table holds, for the tests beside this file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, AsArray, Date32Array, Decimal128Array, DictionaryArray, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray, UInt32Array, new_empty_array, new_null_array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use spendstream_pipeline::batch::{Generation, LakeCommit, PartitionProgress, Tally};
use spendstream_pipeline::lake::recent::recent_rows;
use spendstream_pipeline::lake::retry::Backoff;
use spendstream_pipeline::lake::{Committer, FileEncoder};
use spendstream_schemas::config::LakeConfig;
use spendstream_schemas::ids::{OffsetRange, SourcePartition};
use spendstream_schemas::price_book::PriceBook;
use spendstream_schemas::table::usage::{file_schema, timestamp_type};
use spendstream_storage::Lake;

/// 2026-11-22.
pub const DAY: i32 = 20_779;
const DAY_MICROS: i64 = 86_400_000_000;

pub fn source(partition: i32) -> SourcePartition {
    SourcePartition { cluster: "test".into(), topic: "usage.events".into(), partition }
}

pub fn memory() -> Lake {
    over(Arc::new(InMemory::new()))
}

pub fn over(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::with_store("s3://bucket/lake".parse().unwrap(), store).unwrap()
}

pub fn config() -> LakeConfig {
    LakeConfig { checkpoint_every: 5, row_group_rows: 1_000, ..LakeConfig::default() }
}

pub async fn open(lake: &Lake) -> Committer {
    let brief = Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(4) };
    Committer::open(lake, &config()).await.unwrap().with_backoff(brief)
}

/// What a row of that offset costs, in units of 10⁻¹⁵.
pub fn cost(offset: i64) -> i128 {
    i128::from(offset) * 1_000_000_007 + 3
}

/// One row per offset, on `day`.
pub fn rows(source: &SourcePartition, offsets: &[i64], day: i32) -> RecordBatch {
    let schema = file_schema();
    // Interned texts come as dictionaries, as the pipeline makes them.
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| match field.name().as_str() {
            "model" | "organization" | "source_topic" => field.as_ref().clone().with_data_type(dictionary_type()),
            _ => field.as_ref().clone(),
        })
        .collect();
    let arrays = fields.iter().map(|field| column(field, source, offsets, day)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn dictionary_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8))
}

fn column(field: &Field, source: &SourcePartition, offsets: &[i64], day: i32) -> ArrayRef {
    let rows = offsets.len();
    let texts = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
    let times = || {
        let micros = offsets.iter().map(|offset| i64::from(day) * DAY_MICROS + offset * 1_000 + 7);
        TimestampMicrosecondArray::from_iter_values(micros).with_data_type(timestamp_type())
    };
    match field.name().as_str() {
        "event_id" => {
            Arc::new(StringArray::from_iter_values(offsets.iter().map(|offset| format!("{source}-{offset}"))))
        }
        "event_time" | "ingest_time" => Arc::new(times()),
        "user_id" => texts("ada@example.com"),
        "price_status" => texts("priced"),
        "currency" => texts("USD"),
        "price_book_version" => texts(PriceBook::builtin().unwrap().version()),
        "source_cluster" => texts(&source.cluster),
        "source_partition" => Arc::new(Int32Array::from(vec![source.partition; rows])),
        "source_offset" => Arc::new(Int64Array::from(offsets.to_vec())),
        "cost" | "input_cost" => money(offsets.iter().map(|offset| cost(*offset))),
        "output_cost" | "cache_read_cost" | "cache_write_cost" | "other_cost" => money(offsets.iter().map(|_| 0)),
        "model" => words("gpt-5", rows),
        "organization" => words("acme", rows),
        "source_topic" => words(&source.topic, rows),
        _ => filler(field, rows),
    }
}

fn words(text: &str, rows: usize) -> ArrayRef {
    let keys = UInt32Array::from(vec![0; rows]);
    Arc::new(DictionaryArray::try_new(keys, Arc::new(StringArray::from(vec![text]))).unwrap())
}

fn money(units: impl Iterator<Item = i128>) -> ArrayRef {
    Arc::new(Decimal128Array::from_iter_values(units).with_precision_and_scale(28, 15).unwrap())
}

fn filler(field: &Field, rows: usize) -> ArrayRef {
    if field.is_nullable() {
        return new_null_array(field.data_type(), rows);
    }
    let empty = OffsetBuffer::new(ScalarBuffer::from(vec![0_i32; rows + 1]));
    match field.data_type() {
        DataType::Utf8 => Arc::new(StringArray::from(vec!["x"; rows])),
        DataType::Int32 => Arc::new(Int32Array::from(vec![0; rows])),
        DataType::Int64 => Arc::new(Int64Array::from(vec![0; rows])),
        DataType::Date32 => Arc::new(Date32Array::from(vec![0; rows])),
        DataType::List(element) => {
            let values = new_empty_array(element.data_type());
            Arc::new(arrow::array::ListArray::new(Arc::clone(element), empty, values, None))
        }
        DataType::Map(entry, ordered) => {
            let entries = new_empty_array(entry.data_type()).as_struct().clone();
            Arc::new(arrow::array::MapArray::new(Arc::clone(entry), empty, entries, None, *ordered))
        }
        other => panic!("no filler for {other}"),
    }
}

/// A commit of `from..to` for each partition; even offsets today, odd ones the day before.
pub fn commit(parts: &[(i32, i64, i64)]) -> LakeCommit {
    let mut encoder = FileEncoder::new(&config());
    let mut progress = Vec::new();
    for &(partition, from, to) in parts {
        let source = source(partition);
        for parity in 0..2 {
            let offsets: Vec<i64> = (from..to).filter(|offset| offset % 2 == parity).collect();
            let day = DAY - i32::try_from(parity).unwrap();
            encoder.push(day, &rows(&source, &offsets, day)).unwrap();
        }
        let count = u64::try_from(to - from).unwrap();
        progress.push(PartitionProgress {
            source: Arc::new(source),
            generation: Generation(1),
            range: OffsetRange::new(from, to).unwrap(),
            tally: Tally { messages: count, rows: count, ..Tally::default() },
        });
    }
    LakeCommit { files: encoder.finish().unwrap(), progress, dead_letters: Vec::new() }
}

/// Rows of a partition since an offset.
pub async fn recent(lake: &Lake, partition: i32, min_offset: i64, columns: &[&str]) -> Vec<RecordBatch> {
    recent_rows(lake, &source(partition), min_offset, columns).await.unwrap().try_collect().await.unwrap()
}

/// The offsets in the table, by partition, each as often as it is there.
pub async fn held(lake: &Lake, partitions: i32) -> BTreeMap<i32, Vec<i64>> {
    let mut held = BTreeMap::new();
    for partition in 0..partitions {
        let mut offsets = Vec::new();
        for batch in recent(lake, partition, 0, &["source_offset"]).await {
            offsets.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
        }
        offsets.sort_unstable();
        if !offsets.is_empty() {
            held.insert(partition, offsets);
        }
    }
    held
}

/// Rows, offsets and books of every partition say the same: everything from 0 to `to`, once.
pub async fn assert_exactly(lake: &Lake, expected: &[(i32, i64)]) {
    let mut committer = open(lake).await;
    let partitions = i32::try_from(expected.len()).unwrap();
    let held = held(lake, partitions).await;
    for &(partition, to) in expected {
        let everything: Vec<i64> = (0..to).collect();
        assert_eq!(held.get(&partition).cloned().unwrap_or_default(), everything, "rows of partition {partition}");
        let offsets = committer.offsets(&[source(partition)]).await.unwrap();
        let offset = offsets[&source(partition)];
        assert_eq!(offset.unwrap_or(0), to, "offset of partition {partition}");
        assert_eq!(committer.tally(&source(partition)).rows, u64::try_from(to).unwrap(), "books of {partition}");
    }
}
