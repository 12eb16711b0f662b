//! What `lake reprice` and `lake reattribute` share: the run in the control store, whose turn it is meanwhile, and how figures are shown. In: what becomes of
//! rows. Out: the lake rewritten, the run recorded. Never asks back.

use std::io::{self, Write};

use anyhow::Context;
use chrono::DateTime;
use serde_json::{Value, json};
use spendstream_control::rewrites::Kind;
use spendstream_control::{Act, Store};
use spendstream_pipeline::lake::maintenance::Maintainer;
use spendstream_pipeline::lake::maintenance::rewrite::{Rewriting, TableDone};
use spendstream_schemas::config::Config;
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::parse_instant;
use spendstream_storage::Lake;

use super::super::now_micros;
use super::turn;

/// A run, and what it came to.
pub struct Done<T> {
    pub id: String,
    pub tally: T,
    /// What it would come to if it were done again: rows that came meanwhile.
    pub left: T,
}

/// Looks what a rewrite would come to.
pub async fn preview<R: Rewriting>(what: &mut R, lake: &Lake, config: &Config) -> anyhow::Result<R::Tally> {
    let times = (config.live.allowed_lateness, config.live.idle_timeout);
    Ok(Maintainer::open(lake, &config.lake, times).await?.preview(what).await?)
}

/// Does it, table by table, and records it; a run of the same scope that was cut is finished.
pub async fn apply<R: Rewriting>(
    what: &mut R,
    lake: &Lake,
    config: &Config,
    (kind, scope): (Kind, Value),
    outcome: impl Fn(&R::Tally) -> Value,
) -> anyhow::Result<Done<R::Tally>> {
    let store =
        Store::open(&config.store.url).await.context("a run is recorded in the control store before it begins")?;
    let who = format!("cli:{}", std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()));
    let act = || Act { who: &who, now: DateTime::from_timestamp_micros(now_micros()).unwrap_or_default() };
    let run = store.rewrites().begin(kind, &scope, &act()).await?;
    if run.began < act().now && !run.tables.is_empty() {
        writeln!(io::stderr(), "goes on with run {}, which was cut after {} tables", run.id, run.tables.len())?;
    }
    let mut tables = Vec::new();
    let worked = turn::keeping(Some(&store), lake, config, work(what, lake, config, &mut tables)).await;
    for table in &tables {
        store.rewrites().table(kind, &run.id, &shown(table), &act()).await?;
    }
    let (tally, left) = worked?;
    store.rewrites().finish(kind, &run.id, &outcome(&tally), &act()).await?;
    store.close().await;
    Ok(Done { id: run.id, tally, left })
}

async fn work<R: Rewriting>(
    what: &mut R,
    lake: &Lake,
    config: &Config,
    tables: &mut Vec<TableDone>,
) -> anyhow::Result<(R::Tally, R::Tally)> {
    let times = (config.live.allowed_lateness, config.live.idle_timeout);
    let mut maintainer = Maintainer::take(lake, &config.lake, times).await?;
    let now_ms = now_micros().div_euclid(1_000);
    let mut told = |table: TableDone| {
        // A closed terminal is no reason to stop.
        let (tier, days, rows, files) = (&table.tier, table.days, table.rows, table.files);
        let _ =
            writeln!(io::stderr(), "{tier}: {rows} rows of {days} days in {files} files, version {}", table.version);
        tables.push(table);
    };
    let tally = maintainer.rewrite(what, now_ms, &mut told).await?;
    let left = maintainer.preview(what).await?;
    Ok((tally, left))
}

fn shown(table: &TableDone) -> Value {
    json!({
        "tier": table.tier,
        "version": table.version,
        "rows": table.rows,
        "days": table.days,
        "delta": amount(table.delta),
    })
}

/// Money in units of 10⁻¹⁵, exact.
pub fn amount(units: i128) -> String {
    Amount::saturating(units).to_string()
}

/// A date (midnight UTC) or an RFC 3339 time.
pub fn instant(text: &str) -> Result<i64, String> {
    parse_instant(text)
        .ok_or_else(|| format!("'{text}' is neither a date (2026-11-22) nor a time (2026-11-22T16:00:00Z)"))
}
