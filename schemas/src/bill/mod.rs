//! Bills of providers. In: the text of a file; out: its lines, one per day, model and meter, in exact decimals. Also how a bill differs from what the
//! lake says, and why ([`variance`]). Pure.

mod anthropic;
pub mod focus;
mod openai;
mod plain;
pub mod variance;

use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::table::charges::ChargeCategory;

/// What a line of a bill counts, as the money columns of `usage` tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    Input,
    Output,
    CacheRead,
    CacheWrite,
    Other,
}

impl Meter {
    /// Every meter, in the order of the columns of `usage`.
    pub const ALL: [Self; 5] = [Self::Input, Self::Output, Self::CacheRead, Self::CacheWrite, Self::Other];

    /// As it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::CacheRead => "cache_read",
            Self::CacheWrite => "cache_write",
            Self::Other => "other",
        }
    }

    /// From how providers call it: `uncached_input_tokens`, `cached input`, `cache_creation.ephemeral_5m_input_tokens`.
    #[must_use]
    pub fn guess(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let has = |word: &str| text.contains(word);
        if has("cache_creation") || has("cache write") || has("cache_write") {
            Self::CacheWrite
        } else if (has("cache") && !has("uncached")) || has("cached input") {
            Self::CacheRead
        } else if has("output") || has("completion") {
            Self::Output
        } else if has("input") || has("prompt") {
            Self::Input
        } else {
            Self::Other
        }
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.word())
    }
}

/// How a bill is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Pages of `GET /v1/organization/costs`.
    Openai,
    /// Pages of `GET /v1/organizations/cost_report`.
    Anthropic,
    /// FOCUS rows, from CSV or Parquet.
    Focus,
    /// CSV with `date`, `model`, `meter`, `amount`, `currency`; `model` and `meter` may be missing.
    Plain,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "openai" => Ok(Self::Openai),
            "anthropic" => Ok(Self::Anthropic),
            "focus" => Ok(Self::Focus),
            "plain" => Ok(Self::Plain),
            _ => Err(format!("'{text}' is no format of a bill; write auto, openai, anthropic, focus or plain")),
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillLine {
    /// The provider's day, UTC.
    pub date: NaiveDate,
    /// As the bill calls it.
    pub model: Option<String>,
    pub meter: Option<Meter>,
    /// Negative for a credit.
    pub amount: Decimal,
    /// What was consumed, where the bill says: tokens.
    pub quantity: Option<Decimal>,
    pub category: String,
}

/// A bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// SHA-256 of the file.
    pub id: String,
    /// The price book's id of the provider.
    pub provider: String,
    pub format: Format,
    /// What the file was called.
    pub file: String,
    pub currency: String,
    pub lines: Vec<BillLine>,
}

/// A bill in a few words, as the audit log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub provider: String,
    pub file: String,
    pub format: Format,
    pub from: Option<NaiveDate>,
    /// Inclusive.
    pub to: Option<NaiveDate>,
    pub amount: String,
    pub currency: String,
    pub lines: usize,
}

impl Bill {
    /// All of it, exactly.
    #[must_use]
    pub fn amount(&self) -> Decimal {
        self.lines.iter().map(|line| line.amount).sum()
    }

    /// The first and the last day.
    #[must_use]
    pub fn days(&self) -> Option<(NaiveDate, NaiveDate)> {
        let days = || self.lines.iter().map(|line| line.date);
        Some((days().min()?, days().max()?))
    }

    /// See [`Summary`].
    #[must_use]
    pub fn summary(&self) -> Summary {
        let days = self.days();
        Summary {
            provider: self.provider.clone(),
            file: self.file.clone(),
            format: self.format,
            from: days.map(|(from, _)| from),
            to: days.map(|(_, to)| to),
            amount: self.amount().normalize().to_string(),
            currency: self.currency.clone(),
            lines: self.lines.len(),
        }
    }
}

/// What a file says.
pub type Read = (Format, String, Vec<BillLine>);

/// Reads a bill: its format, currency and lines.
///
/// # Errors
/// What is wrong, where, and what to do, in one line.
pub fn read(text: &str, format: Option<Format>) -> Result<Read, String> {
    let format = match format {
        Some(format) => format,
        None => guess(text)?,
    };
    let lines = match format {
        Format::Openai => openai::read(text)?,
        Format::Anthropic => anthropic::read(text)?,
        Format::Focus => focus::lines(&focus::from_csv(text)?)?,
        Format::Plain => plain::read(text)?,
    };
    one_currency(format, lines)
}

/// The same of FOCUS rows that were read from Parquet.
///
/// # Errors
/// As [`read`].
pub fn read_focus(rows: &[focus::Row]) -> Result<Read, String> {
    one_currency(Format::Focus, focus::lines(rows)?)
}

/// Lines with their currencies, of which there is to be one.
fn one_currency(format: Format, lines: Vec<(BillLine, String)>) -> Result<Read, String> {
    let Some((_, currency)) = lines.first() else { return Err("the bill has no lines".to_owned()) };
    let currency = currency.to_ascii_uppercase();
    if let Some((line, other)) = lines.iter().find(|(_, other)| !other.eq_ignore_ascii_case(&currency)) {
        return Err(format!(
            "the bill has lines in {currency} and in {other} (on {}); import one currency at a time",
            line.date
        ));
    }
    Ok((format, currency, lines.into_iter().map(|(line, _)| line).collect()))
}

fn guess(text: &str) -> Result<Format, String> {
    let text = text.trim_start();
    if text.starts_with(['{', '[']) {
        let openai = text.contains("organization.costs.result") || text.contains("\"start_time\"");
        return match (openai, text.contains("starting_at")) {
            (true, _) => Ok(Format::Openai),
            (false, true) => Ok(Format::Anthropic),
            _ => {
                Err("the JSON is neither a page of OpenAI's costs nor of Anthropic's cost report; say --format"
                    .to_owned())
            }
        };
    }
    let header = text.lines().next().unwrap_or_default().to_ascii_lowercase();
    if header.contains("billedcost") {
        Ok(Format::Focus)
    } else if header.contains("date") && header.contains("amount") {
        Ok(Format::Plain)
    } else {
        Err("the first line has neither BilledCost (FOCUS) nor date and amount (plain CSV); say --format".to_owned())
    }
}

/// A decimal as it is written: `0.06`, `6e-2`, with or without quotes.
pub(crate) fn decimal(text: &str) -> Result<Decimal, String> {
    let text = text.trim().trim_matches('"');
    let read = Decimal::from_str_exact(text).or_else(|_| Decimal::from_scientific(text)).or_else(|_| text.parse());
    read.map_err(|_| format!("'{text}' is no decimal number"))
}

/// A day: `2026-10-01`, or the day of a time.
pub(crate) fn day(text: &str) -> Result<NaiveDate, String> {
    let wrong = || format!("'{text}' is no day; write 2026-10-01");
    text.trim().get(..10).ok_or_else(wrong)?.parse().map_err(|_| wrong())
}

pub(crate) fn usage() -> String {
    ChargeCategory::Usage.word().to_owned()
}

#[cfg(test)]
mod tests;
