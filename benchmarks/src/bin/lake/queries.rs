//! Ten queries that reports and analysts run, over three copies of one lake: as ingested, compacted, and sealed with its sums. Out comes the
//! median of each. An answer that is not the same three times fails the benchmark.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use arrow::util::pretty::pretty_format_batches;
use spendstream_benchmarks::aging::{age, config, copy_folder, fill, say};
use spendstream_benchmarks::days::{DAY_MS, Plan, each_day};
use spendstream_benchmarks::loadgen;
use spendstream_benchmarks::report::{percentile, ratio, table};
use spendstream_pipeline::lake::actions::date_text;
use spendstream_query_api::Engine;
use spendstream_schemas::config::{Config, QueryConfig};

use crate::{Args, OCTOBER};

/// The same rows before and after.
const STATES: [&str; 3] = ["ingested", "compacted", "sealed"];
/// A query that takes longer measures nothing.
const PATIENCE: Duration = Duration::from_mins(10);

pub async fn run(args: &Args) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let events = args.events.unwrap_or(2_000_000);
    let plan = Plan::new("usage.events", OCTOBER, events / u64::from(args.days), args.day_commits);
    lakes(folder.path(), &plan, args.days).await?;
    let engines = STATES.map(|state| engine(&folder.path().join(state)));
    let engines = engines.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let mut rows = Vec::new();
    for (name, sql) in queries(&plan, args.days) {
        let times = medians(&engines, &sql, args.rounds).await.with_context(|| format!("{name}: {sql}"))?;
        let sealed = engines.last().context("no lake")?;
        let (_, explained) = answer(sealed, &format!("EXPLAIN {sql}")).await?;
        let read = if explained.contains("rollup of") { "sums" } else { "rows" };
        let mut row = vec![name.to_owned(), read.to_owned()];
        row.extend(times.iter().map(|time| format!("{time:.1?}")));
        row.extend([ratio(times[0], times[2]), ratio(times[1], times[2])]);
        say(&format!("  {}", row.join(", ")));
        rows.push(row);
    }
    let head = ["query", "sealed reads", "ingested", "compacted", "sealed", "ingested / sealed", "compacted / sealed"];
    let (events, days) = (plan.rows() * u64::from(args.days), args.days);
    Ok(format!("{events} events of {days} days, medians of {}\n\n{}", args.rounds, table(&head, &rows)))
}

/// A folder for each state.
async fn lakes(folder: &Path, plan: &Plan, days: u32) -> anyhow::Result<()> {
    let [ingested, compacted, sealed] = STATES.map(|state| folder.join(state));
    fill(&config(&ingested), plan, &each_day(days)).await?;
    copy_folder(&ingested, &compacted)?;
    copy_folder(&ingested, &sealed)?;
    let start_ms = i64::from(plan.first) * DAY_MS;
    // Before the first day has ended none can be sealed.
    age(&config(&compacted), start_ms).await?;
    let (round, _) = age(&config(&sealed), start_ms + (i64::from(days) + 2) * DAY_MS).await?;
    match round.oldest_unsealed {
        Some(date) => anyhow::bail!("{date} was not sealed"),
        None => Ok(()),
    }
}

fn engine(folder: &Path) -> anyhow::Result<Engine> {
    let query = QueryConfig { timeout: PATIENCE, ..QueryConfig::default() };
    Ok(Engine::open(&Config { lake: config(folder), query, ..Config::default() })?)
}

/// The median time of each engine, taken in turn after a first time that does not count.
async fn medians(engines: &[Engine], sql: &str, rounds: usize) -> anyhow::Result<Vec<Duration>> {
    let mut times = vec![Vec::new(); engines.len()];
    let mut expected: Option<String> = None;
    for round in 0..=rounds {
        for ((engine, times), state) in engines.iter().zip(&mut times).zip(STATES) {
            let (took, text) = answer(engine, sql).await.with_context(|| state)?;
            let expected = expected.get_or_insert_with(|| text.clone());
            ensure!(*expected == text, "the lake that is {state} answers otherwise:\n{expected}\n{text}");
            if round > 0 {
                times.push(took);
            }
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        percentile(&times, 500)
    };
    Ok(times.into_iter().map(median).collect())
}

/// How long the whole answer took, and its text.
async fn answer(engine: &Engine, sql: &str) -> anyhow::Result<(Duration, String)> {
    let started = Instant::now();
    let mut answer = engine.query(sql).await?;
    let mut batches = Vec::new();
    while let Some(batch) = answer.next().await {
        batches.push(batch?);
    }
    let took = started.elapsed();
    Ok((took, pretty_format_batches(&batches)?.to_string()))
}

/// A name and a statement.
type Named = (&'static str, String);

/// Every order is one without ties, so that answers can be compared.
fn queries(plan: &Plan, days: u32) -> Vec<Named> {
    let date = |day: u32| date_text(plan.first.saturating_add_unsigned(day));
    let month = format!("date >= DATE '{}' AND date < DATE '{}'", date(0), date(days));
    // An event in the middle of the lake, by its id and nothing else.
    let id = loadgen::id(plan.rows() * u64::from(days) / 2);
    reports(&month).into_iter().chain(questions(&month, &date(days - 1), &id)).collect()
}

/// What reports ask, month after month.
fn reports(month: &str) -> [Named; 5] {
    [
        (
            "total of the month",
            format!("SELECT count(*), sum(cost), sum(input_tokens), sum(output_tokens) FROM usage WHERE {month}"),
        ),
        (
            "by team and day",
            format!(
                "SELECT date, team, count(*), sum(cost) FROM usage WHERE {month} GROUP BY date, team \
                 ORDER BY date, team"
            ),
        ),
        (
            "by model",
            "SELECT provider, model_id, count(*), sum(input_tokens), sum(output_tokens), sum(cost) FROM usage \
             GROUP BY provider, model_id ORDER BY provider, model_id"
                .to_owned(),
        ),
        (
            "cache savings by app",
            format!(
                "SELECT app, sum(cache_savings), sum(cache_read_tokens), sum(input_tokens) FROM usage \
                 WHERE {month} GROUP BY app ORDER BY app"
            ),
        ),
        (
            "p95 latency by model",
            "SELECT model_id, sketch_quantile(latency_sketch(latency_ms), 0.95) AS p95_ms FROM usage \
             GROUP BY model_id ORDER BY model_id"
                .to_owned(),
        ),
    ]
}

/// What people ask who look for something.
fn questions(month: &str, last: &str, id: &str) -> [Named; 5] {
    [
        (
            "one team's last day by hour",
            format!(
                "SELECT date_trunc('hour', event_time) AS hour, count(*), sum(cost) FROM usage \
                 WHERE team = 'team-7' AND date = DATE '{last}' GROUP BY 1 ORDER BY 1"
            ),
        ),
        (
            "unpriced by model and reason",
            "SELECT model, unpriced_reason, count(*) FROM usage WHERE price_status = 'unpriced' \
             GROUP BY model, unpriced_reason ORDER BY model, unpriced_reason"
                .to_owned(),
        ),
        (
            "top users of the month",
            format!(
                "SELECT user_id, sum(cost) AS spent FROM usage WHERE {month} GROUP BY user_id \
                 ORDER BY spent DESC, user_id LIMIT 20"
            ),
        ),
        (
            "by a tag",
            format!("SELECT tags['env'] AS env, count(*), sum(cost) FROM usage WHERE {month} GROUP BY 1 ORDER BY 1"),
        ),
        (
            "one event by its id",
            format!("SELECT event_id, event_time, team, model_id, cost FROM usage WHERE event_id = '{id}'"),
        ),
    ]
}
