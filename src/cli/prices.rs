//! `spendstream prices …`: list, show, check, import and export a price book. Reads a book, prints; only `import --apply`
//! and `export` write, and only into the directory they are given.

mod check;
mod export;
mod import;
mod list;
mod show;
mod table;
mod unit_price;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::ValueEnum;
use spendstream_pipeline::price::source::BookSource;
use spendstream_schemas::config::Config;
use spendstream_schemas::price_book::{PriceRow, parse_instant, show_instant};

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

/// Which book; the same for every subcommand that reads one.
#[derive(Debug, clap::Args)]
pub struct BookArgs {
    /// Directory of the price book. Default: prices.book of the configuration, else the one that ships.
    #[arg(long, value_name = "DIR")]
    book: Option<PathBuf>,
}

impl BookArgs {
    fn source(&self, config: &Config) -> BookSource {
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
