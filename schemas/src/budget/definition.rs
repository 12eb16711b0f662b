//! A budget as it is kept and shown: its fields, what its amount is at a time, and what crossing a threshold means.
//!
//! Money and percentages are strings in JSON. A `Budget` is always valid: it comes from a checked draft or from the store.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::period::PeriodRule;
use super::scope::Scope;
use crate::alert::{Kind, Level};

/// A limit on what a scope may spend in a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the interface")]
pub struct Budget {
    pub id: String,
    /// Counts changes of what is limited and alerted; a new name or owner is none.
    pub revision: i64,
    pub name: String,
    pub scope: Scope,
    #[serde(flatten)]
    pub period: PeriodRule,
    /// Of one period, in `currency`, more than zero.
    pub amount: Decimal,
    /// ISO 4217.
    pub currency: String,
    /// Percentages of the amount, ascending.
    pub thresholds: Vec<Decimal>,
    /// Percentages that the projected spend is compared with, ascending.
    pub forecast_thresholds: Vec<Decimal>,
    /// Calls are refused once the amount is used up.
    pub hard_limit: bool,
    /// Where a hard limit refuses, in percent of the amount.
    pub hard_limit_percent: Decimal,
    pub active: bool,
    /// Counts beside the template whose value it names, instead of in its place.
    pub additive: bool,
    /// A missing value is a cell of `"*"` too.
    pub include_missing: bool,
    pub amounts_by: Option<AmountsBy>,
    pub valid_from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub valid_until: Option<DateTime<Utc>>,
    pub increase: Option<Increase>,
    /// The last manual reset: events before it no longer count in the period that it lies in.
    pub reset_at: Option<DateTime<Utc>>,
    /// Who is told, as the directory or a route names them.
    pub owner: Option<String>,
    /// Further addresses that are told.
    pub contacts: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The amount depends on an attribute that the directory has for the cell's value: `{"attribute": "plan", "basic": "50"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmountsBy {
    pub attribute: String,
    /// The attribute's value → amount, more than zero; `default` is for values that are not named.
    #[serde(flatten)]
    pub amounts: BTreeMap<String, Decimal>,
}

/// More to spend, for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Increase {
    /// Added to the amount, more than zero.
    pub amount: Decimal,
    /// Exclusive.
    pub until: DateTime<Utc>,
}

impl Budget {
    /// Whether it counts, alerts and blocks at that time.
    #[must_use]
    pub fn in_force(&self, at: DateTime<Utc>) -> bool {
        self.active && self.valid_from.is_none_or(|from| from <= at) && self.valid_until.is_none_or(|until| at < until)
    }

    /// The amount at that time, in the budget's currency. `attribute` reads the directory's attributes of the cell.
    pub fn amount_at<'a>(&self, at: DateTime<Utc>, attribute: impl Fn(&str) -> Option<&'a str>) -> Decimal {
        let of_plan = self.amounts_by.as_ref().and_then(|by| {
            let value = attribute(&by.attribute);
            value.and_then(|value| by.amounts.get(value)).or_else(|| by.amounts.get(AmountsBy::DEFAULT)).copied()
        });
        let amount = of_plan.unwrap_or(self.amount);
        match self.increase {
            // Both fit 13 digits, so the sum is far from overflowing.
            Some(increase) if at < increase.until => amount.saturating_add(increase.amount),
            _ => amount,
        }
    }

    /// The alert that crossing `threshold` raises. Below 100 the highest is critical, the next a warning, lower ones inform;
    /// from 100 on the budget is exceeded, and where a hard limit refuses it is an emergency.
    #[must_use]
    pub fn crossing(&self, threshold: Decimal) -> (Kind, Level) {
        if self.hard_limit && threshold >= self.hard_limit_percent {
            return (Kind::LimitReached, Level::Emergency);
        }
        if threshold >= Decimal::ONE_HUNDRED {
            return (Kind::ThresholdExceeded, Level::Critical);
        }
        let higher =
            self.thresholds.iter().filter(|other| threshold < **other && **other < Decimal::ONE_HUNDRED).count();
        let level = match higher {
            0 => Level::Critical,
            1 => Level::Warning,
            _ => Level::Info,
        };
        (Kind::ThresholdWarning, level)
    }

    /// Whether both limit and alert alike, so that what was alerted under one need not be under the other.
    #[must_use]
    pub fn same_rules(&self, other: &Budget) -> bool {
        let rules = |budget: &Budget| Budget {
            revision: 0,
            name: String::new(),
            active: true,
            owner: None,
            contacts: Vec::new(),
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            ..budget.clone()
        };
        rules(self) == rules(other)
    }
}

impl AmountsBy {
    /// The key of the amount for values that are not named.
    pub const DEFAULT: &'static str = "default";
}
