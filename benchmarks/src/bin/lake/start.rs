//! How long the pipeline takes to start on a large lake: a lake of sealed days, and a topic whose offsets go as far as the lake says it has read.
//! Out comes the time to `/readyz`, to the first new message and to its commit: on an empty lake, on the large one, and there once more after
//! `kill -9`, when the group waits for its dead member.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use spendstream_benchmarks::aging::{age, config, fill, say};
use spendstream_benchmarks::days::{DAY_MS, PARTITIONS, Plan, each_day};
use spendstream_benchmarks::http::Client;
use spendstream_benchmarks::instance::{Instance, LIMIT, Setup, counter};
use spendstream_benchmarks::preload;
use spendstream_benchmarks::report::table;
use spendstream_benchmarks::stream::now_ms;
use spendstream_pipeline::lake::check::{Limits, Verdict, check};
use spendstream_schemas::config::{Config, LakeConfig};
use spendstream_storage::Lake;
use tokio::runtime::Runtime;

use crate::Args;

/// Commits of a day.
const COMMITS: u32 = 8;
/// New events for each start.
const NEW: u64 = 1_000;
/// How often the process is asked.
const ASK: Duration = Duration::from_millis(20);

/// What one start took.
struct Started {
    ready: Duration,
    read: Duration,
    committed: Duration,
    peak_bytes: u64,
}

pub fn run(args: &Args, runtime: &Runtime) -> anyhow::Result<String> {
    let binary = args.binary.canonicalize().with_context(|| format!("--binary {}", args.binary.display()))?;
    let folder = tempfile::tempdir()?;
    let lake = config(&folder.path().join("lake"));
    let now = now_ms();
    let (large, empty) = (format!("bench-large-{now}"), format!("bench-empty-{now}"));
    let dead = [&large, &empty].map(|topic| format!("{topic}.dead"));
    let topics =
        [(large.as_str(), PARTITIONS), (empty.as_str(), PARTITIONS), (dead[0].as_str(), 1), (dead[1].as_str(), 1)];
    preload::create_topics(&args.brokers, &topics)?;
    let events = prepare(args, runtime, &lake, (&large, now))?;

    let group = format!("{large}-group");
    let common = [("LAKE__COMMIT_INTERVAL", "100ms")];
    let on_large = [common[0], ("LAKE__URI", lake.uri.as_str()), ("KAFKA__GROUP", group.as_str())];
    let mut rows = Vec::new();
    for (name, topic, keys) in [
        ("empty lake", &empty, &common[..]),
        ("large lake", &large, &on_large[..]),
        ("large lake, after kill -9", &large, &on_large[..]),
    ] {
        let setup = Setup { binary: &binary, brokers: &args.brokers, topic, keys, files: &[] };
        let started = start(&args.brokers, &setup).with_context(|| name.to_owned())?;
        let seconds =
            [started.ready, started.read, started.committed].map(|time| format!("{:.2} s", time.as_secs_f64()));
        let mut row = vec![name.to_owned()];
        row.extend(seconds);
        row.push(format!("{} MB", started.peak_bytes / 1_000_000));
        say(&format!("  {}", row.join(", ")));
        rows.push(row);
    }
    let head = ["", "/readyz", "first new message", "first new commit", "peak memory until then"];
    Ok(format!(
        "a lake of {events} events in {} days, {PARTITIONS} partitions\n\n{}",
        args.start_days,
        table(&head, &rows)
    ))
}

/// Makes lake and topic; how many events the lake has.
fn prepare(args: &Args, runtime: &Runtime, lake: &LakeConfig, (topic, now): (&str, i64)) -> anyhow::Result<u64> {
    let days = i32::try_from(args.start_days)?;
    let first = i32::try_from(now.div_euclid(DAY_MS))? - days;
    let events = args.events.unwrap_or(20_000_000);
    let plan = Plan::new(topic, first, events / u64::from(args.start_days), COMMITS);
    let plan = Plan { timestamp_ms: Some(now), ..plan };
    let began = Instant::now();
    let messages = u64::try_from(plan.offset(args.start_days))?;
    preload::fill_empty(&args.brokers, topic, PARTITIONS, messages, now)?;
    say(&format!("{messages} messages in each of {PARTITIONS} partitions in {:.1?}", began.elapsed()));
    runtime.block_on(fill(lake, &plan, &each_day(args.start_days)))?;
    // An hour before the last day ends: it stays open, as the newest day of a lake is.
    let (round, _) = runtime.block_on(age(lake, (i64::from(first) + i64::from(days)) * DAY_MS - DAY_MS / 24))?;
    let (found, wanted) = (round.steps.len(), args.start_days as usize - 1);
    ensure!(found >= wanted, "{found} steps of maintenance for {wanted} days to be sealed");
    if args.check {
        runtime.block_on(checked(lake))?;
    }
    Ok(plan.rows() * u64::from(args.start_days))
}

async fn checked(lake: &LakeConfig) -> anyhow::Result<()> {
    let (began, config) = (Instant::now(), Config::default());
    let limits = Limits {
        memory_bytes: config.query.memory_bytes,
        horizon: config.decode.duplicate_horizon,
        identities: config.decode.duplicate_identities,
    };
    let report = check(&Lake::open(lake)?, limits).await?;
    let failed: Vec<_> = report.findings.iter().filter(|finding| finding.verdict == Verdict::Failed).collect();
    ensure!(report.ok, "the generated lake is not clean: {failed:?}");
    say(&format!("{} rows checked in {:.1?}", report.rows, began.elapsed()));
    Ok(())
}

/// Starts the pipeline on new events, and kills it once the first of them is committed.
fn start(brokers: &str, setup: &Setup<'_>) -> anyhow::Result<Started> {
    // Handed over before the start: what is waited for is there.
    let first_ms = now_ms();
    let first_number = u64::try_from(first_ms)? * NEW;
    preload::fill_with(brokers, setup.topic, NEW, |number, payload| {
        let time = first_ms.saturating_sub_unsigned(first_number);
        spendstream_benchmarks::loadgen::event(first_number + number, time.saturating_sub_unsigned(NEW), payload);
    })?;
    let mut instance = Instance::start(setup)?;
    let address = instance.address.clone();
    let ready =
        until(&mut instance, "/readyz", || Client::new(&address).and_then(|mut client| client.get("/readyz")).is_ok())?;
    let some = |name: &'static str| counter(&address, name).is_some_and(|count| count > 0);
    let read = until(&mut instance, "the first new message", || some("spendstream_messages_total"))?;
    let committed = until(&mut instance, "the first new commit", || some("spendstream_committed_rows_total"))?;
    let peak_bytes = instance.process.so_far().peak_bytes;
    // Dropping it is kill -9, which is what the next start is to find.
    Ok(Started { ready, read, committed, peak_bytes })
}

/// Time from the start until something is so.
fn until(instance: &mut Instance, what: &str, is_so: impl Fn() -> bool) -> anyhow::Result<Duration> {
    let (mut next, mut reached) = (Instant::now(), false);
    let ask = || {
        if Instant::now() >= next {
            next = Instant::now() + ASK;
            reached = is_so();
        }
        Ok(reached)
    };
    let waited = instance.process.until(LIMIT, ask);
    let log = instance.folder.log();
    waited.with_context(|| format!("waiting for {what}; the pipeline's log:\n{log}"))?;
    ensure!(reached, "the pipeline ended before {what}; its log:\n{log}");
    Ok(instance.process.elapsed())
}
