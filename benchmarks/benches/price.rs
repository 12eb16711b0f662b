//! Pricing: columns to priced Arrow rows, a batch at a time, and looking a question up in the book.

use std::cell::RefCell;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use spendstream_benchmarks::stages;
use spendstream_pipeline::decode::Decoder;
use spendstream_pipeline::price::engine::Lineage;
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::price_book::{PriceBook, Question};

fn price(c: &mut Criterion) -> anyhow::Result<()> {
    let batch = stages::batch(stages::event)?;
    let mut decoder = Decoder::new(&DecodeConfig::default());
    let engine = RefCell::new(stages::engine()?);
    let source = stages::source();
    let mut group = c.benchmark_group("price");
    group.throughput(Throughput::Elements(stages::BATCH.into()));
    group.bench_function("columns to priced rows", |bencher| {
        bencher.iter_batched(
            || stages::columns(&mut decoder, &batch, &mut engine.borrow_mut()),
            |columns| engine.borrow_mut().price(columns, Lineage { source: &source, ingest_micros: 0 }),
            BatchSize::LargeInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    let book = PriceBook::builtin()?;
    let question = Question { provider: Some("openai"), model: Some("gpt-5-mini-2025-08-07"), ..Question::default() };
    group.bench_function("resolve a question", |bencher| bencher.iter(|| book.resolve(&question)));
    group.finish();
    Ok(())
}

#[expect(clippy::expect_used, reason = "a bench has nobody to hand an error to")]
fn benches(c: &mut Criterion) {
    price(c).expect("generated events are valid");
}

criterion_group!(all, benches);
criterion_main!(all);
