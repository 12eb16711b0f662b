//! May this call run? One decision over 10 000 budgets and a million cells, without HTTP: mean by Criterion, and the p50 and p99 of
//! single decisions. The totals are a hash table of the same size as live totals; events do not stream in meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spendstream_pipeline::aggregate::awaited::Awaited;
use spendstream_pipeline::aggregate::key;
use spendstream_pipeline::aggregate::plan::{WatchId, WatchPlan};
use spendstream_pipeline::aggregate::read::{AsOf, Spend, Unknown};
use spendstream_pipeline::budget::book::Book;
use spendstream_pipeline::budget::live::Live;
use spendstream_schemas::budget::{Budget, BudgetDraft, Context, Span};
use spendstream_schemas::config::DecideConfig;
use spendstream_schemas::decision::Request;
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::PriceBook;
use tokio::sync::watch;

const USERS: usize = 1_000_000;
const TEAMS: usize = 9_990;
const DECISIONS: usize = 200_000;

struct Table(HashMap<(WatchId, Box<[u8]>), Amount>);

impl Spend for Table {
    fn used(&self, watch: WatchId, values: &[Option<&str>], _: Span) -> Result<Amount, Unknown> {
        let key: Box<[u8]> = key::of(values).as_slice().into();
        Ok(self.0.get(&(watch, key)).copied().unwrap_or_default())
    }

    fn as_of(&self) -> AsOf {
        AsOf::default()
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_348_800, 0).unwrap_or_default()
}

fn budget(id: usize, rest: &serde_json::Value) -> anyhow::Result<Arc<Budget>> {
    let mut draft =
        serde_json::json!({"name": format!("budget {id}"), "period": "monthly", "amount": "1000", "hard_limit": true});
    if let (Some(draft), Some(rest)) = (draft.as_object_mut(), rest.as_object()) {
        draft.extend(rest.clone());
    }
    let draft: BudgetDraft = serde_json::from_value(draft)?;
    let id = format!("b{id}");
    let context = Context { id: &id, currency: "USD", now: now() };
    draft.check(None, &context).map(Arc::new).map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

/// A budget for everything, for each user, for each model of each team, and one for each of the teams by name.
fn budgets() -> anyhow::Result<Vec<Arc<Budget>>> {
    let mut all = vec![
        budget(0, &serde_json::json!({"scope": {}, "amount": "1000000000"}))?,
        budget(1, &serde_json::json!({"scope": {"user": "*"}, "period": "daily"}))?,
        budget(2, &serde_json::json!({"scope": {"team": "*", "model": "*"}}))?,
        budget(3, &serde_json::json!({"scope": {"tags.env": "prod"}, "period": "PT24H", "amount": "1000000000"}))?,
    ];
    for team in 0..TEAMS {
        all.push(budget(10 + team, &serde_json::json!({"scope": {"team": format!("team-{team}")}}))?);
    }
    Ok(all)
}

fn bodies() -> Vec<String> {
    let body = |at: usize| {
        let (user, team) = (at * 7919 % USERS, at * 31 % TEAMS);
        format!(
            r#"{{"id": "call-{at}", "organization": "acme", "team": "team-{team}", "user": "user-{user}", "provider": "openai", "model": "gpt-5-mini", "input_tokens": 1200, "max_output_tokens": 400, "tags": {{"env": "prod"}}, "priority": "normal"}}"#
        )
    };
    (0..DECISIONS).map(body).collect()
}

fn service() -> anyhow::Result<(Live, watch::Sender<Arc<PriceBook>>)> {
    let book = Book::new(budgets()?);
    let plan = WatchPlan::default().next(&book.requests());
    let book = Arc::new(book.bound(&plan));
    let users = book.entries().iter().find(|entry| entry.budget.id == "b1").and_then(|entry| entry.watch);
    let users = users.ok_or_else(|| anyhow::anyhow!("the users' budget is not watched"))?;
    let cell = |user: usize| {
        let name = format!("user-{user}");
        (
            (users, key::of(&[Some(name.as_str())]).as_slice().into()),
            Amount::from_units(1_000_000_000).unwrap_or_default(),
        )
    };
    let table = Table((0..USERS).map(cell).collect());
    let (sender, prices) = watch::channel(PriceBook::builtin()?);
    let live = Live::new(DecideConfig::default(), Arc::new(table), prices, Arc::new(Awaited::default()));
    live.set_book(book);
    Ok((live, sender))
}

#[expect(clippy::print_stdout, reason = "a bench tells its figures")]
fn percentiles(live: &Live, bodies: &[String]) -> anyhow::Result<()> {
    let mut times = Vec::with_capacity(bodies.len());
    for body in bodies {
        let start = Instant::now();
        let request = Request::parse(body.as_bytes())?;
        let answer = live.decide(&request, now())?;
        times.push(start.elapsed());
        anyhow::ensure!(answer.allow && answer.held, "{answer:?}");
    }
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 1000).copied().unwrap_or(Duration::ZERO);
    println!(
        "decide, 10 000 budgets, {USERS} cells, {} holds: p50 {:?}, p99 {:?}, p99.9 {:?}",
        live.holds(),
        at(500),
        at(990),
        at(999)
    );
    Ok(())
}

fn decisions(c: &mut Criterion) -> anyhow::Result<()> {
    let (live, _prices) = service()?;
    let bodies = bodies();
    percentiles(&live, &bodies)?;
    let mut group = c.benchmark_group("decide");
    group.throughput(Throughput::Elements(1));
    let mut at = 0;
    group.bench_function("parse and decide", |bencher| {
        bencher.iter(|| {
            at = (at + 1) % bodies.len();
            Request::parse(bodies[at].as_bytes()).ok().map(|request| live.decide(&request, now()))
        });
    });
    group.finish();
    Ok(())
}

#[expect(clippy::expect_used, reason = "a bench has nobody to hand an error to")]
fn benches(c: &mut Criterion) {
    decisions(c).expect("generated budgets and calls are valid");
}

criterion_group!(all, benches);
criterion_main!(all);
