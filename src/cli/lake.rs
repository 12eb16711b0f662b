//! `spendstream lake …`: proves a lake, shows what it holds. In comes a lake, out go findings or figures on standard output.
//! Never writes to the lake.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use spendstream_pipeline::lake::check::{Finding, Limits, Report, Verdict, check};
use spendstream_pipeline::lake::status::{LakeStatus, status};
use spendstream_schemas::config::Config;
use spendstream_storage::Lake;

/// Subcommands of `spendstream lake`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Prove that every event is there once and costs what its price book says. Exit code 1 when something is wrong.
    Check(Args),
    /// Show version, size, days, offsets and money.
    Status(Args),
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

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Lines for people.
    Table,
    /// One JSON object.
    Json,
}

pub fn run(command: Command, mut config: Config) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    let (Command::Check(args) | Command::Status(args)) = &command;
    if let Some(uri) = &args.lake {
        config.lake.read_elsewhere(uri.clone());
    }
    let lake = Lake::open(&config.lake)?;
    let memory_bytes = config.query.memory_bytes;
    let mut out = io::stdout().lock();
    match &command {
        Command::Check(args) => {
            let limits = Limits {
                memory_bytes,
                horizon: config.decode.duplicate_horizon,
                identities: config.decode.duplicate_identities,
            };
            let report = runtime.block_on(check(&lake, limits))?;
            match args.format {
                Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
                Form::Table => write_report(&report, &mut out)?,
            }
            Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        Command::Status(args) => {
            let status = runtime.block_on(status(&lake, memory_bytes))?;
            match args.format {
                Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(&status)?)?,
                Form::Table => write_status(&status, &mut out)?,
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn write_report(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}, version {}, {} rows", report.lake, report.version, report.rows)?;
    let width = report.findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    for Finding { check, verdict, detail } in &report.findings {
        let word = match verdict {
            Verdict::Ok => "ok",
            Verdict::Info => "note",
            Verdict::Failed => "FAILED",
        };
        writeln!(out, "{word:<6}  {check:<width$}  {detail}")?;
    }
    let failed = report.findings.iter().filter(|finding| finding.verdict == Verdict::Failed).count();
    match failed {
        0 => writeln!(out, "the lake is clean"),
        1 => writeln!(out, "1 check FAILED"),
        failed => writeln!(out, "{failed} checks FAILED"),
    }
}

fn write_status(status: &LakeStatus, out: &mut impl Write) -> io::Result<()> {
    let committed = status.committed_ms.and_then(chrono::DateTime::from_timestamp_millis);
    let committed = committed.map_or("unknown".to_owned(), |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
    writeln!(out, "lake       {}", status.lake)?;
    writeln!(out, "version    {}, committed {committed}", status.version)?;
    writeln!(out, "rows       {} in {} files, {} bytes", status.rows, status.files, status.bytes)?;
    writeln!(out, "cost       {} {}", status.cost, status.currency)?;
    writeln!(out, "unpriced   {} rows", status.unpriced_rows)?;
    for (date, day) in &status.dates {
        writeln!(out, "{date}  {} rows, {} bytes", day.rows, day.bytes)?;
    }
    for part in &status.partitions {
        let t = &part.tally;
        writeln!(
            out,
            "{}  next offset {}; {} messages: {} rows, {} rejected, {} duplicates, {} ignored",
            part.partition, part.offset, t.messages, t.rows, t.rejected, t.duplicates, t.ignored
        )?;
    }
    Ok(())
}
