//! Statements of closed months. In: what a lake says of a month. Out: the lines that are kept of it ([`line`]), how those differ from what it says later
//! ([`change`]), and the charges that carry a difference into an open month ([`carry`]). Pure: no IO, and time is an argument.

pub mod carry;
pub mod change;
pub mod line;
pub mod month;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use line::{Figures, Key, Line};
pub use month::Month;

use crate::money::Amount;

/// What is written down of a closed month. Never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// SHA-256 of the file of its lines, in hexadecimal digits.
    pub id: String,
    pub month: Month,
    /// Where the month begins and ends: an IANA time zone.
    pub timezone: String,
    pub period_start: DateTime<Utc>,
    /// Exclusive.
    pub period_end: DateTime<Utc>,
    pub currency: String,
    /// Where its lines lie, relative to the lake.
    pub path: String,
    pub lines: u64,
    pub calls: i64,
    /// All money of the month, a decimal.
    pub cost: String,
    /// Calls without a price, which are in no money.
    pub unpriced_calls: i64,
    /// The next offset of each source partition (its app id in the Delta log): calls before it are covered.
    pub offsets: BTreeMap<String, i64>,
    /// Versions of the tables that were read, by place and table.
    pub table_versions: BTreeMap<String, u64>,
    /// Versions of the price book that calls of the month were priced by.
    pub price_books: Vec<String>,
    pub closed_at: DateTime<Utc>,
    pub closed_by: String,
    /// Closed before its lateness had passed.
    pub forced: bool,
}

/// Totals of lines.
///
/// # Errors
/// When a sum does not fit a money column.
pub fn totals<'l>(lines: impl IntoIterator<Item = &'l Line>) -> Result<Figures, crate::money::AmountError> {
    lines.into_iter().try_fold(Figures::default(), |sum, line| sum.plus(&line.figures))
}

/// An amount as a decimal text.
#[must_use]
pub fn decimal(amount: Amount) -> String {
    amount.to_string()
}
