//! `lake erase`: makes a person anonymous in every tier and in the control store, and proves that nothing is left. In: a dimension and its value. Out:
//! rows made anonymous, day by day; with `--prove`, every object that still names the person.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use spendstream_control::{Act, Store};
use spendstream_pipeline::lake::maintenance::Maintainer;
use spendstream_schemas::config::Config;
use spendstream_schemas::pseudonym::{Dimension, Erasure};
use spendstream_storage::{Lake, privacy};

use super::super::now_micros;
use super::turn;

/// Who is erased.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("who").required(true).args(["user", "dimension"])))]
pub struct Args {
    /// The user: as events name it, or its pseudonym.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Any other dimension: a column of `usage` (`customer`, `team`), or `tags.NAME`.
    #[arg(long, value_name = "NAME", requires = "value")]
    dimension: Option<String>,
    /// The dimension's value.
    #[arg(long, value_name = "VALUE", requires = "dimension")]
    value: Option<String>,
    /// Count the rows that would be made anonymous, and do nothing.
    #[arg(long, conflicts_with = "prove")]
    dry_run: bool,
    /// Search every object for the person instead, and say which still name them. Exit code 1 when any does. It proves something once
    /// `lake.maintenance.vacuum_after` and `log_retention` have passed since the erasure.
    #[arg(long)]
    prove: bool,
    /// The lake instead of `lake.uri`.
    #[arg(long, value_name = "URI")]
    pub lake: Option<String>,
}

pub async fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let erasure = rule(args, config)?;
    let lake = Lake::open(&config.lake)?;
    let times = (config.live.allowed_lateness, config.live.idle_timeout);
    let now_ms = now_micros().div_euclid(1_000);
    let mut out = io::stdout();
    if args.dry_run {
        let mut looker = Maintainer::open(&lake, &config.lake, times).await?;
        let erased = looker.erase(&erasure, now_ms, true, &mut |date, rows| progress(date, rows, "would be")).await?;
        writeln!(
            out,
            "{} rows of {} days and {} decisions would be made anonymous",
            erased.rows, erased.days, erased.decisions
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let store = Store::open(&config.store.url).await?;
    let who = format!("cli:{}", std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()));
    let now = chrono::DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
    let act = Act { who: &who, now };
    let code = if args.prove {
        let looker = Maintainer::open(&lake, &config.lake, times).await?;
        prove(&looker, &erasure, &store, &act).await?
    } else {
        // On the list first: what arrives from now on is anonymous, and only what is there already is left to do.
        let listed = store.erasures().add(&erasure, &act).await?;
        let erased = turn::keeping(Some(&store), &lake, config, async {
            let mut maintainer = Maintainer::take(&lake, &config.lake, times).await?;
            maintainer.erase(&erasure, now_ms, false, &mut |date, rows| progress(date, rows, "are")).await
        });
        let erased = Box::pin(erased).await?;
        store.erasures().rewritten(&listed.id, i64::try_from(erased.rows).unwrap_or(i64::MAX), &act).await?;
        let kept = store.erasures().anonymise(&erasure, &act).await?;
        writeln!(
            out,
            "{}: {} rows of {} days are anonymous, in {} files, and {} decisions",
            erasure.shown(),
            erased.rows,
            erased.days,
            erased.files,
            erased.decisions
        )?;
        writeln!(out, "control store: {}", serde_json::to_string(&kept)?)?;
        let days =
            config.lake.maintenance.vacuum_after.max(config.lake.maintenance.log_retention).as_secs().div_ceil(86_400);
        writeln!(
            out,
            "pipelines know within privacy.refresh_interval, and whoever maintains the lake erases once more what they wrote meanwhile; old files and \
             versions of the log go within {days} days, then `spendstream lake erase … --prove` shows that nothing is left"
        )?;
        ExitCode::SUCCESS
    };
    store.close().await;
    Ok(code)
}

async fn prove(looker: &Maintainer, erasure: &Erasure, store: &Store, act: &Act<'_>) -> anyhow::Result<ExitCode> {
    let searched = looker.search(erasure).await?;
    let mut out = io::stdout();
    for object in &searched.found {
        writeln!(out, "still names the person: {object}")?;
    }
    let note = format!(
        "{} objects of {} bytes searched, {} name the person",
        searched.objects,
        searched.bytes,
        searched.found.len()
    );
    writeln!(out, "{note}")?;
    if !searched.found.is_empty() {
        return Ok(ExitCode::from(1));
    }
    let listed = store.erasures().list().await?.into_iter().find(|one| one.value_hash == erasure.hash());
    if let Some(listed) = listed {
        store.erasures().proven(&listed.id, &note, act).await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn rule(args: &Args, config: &Config) -> anyhow::Result<Erasure> {
    let pseudonyms = privacy::pseudonyms(&config.privacy).map_err(|problem| anyhow!(problem))?;
    let key = pseudonyms.key().context(
        "an erasure needs the key of the list of the erased: set privacy.key_file to a file with a secret of 16 bytes or more",
    )?;
    let (dimension, value) = match (&args.user, &args.dimension, &args.value) {
        (Some(user), _, _) => (Dimension::USER, user),
        (None, Some(name), Some(value)) => {
            (name.parse().map_err(|problem: String| anyhow!("--dimension {problem}"))?, value)
        }
        _ => return Err(anyhow!("say whom: --user ID, or --dimension NAME --value VALUE")),
    };
    Ok(Erasure::new(key, dimension, value))
}

/// One line for each day that has rows of the person, on standard error.
fn progress(date: chrono::NaiveDate, rows: u64, are: &str) {
    if rows > 0 {
        // A closed terminal is no reason to stop.
        let _ = writeln!(io::stderr(), "{date}: {rows} rows {are} anonymous");
    }
}
