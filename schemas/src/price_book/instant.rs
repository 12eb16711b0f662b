//! Points in time of a price book: a date (midnight UTC) or an RFC 3339 timestamp, as microseconds since the epoch.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat};

/// Microseconds of one day.
pub const DAY: i64 = 86_400_000_000;

/// Reads `2026-10-14` (00:00 UTC) or `2025-12-08T04:08:14Z`; `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    if text.len() == 10 {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        return Some(date.and_time(NaiveTime::MIN).and_utc().timestamp_micros());
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}

/// The shortest text that [`parse`] reads back.
#[must_use]
pub fn show(micros: i64) -> String {
    let Some(time) = DateTime::from_timestamp_micros(micros) else { return micros.to_string() };
    if micros.rem_euclid(DAY) == 0 {
        time.format("%Y-%m-%d").to_string()
    } else {
        time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, show};

    #[test]
    fn dates_and_timestamps_read_back() {
        for text in ["2026-10-14", "2025-12-08T04:08:14Z", "1969-12-31", "2025-12-08T04:08:14.000250Z"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        assert_eq!(parse("2026-09-10T06:00:00+02:00"), parse("2026-09-10T04:00:00Z"));
        for text in ["", "2026-13-01", "20261014", "2026-10-14T00:00:00", "soon"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
