//! `lake compact | tier | expire | maintain`: does what there is to do to a lake, or prints it. One line per step, before and after.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use spendstream_control::{Act, Store};
use spendstream_pipeline::control::upkeep::Upkeep;
use spendstream_pipeline::http::upkeep::{self, Told};
use spendstream_pipeline::lake::maintenance::metrics::MaintenanceMetrics;
use spendstream_pipeline::lake::maintenance::{Done, Maintainer, Step, deleted};
use spendstream_schemas::config::Config;
use spendstream_storage::Lake;
use tokio::sync::watch;

use super::super::now_micros;
use super::turn;

/// Which lake, and whether anything is done.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lake instead of `lake.uri`: `file://…` or `s3://bucket/prefix`.
    #[arg(long, value_name = "URI")]
    pub lake: Option<String>,
    /// Print the plan and do nothing. Steps that follow from others are planned when those are done.
    #[arg(long)]
    pub dry_run: bool,
}

/// What a command does of all there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Compact,
    Tier,
    Expire,
    Everything,
}

impl Kind {
    fn does(self, step: &Step) -> bool {
        match step {
            // Begun by whatever command: nothing else may touch those files until then.
            Step::FinishMove { .. } => true,
            Step::Compact { .. } | Step::Seal { .. } => matches!(self, Self::Compact | Self::Everything),
            Step::Move { .. } | Step::Repack { .. } => matches!(self, Self::Tier | Self::Everything),
            Step::Expire { .. } | Step::ExpireRows { .. } => matches!(self, Self::Expire | Self::Everything),
        }
    }
}

/// Does it now. Who maintained the lake until then is refused from now on, and comes back by itself after its lease.
pub async fn work(kind: Kind, args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let lake = Lake::open(&config.lake)?;
    let times = (config.live.allowed_lateness, config.live.idle_timeout);
    let now_ms = now_micros().div_euclid(1_000);
    if args.dry_run {
        let mut looker = Maintainer::open(&lake, &config.lake, times).await?;
        looker.look().await?;
        let plan = looker.plan(looker.moment(now_ms));
        return print(&plan.into_iter().filter(|step| kind.does(step)).collect::<Vec<_>>());
    }
    let store = turn::store(config).await;
    Box::pin(turn::keeping(store.as_ref(), &lake, config, do_it(kind, &lake, config, now_ms))).await
}

async fn do_it(kind: Kind, lake: &Lake, config: &Config, now_ms: i64) -> anyhow::Result<ExitCode> {
    let times = (config.live.allowed_lateness, config.live.idle_timeout);
    let mut maintainer = Maintainer::take(lake, &config.lake, times).await?;
    let mut out = io::stdout();
    let (mut since, mut gone) = (now(), Vec::new());
    let told = |step: &Step, done: Option<&Done>| match done {
        None => since = now(),
        Some(done) => {
            gone.extend(deleted(step, done));
            // A closed pipe is no reason to stop in the middle.
            let _ = writeln!(out, "{step}: {}, {:.1?}", outcome(done), now().duration_since(since));
        }
    };
    let round = maintainer.round(now_ms, |step| kind.does(step), told).await;
    audit(config, now_ms, gone).await?;
    let round = round?;
    if kind == Kind::Everything {
        let removed = maintainer.vacuum(now_ms).await?;
        let (files, log) = removed.iter().fold((0, 0), |(files, log), one| (files + one.files, log + one.log_files));
        writeln!(io::stdout(), "removed {files} files that no version needs, and {log} of the log")?;
    }
    if round.steps.is_empty() {
        writeln!(io::stdout(), "nothing to do")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Does it again and again, in turn with others, until asked to stop.
pub async fn maintain(config: &Config) -> anyhow::Result<ExitCode> {
    let lake = Lake::open(&config.lake)?;
    let store = Store::open(&config.store.url).await?;
    let (metrics, registry) = MaintenanceMetrics::alone()?;
    let upkeep = Upkeep::new(config, lake, store.clone(), Arc::new(metrics));
    let server = upkeep::serve(config, &store, Told { registry, trouble: upkeep.trouble() }).await?;
    if let Some((address, _)) = &server {
        tracing::info!(%address, "/metrics, /healthz and /readyz are served");
    }
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(upkeep.run(stopping));
    super::super::stop_signal().await?;
    stop.send_replace(true);
    task.await?;
    if let Some((_, server)) = server {
        server.abort();
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn print(plan: &[Step]) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for step in plan {
        writeln!(out, "would {step}")?;
    }
    if plan.is_empty() {
        writeln!(out, "nothing to do")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn outcome(done: &Done) -> String {
    let removed = if done.removed_rows > 0 { format!(", {} rows removed", done.removed_rows) } else { String::new() };
    format!("{} files became {} of {} bytes{removed}", done.removed_files, done.added_files, done.added_bytes)
}

async fn audit(config: &Config, now_ms: i64, gone: Vec<(String, serde_json::Value)>) -> anyhow::Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let store = Store::open(&config.store.url).await?;
    let who = format!("cli:{}", std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()));
    let now = chrono::DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
    for (id, details) in gone {
        store.audit().record(&Act { who: &who, now }, "expire", ("lake", &id), Some(&details)).await?;
    }
    store.close().await;
    Ok(())
}

/// The one clock here: how long a step took.
fn now() -> Instant {
    Instant::now()
}
