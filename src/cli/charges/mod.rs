//! `spendstream charges …`: money that is not a call. In: a file of costs; out: charges in the lake, each once however often it is imported.

pub mod read;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use spendstream_pipeline::lake::charges::Charges;
use spendstream_pipeline::lake::statements::adjust::open_month;
use spendstream_schemas::charge_import::{Rules, allocation, dimension, focus};
use spendstream_schemas::config::Config;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::table::charges::Charge;
use spendstream_storage::Lake;

use super::control::{Session, one_error, pair, with_store};
use read::{File, focus_rows};

/// Subcommands of `spendstream charges`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Import costs of a cluster (opencost, kubecost) or a FOCUS bill beside the cost of calls.
    Import(Import),
}

/// What is imported, and whose it is.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// How the file is written.
    #[arg(long, value_enum)]
    format: Format,
    /// JSON of an allocation API, or FOCUS rows as CSV or Parquet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which label or tag says a dimension: `team=owner`. Without it the one of the dimension's own name; a team without one is the namespace.
    #[arg(long, value_name = "DIMENSION=LABEL")]
    label: Vec<String>,
    /// A dimension that all costs of the file have: `organization=acme`.
    #[arg(long, value_name = "DIMENSION=VALUE")]
    set: Vec<String>,
    /// Count what would be imported, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// The lake instead of `lake.uri`.
    #[arg(long, value_name = "URI")]
    lake: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Opencost,
    Kubecost,
    Focus,
}

pub fn run(command: Command, mut config: Config) -> anyhow::Result<ExitCode> {
    let Command::Import(args) = command;
    if let Some(uri) = &args.lake {
        config.lake.read_elsewhere(uri.clone());
    }
    let config = &config;
    with_store(config, |session| async move { import(&args, &session, config).await })
}

async fn import(args: &Import, session: &Session, config: &Config) -> anyhow::Result<()> {
    let known = session.store.statements().list().await.map_err(one_error)?;
    let zone = config.reports.zone();
    let rules = Rules {
        labels: dimensions(&args.label)?,
        fixed: dimensions(&args.set)?,
        currency: config.lake.currency.clone(),
        zone,
        open: (!known.is_empty()).then(|| open_month(&known, session.now, zone)),
        now: session.now,
    };
    let file = File::open(&args.file)?;
    let charges = charges(args.format, &file, &rules).with_context(|| format!("the file {}", args.file.display()))?;
    let sum = charges.iter().map(|charge| charge.amount).sum::<spendstream_schemas::money::Amount>();
    if args.dry_run {
        writeln!(io::stdout(), "{} charges of {sum} {} would be imported", charges.len(), config.lake.currency)?;
        return Ok(());
    }
    let appended = Charges::new(&Lake::open(&config.lake)?).append(&charges).await?;
    let details = serde_json::json!({"file": file.name(), "charges": appended.written, "known": appended.known, "amount": sum.to_string()});
    session
        .store
        .audit()
        .record(&session.act(), "import", ("charges", &file.sha256()), Some(&details))
        .await
        .map_err(one_error)?;
    writeln!(
        io::stdout(),
        "{} charges of {sum} {}: {} imported, {} were there already",
        charges.len(),
        config.lake.currency,
        appended.written,
        appended.known
    )?;
    Ok(())
}

fn charges(format: Format, file: &File, rules: &Rules) -> anyhow::Result<Vec<Charge>> {
    let read = match format {
        Format::Opencost => allocation::read(file.text()?, "opencost", rules),
        Format::Kubecost => allocation::read(file.text()?, "kubecost", rules),
        Format::Focus => focus::read(&focus_rows(file)?, rules),
    };
    read.map_err(|why| anyhow!(why))
}

fn dimensions(pairs: &[String]) -> anyhow::Result<BTreeMap<Text, String>> {
    let read = |text: &String| {
        let (name, value) = pair(text)?;
        Ok((dimension(name).map_err(|why| anyhow!(why))?, value.to_owned()))
    };
    pairs.iter().map(read).collect()
}
