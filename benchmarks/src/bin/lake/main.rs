//! The lake's benchmarks: sizes come in, Markdown tables go out. Each writes lakes of generated events into a temporary folder (`TMPDIR`)
//! and ages them with the pipeline's own maintenance; only `start` needs a broker, `start` and `memory` a binary.

mod bytes;
mod commits;
mod memory;
mod queries;
mod start;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use spendstream_benchmarks::aging::say;

/// 2026-10-01, in days since the epoch: a month that the built-in price book knows, for what does not hang on the clock.
const OCTOBER: i32 = 20_727;

/// Measure the lake: before and after its days are sealed, while it grows, and when it is large.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// What to measure; all of it by default.
    #[arg(value_enum)]
    what: Option<What>,
    /// Kafka brokers for `start`; topics of the benchmark are created there.
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// The binary that `start` and `memory` measure.
    #[arg(long, value_name = "FILE", default_value = "target/release/spendstream")]
    binary: PathBuf,
    /// Events of a lake. By default 2 million for `queries` and `bytes`, 20 million for `start`.
    #[arg(long, env = "SPENDSTREAM_BENCH_EVENTS")]
    events: Option<u64>,
    /// Days of the lake of `queries` and `bytes`.
    #[arg(long, default_value_t = 31)]
    days: u32,
    /// Days of the lake of `start`.
    #[arg(long, default_value_t = 40)]
    start_days: u32,
    /// Commits of a day, for `queries` and `bytes`: a file each, as ingested.
    #[arg(long, default_value_t = 48)]
    day_commits: u32,
    /// Times that each query runs; the median counts.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Table versions from which `commits` measures.
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    versions: Vec<u64>,
    /// Commits measured from each of them on.
    #[arg(long, default_value_t = 400)]
    window: u64,
    /// Events of one commit of `commits`.
    #[arg(long, default_value_t = 200)]
    commit_events: u64,
    /// Events of the smallest day of `memory`.
    #[arg(long, default_value_t = 250_000)]
    day_events: u64,
    /// How many times as large the days of `memory` are.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16")]
    scales: Vec<u32>,
    /// Have `lake check` look through the lake of `start` too; that takes longer than all the rest.
    #[arg(long)]
    check: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Ten queries, before and after days are sealed.
    Queries,
    /// Bytes of an event in each tier.
    Bytes,
    /// How long a commit takes at table version 100, 1 000 and 10 000.
    Commits,
    /// How long the pipeline takes to start on a large lake.
    Start,
    /// Most memory of a round of maintenance, by the size of a day.
    Memory,
}

fn main() -> ExitCode {
    match benchmark(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("lake: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn benchmark(args: &Args) -> anyhow::Result<()> {
    let sizes = [args.day_commits, args.days, args.start_days];
    ensure!(sizes.iter().all(|size| *size > 0) && args.rounds > 0 && args.window > 0, "every size is at least 1");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let all = What::value_variants();
    for what in all.iter().filter(|what| args.what.is_none_or(|wanted| wanted == **what)) {
        say(&format!("{what:?}"));
        let measured = match what {
            What::Queries => runtime.block_on(queries::run(args)),
            What::Bytes => runtime.block_on(bytes::run(args)),
            What::Commits => runtime.block_on(commits::run(args)),
            // Processes are waited for, and topics made, outside of the runtime.
            What::Start => start::run(args, &runtime),
            What::Memory => memory::run(args, &runtime),
        };
        let table = measured.with_context(|| format!("{what:?}"))?;
        // Each as it is ready: a later one that fails takes nothing away.
        writeln!(std::io::stdout(), "{table}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Args, bytes, commits, queries};

    fn args(more: &[&str]) -> Args {
        let small =
            ["lake", "--binary", "-", "--events", "3000", "--days", "3", "--day-commits", "20", "--rounds", "1"];
        Args::parse_from(small.iter().chain(more))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn ten_queries_answer_the_same_before_and_after() {
        let table = queries::run(&args(&[])).await.unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        assert_eq!(rows.len(), 10, "{table}");
        let by_sums = rows.iter().filter(|row| row.contains("| sums |")).count();
        assert_eq!(by_sums, 7, "{table}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lake_goes_through_every_tier() {
        let table = bytes::run(&args(&[])).await.unwrap();
        let files = |row: &str| row.split('|').nth(2).map(|files| files.trim().to_owned());
        let found: Vec<String> =
            table.lines().filter(|line| line.starts_with("| ")).skip(1).filter_map(files).collect();
        assert_eq!(found, ["60", "3", "3", "3", "3"], "{table}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn commits_are_measured_from_each_version_on() {
        let table = commits::run(&args(&["--versions", "20,60", "--window", "20"])).await.unwrap();
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        assert!(rows.len() == 2 && rows[0].ends_with("| 1.00 |"), "{table}");
    }
}
