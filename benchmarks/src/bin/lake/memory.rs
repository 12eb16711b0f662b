//! Most memory of a round of maintenance: lakes of one day that is over come in, of more and more rows; each is sealed by a process of its own,
//! `spendstream lake maintain --once`. Out comes the most that the kernel ever saw it hold.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use spendstream_benchmarks::aging::{config, fill, held, say};
use spendstream_benchmarks::days::{DAY_MS, Plan, one_day};
use spendstream_benchmarks::report::table;
use spendstream_benchmarks::stream::now_ms;
use spendstream_benchmarks::watch::Watched;
use spendstream_pipeline::lake::table::Kind;
use tokio::runtime::Runtime;

use crate::Args;

/// Nothing here takes longer unless something is broken.
const LIMIT: Duration = Duration::from_hours(2);
/// Commits of the smallest day.
const COMMITS: u32 = 12;

pub fn run(args: &Args, runtime: &Runtime) -> anyhow::Result<String> {
    let binary = args.binary.canonicalize().with_context(|| format!("--binary {}", args.binary.display()))?;
    // Over for so long that whoever maintains seals it, whatever the hour.
    let date = i32::try_from(now_ms().div_euclid(DAY_MS) - 3)?;
    let plan = Plan::new("usage.events", date, args.day_events, COMMITS);
    let mut rows = Vec::new();
    for scale in &args.scales {
        let folder = tempfile::tempdir()?;
        let config = config(&folder.path().join("lake"));
        runtime.block_on(fill(&config, &plan, &one_day(*scale)))?;
        let before = runtime.block_on(held(&config, Kind::Usage))?;
        let log = folder.path().join("log");
        let mut command = Command::new(&binary);
        command.args(["lake", "maintain", "--once", "--lake", &config.uri]).current_dir(folder.path());
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
        let started = Instant::now();
        let child = command.spawn().with_context(|| binary.display().to_string())?;
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let took = Watched::new(child, started)
            .finish(LIMIT)
            .with_context(|| format!("spendstream lake maintain --once; its log:\n{}", said()))?;
        let after = runtime.block_on(held(&config, Kind::Usage))?;
        let sums = runtime.block_on(held(&config, Kind::Rollup))?;
        ensure!(sums.files > 0 && after.files < before.files, "the day was not sealed; the log:\n{}", said());
        let row = vec![
            format!("{scale} ×"),
            (plan.rows() * u64::from(*scale)).to_string(),
            before.files.to_string(),
            format!("{} MB", before.bytes / 1_000_000),
            format!("{} MB", took.peak_bytes / 1_000_000),
            format!("{:.1?}", took.wall),
        ];
        say(&format!("  {}", row.join(", ")));
        rows.push(row);
    }
    let bound = spendstream_schemas::config::MaintenanceConfig::default().memory_bytes / 1_000_000;
    let head = ["day", "events", "files before", "bytes before", "peak memory", "round"];
    Ok(format!("`lake.maintenance.memory_bytes` is {bound} MB\n\n{}", table(&head, &rows)))
}
