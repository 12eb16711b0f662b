//! `lake reprice`: prices events of a period by the book in force. In: which events. Out: what it comes to by model and team; with `--apply`, the lake with those
//! prices. Nothing else rewrites a price.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use serde_json::{Value, json};
use spendstream_control::rewrites::Kind;
use spendstream_pipeline::price::archive;
use spendstream_pipeline::price::repriced::{Line, Repricer, Selection, Tally};
use spendstream_schemas::config::Config;
use spendstream_schemas::price_book::show_instant;
use spendstream_storage::Lake;

use super::super::prices::{BookArgs, Format, table};
use super::rewriting::{amount, apply, instant, preview};

const COLUMNS: [&str; 9] =
    ["model", "team", "rows", "old_cost", "new_cost", "delta", "newly_priced", "still_unpriced", "unchanged"];

/// Which events get the price of the book in force.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Events from this moment on: a date (midnight UTC) or an RFC 3339 time.
    #[arg(long, value_name = "DATE", value_parser = instant)]
    from: Option<i64>,
    /// Events before this moment.
    #[arg(long, value_name = "DATE", value_parser = instant)]
    to: Option<i64>,
    /// Only this model, as it was sent or as the book knows it; `*` stands for anything. May be given again.
    #[arg(long, value_name = "MODEL")]
    model: Vec<String>,
    /// Only this provider, as models.
    #[arg(long, value_name = "PROVIDER")]
    provider: Vec<String>,
    /// Only this organization, as models.
    #[arg(long, value_name = "NAME")]
    organization: Vec<String>,
    /// Only events that have no price yet.
    #[arg(long)]
    only_unpriced: bool,
    /// Do it. Without, nothing is written.
    #[arg(long, conflicts_with = "dry_run")]
    apply: bool,
    /// Show what it would come to, and do nothing: the default.
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    book: BookArgs,
    /// The lake instead of `lake.uri`.
    #[arg(long, value_name = "URI")]
    pub lake: Option<String>,
}

pub async fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let span = (args.from.unwrap_or(i64::MIN), args.to.unwrap_or(i64::MAX));
    if span.0 >= span.1 {
        bail!("--to is not after --from; --to is the first moment that is not meant");
    }
    let selection = Selection {
        span: (args.from.is_some() || args.to.is_some()).then_some(span),
        models: args.model.clone(),
        providers: args.provider.clone(),
        organizations: args.organization.clone(),
        only_unpriced: args.only_unpriced,
    };
    let book = Arc::new(args.book.source(config).load()?);
    let lake = Lake::open(&config.lake)?;
    let scope = scope(args, book.version());
    let mut repricer = Repricer::new(Arc::clone(&book), selection);
    let mut out = io::stdout();
    if !args.apply {
        let tally = preview(&mut repricer, &lake, config).await?;
        show(&tally, book.version(), args.format, &mut out)?;
        if args.format == Format::Table {
            writeln!(out, "nothing is written; do it with --apply")?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    // Before any row that it priced: each row can be priced again by its version.
    archive::keep(&lake, &book).await?;
    let done =
        Box::pin(apply(&mut repricer, &lake, config, (Kind::Reprice, scope), |tally| outcome(tally, book.version())))
            .await?;
    show(&done.tally, book.version(), args.format, &mut out)?;
    if args.format == Format::Table {
        writeln!(out, "run {} is done", done.id)?;
    }
    let left = done.left.total();
    if left.rows > 0 {
        writeln!(
            io::stderr(),
            "{} rows came meanwhile at other prices ({}): a pipeline still works with another book; run this again once it has this one",
            left.rows,
            amount(left.new - left.old)
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn scope(args: &Args, version: &str) -> Value {
    json!({
        "book": version,
        "from": args.from.map(show_instant),
        "to": args.to.map(show_instant),
        "models": args.model,
        "providers": args.provider,
        "organizations": args.organization,
        "only_unpriced": args.only_unpriced,
    })
}

fn outcome(tally: &Tally, version: &str) -> Value {
    let total = tally.total();
    json!({
        "book": version,
        "books_before": tally.versions,
        "rows": total.rows,
        "newly_priced": total.newly_priced,
        "still_unpriced": total.still_unpriced,
        "delta": amount(total.new - total.old),
    })
}

fn show(tally: &Tally, version: &str, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    let told = |line: &&Line| line.rows > 0 || line.still_unpriced > 0;
    let row = |(model, team): (&str, &str), line: &Line| -> Vec<String> {
        let numbers = [line.newly_priced, line.still_unpriced, line.unchanged].map(|number| number.to_string());
        [model.to_owned(), team.to_owned(), line.rows.to_string()]
            .into_iter()
            .chain([line.old, line.new, line.new - line.old].map(amount))
            .chain(numbers)
            .collect()
    };
    let lines = tally.lines.iter().filter(|(_, line)| told(line));
    let mut rows: Vec<Vec<String>> = lines.map(|((model, team), line)| row((model, team), line)).collect();
    if format == Format::Table {
        rows.push(row(("all", ""), &tally.total()));
    }
    write!(out, "{}", table::render(&COLUMNS, &rows, format)?)?;
    if format != Format::Table {
        return Ok(());
    }
    for (before, rows) in &tally.versions {
        writeln!(out, "{rows} rows from book {before} to {version}")?;
    }
    for (reason, rows) in &tally.still_unpriced {
        writeln!(out, "{rows} rows stay unpriced: {reason}")?;
    }
    for (reason, rows) in &tally.kept {
        writeln!(out, "{rows} rows keep the price they have: this book has none ({reason})")?;
    }
    Ok(())
}
