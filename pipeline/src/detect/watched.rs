//! One scope's hourly spend, watched: the simple rule and the seasonal detector together. In go exact costs of hours in order, out come the
//! hours that are news and the end of what was news. Pure: fed the same hours again it says the same again.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use spendstream_schemas::money::{Amount, SCALE};

use super::rule::{HourlyMean, Rule};
use super::series::Series;
use super::settings::Settings;
use super::verdict::Kind;

/// An hour, counted from the epoch in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hour(pub i64);

impl Hour {
    /// The hour of a moment.
    #[must_use]
    pub fn of(at: DateTime<Utc>) -> Self {
        Self(at.timestamp().div_euclid(3_600))
    }

    #[must_use]
    pub fn start(self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(self.0)
    }

    #[must_use]
    pub fn plus(self, hours: i64) -> Self {
        Self(self.0 + hours)
    }
}

/// How hours are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judging {
    pub rule: Rule,
    pub settings: Settings,
    /// Hours that the mean is taken over.
    pub window: usize,
    pub currency: String,
}

/// Which of the two spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Too many times the hourly mean.
    HourlyMean,
    Seasonal(Kind),
}

impl By {
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::HourlyMean => "hourly_mean",
            Self::Seasonal(Kind::Spike) => "spike",
            Self::Seasonal(Kind::Drop) => "drop",
            Self::Seasonal(Kind::LevelUp) => "level_up",
            Self::Seasonal(Kind::LevelDown) => "level_down",
            Self::Seasonal(Kind::Unsteady) => "unsteady",
        }
    }
}

/// An hour that is news.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub hour: Hour,
    pub by: By,
    pub cost: Amount,
    /// The mean of the hours before, in exact money.
    pub mean: Amount,
    /// What the figure was compared with: the least that is too much, or the end of the usual range.
    pub threshold: Amount,
    /// Whether more was spent than usual, or less.
    pub is_above: bool,
    pub reason: String,
}

/// What one hour said.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    Begun(Finding),
    /// What began in that hour is over.
    Over {
        since: Hour,
    },
}

/// What has begun and is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    since: Hour,
    /// The most that was told.
    told: Amount,
    /// Whether it was told as critical.
    critical: bool,
}

/// See the module. At most [`Series::BYTES`] and 16 bytes per hour of the window.
#[derive(Clone, Debug)]
pub struct Watched {
    series: Series,
    hours: VecDeque<Amount>,
    mean: HourlyMean,
    open: Option<Open>,
}

impl Watched {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self { series: Series::default(), hours: VecDeque::new(), mean: HourlyMean::default(), open: None }
    }

    /// Takes an hour that is over, quiet ones included. In order, without gaps.
    pub fn learn(&mut self, hour: Hour, cost: Amount, judging: &Judging) -> Option<News> {
        let breach = judging.rule.judge(cost, self.mean).filter(|_| !self.is_usual_then(cost));
        let judgement = self.series.observe(hour.start(), figure(cost), &judging.settings);
        let mean = self.mean();
        self.remember(cost, judging.window);
        let since = self.open.map_or(hour, |open| open.since);
        let critical = is_critical(cost, mean);
        let is_more = |cost: Amount| {
            let more = |open: Open| cost.units() > open.told.units().saturating_mul(2) || (critical && !open.critical);
            self.open.is_none_or(more)
        };
        let finding = match (breach, judgement.verdict) {
            (Some(breach), _) if is_more(cost) => Some(Finding {
                hour,
                by: By::HourlyMean,
                cost,
                mean,
                threshold: breach.limit,
                is_above: true,
                reason: breach.reason(&judging.currency),
            }),
            (_, Some(verdict)) => {
                let is_above = verdict.figure > verdict.expected;
                Some(Finding {
                    hour,
                    by: By::Seasonal(verdict.kind),
                    cost,
                    mean,
                    threshold: shown(if is_above { verdict.high } else { verdict.low.max(0.0) }),
                    is_above,
                    reason: verdict.reason(&judging.currency),
                })
            }
            _ => None,
        };
        if let Some(finding) = finding {
            let told = self.open.map_or(cost, |open| open.told.max(cost));
            let critical = self.open.is_some_and(|open| open.critical) || (finding.is_above && critical);
            self.open = Some(Open { since, told, critical });
            return Some(News::Begun(finding));
        }
        if breach.is_none() && !judgement.ongoing {
            return self.open.take().map(|open| News::Over { since: open.since });
        }
        None
    }

    /// Judges hours that may still grow, after those that were learnt, in order. Only more than usual is told: the rest of a drop may come.
    #[must_use]
    pub fn peek(&self, hours: impl IntoIterator<Item = (Hour, Amount)>, judging: &Judging) -> Vec<Finding> {
        let mut trial = self.clone();
        let news = hours.into_iter().filter_map(|(hour, cost)| trial.learn(hour, cost, judging));
        let found = news.filter_map(|news| match news {
            News::Begun(finding) => Some(finding),
            News::Over { .. } => None,
        });
        found.filter(|finding| finding.is_above && finding.by != By::Seasonal(Kind::Unsteady)).collect()
    }

    /// The mean of the hours that are remembered.
    #[must_use]
    pub fn mean(&self) -> Amount {
        super::cause::expected(self.mean.cost, self.mean.hours).unwrap_or(Amount::ZERO)
    }

    /// Hours that the mean is of.
    #[must_use]
    pub fn hours(&self) -> u32 {
        self.mean.hours
    }

    /// Hours that cost something.
    #[must_use]
    pub fn busy_hours(&self) -> usize {
        self.hours.iter().filter(|cost| **cost > Amount::ZERO).count()
    }

    /// Whether an hour at this time of day cost nearly as much on two of the last seven days, or of the last four such weekdays: a nightly batch is
    /// many times the mean, and no news. An hour sooner or later is the same, for clocks change.
    fn is_usual_then(&self, cost: Amount) -> bool {
        let is_near = |back: usize| {
            let costs = (back - 1..=back + 1).filter_map(|back| self.hours.get(self.hours.len().checked_sub(back)?));
            costs.map(|then| then.units()).any(|then| then.saturating_mul(3) >= cost.units().saturating_mul(2))
        };
        let days = (1..=7).filter(|days| is_near(24 * days)).count();
        days >= 2 || (1..=4).filter(|weeks| is_near(24 * 7 * weeks)).count() >= 2
    }

    /// Whether something was told and is not over.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn remember(&mut self, cost: Amount, window: usize) {
        // A sum beyond what an amount can be is no mean to compare with: the rule rests until it fits again.
        if self.mean.add(cost).is_err() {
            self.hours.clear();
            self.mean = HourlyMean::default();
            return;
        }
        self.hours.push_back(cost);
        while self.hours.len() > window {
            if let Some(oldest) = self.hours.pop_front() {
                self.mean.remove(oldest);
            }
        }
    }
}

impl Default for Watched {
    fn default() -> Self {
        Self::new()
    }
}

/// More than so many times the mean is critical.
pub const CRITICAL_TIMES: i128 = 10;

/// Whether an hour costs far more than the mean.
#[must_use]
pub fn is_critical(cost: Amount, mean: Amount) -> bool {
    cost.units() > mean.units().saturating_mul(CRITICAL_TIMES)
}

/// An amount for statistics, never to be money again.
#[must_use]
pub fn figure(cost: Amount) -> f64 {
    Decimal::from_i128_with_scale(cost.units(), SCALE.unsigned_abs().into()).to_f64().unwrap_or(f64::NAN)
}

/// The end of a usual range, to show: an estimate, four digits.
fn shown(figure: f64) -> Amount {
    let decimal = Decimal::from_f64_retain(figure).unwrap_or_default();
    let digits = decimal.round_sf(4).unwrap_or(decimal);
    Amount::from_decimal(digits).unwrap_or(Amount::ZERO)
}

#[cfg(test)]
#[path = "watched_tests.rs"]
mod tests;
