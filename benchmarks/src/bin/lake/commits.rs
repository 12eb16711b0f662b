//! How long a commit takes as the table grows: small commits follow one another through the pipeline's own committer, with its checkpoints, while
//! a maintainer makes small files one, removes old ones and cleans the log up. Out come times from some versions on, side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use spendstream_benchmarks::aging::{config, held, say, times};
use spendstream_benchmarks::days::{Copy, DAY_MS, Day, Plan};
use spendstream_benchmarks::report::{percentile, ratio, table};
use spendstream_benchmarks::stream::now_ms;
use spendstream_pipeline::lake::maintenance::Maintainer;
use spendstream_pipeline::lake::table::Kind;
use spendstream_pipeline::lake::{Committer, FileEncoder};
use spendstream_schemas::config::LakeConfig;
use spendstream_storage::Lake;

use crate::Args;

/// Commits whose rows are made beforehand, to be used again and again.
const MADE: u32 = 16;
/// A round begins this long after the end of the one before: what takes a minute at a commit every five seconds.
const PAUSE: Duration = Duration::from_secs(1);
/// Rounds between looks for what nobody needs.
const VACUUM_ROUNDS: u64 = 5;

/// What maintenance did meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Maintained {
    rounds: u64,
    compactions: usize,
    files: usize,
    log_files: usize,
}

pub async fn run(args: &Args) -> anyhow::Result<String> {
    let folder = tempfile::tempdir()?;
    let mut config = config(folder.path());
    // As short in proportion as the run is, so that clean-up is part of it; longer than any upload.
    config.maintenance.vacuum_after = Duration::from_secs(20);
    config.maintenance.log_retention = Duration::from_secs(20);
    let lake = Lake::open(&config)?;
    // Today: an open day, whose small files are made one.
    let today = i32::try_from(now_ms().div_euclid(DAY_MS))?;
    let plan = Plan::new("usage.events", today, args.commit_events * u64::from(MADE), MADE);
    let day = Day::make(&plan)?;
    let mut committer = Committer::open(&lake, &config).await.context("opening the lake")?;
    let over = Arc::new(AtomicBool::new(false));
    let maintaining = tokio::spawn(maintain(lake, config.clone(), Arc::clone(&over)));

    let end = args.versions.iter().max().context("no versions")? + args.window;
    let mut encoder = FileEncoder::new(&config);
    let (mut number, mut version, mut took) = (0_u32, 0, Vec::new());
    while version < end {
        // A maintainer that failed would leave commits undisturbed.
        if maintaining.is_finished() {
            break;
        }
        let commit = day.commit(Copy { number: number / MADE, days: 0 }, number % MADE, &mut encoder)?;
        let started = Instant::now();
        version = committer.commit(commit).await.with_context(|| format!("after version {version}"))?.version;
        took.push((version, started.elapsed()));
        number += 1;
        if number.is_multiple_of(500) {
            say(&format!("  {number} commits, version {version}"));
        }
    }
    over.store(true, Ordering::Relaxed);
    let maintained = maintaining.await.context("the maintainer panicked")?.context("maintenance beside the commits")?;
    committer.settle().await;
    let (counters, files) = (committer.counters(), held(&config, Kind::Usage).await?.files);
    Ok(format!(
        "{number} commits of {} events to version {version}, {files} files at the end; meanwhile {maintained}, {} checkpoints, {} versions that \
         maintenance took first\n\n{}",
        plan.rows() / u64::from(MADE),
        counters.checkpoints.load(Ordering::Relaxed),
        counters.conflicts.load(Ordering::Relaxed),
        windows(args, &took)?
    ))
}

impl std::fmt::Display for Maintained {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rounds, compactions, files, log_files } = self;
        write!(
            out,
            "{rounds} rounds of maintenance with {compactions} compactions, {files} files and {log_files} old versions removed by rounds"
        )
    }
}

/// Rounds until it is over.
async fn maintain(lake: Lake, config: LakeConfig, over: Arc<AtomicBool>) -> anyhow::Result<Maintained> {
    let mut maintainer = Maintainer::take(&lake, &config, times()).await.context("taking the lake over")?;
    let mut done = Maintained::default();
    while !over.load(Ordering::Relaxed) {
        let round = maintainer.round(now_ms(), |_| true, |_, _| {}).await.context("a round")?;
        done.compactions += round.steps.len();
        done.rounds += 1;
        if done.rounds.is_multiple_of(VACUUM_ROUNDS) {
            for removed in maintainer.vacuum(now_ms()).await.context("removing what nobody needs")? {
                done.files += removed.files;
                done.log_files += removed.log_files;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(done)
}

fn windows(args: &Args, took: &[(u64, Duration)]) -> anyhow::Result<String> {
    let mut rows = Vec::new();
    let mut first: Option<Duration> = None;
    for from in &args.versions {
        let inside = took.iter().filter(|(version, _)| (*from..from + args.window).contains(version));
        let mut times: Vec<Duration> = inside.map(|(_, took)| *took).collect();
        ensure!(!times.is_empty(), "no commit between version {from} and {}", from + args.window);
        times.sort_unstable();
        let sum: Duration = times.iter().sum();
        let mean = sum / u32::try_from(times.len())?;
        let median = percentile(&times, 500);
        let first = *first.get_or_insert(median);
        let shown = [mean, median, percentile(&times, 950), percentile(&times, 990)].map(|time| format!("{time:.2?}"));
        let mut row = vec![from.to_string(), times.len().to_string()];
        row.extend(shown);
        row.push(ratio(median, first));
        rows.push(row);
    }
    let head = ["table version", "commits", "mean", "p50", "p95", "p99", "p50, of the first"];
    Ok(table(&head, &rows))
}
