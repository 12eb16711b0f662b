//! How a budget stands for some values: what is used, of how much, in which period. In: live totals, rates, resets, a moment; out: exact
//! figures, or why there are none. Pure.
//!
//! A manual reset within the period takes away what was spent before it. That sum is read from the lake once; until it is, the
//! budget has no figures.

use std::fmt;

use hashbrown::{HashMap, HashSet};
use spendstream_schemas::budget::{Quarter, Span};
use spendstream_schemas::money::Amount;

use super::book::{Book, BudgetCell, Entry};
use super::limit::{self, Rates};
use crate::aggregate::read::{Spend, Unknown};

/// What was spent in the running period before a reset, by budget.
#[derive(Clone, Debug, Default)]
pub struct Resets {
    /// Budgets whose sums were read, with the reset's time in microseconds.
    known: HashSet<(String, i64)>,
    /// By cell, of which quarter-hours: of a rolling window what has left it counts no more.
    before: HashMap<BudgetCell, Vec<(Quarter, Amount)>>,
    /// Budgets that were reset so lately that events of before may still come.
    young: HashSet<String>,
    /// What the lake has of them since, by cell and quarter-hour.
    since: HashMap<BudgetCell, Vec<(Quarter, Amount)>>,
}

impl Resets {
    /// Adds the sums of one budget up to its reset (microseconds since the epoch), from its period's start, each with its quarter-hour
    /// (for a calendar period its first); cells that had none are left out.
    pub fn add(&mut self, budget: &str, reset: i64, before: impl IntoIterator<Item = (BudgetCell, Quarter, Amount)>) {
        self.known.insert((budget.to_owned(), reset));
        for (cell, quarter, amount) in before {
            self.before.entry(cell).or_default().push((quarter, amount));
        }
    }

    /// The same for a budget that was reset lately: what was spent since, as the lake has it.
    pub fn add_since(&mut self, budget: &str, since: impl IntoIterator<Item = (BudgetCell, Quarter, Amount)>) {
        self.young.insert(budget.to_owned());
        for (cell, quarter, amount) in since {
            self.since.entry(cell).or_default().push((quarter, amount));
        }
    }

    /// Whether one of them is so young.
    #[must_use]
    pub fn has_young(&self) -> bool {
        !self.young.is_empty()
    }

    /// Whether there are other resets, or other sums since young ones, than were known.
    #[must_use]
    pub fn is_news(&self, known: &Self) -> bool {
        self.known.len() != known.known.len() || self.young != known.young || self.since != known.since
    }

    /// What counts for alerts of a budget that was reset lately: live totals have late events of before the reset, which are not in the sum of
    /// before yet. `None` for any other.
    #[must_use]
    pub fn since(&self, entry: &Entry, cell: BudgetCell, span: Span) -> Option<Amount> {
        let reset = entry.budget.reset_at.filter(|reset| span.start() < *reset && *reset < span.end())?;
        if !self.young.contains(&entry.budget.id) || !self.knows(&entry.budget.id, reset.timestamp_micros()) {
            return None;
        }
        let sums = self.since.get(&cell).map(Vec::as_slice).unwrap_or_default();
        Some(sums.iter().filter(|(quarter, _)| *quarter >= span.from).map(|(_, amount)| *amount).sum())
    }

    /// How many resets were read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether the sums of a budget were read for that reset.
    #[must_use]
    pub fn knows(&self, budget: &str, reset: i64) -> bool {
        self.known.contains(&(budget.to_owned(), reset))
    }

    fn of(&self, entry: &Entry, cell: BudgetCell, span: Span) -> Option<Amount> {
        let Some(reset) = entry.budget.reset_at.filter(|reset| span.start() < *reset && *reset < span.end()) else {
            return Some(Amount::ZERO);
        };
        // Resets are rare: the text is only copied for a budget that has one.
        self.knows(&entry.budget.id, reset.timestamp_micros()).then(|| {
            let before = self.before.get(&cell).map(Vec::as_slice).unwrap_or_default();
            let within = before.iter().filter(|(quarter, _)| *quarter >= span.from);
            within.fold(Amount::ZERO, |sum, (_, amount)| sum + *amount)
        })
    }
}

/// Why a budget has no figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFigures {
    /// Its total is not known (yet).
    Unknown,
    /// What was spent before its reset is not known yet.
    BeforeReset,
    /// What other instances hold of it, or this one did before it started, is not known yet.
    HeldElsewhere,
    /// No exchange rate from its currency to the lake's is in force.
    NoRate,
}

impl fmt::Display for NoFigures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            NoFigures::Unknown => "its total is not known yet",
            NoFigures::BeforeReset => "what was spent before its reset is not known yet",
            NoFigures::HeldElsewhere => "what is held for running calls is not known yet",
            NoFigures::NoRate => "there is no exchange rate for its currency",
        })
    }
}

impl From<Unknown> for NoFigures {
    fn from(_: Unknown) -> Self {
        NoFigures::Unknown
    }
}

/// Figures of one budget and its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub span: Span,
    pub used: Amount,
    pub limit: Amount,
}

/// What figures are made from.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    pub book: &'a Book,
    pub spend: &'a dyn Spend,
    pub rates: Rates<'a>,
    pub resets: &'a Resets,
}

impl Ground<'_> {
    /// The figures with what was known to be used last; `None` where there is no limit either.
    #[must_use]
    pub fn recalled(&self, entry: &Entry, values: &[Option<&str>], span: Span, used: Amount) -> Option<Standing> {
        let limit = limit::limit(&entry.budget, self.book.keys(entry).keys(), values, span, self.rates)?;
        Some(Standing { span, used, limit })
    }

    /// The figures of a budget for these values in the period that contains `at`.
    ///
    /// # Errors
    /// When they are not known.
    pub fn standing(&self, entry: &Entry, values: &[Option<&str>], at: Quarter) -> Result<Standing, NoFigures> {
        let span = entry.budget.period.span(at);
        let watch = entry.watch.ok_or(NoFigures::Unknown)?;
        let spent = self.spend.used(watch, values, span)?;
        let before = self.resets.of(entry, entry.cell(values), span).ok_or(NoFigures::BeforeReset)?;
        let keys = self.book.keys(entry).keys();
        let limit = limit::limit(&entry.budget, keys, values, span, self.rates).ok_or(NoFigures::NoRate)?;
        Ok(Standing { span, used: spent - before, limit })
    }
}
