//! `spendstream lake …`: proves a lake, shows what it holds, writes anew what ages. In comes a lake, out go findings, figures and steps on standard
//! output.

mod erase;
mod reattribute;
mod reprice;
mod rewriting;
mod show;
mod turn;
mod work;

use std::io::{self, Write};
use std::process::ExitCode;

use spendstream_pipeline::lake::check::{Limits, check};
use spendstream_pipeline::lake::status::status;
use spendstream_schemas::config::Config;
use spendstream_storage::Lake;

use work::Kind;

/// Subcommands of `spendstream lake`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Prove that every event is there once and costs what its price book says. Exit code 1 when something is wrong.
    Check(Args),
    /// Show tiers, version, size, days, offsets and money.
    Status(Args),
    /// Make small files one, and seal days that are over: sorted, without repeats, with their sums.
    Compact(work::Args),
    /// Pack and move sealed days to the tiers of their age.
    Tier(work::Args),
    /// Delete what is over by `lake.retention` and the tiers' `expire_after_days`.
    Expire(work::Args),
    /// Make a person anonymous in every tier and in the control store; with `--prove`, show that nothing is left.
    Erase(erase::Args),
    /// Price events of a period by the price book in force; shows what it comes to, and does it with `--apply`.
    Reprice(reprice::Args),
    /// Move spend to the right team by a file of rules; shows what moves, and does it with `--apply`.
    Reattribute(reattribute::Args),
    /// Compact, tier and expire, again and again, as `pipeline` does where `lake.maintenance.enabled`; with `--once`, one round.
    Maintain(Maintain),
}

/// Which lake, and how it is shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The lake to read instead of `lake.uri`: `file://…` or `s3://bucket/prefix`.
    #[arg(long, value_name = "URI")]
    lake: Option<String>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
}

/// How to maintain.
#[derive(Debug, clap::Args)]
pub struct Maintain {
    #[command(flatten)]
    work: work::Args,
    /// One round now, instead of one after the other in turn with others.
    #[arg(long)]
    once: bool,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Lines for people.
    Table,
    /// One JSON object.
    Json,
}

pub fn run(command: Command, mut config: Config) -> anyhow::Result<ExitCode> {
    let runtime = super::runtime()?;
    let uri = match &command {
        Command::Check(args) | Command::Status(args) => &args.lake,
        Command::Compact(args) | Command::Tier(args) | Command::Expire(args) => &args.lake,
        Command::Erase(args) => &args.lake,
        Command::Reprice(args) => &args.lake,
        Command::Reattribute(args) => &args.lake,
        Command::Maintain(args) => &args.work.lake,
    };
    if let Some(uri) = uri {
        config.lake.read_elsewhere(uri.clone());
    }
    match &command {
        Command::Check(args) => runtime.block_on(prove(args, &config)),
        Command::Status(args) => runtime.block_on(show(args, &config)),
        Command::Compact(args) => runtime.block_on(work::work(Kind::Compact, args, &config)),
        Command::Tier(args) => runtime.block_on(work::work(Kind::Tier, args, &config)),
        Command::Expire(args) => runtime.block_on(work::work(Kind::Expire, args, &config)),
        Command::Erase(args) => runtime.block_on(erase::run(args, &config)),
        Command::Reprice(args) => runtime.block_on(reprice::run(args, &config)),
        Command::Reattribute(args) => runtime.block_on(reattribute::run(args, &config)),
        Command::Maintain(args) if args.once || args.work.dry_run => {
            runtime.block_on(work::work(Kind::Everything, &args.work, &config))
        }
        Command::Maintain(_) => runtime.block_on(work::maintain(&config)),
    }
}

async fn prove(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let limits = Limits {
        memory_bytes: config.query.memory_bytes,
        horizon: config.decode.duplicate_horizon,
        identities: config.decode.duplicate_identities,
    };
    let report = check(&Lake::open(&config.lake)?, limits).await?;
    let mut out = io::stdout().lock();
    match args.format {
        Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
        Form::Table => show::report(&report, &mut out)?,
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn show(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let status = status(&Lake::open(&config.lake)?, config.query.memory_bytes).await?;
    let mut out = io::stdout().lock();
    match args.format {
        Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?,
        Form::Table => show::status(&status, &mut out)?,
    }
    Ok(ExitCode::SUCCESS)
}
