//! `spendstream report chargeback`: in come options, out comes who pays what.

use std::process::ExitCode;

use anyhow::bail;
use spendstream_query_api::reports::Kind;
use spendstream_schemas::config::Config;

use super::common::{self, Common, Range};

/// Who pays what for a month or any time, over calls and charges. The last whole month without --month, --from and --to.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spendstream report chargeback --month 2026-10 --by department,team --format xlsx > october.xlsx
  spendstream report chargeback --month 2026-10 --by team --shared project=platform --split proportional
  spendstream report chargeback --month 2026-10 --by cost_center --allocate '12345.67 EUR' --currency EUR --format csv")]
pub struct Args {
    /// 2026-10.
    #[arg(long, value_name = "MONTH", conflicts_with_all = ["from", "to"])]
    month: Option<String>,
    #[command(flatten)]
    range: Range,
    /// Who pays, and what it is broken down by: team,model. Default: team.
    #[arg(long, value_name = "DIMENSIONS")]
    by: Option<String>,
    /// Who pays for rows that are shared or have no owner: own (they stay on lines of their own), even, proportional or weights.
    #[arg(long, value_name = "WAY")]
    split: Option<String>,
    /// An owner's part of them, as OWNER=NUMBER. May be repeated.
    #[arg(long, value_name = "OWNER=NUMBER")]
    weight: Vec<String>,
    /// Rows that are everybody's. May be repeated: all must fit.
    #[arg(long, value_name = "DIMENSION=VALUE")]
    shared: Vec<String>,
    /// A total to divide in proportion to cost, such as an invoice's: '12345.67 EUR'.
    #[arg(long, value_name = "AMOUNT CODE")]
    allocate: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub fn run(mut args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let mut weights = Vec::with_capacity(args.weight.len());
    for weight in &args.weight {
        let Some((owner, number)) = weight.rsplit_once('=') else {
            bail!("--weight {weight} has no =; write --weight search=3");
        };
        weights.push(format!("{owner}:{number}"));
    }
    let weights = (!weights.is_empty()).then(|| weights.join(","));
    for shared in std::mem::take(&mut args.shared) {
        // A filter of another kind, by its own name.
        args.common.shared(&shared)?;
    }
    let own = [
        ("month", args.month),
        ("by", args.by),
        ("split", args.split),
        ("weights", weights),
        ("allocate", args.allocate),
    ];
    common::run(Kind::Chargeback, own.into_iter().chain(args.range.words()), args.common, config)
}
