//! How a bill differs from what the lake says. In: lines of the bill and sums of the lake, by day, model and meter. Out: one [`Variance`] per cell, in exact
//! decimals, with the likely reason. Pure.
//!
//! A bill that does not tell models or meters apart is compared without them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Serialize;

use super::{BillLine, Meter};

/// A day, and what the bill tells apart on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Cell {
    pub date: NaiveDate,
    pub model: Option<String>,
    pub meter: Option<Meter>,
}

/// What the lake says of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computed {
    pub cell: Cell,
    pub cost: Decimal,
    /// Tokens, or whatever the meter counts.
    pub quantity: Decimal,
    /// Calls of the day and model without a price.
    pub unpriced_calls: i64,
}

/// Why the two probably differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// They do not.
    None,
    /// Less than the digits that the bill is written with.
    Rounding,
    /// Calls of that day and model have no price in the book.
    Unpriced,
    /// The day before or after differs by as much the other way: it was booked on another day.
    Late,
    /// The bill has what the lake never saw.
    MissingEvents,
    /// The lake has what the bill has not.
    NotBilled,
    /// The same consumption at another price.
    PriceDifference,
}

impl Reason {
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Rounding => "rounding",
            Self::Unpriced => "unpriced calls",
            Self::Late => "booked on another day",
            Self::MissingEvents => "missing events",
            Self::NotBilled => "not on the bill",
            Self::PriceDifference => "price difference",
        }
    }
}

/// One cell of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variance {
    pub cell: Cell,
    pub billed: Decimal,
    pub computed: Decimal,
    /// What the lake counts.
    pub quantity: Decimal,
    /// What the bill counts, where it says.
    pub billed_quantity: Option<Decimal>,
    pub unpriced_calls: i64,
    pub reason: Reason,
}

impl Variance {
    /// What the bill has more.
    #[must_use]
    pub fn difference(&self) -> Decimal {
        self.billed - self.computed
    }

    /// Unit prices per million that both imply: the bill's and ours, of what the lake counts.
    #[must_use]
    pub fn implied_prices(&self) -> Option<(Decimal, Decimal)> {
        let of = |amount: Decimal, quantity: Decimal| (amount * Decimal::from(1_000_000)).checked_div(quantity);
        let billed = of(self.billed, self.billed_quantity.unwrap_or(self.quantity))?;
        Some((billed.round_dp(9), of(self.computed, self.quantity)?.round_dp(9)))
    }
}

/// Every cell of either side, in order.
#[must_use]
pub fn compare(bill: &[BillLine], lake: &[Computed]) -> Vec<Variance> {
    let by_model = bill.iter().all(|line| line.model.is_some());
    let by_meter = by_model && bill.iter().all(|line| line.meter.is_some());
    let cell = |cell: &Cell| Cell {
        date: cell.date,
        model: cell.model.clone().filter(|_| by_model),
        meter: cell.meter.filter(|_| by_meter),
    };
    let mut cells = BTreeMap::<Cell, Variance>::new();
    let blank = |cell: &Cell| Variance {
        cell: cell.clone(),
        billed: Decimal::ZERO,
        computed: Decimal::ZERO,
        quantity: Decimal::ZERO,
        billed_quantity: None,
        unpriced_calls: 0,
        reason: Reason::None,
    };
    let mut slack = BTreeMap::<Cell, Decimal>::new();
    for line in bill {
        let key = cell(&Cell { date: line.date, model: line.model.clone(), meter: line.meter });
        let entry = cells.entry(key.clone()).or_insert_with(|| blank(&key));
        entry.billed += line.amount;
        entry.billed_quantity = match (entry.billed_quantity, line.quantity) {
            (Some(sum), Some(more)) => Some(sum + more),
            (None, more) => more,
            (sum, None) => sum,
        };
        *slack.entry(key).or_default() += Decimal::new(5, line.amount.scale() + 1);
    }
    for sum in lake {
        let key = cell(&sum.cell);
        let entry = cells.entry(key.clone()).or_insert_with(|| blank(&key));
        entry.computed += sum.cost;
        entry.quantity += sum.quantity;
        entry.unpriced_calls = entry.unpriced_calls.max(sum.unpriced_calls);
    }
    let differences: BTreeMap<Cell, Decimal> =
        cells.iter().map(|(cell, one)| (cell.clone(), one.difference())).collect();
    cells
        .into_values()
        .map(|one| Variance {
            reason: reason(&one, &differences, slack.get(&one.cell).copied().unwrap_or_default()),
            ..one
        })
        .collect()
}

fn reason(one: &Variance, all: &BTreeMap<Cell, Decimal>, slack: Decimal) -> Reason {
    let difference = one.difference();
    let neighbour =
        |date: Option<NaiveDate>| date.and_then(|date| all.get(&Cell { date, ..one.cell.clone() }).copied());
    let undone = |other: Option<Decimal>| other.is_some_and(|other| (other + difference).abs() <= slack);
    let zero = Decimal::ZERO;
    // Where the bill counts nothing, money has to tell.
    let odd = difference > zero && !same_ratio(one);
    let is_more = one.billed_quantity.map_or(odd, |billed| billed > one.quantity);
    if difference == zero {
        Reason::None
    } else if difference.abs() <= slack {
        Reason::Rounding
    } else if difference > zero && one.unpriced_calls > 0 {
        Reason::Unpriced
    } else if undone(neighbour(one.cell.date.succ_opt())) || undone(neighbour(one.cell.date.pred_opt())) {
        Reason::Late
    } else if one.computed == zero && one.quantity == zero {
        Reason::MissingEvents
    } else if one.billed == zero {
        Reason::NotBilled
    } else if is_more {
        Reason::MissingEvents
    } else {
        Reason::PriceDifference
    }
}

/// Whether the two stand in a ratio that prices do: ten percent off, half, double. What is missing makes odd ones.
fn same_ratio(one: &Variance) -> bool {
    let Some(ratio) = one.billed.checked_div(one.computed) else { return false };
    let twentieths = ratio * Decimal::from(20);
    (twentieths - twentieths.round()).abs() < Decimal::new(1, 4)
}
