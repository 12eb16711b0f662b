//! Which thresholds a sum has reached. In: a sum that changed, or the time that passed; out: alerts, each with the id that lets it fire
//! once. Pure.
//!
//! Asked twice, it finds the same: every threshold that is reached now, by the live sum. The control store's unique insert decides
//! whether that is news; the memory here only spares it questions that were asked before, and knows what can recover. It is
//! bounded: at the limit it is emptied, and the store is asked again. Now and then it is compared with what the store knows, which other
//! instances and the end of a budget have a part in ([`Crossings::recall`]).
//!
//! Sums that are not known are not judged. Periods that ended before the watermark less the lateness are closed: a late event
//! still counts in them, but raises nothing. A rolling budget that stays above a threshold says so once per window length.
//!
//! A sum may fall for a moment: what a dead instance had read and not committed is read again by another. So a threshold has recovered
//! once it was seen below for [`SETTLED`], or at once when the budget itself was changed.

use chrono::{DateTime, TimeDelta, Utc};
use hashbrown::HashMap;
use rust_decimal::Decimal;
use spendstream_schemas::alert::{Alert, Basis, Kind};
use spendstream_schemas::budget::state::forecast_crossed;
use spendstream_schemas::budget::{Budget, Period, Quarter, Span, State, crossed, is_crossed, state};
use spendstream_schemas::money::Amount;
use xxhash_rust::xxh3::xxh3_128;

use super::book::{Book, BudgetCell, Entry};
use super::notice::{self, Case};
use super::standing::{Ground, Standing};
use crate::aggregate::plan::WatchId;

/// How long a sum is below a threshold before that is told.
const SETTLED: TimeDelta = TimeDelta::minutes(1);

/// What is seen at one moment.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    pub ground: Ground<'a>,
    pub now: DateTime<Utc>,
    /// Periods that ended at or before this are closed: the watermark less the allowed lateness.
    pub closed: DateTime<Utc>,
}

/// One sum: the values of a watch, and when its newest event was.
#[derive(Clone, Copy, Debug)]
pub struct Sum<'a> {
    pub watch: WatchId,
    pub values: &'a [Option<&'a str>],
    pub event_time: DateTime<Utc>,
}

/// A threshold that was raised.
#[derive(Clone, Copy, Debug)]
struct Raised {
    revision: i64,
    /// Of a rolling window: the one that it was raised in last.
    occurrence: Quarter,
    limit: Amount,
    /// Microseconds since the epoch.
    at: i64,
    below_since: Option<DateTime<Utc>>,
}

/// See the module.
#[derive(Debug)]
pub struct Crossings {
    raised: HashMap<u128, Raised>,
    max: usize,
}

impl Crossings {
    /// Remembers up to `max` raised thresholds, 80 bytes each and as much again for the table.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { raised: HashMap::new(), max }
    }

    /// The sum of a bucket (its first quarter-hour) has changed.
    pub fn touched(&mut self, sight: &Sight<'_>, sum: Sum<'_>, bucket: Quarter) -> Vec<Alert> {
        let mut alerts = Vec::new();
        self.each(sight, sum, &mut alerts, |entry| {
            let now = Quarter::of(sight.now);
            // A rolling window is that of now, if the bucket is in it; a calendar period is the one of the bucket.
            let at = if entry.budget.period.is_rolling() { now } else { bucket };
            entry.budget.period.span(at).contains(bucket).then_some(at)
        });
        alerts
    }

    /// Time has passed or a budget has changed: the period of these values that `at` is in, its forecast included.
    pub fn tick(&mut self, sight: &Sight<'_>, sum: Sum<'_>, at: Quarter) -> Vec<Alert> {
        let mut alerts = Vec::new();
        self.each(sight, sum, &mut alerts, |_| Some(at));
        alerts
    }

    /// Compares what is remembered with what the store knows: of each threshold its newest alert, told or taken back. What was told before this
    /// process started, or by another one, can recover here from now on; what is remembered already stays. What is reached here and was taken
    /// back since is news again. Whether any of it is to be judged anew.
    pub fn recall(&mut self, book: &Book, known: &[Alert]) -> bool {
        let positions = positions(book);
        let mut is_news = false;
        for alert in known {
            let Some(told) = Told::of(alert) else { continue };
            let Some(entry) = told.budget.and_then(|id| book.entries().get(*positions.get(id)?)) else { continue };
            let period = entry.budget.period;
            if alert.is_period_over() || period.is_rolling() != told.is_rolling {
                continue;
            }
            let values: Vec<Option<&str>> = book.keys(entry).keys().iter().map(|key| alert.scope.get(key)).collect();
            let span = || match alert.period_end {
                Some(end) => Span { from: told.occurrence, to: Quarter::of(end) },
                None => period.span(told.occurrence),
            };
            let key = key(entry.cell(&values), (!told.is_rolling).then(span), told.basis, told.threshold);
            let at = alert.seen().timestamp_micros();
            if alert.kind == Kind::Recovery {
                let is_reached = |raised: &Raised| raised.below_since.is_none() && raised.at < at;
                if self.raised.get(&key).is_some_and(is_reached) {
                    self.raised.remove(&key);
                    is_news = true;
                }
            } else if self.raised.len() < self.max && !self.raised.contains_key(&key) {
                let Told { revision, occurrence, limit, .. } = told;
                self.raised.insert(key, Raised { revision, occurrence, limit, at, below_since: None });
                is_news = true;
            }
        }
        is_news
    }

    /// Forgets what was raised and is still reached: the store is asked again. What is about to recover stays.
    pub fn forget(&mut self) {
        self.raised.retain(|_, raised| raised.below_since.is_some());
    }

    fn each(
        &mut self,
        sight: &Sight<'_>,
        sum: Sum<'_>,
        alerts: &mut Vec<Alert>,
        at: impl Fn(&Entry) -> Option<Quarter>,
    ) {
        let book = sight.ground.book;
        let Some(set) = book.set_of(sum.watch) else { return };
        for position in book.matches(set, sum.values, sight.now) {
            let entry = &book.entries()[position];
            if entry.watch != Some(sum.watch) {
                continue;
            }
            if let Some(at) = at(entry) {
                self.judge(sight, sum, entry, at, alerts);
            }
        }
    }

    fn judge(&mut self, sight: &Sight<'_>, sum: Sum<'_>, entry: &Entry, at: Quarter, alerts: &mut Vec<Alert>) {
        let Ok(mut standing) = sight.ground.standing(entry, sum.values, at) else { return };
        if let Some(since) = sight.ground.resets.since(entry, entry.cell(sum.values), standing.span) {
            standing.used = since;
        }
        if standing.span.end() <= sight.closed {
            return;
        }
        let budget = &*entry.budget;
        // A period that was over before the budget was what it is now is not judged by it afterwards.
        let since = budget.valid_from.map_or(budget.updated_at, |from| from.max(budget.updated_at));
        if !standing.span.contains(Quarter::of(sight.now)) && since >= standing.span.end() {
            return;
        }
        let cell = entry.cell(sum.values);
        let stands = state(budget, standing.limit, standing.used, Amount::ZERO, standing.span, sight.now);
        let occurrence = occurrence(budget, standing);
        let period = (!budget.period.is_rolling()).then_some(standing.span);
        let mut compare = |basis, value, threshold, is_reached| {
            let key = key(cell, period, basis, threshold);
            let case = |at: Quarter| Case {
                entry,
                sum,
                standing,
                occurrence: at.start(),
                basis,
                value,
                threshold,
                now: sight.now,
            };
            let (revision, limit, at) = (budget.revision, standing.limit, sight.now.timestamp_micros());
            let raised = Raised { revision, occurrence, limit, at, below_since: None };
            if is_reached {
                if self.is_new(key, raised) {
                    alerts.push(notice::reached(&case(occurrence), &sight.ground));
                }
            } else if let Some(told) = self.has_recovered(key, raised, sight.now) {
                // A rolling window may clear in another window length than it was told in last.
                alerts.push(notice::recovered(&case(told.occurrence), &sight.ground));
            }
        };
        for threshold in &budget.thresholds {
            compare(Basis::Actual, standing.used, *threshold, is_crossed(standing.used, standing.limit, *threshold));
        }
        forecasts(budget, &stands, sight.now, &mut compare);
    }

    fn is_new(&mut self, key: u128, now: Raised) -> bool {
        if self.raised.len() >= self.max && !self.raised.contains_key(&key) {
            self.raised.clear();
        }
        let same = |raised: &&Raised| (raised.revision, raised.occurrence) == (now.revision, now.occurrence);
        let since = self.raised.get(&key).filter(same).map(|raised| raised.at);
        self.raised.insert(key, Raised { at: since.unwrap_or(now.at), ..now });
        since.is_none()
    }

    /// A threshold is not reached: what was told of it, if that is settled now.
    fn has_recovered(&mut self, key: u128, seen: Raised, now: DateTime<Utc>) -> Option<Raised> {
        let raised = self.raised.get_mut(&key)?;
        let is_changed = (raised.revision, raised.limit) != (seen.revision, seen.limit);
        let is_over = is_changed || now - *raised.below_since.get_or_insert(now) >= SETTLED;
        is_over.then(|| self.raised.remove(&key)).flatten()
    }
}

/// Where each budget of a book is, by its id.
fn positions(book: &Book) -> HashMap<&str, usize> {
    book.entries().iter().enumerate().map(|(at, entry)| (&*entry.budget.id, at)).collect()
}

/// Of alerts about budgets, which thresholds are still watched: where nothing is, nothing will find that it recovers.
pub struct Watched<'b> {
    book: &'b Book,
    positions: HashMap<&'b str, usize>,
}

impl<'b> Watched<'b> {
    #[must_use]
    pub fn new(book: &'b Book) -> Self {
        Self { positions: positions(book), book }
    }

    /// Whether the budget is in force, has that threshold and such a period, and counts that scope: it may have another scope by now, or
    /// be one per value and another names this one.
    #[must_use]
    pub fn has(&self, alert: &Alert, now: DateTime<Utc>) -> bool {
        let Some(told) = Told::of(alert) else { return true };
        let Some(position) = told.budget.and_then(|id| self.positions.get(id)).copied() else { return false };
        let entry = &self.book.entries()[position];
        let (budget, keys) = (&entry.budget, self.book.keys(entry).keys());
        let thresholds = if told.basis == Basis::Forecast { &budget.forecast_thresholds } else { &budget.thresholds };
        let span = budget.period.span(told.occurrence);
        let is_same_period = told.is_rolling == budget.period.is_rolling()
            && (told.is_rolling || (span.from == told.occurrence && alert.period_end == Some(span.end())));
        let values: Vec<Option<&str>> = keys.iter().map(|key| alert.scope.get(key)).collect();
        thresholds.contains(&told.threshold)
            && is_same_period
            && alert.scope.iter().map(|(key, _)| key).eq(keys)
            && self.book.matches(entry.set, &values, now).contains(&position)
    }
}

/// What the details of an alert about a budget say of it ([`notice`] writes them).
struct Told<'a> {
    budget: Option<&'a str>,
    occurrence: Quarter,
    is_rolling: bool,
    basis: Basis,
    threshold: Decimal,
    revision: i64,
    limit: Amount,
}

impl<'a> Told<'a> {
    fn of(alert: &'a Alert) -> Option<Self> {
        let text = |name: &str| alert.details.get(name)?.as_str();
        Some(Self {
            budget: alert.budget_id.as_deref(),
            occurrence: Quarter::of(text("occurrence")?.parse().ok()?),
            is_rolling: alert.is_rolling(),
            basis: if text("basis")? == "forecast" { Basis::Forecast } else { Basis::Actual },
            threshold: text("threshold_percent")?.parse().ok()?,
            revision: alert.details.get("revision")?.as_i64()?,
            limit: Amount::from_decimal(text("limit")?.parse().ok()?).ok()?,
        })
    }
}

/// Compares the projection with its thresholds once there is a pace to go by.
fn forecasts(
    budget: &Budget,
    stands: &State,
    now: DateTime<Utc>,
    compare: &mut impl FnMut(Basis, Amount, Decimal, bool),
) {
    let Some(projected) = stands.projected.filter(|_| !budget.forecast_thresholds.is_empty()) else { return };
    let reached = forecast_crossed(budget, stands, now);
    let by_pace: Vec<Decimal> = crossed(projected, stands.amount, &budget.forecast_thresholds).collect();
    for threshold in &budget.forecast_thresholds {
        // Too early to say is neither reached nor recovered.
        if reached.contains(threshold) || !by_pace.contains(threshold) {
            compare(Basis::Forecast, projected, *threshold, reached.contains(threshold));
        }
    }
}

/// The start of the period; of a rolling one, the start of the window length that the window ends in, counted from the epoch.
fn occurrence(budget: &Budget, standing: Standing) -> Quarter {
    match budget.period.period {
        Period::Rolling(quarters) => {
            let length = i32::try_from(quarters).unwrap_or(i32::MAX).max(1);
            Quarter(standing.span.to.plus(-1).0.div_euclid(length).saturating_mul(length))
        }
        _ => standing.span.from,
    }
}

/// Of all revisions of a budget alike: what one has raised, another may clear, unless its period is another. `period`: none for windows that
/// roll; what goes on is one thing, as the control store sees it.
fn key(cell: BudgetCell, period: Option<Span>, basis: Basis, threshold: Decimal) -> u128 {
    let (from, to) = period.map_or((i32::MIN, i32::MIN), |span| (span.from.0, span.to.0));
    let mut bytes = [0_u8; 45];
    bytes[..16].copy_from_slice(&cell.0.to_le_bytes());
    bytes[16..20].copy_from_slice(&from.to_le_bytes());
    bytes[20..24].copy_from_slice(&to.to_le_bytes());
    bytes[24..40].copy_from_slice(&threshold.normalize().mantissa().to_le_bytes());
    bytes[40..44].copy_from_slice(&threshold.normalize().scale().to_le_bytes());
    bytes[44] = u8::from(basis == Basis::Forecast);
    xxh3_128(&bytes)
}

#[cfg(test)]
#[path = "crossing_tests.rs"]
mod tests;
