//! Encoding: priced rows to the bytes of a Parquet file, statistics and bloom filters included.

use arrow::record_batch::RecordBatch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spendstream_benchmarks::stages;
use spendstream_pipeline::batch::DataFile;
use spendstream_pipeline::decode::Decoder;
use spendstream_pipeline::lake::{EncodeError, FileEncoder};
use spendstream_pipeline::price::engine::Lineage;
use spendstream_schemas::config::{DecodeConfig, LakeConfig};

/// Batches per file: 65 536 rows with ids of their own.
const BATCHES: u64 = 8;

fn priced() -> anyhow::Result<Vec<(i32, RecordBatch)>> {
    let mut engine = stages::engine()?;
    let mut decoder = Decoder::new(&DecodeConfig::default());
    let source = stages::source();
    let mut rows = Vec::new();
    for number in 0..BATCHES {
        let batch = stages::batch(|event| stages::event(number * u64::from(stages::BATCH) + event))?;
        let columns = stages::columns(&mut decoder, &batch, &mut engine);
        rows.extend(engine.price(columns, Lineage { source: &source, ingest_micros: 0 })?.0);
    }
    Ok(rows)
}

fn file(rows: &[(i32, RecordBatch)]) -> Result<Vec<DataFile>, EncodeError> {
    let mut encoder = FileEncoder::new(&LakeConfig::default());
    for (date, batch) in rows {
        encoder.push(*date, batch)?;
    }
    encoder.finish()
}

fn encode(c: &mut Criterion) -> anyhow::Result<()> {
    let rows = priced()?;
    let events = BATCHES * u64::from(stages::BATCH);
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(events)).sample_size(20);
    let bytes = file(&rows)?.iter().map(|file| file.bytes.len() as u64).sum::<u64>();
    let name = format!("rows to Parquet, {}.{} bytes per event", bytes / events, bytes * 10 / events % 10);
    group.bench_function(name, |bencher| bencher.iter(|| file(&rows)));
    group.finish();
    Ok(())
}

#[expect(clippy::expect_used, reason = "a bench has nobody to hand an error to")]
fn benches(c: &mut Criterion) {
    encode(c).expect("generated events are valid");
}

criterion_group!(all, benches);
criterion_main!(all);
