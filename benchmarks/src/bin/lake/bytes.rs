//! Bytes of an event as its day ages: one lake is ingested, compacted, sealed and packed for the cold tier, by rounds at the moments when that is
//! due. Out comes what the table holds after each.

use std::time::Duration;

use anyhow::ensure;
use spendstream_benchmarks::aging::{Held, age, config, fill, held};
use spendstream_benchmarks::days::{DAY_MS, Plan, each_day};
use spendstream_benchmarks::report::{hundredths, table};
use spendstream_pipeline::lake::table::Kind;

use crate::{Args, OCTOBER};

pub async fn run(args: &Args) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let config = config(folder.path());
    let events = args.events.unwrap_or(2_000_000);
    let plan = Plan::new("usage.events", OCTOBER, events / u64::from(args.days), args.day_commits);
    let events = plan.rows() * u64::from(args.days);
    fill(&config, &plan, &each_day(args.days)).await?;

    let hot = held(&config, Kind::Usage).await?;
    let hot_level = config.zstd_level;
    let row = |state: String, held: Held, took: Duration| {
        vec![
            state,
            held.files.to_string(),
            hundredths(held.bytes * 100, events),
            format!("{} %", held.bytes * 100 / hot.bytes.max(1)),
            if took.is_zero() { "–".to_owned() } else { format!("{took:.1?}") },
        ]
    };
    let mut rows = vec![row(format!("hot, as ingested (zstd {hot_level})"), hot, Duration::ZERO)];
    let start_ms = i64::from(plan.first) * DAY_MS;
    let (_, took) = age(&config, start_ms).await?;
    rows.push(row(format!("hot, compacted (zstd {hot_level})"), held(&config, Kind::Usage).await?, took));
    // A tier's days are all in it when the last of them is of its age.
    for tier in config.tiers_by_age() {
        let last_days = i64::from(args.days) + i64::from(tier.after_days) + 1;
        let (round, took) = age(&config, start_ms + last_days * DAY_MS).await?;
        ensure!(!round.steps.is_empty(), "no day entered the tier {}", tier.name);
        rows.push(row(format!("{} (zstd {})", tier.name, tier.zstd_level), held(&config, Kind::Usage).await?, took));
    }
    rows.push(row("sums of sealed days, beside it".to_owned(), held(&config, Kind::Rollup).await?, Duration::ZERO));
    let head = ["tier", "files", "bytes per event", "of hot", "round"];
    Ok(format!("{events} events of {} days\n\n{}", args.days, table(&head, &rows)))
}
