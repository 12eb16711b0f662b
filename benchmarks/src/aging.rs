//! Lakes that are large at once: a plan of days comes in, a lake on disk as the pipeline would have written it comes out, and the same lake as
//! maintenance would have it later. Only through the pipeline's own committer and maintainer.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use spendstream_pipeline::lake::maintenance::{Maintainer, Round};
use spendstream_pipeline::lake::rewriter::Rewriter;
use spendstream_pipeline::lake::table::Kind;
use spendstream_pipeline::lake::{Committer, FileEncoder};
use spendstream_pipeline::price::archive;
use spendstream_schemas::config::{LakeConfig, LiveConfig};
use spendstream_schemas::price_book::PriceBook;
use spendstream_storage::Lake;

use crate::days::{Copy, Day, Plan};

/// How often it is said how far a lake is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Files of a table that count, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub files: usize,
    pub bytes: u64,
}

/// The default configuration of a lake in that folder.
#[must_use]
pub fn config(folder: &Path) -> LakeConfig {
    LakeConfig { uri: format!("file://{}", folder.display()), ..LakeConfig::default() }
}

/// How long rows of a day are waited for, and after what time a partition is idle: as by default.
#[must_use]
pub fn times() -> (Duration, Duration) {
    let live = LiveConfig::default();
    (live.allowed_lateness, live.idle_timeout)
}

/// Commits copies of a day to a lake that is not there yet.
///
/// # Errors
/// When it cannot be written.
pub async fn fill(config: &LakeConfig, plan: &Plan, copies: &[Copy]) -> anyhow::Result<()> {
    let lake = Lake::open(config)?;
    let day = Day::make(plan)?;
    archive::keep(&lake, PriceBook::builtin()?.as_ref()).await?;
    let mut committer = Committer::open(&lake, config).await.context("opening the lake")?;
    let mut encoder = FileEncoder::new(config);
    let (started, mut told, mut rows, mut version) = (Instant::now(), Instant::now(), 0, 0);
    for copy in copies {
        for commit in 0..plan.commits {
            let commit = day.commit(*copy, commit, &mut encoder)?;
            let committed = committer.commit(commit).await.context("committing generated rows")?;
            (rows, version) = (rows + committed.rows, committed.version);
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                say(&format!("  {rows} of {} events, version {version}", plan.rows() * copies.len() as u64));
            }
        }
    }
    committer.settle().await;
    say(&format!("{rows} events in {} at version {version} in {:.1?}", config.uri, started.elapsed()));
    Ok(())
}

/// Does what there is to do to a lake at a moment (milliseconds since the epoch), in one round; says which steps, and how long it took.
///
/// # Errors
/// When a step fails.
pub async fn age(config: &LakeConfig, now_ms: i64) -> anyhow::Result<(Round, Duration)> {
    let started = Instant::now();
    let lake = Lake::open(config)?;
    let mut maintainer = Maintainer::take(&lake, config, times()).await.context("taking the lake over")?;
    let (mut told, mut steps) = (Instant::now(), 0);
    let tell = |step: &spendstream_pipeline::lake::maintenance::Step, done: Option<&_>| {
        steps += usize::from(done.is_some());
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            say(&format!("  step {steps}: {step}"));
        }
    };
    let round = maintainer.round(now_ms, |_| true, tell).await.context("maintaining the lake")?;
    let took = started.elapsed();
    say(&format!("{} steps of maintenance in {took:.1?}", round.steps.len()));
    Ok((round, took))
}

/// What counts of a table; nothing where there is none.
///
/// # Errors
/// When its log cannot be read.
pub async fn held(config: &LakeConfig, kind: Kind) -> anyhow::Result<Held> {
    let table = Rewriter::look(&Lake::open(config)?, kind, config).await?;
    let bytes = table.files.values().map(|add| u64::try_from(add.size).unwrap_or(0)).sum();
    Ok(Held { files: table.files.len(), bytes })
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| target.display().to_string())?;
        }
    }
    Ok(())
}

/// A line of progress, for whoever watches.
pub fn say(text: &str) {
    // When nobody does, nothing is lost.
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use spendstream_pipeline::lake::table::Kind;

    use super::{age, config, copy_folder, fill, held};
    use crate::days::{DAY_MS, Plan, each_day};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_lake_is_filled_copied_and_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let (hot, sealed) = (folder.path().join("hot"), folder.path().join("sealed"));
        let plan = Plan::new("t", 20_727, 960, 2);
        fill(&config(&hot), &plan, &each_day(3)).await.unwrap();
        copy_folder(&hot, &sealed).unwrap();
        let (round, _) = age(&config(&sealed), (i64::from(plan.first) + 5) * DAY_MS).await.unwrap();
        assert_eq!((round.steps.len(), round.oldest_unsealed), (3, None));
        assert_eq!(held(&config(&hot), Kind::Usage).await.unwrap().files, 6);
        assert_eq!(held(&config(&hot), Kind::Rollup).await.unwrap().files, 0);
        assert_eq!(held(&config(&sealed), Kind::Usage).await.unwrap().files, 3);
        assert_eq!(held(&config(&sealed), Kind::Rollup).await.unwrap().files, 3);
    }
}
