//! Which days an export is of. In: words of a request. Out: a [`Period`] of whole days in UTC, or what is wrong with them. Pure.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime};

/// So many days one export may have: two leap years.
const MOST_DAYS: i64 = 732;

/// Whole days, UTC; `to` is not one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    from: NaiveDate,
    to: NaiveDate,
}

impl Period {
    /// A month, `2026-10`, or the days from one up to and without another.
    ///
    /// # Errors
    /// One line when neither or both are named, or the days are none.
    pub fn of(month: Option<&str>, from: Option<NaiveDate>, to: Option<NaiveDate>) -> Result<Self, String> {
        let period = match (month, from, to) {
            (Some(month), None, None) => Self::month(month)?,
            (None, Some(from), Some(to)) => Self { from, to },
            _ => {
                return Err(
                    "name a month (2026-10), or both from and to (2026-10-01, 2026-11-01; to is excluded)".to_owned()
                );
            }
        };
        let days = (period.to - period.from).num_days();
        if (1..=MOST_DAYS).contains(&days) {
            return Ok(period);
        }
        Err(format!("from {} up to {} are {days} days; an export has 1 to {MOST_DAYS}", period.from, period.to))
    }

    fn month(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no month; write 2026-10");
        let from: NaiveDate = format!("{text}-01").parse().map_err(|_| wrong())?;
        let to = from.checked_add_months(Months::new(1)).ok_or_else(wrong)?;
        Ok(Self { from, to })
    }

    #[must_use]
    pub fn from(self) -> NaiveDate {
        self.from
    }

    /// The first day that is not in it.
    #[must_use]
    pub fn to(self) -> NaiveDate {
        self.to
    }

    /// Its days, the first first.
    pub fn days(self) -> impl Iterator<Item = NaiveDate> + use<> {
        let to = self.to;
        self.from.iter_days().take_while(move |day| *day < to)
    }
}

/// How long the periods of charges are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Granularity {
    #[default]
    Day,
    Hour,
}

impl Granularity {
    /// The word in requests and in SQL.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Hour => "hour",
        }
    }

    /// The granularity of that name.
    ///
    /// # Errors
    /// One line when there is none.
    pub fn by_name(name: &str) -> Result<Self, String> {
        let known = [Self::Day, Self::Hour].into_iter().find(|known| known.word() == name);
        known.ok_or_else(|| format!("there is no granularity '{name}'; there are day and hour"))
    }

    /// Microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        match self {
            Self::Day => 86_400_000_000,
            Self::Hour => 3_600_000_000,
        }
    }
}

/// The calendar month (UTC) of a time: start and end in microseconds since the epoch.
#[must_use]
pub fn month_of(micros: i64) -> (i64, i64) {
    let day = DateTime::from_timestamp_micros(micros).unwrap_or_default().date_naive();
    let first = day.with_day(1).unwrap_or(day);
    let next = first.checked_add_months(Months::new(1)).unwrap_or(first);
    (at_midnight(first), at_midnight(next))
}

/// The start of a day, microseconds since the epoch.
#[must_use]
pub fn at_midnight(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp_micros()
}

#[cfg(test)]
mod tests {
    use super::{Period, at_midnight, month_of};

    #[test]
    fn a_month_is_its_days() {
        let month = Period::of(Some("2026-02"), None, None).unwrap();
        assert_eq!(month.days().count(), 28);
        assert_eq!(month, Period::of(None, "2026-02-01".parse().ok(), "2026-03-01".parse().ok()).unwrap());
        let (start, end) = month_of(at_midnight("2026-02-17".parse().unwrap()));
        assert_eq!((start, end), (at_midnight(month.from()), at_midnight(month.to())));
    }

    #[test]
    fn words_that_are_no_period_are_refused() {
        let day = |text: &str| text.parse().ok();
        for (month, from, to) in [
            (None, None, None),
            (Some("2026-10"), day("2026-10-01"), None),
            (Some("October"), None, None),
            (None, day("2026-10-01"), day("2026-10-01")),
            (None, day("2020-01-01"), day("2026-01-01")),
        ] {
            assert!(Period::of(month, from, to).is_err(), "{month:?} {from:?} {to:?}");
        }
    }
}
