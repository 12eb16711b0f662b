//! Live totals: what sums of watched dimensions add to the cost of an event, and a million active cells.

use std::cell::RefCell;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spendstream_benchmarks::stages;
use spendstream_pipeline::aggregate::awaited::Awaited;
use spendstream_pipeline::aggregate::group::{Groups, SetGroups};
use spendstream_pipeline::aggregate::join::Snapshot;
use spendstream_pipeline::aggregate::live::Live;
use spendstream_pipeline::aggregate::load::{LoadRequest, Loader};
use spendstream_pipeline::aggregate::plan::{Bucketing, DimensionSet, WatchPlan};
use spendstream_pipeline::aggregate::read::Spend;
use spendstream_pipeline::aggregate::sums::Sums;
use spendstream_pipeline::aggregate::thread::{LiveThread, Nobody, ToLive, Wires};
use spendstream_pipeline::batch::Generation;
use spendstream_pipeline::decode::Decoder;
use spendstream_pipeline::metrics::Metrics;
use spendstream_pipeline::price::engine::{Lineage, Watching};
use spendstream_schemas::budget::{Quarter, ScopeKey, Span};
use spendstream_schemas::config::{DecodeConfig, LiveConfig};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::ids::OffsetRange;
use tokio::sync::watch;

const NOW: i64 = stages::START_MS * 1_000;
const CELLS: u64 = 1_000_000;
const HOUR: Bucketing = Bucketing::Quarters { keep: 4 };

fn sets(count: usize) -> WatchPlan {
    use Text::{App, Model, Organization, ProviderSent, Status, Team, UserId};
    let keys: [&[Text]; 10] = [
        &[Team],
        &[UserId],
        &[Model],
        &[Organization, Team],
        &[],
        &[App],
        &[ProviderSent],
        &[Team, Model],
        &[Organization, App],
        &[Organization, Status],
    ];
    let requests =
        keys[..count].iter().map(|keys| (DimensionSet::new(keys.iter().map(|key| ScopeKey::Text(*key))), HOUR));
    WatchPlan::default().next(&requests.collect::<Vec<_>>())
}

/// The stage that prices, without and with sums.
fn group(c: &mut Criterion) -> anyhow::Result<()> {
    let batch = stages::batch(stages::event)?;
    let mut decoder = Decoder::new(&DecodeConfig::default());
    let engine = RefCell::new(stages::engine()?);
    let (source, awaited) = (stages::source(), Awaited::default());
    let mut group = c.benchmark_group("price and sum up");
    group.throughput(Throughput::Elements(stages::BATCH.into()));
    for count in [0, 1, 4, 10] {
        let plan = sets(count);
        group.bench_function(BenchmarkId::new("sets", count), |bencher| {
            bencher.iter_batched(
                || stages::columns(&mut decoder, &batch, &mut engine.borrow_mut()),
                |columns| {
                    let lineage = Lineage { source: &source, ingest_micros: 0 };
                    engine.borrow_mut().price_watched(columns, lineage, Watching { plan: &plan, awaited: &awaited })
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
    Ok(())
}

/// The lake is empty.
struct Empty;

impl Loader for Empty {
    fn start(&self, _request: LoadRequest) {}
}

fn batch(plan: &Arc<WatchPlan>, from: u64, users: impl Iterator<Item = u64>) -> anyhow::Result<Arc<Groups>> {
    let mut set = SetGroups::new(plan.sets()[0].0);
    for user in users {
        set.push(&[Some(&format!("user-{user:07}"))], Quarter::of_micros(NOW), Sums::row(Some(1)));
    }
    let rows = set.len() as u64;
    Ok(Arc::new(Groups {
        source: Arc::new(stages::source()),
        generation: Generation(0),
        range: OffsetRange::new(i64::try_from(from)?, i64::try_from(from + rows)?)?,
        plan: Arc::clone(plan),
        rows,
        newest_micros: Some(NOW),
        sets: vec![set],
        arrived: Vec::new(),
        runs: Vec::new(),
    }))
}

/// A million users, and batches of as many of them at random as a batch has events.
#[expect(clippy::print_stderr, reason = "bytes are a result that Criterion does not know")]
fn million(c: &mut Criterion) -> anyhow::Result<()> {
    let live = Live::new(&LiveConfig::default());
    let plan = live.watch(&[(DimensionSet::new([ScopeKey::Text(Text::UserId)]), HOUR)]);
    let (_generation, generations) = watch::channel(Generation(0));
    let wires = Wires {
        share: None,
        view: live.view(),
        plan: live.plans(),
        generation: generations,
        loader: Box::new(Empty),
        observer: Box::new(Nobody),
        metrics: Arc::new(Metrics::new()?),
    };
    let mut thread = LiveThread::new(&LiveConfig::default(), wires);
    thread.look(NOW);
    thread.handle(ToLive::Loaded { load: 1, result: Ok(Snapshot::default()) }, NOW);
    let (source, mut next) = (Arc::new(stages::source()), 0);
    let add = |thread: &mut LiveThread, groups: Arc<Groups>| {
        let to = groups.range.to();
        thread.handle(ToLive::Groups(groups), NOW);
        thread.handle(ToLive::Committed(vec![(Arc::clone(&source), Generation(0), to)]), NOW);
    };
    for from in (0..CELLS).step_by(8_192) {
        let users = from..(from + 8_192).min(CELLS);
        add(&mut thread, batch(&plan, next, users.clone())?);
        next += users.end - users.start;
    }
    let (cells, bytes) = (live.read().held_cells(), live.read().bytes());
    eprintln!("{cells} cells take {bytes} bytes, {} each", bytes / cells.max(1));
    let mut group = c.benchmark_group("a million cells");
    group.throughput(Throughput::Elements(stages::BATCH.into()));
    let mut dice = 1_u64;
    group.bench_function("add a batch of random users", |bencher| {
        bencher.iter_batched(
            || {
                let users = (0..u64::from(stages::BATCH)).map(|_| {
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (dice >> 33) % CELLS
                });
                let made = batch(&plan, next, users);
                next += u64::from(stages::BATCH);
                made
            },
            |groups| groups.map(|groups| add(&mut thread, groups)),
            BatchSize::PerIteration,
        );
    });
    group.throughput(Throughput::Elements(1));
    let (watch, now) = (plan.watches()[0].id, Quarter::of_micros(NOW));
    let hour = Span { from: now.plus(-3), to: now.plus(1) };
    group.bench_function("ask for one user's hour", |bencher| {
        bencher.iter(|| live.read().used(watch, &[Some("user-0123456")], hour));
    });
    group.finish();
    Ok(())
}

#[expect(clippy::expect_used, reason = "a bench has nobody to hand an error to")]
fn benches(c: &mut Criterion) {
    group(c).expect("generated events are valid");
    million(c).expect("offsets fit");
}

criterion_group!(all, benches);
criterion_main!(all);
