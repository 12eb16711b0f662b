//! A calendar month in a time zone. In: `2026-10`; out: when it begins and ends. Pure.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// Written `2026-10`, and ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i32,
    month: u32,
}

impl Month {
    /// The month that a moment lies in.
    #[must_use]
    pub fn of(time: DateTime<Utc>, zone: Tz) -> Self {
        let local = time.with_timezone(&zone);
        Self { year: local.year(), month: local.month() }
    }

    /// The month after.
    #[must_use]
    pub fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year + 1, month: 1 },
            month => Self { month: month + 1, ..self },
        }
    }

    /// Its first moment.
    #[must_use]
    pub fn start(self, zone: Tz) -> DateTime<Utc> {
        let midnight =
            NaiveDate::from_ymd_opt(self.year, self.month, 1).unwrap_or_default().and_time(chrono::NaiveTime::MIN);
        // A midnight that the clocks leave out begins an hour later.
        let found = (0..4)
            .find_map(|quarter| zone.from_local_datetime(&(midnight + TimeDelta::minutes(30 * quarter))).earliest());
        found.map_or_else(|| midnight.and_utc(), |time| time.to_utc())
    }

    /// From its first moment up to and without the first of the next.
    #[must_use]
    pub fn span(self, zone: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
        (self.start(zone), self.next().start(zone))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no month; write it as 2026-10");
        let (year, month) =
            text.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2).ok_or_else(wrong)?;
        let (year, month) = (year.parse().map_err(|_| wrong())?, month.parse().map_err(|_| wrong())?);
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
            return Err(wrong());
        }
        Ok(Self { year, month })
    }
}

impl TryFrom<String> for Month {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::Month;

    #[test]
    fn months_begin_where_the_zone_says() {
        for (month, zone, start, end) in [
            ("2026-10", Tz::UTC, "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
            ("2026-10", Tz::Europe__Berlin, "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
            ("2026-12", Tz::America__New_York, "2026-12-01T05:00:00Z", "2027-01-01T05:00:00Z"),
        ] {
            let parsed: Month = month.parse().unwrap();
            assert_eq!(parsed.to_string(), month);
            let (from, to) = parsed.span(zone);
            assert_eq!(
                (from.to_rfc3339(), to.to_rfc3339()),
                (start.replace('Z', "+00:00"), end.replace('Z', "+00:00"))
            );
            assert_eq!((Month::of(from, zone), Month::of(to, zone)), (parsed, parsed.next()));
        }
        for wrong in ["2026", "2026-13", "2026-1", "10-2026", "2026-00", ""] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }
}
