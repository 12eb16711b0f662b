//! `spendstream report summary` and `spendstream report runs`: in come options, out come what calls, or evaluation runs, cost.

use std::process::ExitCode;

use spendstream_query_api::reports::Kind;
use spendstream_schemas::config::Config;

use super::common::{self, Common, Range};

/// What calls cost, by time and any dimensions. The last 30 days without --from and --to.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spendstream report summary --from 2026-11-01 --granularity day --group-by team,model
  spendstream report summary --filter environment=prod --group-by tags.feature --currency EUR")]
pub struct Args {
    #[command(flatten)]
    range: Range,
    /// hour, day, week, month or none.
    #[arg(long, value_name = "UNIT")]
    granularity: Option<String>,
    /// team,model,tags.NAME, …
    #[arg(long, value_name = "DIMENSIONS")]
    group_by: Option<String>,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    common: Common,
}

/// A part of many rows.
#[derive(Debug, clap::Args)]
struct Page {
    /// Most rows, up to 1000.
    #[arg(long, value_name = "ROWS")]
    limit: Option<usize>,
    /// Rows to leave out: those that were seen.
    #[arg(long, value_name = "ROWS")]
    after: Option<usize>,
}

impl Page {
    fn words(&self) -> [(&'static str, Option<String>); 2] {
        let text = |number: Option<usize>| number.map(|number| number.to_string());
        [("limit", text(self.limit)), ("after", text(self.after))]
    }
}

/// What evaluation runs cost. The last 30 days without --from and --to.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  spendstream report runs --filter run_id=nightly-42")]
pub struct RunsArgs {
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    common: Common,
}

pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let own = [("granularity", args.granularity), ("group_by", args.group_by)];
    let words = own.into_iter().chain(args.page.words()).chain(args.range.words());
    common::run(Kind::Summary, words, args.common, config)
}

pub fn runs(args: RunsArgs, config: Config) -> anyhow::Result<ExitCode> {
    let words = args.page.words().into_iter().chain(args.range.words());
    common::run(Kind::Runs, words, args.common, config)
}
