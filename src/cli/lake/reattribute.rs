//! `lake reattribute`: moves spend to whom it belongs. In: a file of rules. Out: what moves from whom to whom; with `--apply`, the lake with those labels. The
//! total never changes.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use spendstream_control::rewrites::Kind;
use spendstream_pipeline::columns::reattributed::{Reattributor, Tally};
use spendstream_schemas::config::Config;
use spendstream_schemas::reattribution::Rules;
use spendstream_storage::Lake;

use super::super::prices::{Format, table};
use super::rewriting::{amount, apply, preview};

const COLUMNS: [&str; 6] = ["rule", "model", "from_team", "to_team", "rows", "cost"];

/// By which rules spend moves.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// TOML file of rules: `[[rule]]` with `when`, `set`, and `from` and `to` of event time.
    #[arg(long, value_name = "FILE")]
    rule: PathBuf,
    /// Do it. Without, nothing is written.
    #[arg(long, conflicts_with = "dry_run")]
    apply: bool,
    /// Show what would move, and do nothing: the default.
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The lake instead of `lake.uri`.
    #[arg(long, value_name = "URI")]
    pub lake: Option<String>,
}

pub async fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let file = args.rule.display();
    let text = std::fs::read_to_string(&args.rule).with_context(|| format!("--rule {file} cannot be read"))?;
    let rules = match Rules::parse(&text) {
        Ok(rules) => rules,
        Err(faults) => bail!("--rule {file}: {}", faults.join("\n  ")),
    };
    let lake = Lake::open(&config.lake)?;
    let mut reattributor = Reattributor::new(rules);
    let mut out = io::stdout();
    if !args.apply {
        let tally = preview(&mut reattributor, &lake, config).await?;
        show(&tally, args.format, &mut out)?;
        if args.format == Format::Table {
            writeln!(out, "nothing is written; do it with --apply")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let scope = json!({ "rules": text });
    let done = Box::pin(apply(&mut reattributor, &lake, config, (Kind::Reattribute, scope), outcome)).await?;
    show(&done.tally, args.format, &mut out)?;
    if args.format == Format::Table {
        writeln!(out, "run {} is done; the total is what it was", done.id)?;
    }
    let left = done.left.total();
    if left.rows > 0 {
        writeln!(
            io::stderr(),
            "{} rows came meanwhile with their old labels: set the owner in the directory, and run this again",
            left.rows
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn outcome(tally: &Tally) -> Value {
    let total = tally.total();
    json!({ "rows": total.rows, "moved": amount(total.cost), "unchanged": tally.unchanged })
}

fn show(tally: &Tally, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    let lines = tally.lines.iter().map(|(key, line)| {
        let texts = [&key.rule, &key.model, &key.from_team, &key.to_team].map(Clone::clone);
        texts.into_iter().chain([line.rows.to_string(), amount(line.cost)]).collect::<Vec<_>>()
    });
    let mut rows: Vec<Vec<String>> = lines.collect();
    if format == Format::Table {
        let total = tally.total();
        let all = ["all".to_owned(), String::new(), String::new(), String::new()];
        rows.push(all.into_iter().chain([total.rows.to_string(), amount(total.cost)]).collect());
    }
    write!(out, "{}", table::render(&COLUMNS, &rows, format)?)?;
    if format == Format::Table && tally.unchanged > 0 {
        writeln!(out, "{} rows have these labels already", tally.unchanged)?;
    }
    Ok(())
}
