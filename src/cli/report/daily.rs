//! `spendstream report daily` and `spendstream report monthly`: in come options, out comes a day or a month at a glance.

use std::process::ExitCode;

use spendstream_query_api::reports::Kind;
use spendstream_schemas::config::Config;

use super::common::{self, Common};

/// A day at a glance: totals, by whom, and what moved most since the day before and against the mean of the weekday.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spendstream report daily
  spendstream report daily --date 2026-11-01 --timezone Europe/Berlin --format html")]
pub struct Args {
    /// Default: yesterday.
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// Most values of a dimension that are shown; 20 without it.
    #[arg(long, value_name = "ROWS")]
    top: Option<usize>,
    #[command(flatten)]
    common: Common,
}

/// A month at a glance, beside the month before.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  spendstream report monthly --month 2026-10")]
pub struct MonthlyArgs {
    /// 2026-10. Default: this month.
    #[arg(long, value_name = "MONTH")]
    month: Option<String>,
    /// Most values of a dimension that are shown; 20 without it.
    #[arg(long, value_name = "ROWS")]
    top: Option<usize>,
    #[command(flatten)]
    common: Common,
}

pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let words = [("date", args.date), ("top", args.top.map(|top| top.to_string()))];
    common::run(Kind::Daily, words, args.common, config)
}

pub fn monthly(args: MonthlyArgs, config: Config) -> anyhow::Result<ExitCode> {
    let words = [("month", args.month), ("top", args.top.map(|top| top.to_string()))];
    common::run(Kind::Monthly, words, args.common, config)
}
