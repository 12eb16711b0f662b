//! Periods in a time zone: a quarter-hour comes in, the span of the period that contains it goes out.
//!
//! Calendar spans tile time: one ends where the next begins, however clocks are moved. A rolling span ends with the
//! quarter-hour it is asked for.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, MappedLocalTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::quarter::{Quarter, Span};

/// The longest rolling period, in quarter-hours: 31 days. Its quarter-hours are all kept in memory.
pub const MAX_ROLLING: u32 = 31 * 96;

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    Daily,
    /// From Monday, or from the weekday of `starts_on`.
    Weekly,
    /// From the first, or from the day of `starts_on`, in a shorter month its last day.
    Monthly,
    Quarterly,
    Yearly,
    /// The last so many quarter-hours, 1 to [`MAX_ROLLING`].
    Rolling(u32),
}

/// A text that names no period.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PeriodError {
    #[error("'{0}' is no period; write daily, weekly, monthly, quarterly, yearly or a duration such as PT24H or P7D")]
    Unknown(String),
    #[error("'{0}' is not a whole number of quarter-hours; a rolling period moves by 15 minutes")]
    NotQuarters(String),
    #[error(
        "'{0}' is out of range; a rolling period has 15 minutes to 31 days, longer ones are monthly, quarterly or yearly"
    )]
    Range(String),
}

const CALENDAR: [(&str, Period); 5] = [
    ("daily", Period::Daily),
    ("weekly", Period::Weekly),
    ("monthly", Period::Monthly),
    ("quarterly", Period::Quarterly),
    ("yearly", Period::Yearly),
];

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        if let Some((_, period)) = CALENDAR.iter().find(|(name, _)| *name == text) {
            return Ok(*period);
        }
        let minutes = minutes(text).ok_or_else(|| PeriodError::Unknown(text.to_owned()))?;
        if !minutes.is_multiple_of(15) {
            return Err(PeriodError::NotQuarters(text.to_owned()));
        }
        match u32::try_from(minutes / 15) {
            Ok(quarters @ 1..=MAX_ROLLING) => Ok(Self::Rolling(quarters)),
            _ => Err(PeriodError::Range(text.to_owned())),
        }
    }
}

/// `P1W`, `P1DT12H`, `PT90M` in minutes; months and years have no fixed length and are refused.
fn minutes(text: &str) -> Option<u64> {
    let rest = text.strip_prefix('P')?;
    let (date, time) = rest.split_once('T').map_or((rest, None), |(date, time)| (date, Some(time)));
    let dates = parts(date, &[('W', 7 * 24 * 60), ('D', 24 * 60)])?;
    let times = time.map_or(Some(None), |time| parts(time, &[('H', 60), ('M', 1)]).map(Some))?;
    // An empty side is only allowed before the T, and not both.
    match (date.is_empty(), times) {
        (false, None) => Some(dates),
        (_, Some(times)) if time.is_some_and(|time| !time.is_empty()) => dates.checked_add(times),
        _ => None,
    }
}

/// The sum of `12H30M` with the given units, in their order.
fn parts(mut text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut sum = 0_u64;
    for (unit, minutes) in units {
        if let Some((number, rest)) = text.split_once(*unit) {
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(*minutes)?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(sum)
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Rolling(quarters) = self {
            let (hours, rest) = (quarters / 4, quarters % 4 * 15);
            return match (hours, rest) {
                (_, 0) => write!(out, "PT{hours}H"),
                (0, _) => write!(out, "PT{rest}M"),
                _ => write!(out, "PT{hours}H{rest}M"),
            };
        }
        out.write_str(CALENDAR.iter().find(|(_, period)| period == self).map_or("", |(name, _)| name))
    }
}

/// A period with its zone and anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeriodRule {
    #[serde(with = "text")]
    pub period: Period,
    /// Its midnights are where calendar periods begin; a rolling one needs none.
    #[serde(with = "text")]
    pub timezone: Tz,
    /// A day on which some period begins, before or after today. `None`: Monday, the first of the month, 1 January.
    pub starts_on: Option<NaiveDate>,
}

impl PeriodRule {
    /// The span that contains `at`; for a rolling period the one that ends with `at`.
    #[must_use]
    pub fn span(&self, at: Quarter) -> Span {
        if let Period::Rolling(quarters) = self.period {
            let to = at.plus(1);
            return Span { from: to.plus(-i32::try_from(quarters).unwrap_or(i32::MAX)), to };
        }
        let mut number = self.number(at.start().with_timezone(&self.timezone).date_naive());
        // The number is that of the local date; an anchor later in the month, or a clock that was moved around midnight,
        // makes it one off.
        for _ in 0..2 {
            if at >= self.start(number + 1) {
                number += 1;
            } else if at < self.start(number) {
                number -= 1;
            }
        }
        Span { from: self.start(number), to: self.start(number + 1) }
    }

    /// The span after one of this rule.
    #[must_use]
    pub fn next(&self, span: Span) -> Span {
        self.span(span.to)
    }

    /// The span before one of this rule.
    #[must_use]
    pub fn previous(&self, span: Span) -> Span {
        match self.period {
            Period::Rolling(_) => self.span(span.to.plus(-2)),
            _ => self.span(span.from.plus(-1)),
        }
    }

    /// Whether spans move with every quarter-hour.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        matches!(self.period, Period::Rolling(_))
    }

    /// The number of the period that a local date lies in, give or take one.
    fn number(&self, date: NaiveDate) -> i32 {
        let months = date.year() * 12 + date.month0().cast_signed();
        match self.period {
            Period::Daily | Period::Rolling(_) => date.num_days_from_ce(),
            Period::Weekly => (date.num_days_from_ce() - 1 - self.weekday()).div_euclid(7),
            Period::Monthly => months,
            Period::Quarterly => (months - self.month0()).div_euclid(3),
            Period::Yearly => (months - self.month0()).div_euclid(12),
        }
    }

    /// The first quarter-hour of the period with that number.
    fn start(&self, number: i32) -> Quarter {
        midnight(
            self.timezone,
            match self.period {
                Period::Daily | Period::Rolling(_) => day(number),
                Period::Weekly => day(number * 7 + 1 + self.weekday()),
                Period::Monthly => self.day_of_month(number),
                Period::Quarterly => self.day_of_month(number * 3 + self.month0()),
                Period::Yearly => self.day_of_month(number * 12 + self.month0()),
            },
        )
    }

    /// Days from Monday to the weekday on which weeks begin.
    fn weekday(&self) -> i32 {
        self.starts_on.map_or(0, |date| date.weekday().num_days_from_monday().cast_signed())
    }

    /// January is 0.
    fn month0(&self) -> i32 {
        self.starts_on.map_or(0, |date| date.month0().cast_signed())
    }

    /// The day of `starts_on` in the month with that number (year × 12 + month), or the month's last day.
    fn day_of_month(&self, month: i32) -> NaiveDate {
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12).cast_unsigned() + 1);
        let day = self.starts_on.map_or(1, |date| date.day());
        let date = (0..4).find_map(|fewer| NaiveDate::from_ymd_opt(year, month, day.saturating_sub(fewer)));
        date.unwrap_or(if year < 0 { NaiveDate::MIN } else { NaiveDate::MAX })
    }
}

fn day(number: i32) -> NaiveDate {
    NaiveDate::from_num_days_from_ce_opt(number).unwrap_or(if number < 0 { NaiveDate::MIN } else { NaiveDate::MAX })
}

/// The first instant of a local date. Where clocks jump over midnight it is the instant of the jump, where midnight comes
/// twice the first of both.
#[must_use]
pub fn midnight(zone: Tz, date: NaiveDate) -> Quarter {
    let midnight = date.and_time(NaiveTime::MIN);
    // A whole day can be missing: Samoa had no 30 December 2011.
    let existing = (0..=104).find_map(|quarters| {
        let local = midnight.checked_add_signed(TimeDelta::minutes(15 * quarters))?;
        match zone.from_local_datetime(&local) {
            MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => Some(time.with_timezone(&Utc)),
            MappedLocalTime::None => None,
        }
    });
    Quarter::of(existing.unwrap_or_else(|| midnight.and_utc()))
}

/// Values that are written as their text.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[path = "period_tests.rs"]
mod tests;
