//! Decoding: how many messages a second one core reads, by payload kind, and with interning into columns.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spendstream_benchmarks::stages;
use spendstream_pipeline::batch::RawBatch;
use spendstream_pipeline::decode::Decoder;
use spendstream_schemas::config::DecodeConfig;

/// Every message is the event of that number, so of one payload kind.
fn kinds() -> anyhow::Result<Vec<(&'static str, RawBatch)>> {
    Ok(vec![
        ("mixed", stages::batch(stages::event)?),
        ("openai", stages::batch(|number| stages::event(number * 3))?),
        ("anthropic", stages::batch(|number| stages::event(number * 3 + 1))?),
        ("gemini", stages::batch(|number| stages::event(number * 3 + 2))?),
        ("cloudevent", stages::batch(cloud_event)?),
    ])
}

/// The same event one level down, which the fast path does not take.
fn cloud_event(number: u64) -> Vec<u8> {
    let data = String::from_utf8_lossy(&stages::event(number)).into_owned();
    format!(
        r#"{{"specversion":"1.0","id":"{number}","source":"/bench","type":"llm.call","time":"2026-11-18T11:06:40Z","data":{data}}}"#
    )
    .into_bytes()
}

fn decode(c: &mut Criterion) -> anyhow::Result<()> {
    let mut decoder = Decoder::new(&DecodeConfig::default());
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(stages::BATCH.into()));
    for (kind, batch) in kinds()? {
        let counted = stages::decode(&mut decoder, &batch);
        anyhow::ensure!(counted.other == 0, "{kind}: {counted:?}");
        group.bench_with_input(BenchmarkId::from_parameter(kind), &batch, |bencher, batch| {
            bencher.iter(|| stages::decode(&mut decoder, batch));
        });
    }
    let batch = stages::batch(stages::event)?;
    let mut engine = stages::engine()?;
    group.bench_function("mixed, into columns", |bencher| {
        bencher.iter(|| stages::columns(&mut decoder, &batch, &mut engine));
    });
    group.finish();
    Ok(())
}

#[expect(clippy::expect_used, reason = "a bench has nobody to hand an error to")]
fn benches(c: &mut Criterion) {
    decode(c).expect("generated events are valid");
}

criterion_group!(all, benches);
criterion_main!(all);
