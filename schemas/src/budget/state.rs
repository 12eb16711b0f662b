//! How a budget stands: its amount, what is used and held, and the time come in; percent, status, projection and advice
//! go out. Compared exactly, in integers: 100 % is crossed at the last digit of money, not before.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;

use super::definition::Budget;
use super::quarter::Span;
use crate::alert::Level;
use crate::money::{Amount, div_half_even};

/// How far a budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BudgetStatus {
    Ok,
    Warning,
    Critical,
    Exceeded,
}

/// How a budget stands in one cell and period. Money is in the lake's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct State {
    #[serde(serialize_with = "as_text")]
    pub amount: Amount,
    /// Without holds.
    #[serde(serialize_with = "as_text")]
    pub used: Amount,
    /// Reserved by calls that were allowed and have not arrived.
    #[serde(serialize_with = "as_text")]
    pub held: Amount,
    /// Of the amount, cut off after four digits: it never shows a threshold that was not crossed.
    pub percent: Decimal,
    /// Less than zero when exceeded.
    #[serde(serialize_with = "as_text")]
    pub remaining: Amount,
    pub status: BudgetStatus,
    /// Spend at the end of the period if it goes on at the pace so far; for a rolling period what is used.
    #[serde(serialize_with = "as_optional_text")]
    pub projected: Option<Amount>,
    /// Days of 24 hours until the amount is used up at the pace so far, cut off after one digit; `None` without a pace.
    pub days_until_exhausted: Option<Decimal>,
    pub advice: String,
    pub period_start: DateTime<Utc>,
    /// Exclusive.
    pub period_end: DateTime<Utc>,
}

fn as_text<S: serde::Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(amount)
}

#[allow(clippy::ref_option, reason = "serde passes the field itself")]
fn as_optional_text<S: serde::Serializer>(amount: &Option<Amount>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => serializer.collect_str(amount),
        None => serializer.serialize_none(),
    }
}

/// Whether `used` is at least `percent` of `amount`, exactly.
#[must_use]
pub fn is_crossed(used: Amount, amount: Amount, percent: Decimal) -> bool {
    // 28 digits × 100 × 10⁴ against 28 digits × 10⁸: both far from the 38 digits of an i128.
    let scale = 10_i128.saturating_pow(percent.scale());
    let left = used.units().saturating_mul(100).saturating_mul(scale);
    left >= amount.units().saturating_mul(percent.mantissa())
}

/// The thresholds that `used` has crossed, in their order.
pub fn crossed(used: Amount, amount: Amount, thresholds: &[Decimal]) -> impl Iterator<Item = Decimal> {
    thresholds.iter().copied().filter(move |threshold| is_crossed(used, amount, *threshold))
}

/// How much of a period must be over before a forecast raises an alert, in percent: before it one call decides the pace.
pub const FORECAST_FROM_PERCENT: i64 = 5;

/// The forecast thresholds that the projection has crossed; none while the period has just begun.
#[must_use]
pub fn forecast_crossed(budget: &Budget, state: &State, now: DateTime<Utc>) -> Vec<Decimal> {
    let (elapsed, length) = clock(budget, state.period_start, state.period_end, now);
    match state.projected {
        Some(projected) if elapsed * 100 >= length * FORECAST_FROM_PERCENT => {
            crossed(projected, state.amount, &budget.forecast_thresholds).collect()
        }
        _ => Vec::new(),
    }
}

/// How `budget` stands at `now`. `amount` is its amount in the lake's currency, more than zero; `used` counts from the
/// start of `span` or the last reset in it.
#[must_use]
pub fn state(budget: &Budget, amount: Amount, used: Amount, held: Amount, span: Span, now: DateTime<Utc>) -> State {
    let (period_start, period_end) = (span.start(), span.end());
    let (elapsed, length) = clock(budget, period_start, period_end, now);
    let rolling = budget.period.is_rolling();
    let remaining = amount - used;
    let mut state = State {
        amount,
        used,
        held,
        percent: percent(used, amount),
        remaining,
        status: status(budget, amount, used),
        projected: if rolling { Some(used) } else { projected(used, elapsed, length) },
        days_until_exhausted: if rolling { None } else { days_left(used, remaining, elapsed) },
        advice: String::new(),
        period_start,
        period_end,
    };
    state.advice = advice(budget, &state, length - elapsed);
    state
}

/// Seconds counted so far and in all, from the start of the period or the reset in it.
fn clock(budget: &Budget, start: DateTime<Utc>, end: DateTime<Utc>, now: DateTime<Utc>) -> (i64, i64) {
    let from = budget.reset_at.filter(|reset| start < *reset && *reset < end).unwrap_or(start);
    let length = (end - from).num_seconds();
    ((now - from).num_seconds().clamp(0, length), length)
}

fn percent(used: Amount, amount: Amount) -> Decimal {
    let units = used.units().saturating_mul(1_000_000) / amount.units().max(1);
    Decimal::try_from_i128_with_scale(units, 4).unwrap_or(Decimal::MAX).normalize()
}

fn status(budget: &Budget, amount: Amount, used: Amount) -> BudgetStatus {
    if is_crossed(used, amount, Decimal::ONE_HUNDRED) {
        return BudgetStatus::Exceeded;
    }
    match crossed(used, amount, &budget.thresholds).last().map(|threshold| budget.crossing(threshold).1) {
        None | Some(Level::Info) => BudgetStatus::Ok,
        Some(Level::Warning) => BudgetStatus::Warning,
        Some(Level::Critical | Level::Emergency) => BudgetStatus::Critical,
    }
}

/// `None` before anything could be seen, or when it does not fit a money column.
fn projected(used: Amount, elapsed: i64, length: i64) -> Option<Amount> {
    if elapsed == 0 {
        return None;
    }
    Amount::from_units(div_half_even(used.units().checked_mul(i128::from(length))?, i128::from(elapsed))).ok()
}

fn days_left(used: Amount, remaining: Amount, elapsed: i64) -> Option<Decimal> {
    if remaining <= Amount::ZERO {
        return Some(Decimal::ZERO);
    }
    if used <= Amount::ZERO || elapsed == 0 {
        return None;
    }
    let tenths = remaining.units().checked_mul(i128::from(elapsed) * 10)? / used.units().checked_mul(86_400)?;
    Some(Decimal::new(i64::try_from(tenths).ok()?, 1).normalize())
}

/// What to do, in one sentence. `left` are the seconds until the period ends.
fn advice(budget: &Budget, state: &State, left: i64) -> String {
    let end = state.period_end.format("%Y-%m-%d %H:%M UTC");
    if state.status == BudgetStatus::Exceeded {
        let over = -state.remaining;
        let how = if over == Amount::ZERO { "Used up".to_owned() } else { format!("Exceeded by {over}") };
        let rolling =
            if budget.period.is_rolling() { "as old spend leaves the window".to_owned() } else { format!("on {end}") };
        return if budget.hard_limit && is_crossed(state.used, state.amount, budget.hard_limit_percent) {
            format!("{how}: calls that are not critical are refused. Raise the amount or wait; it frees {rolling}.")
        } else {
            format!(
                "{how}, and nothing is refused. Raise the amount, make it a hard limit or move to cheaper models; it frees {rolling}."
            )
        };
    }
    match (state.projected, state.days_until_exhausted) {
        (_, Some(days)) if is_sooner(days, left) => {
            format!(
                "At this pace it is used up in {days} days, before the period ends on {end}. Lower the pace or raise the amount."
            )
        }
        (Some(_), Some(_)) => "On pace to stay within the amount.".to_owned(),
        _ if budget.period.is_rolling() && state.status != BudgetStatus::Ok => {
            format!("Only {} left in the window; it frees as old spend leaves it.", state.remaining)
        }
        _ if state.used <= Amount::ZERO => "Nothing is spent yet.".to_owned(),
        _ => "Within the amount.".to_owned(),
    }
}

fn is_sooner(days: Decimal, left: i64) -> bool {
    days.saturating_mul(Decimal::from(86_400)) < Decimal::from(left)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
