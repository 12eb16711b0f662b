//! `spendstream prices import`: takes a public price list into a book. In: the list's file and the book's directory. Out:
//! the difference, and with `--apply` a new `prices.csv`, written at once or not at all.
//!
//! History is not rewritten: a changed price ends the old row at the import's date and starts a new one there.

mod clean;
mod genai_prices;
mod litellm;
mod merge;
mod rules;
mod windows;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use spendstream_schemas::config::Config;
use spendstream_schemas::price_book::{BookFiles, PriceBook, PriceRow, parse_prices, show_instant, to_csv};
use spendstream_storage::price_book::{BookSource, PRICES};

use super::{Format, instant, price_text, table, tier_text};
use merge::{Change, Merged};

/// How many lines of each kind of change a table shows unless `--all` is given.
const SHOWN: usize = 30;
/// How many refused lines are shown unless `--all` is given.
const REFUSED_SHOWN: usize = 3;

/// Take the prices of a public list into a book. Shows what would change; changes it only with `--apply`.
///
/// From the import's date on the list's prices hold; what was priced before stays as it was. Models that the book does not
/// know yet are priced for the past too.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "Examples:
  spendstream prices export ./prices
  spendstream prices import --from litellm model_prices_and_context_window.json --book ./prices
  spendstream prices import --from genai-prices data.json --book ./prices --apply
  spendstream prices import --from spendstream negotiated.csv --book ./prices --date 2026-12-01 --apply")]
pub struct Args {
    /// What the file is: LiteLLM's `model_prices_and_context_window.json`, genai-prices' `data.json`, or our `prices.csv`.
    #[arg(long, value_enum)]
    from: From,
    /// The price list.
    file: PathBuf,
    /// Directory of the book to import into; `spendstream prices export` makes one.
    #[arg(long, value_name = "DIR")]
    book: PathBuf,
    /// Write the new prices.csv. Without this nothing is changed.
    #[arg(long)]
    apply: bool,
    /// From when the list's prices hold: a date (midnight UTC) or an RFC 3339 time. Default: now.
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// Also end prices that came from this source before and that it no longer lists.
    #[arg(long)]
    close_removed: bool,
    /// Refuse the whole list when a price in it cannot be read. Without this the rest of it is taken.
    #[arg(long)]
    strict: bool,
    /// Show every change in the table, not only the first of each kind.
    #[arg(long)]
    all: bool,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// A kind of price list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    Litellm,
    GenaiPrices,
    Spendstream,
}

impl From {
    /// First word of the column `source`.
    fn name(self) -> &'static str {
        match self {
            From::Litellm => "litellm",
            From::GenaiPrices => "genai-prices",
            From::Spendstream => "spendstream",
        }
    }
}

/// A price list as rows of a book, and what of it was left out or mended.
#[derive(Debug, Default)]
struct Offer {
    rows: Vec<PriceRow>,
    /// One line each, for people.
    remarks: Vec<String>,
    /// What cannot be read, one line each.
    refused: Vec<String>,
}

impl Offer {
    fn refuse(&mut self, what: &str, error: &anyhow::Error) {
        self.refused.push(format!("{what}: {error:#}"));
    }
}

pub fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    // Whole seconds: a date that people can read and type again.
    let date = instant(args.date.as_deref())?.div_euclid(1_000_000) * 1_000_000;
    let source =
        BookSource { book: Some(args.book.clone()), currency: config.lake.currency.clone(), ..BookSource::default() };
    let texts = source.read()?;
    let book = PriceBook::load(&texts.files()).context("the book to import into")?;
    let text = fs::read_to_string(&args.file).with_context(|| format!("price list {}", args.file.display()))?;
    let offer = read(args.from, &text, &book, date).with_context(|| format!("price list {}", args.file.display()))?;
    if args.strict && !offer.refused.is_empty() {
        bail!("price list {}: refused, for --strict: {}", args.file.display(), brief(&offer.refused));
    }
    if args.close_removed && !offer.refused.is_empty() {
        bail!(
            "price list {}: --close-removed would end the prices of lines that are left out: {}",
            args.file.display(),
            brief(&offer.refused)
        );
    }
    let merged = merge::merge(
        book.rows(),
        &offer.rows,
        &merge::Rule { date, source: args.from.name(), close_removed: args.close_removed },
    );
    show(args, &offer, &merged)?;
    if !merged.is_change() {
        eprintln!("nothing to change");
        return Ok(ExitCode::SUCCESS);
    }
    let new = to_csv(&merged.rows);
    // The result is a book before it becomes the book.
    PriceBook::load(&BookFiles { prices: &new, ..texts.files() }).context("with this import")?;
    if args.apply {
        replace(&args.book.join(PRICES), new.as_bytes())?;
        eprintln!("wrote {}", args.book.join(PRICES).display());
    } else {
        eprintln!("nothing is changed yet; --apply writes {}", args.book.join(PRICES).display());
    }
    Ok(ExitCode::SUCCESS)
}

fn read(from: From, text: &str, book: &PriceBook, date: i64) -> anyhow::Result<Offer> {
    let day: String = show_instant(date).chars().take(10).collect();
    let source = format!("{} {day}", from.name());
    let mut offer = match from {
        From::Litellm => litellm::read(text, book, &source)?,
        From::GenaiPrices => genai_prices::read(text, book, &source)?,
        From::Spendstream => own(text),
    };
    if offer.rows.is_empty() && !offer.refused.is_empty() {
        bail!("no price in it can be read: {}", brief(&offer.refused));
    }
    if offer.rows.is_empty() {
        bail!("no price found; is it a {} file?", from.name());
    }
    clean::one_spelling(&mut offer, book);
    if from != From::Spendstream {
        rules::retired_ids(&mut offer, book, date);
        rules::zeros(&mut offer, book, (from.name(), date));
    }
    let zero = offer.rows.iter().filter(|row| row.price.is_zero()).count();
    if zero > 0 {
        offer.remarks.push(format!("prices of zero (free, or unknown to the list; look before applying): {zero}"));
    }
    Ok(offer)
}

fn own(text: &str) -> Offer {
    let mut refused = Vec::new();
    let mut rows = parse_prices(text, &mut refused);
    let mut of_key: HashMap<merge::Key, Vec<&PriceRow>> = HashMap::new();
    for row in &rows {
        of_key.entry(merge::key(row)).or_default().push(row);
    }
    // Two prices for one thing at one time: which of them is meant nobody but the list's author knows.
    let mut unclear: BTreeMap<usize, usize> = BTreeMap::new();
    for same in of_key.values_mut() {
        same.sort_by_key(|row| (row.effective_from, row.line));
        for pair in same.windows(2) {
            let starts = pair[1].effective_from;
            if pair[0].effective_until.is_none_or(|until| starts.is_none_or(|starts| until > starts)) {
                unclear.insert(pair[1].line, pair[0].line);
                unclear.entry(pair[0].line).or_insert(pair[1].line);
            }
        }
    }
    for (line, other) in &unclear {
        refused.push(format!(
            "{PRICES}:{line}: line {other} has another price of the same at the same time; leave one of them, or end the earlier where the \
             later begins (effective_until)"
        ));
    }
    rows.retain(|row| !unclear.contains_key(&row.line));
    Offer { rows, refused, ..Offer::default() }
}

/// The first few of many.
fn brief(refused: &[String]) -> String {
    let more = refused.len().saturating_sub(REFUSED_SHOWN);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    refused.iter().take(REFUSED_SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ") + &rest
}

const COLUMNS: [&str; 11] = [
    "change",
    "provider",
    "model",
    "meter",
    "above_tokens",
    "service_tier",
    "region",
    "schedule",
    "old_price",
    "new_price",
    "from",
];

fn show(args: &Args, offer: &Offer, merged: &Merged) -> anyhow::Result<()> {
    let kinds = [
        ("added", &merged.added),
        ("changed", &merged.changed),
        ("replaced", &merged.replaced),
        ("removed", &merged.removed),
    ];
    let limit = if args.all || args.format != Format::Table { usize::MAX } else { SHOWN };
    let lines: Vec<Vec<String>> =
        kinds.iter().flat_map(|(kind, changes)| changes.iter().take(limit).map(|change| line(kind, change))).collect();
    if !lines.is_empty() || args.format != Format::Table {
        print!("{}", table::render(&COLUMNS, &lines, args.format)?);
    }
    for (kind, changes) in kinds.iter().filter(|(_, changes)| changes.len() > limit) {
        eprintln!("… and {} more {kind}; --all shows them", changes.len() - limit);
    }
    for remark in &offer.remarks {
        eprintln!("note: {remark}");
    }
    let refused = if args.all { offer.refused.len() } else { REFUSED_SHOWN };
    for line in offer.refused.iter().take(refused) {
        eprintln!("left out: {line}");
    }
    if !offer.refused.is_empty() {
        eprintln!(
            "left out, because they cannot be read: {} (--all shows them, --strict refuses the list)",
            offer.refused.len()
        );
    }
    for note in doubts(args.from, merged) {
        eprintln!("note: {note}");
    }
    let [added, changed, replaced, removed] = kinds.map(|(_, changes)| changes.len());
    let replaced = if replaced > 0 { format!(", {replaced} replaced by other windows") } else { String::new() };
    let kept = if removed > 0 && !args.close_removed { " (they stay in force; --close-removed ends them)" } else { "" };
    eprintln!("{added} added, {changed} changed{replaced}, {removed} removed{kept}, {} unchanged", merged.unchanged);
    Ok(())
}

/// What wants a look before the changes are applied.
fn doubts(from: From, merged: &Merged) -> Vec<String> {
    let old = || merged.changed.iter().filter_map(|change| change.old.as_ref());
    let mut doubts = Vec::new();
    let trusted = old().filter(|row| row.source.starts_with(From::GenaiPrices.name())).count();
    if from == From::Litellm && trusted > 0 {
        doubts.push(format!(
            "changed prices that the book has from genai-prices, which it trusts before litellm where both speak of the same day: {trusted}"
        ));
    }
    let ruled = old().filter(|row| row.source.starts_with("rule: ")).count();
    if ruled > 0 {
        doubts.push(format!("changed prices that the book has by a rule (source 'rule: …'): {ruled}"));
    }
    doubts
}

fn line(kind: &str, change: &Change) -> Vec<String> {
    let row = change.new.as_ref().or(change.old.as_ref());
    let text = |of: fn(&PriceRow) -> String| row.map(of).unwrap_or_default();
    let price = |row: &Option<PriceRow>| row.as_ref().map(price_text).unwrap_or_default();
    vec![
        kind.to_owned(),
        text(|row| row.provider.to_string()),
        text(|row| row.model.to_string()),
        text(|row| row.meter.to_string()),
        text(tier_text),
        text(|row| row.service_tier.to_string()),
        text(|row| row.region.to_string()),
        text(|row| row.schedule.as_ref().map(ToString::to_string).unwrap_or_default()),
        price(&change.old),
        price(&change.new),
        change.from.map(show_instant).unwrap_or_default(),
    ]
}

/// Writes beside the file, makes it durable, and renames: a reader sees the old or the new one.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = path.with_extension("csv.new");
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests;
