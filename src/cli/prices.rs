//! `spendstream prices …`: list, show, check, import and export a price book. Reads a book, prints; only `import --apply`
//! and `export` write, and only into the directory they are given.

mod check;
mod export;
mod import;
mod list;
mod names;
mod show;
pub(super) mod table;
mod unit_price;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::ValueEnum;
use spendstream_schemas::config::Config;
use spendstream_schemas::price_book::{PriceBook, PriceRow, parse_instant, show_instant};
use spendstream_storage::price_book::BookSource;

/// List, show, check, import and export prices.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the prices in force.
    List(list::Args),
    /// Show everything the book knows about one model, and what an organisation pays.
    Show(show::Args),
    /// Check a book: exit code 1 when it cannot be used.
    Check(check::Args),
    /// Take prices from a public list into a book; shows the difference first.
    Import(import::Args),
    /// Write the book in force to a directory, to edit it there.
    Export(export::Args),
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
    Csv,
}

/// What `list` and `show` look at, and how they print it.
#[derive(Debug, clap::Args)]
pub struct View {
    /// The moment: a date (midnight UTC) or an RFC 3339 time. Default: now.
    #[arg(long, value_name = "DATE")]
    at: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    book: BookArgs,
}

impl View {
    /// The book, and the moment in microseconds since the epoch.
    fn open(&self, config: &Config) -> anyhow::Result<(PriceBook, i64)> {
        Ok((self.book.source(config).load()?, instant(self.at.as_deref())?))
    }

    /// The lines around the rows are for people only.
    fn print(&self, head: &str, columns: &[&str], rows: &[Vec<String>], foot: &str) -> anyhow::Result<()> {
        let text = table::render(columns, rows, self.format)?;
        match self.format {
            Format::Table => print!("{head}{text}{foot}"),
            Format::Json | Format::Csv => print!("{text}"),
        }
        Ok(())
    }
}

/// Names of [`conditions`].
const CONDITIONS: [&str; 6] =
    ["above_tokens", "service_tier", "region", "schedule", "effective_from", "effective_until"];

/// When a row holds; empty where always.
fn conditions(row: &PriceRow) -> [String; 6] {
    [
        tier_text(row),
        row.service_tier.to_string(),
        row.region.to_string(),
        row.schedule.as_ref().map(ToString::to_string).unwrap_or_default(),
        bound_text(row.effective_from),
        bound_text(row.effective_until),
    ]
}

/// Which book; the same for every subcommand that reads one.
#[derive(Debug, clap::Args)]
pub struct BookArgs {
    /// Directory of the price book. Default: prices.book of the configuration, else the one that ships.
    #[arg(long, value_name = "DIR")]
    book: Option<PathBuf>,
}

impl BookArgs {
    pub(super) fn source(&self, config: &Config) -> BookSource {
        let mut source = BookSource::new(&config.prices, &config.lake.currency);
        if self.book.is_some() {
            source.book.clone_from(&self.book);
        }
        source
    }
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::List(args) => list::run(&args, &config),
        Command::Show(args) => show::run(&args, &config),
        Command::Check(args) => check::run(&args, &config),
        Command::Import(args) => import::run(&args, &config),
        Command::Export(args) => export::run(&args, &config),
    }
}

/// A date (midnight UTC) or an RFC 3339 time; nothing is now.
fn instant(at: Option<&str>) -> anyhow::Result<i64> {
    let Some(text) = at else { return Ok(super::now_micros()) };
    match parse_instant(text) {
        Some(micros) => Ok(micros),
        None => bail!("'{text}' is neither a date (2026-11-22) nor a time (2026-11-22T16:00:00Z)"),
    }
}

/// The price with its unit: `1.25 USD per 1000000`.
fn price_text(row: &PriceRow) -> String {
    format!("{} {} per {}", row.price.normalize(), row.currency, row.per)
}

/// A bound of a row's time; empty when it is open.
fn bound_text(at: Option<i64>) -> String {
    at.map(show_instant).unwrap_or_default()
}

/// Above how many prompt tokens the row holds; empty for any.
fn tier_text(row: &PriceRow) -> String {
    if row.tier_min_tokens == 0 { String::new() } else { row.tier_min_tokens.to_string() }
}
