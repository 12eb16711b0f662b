//! Quiet hours: a time in, the time at which a message may leave out. Local time of an IANA zone decides, across changes
//! of the clocks too.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use spendstream_schemas::config::notify::QuietConfig;

/// The end of the quiet hours that `now` lies in, or `now` when it lies in none.
#[must_use]
pub fn earliest(quiet: &QuietConfig, now: DateTime<Utc>) -> DateTime<Utc> {
    let today = now.with_timezone(&quiet.timezone).date_naive();
    let days = [today.checked_sub_days(Days::new(1)), Some(today)];
    days.into_iter()
        .flatten()
        .filter_map(|day| hours(quiet, day))
        .filter(|(from, until)| *from <= now && now < *until)
        .map(|(_, until)| until)
        .max()
        .unwrap_or(now)
}

/// The quiet hours that begin on `day`.
fn hours(quiet: &QuietConfig, day: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    if !quiet.days.is_empty() && !quiet.days.contains(&day.weekday()) {
        return None;
    }
    let last = if quiet.until <= quiet.from { day.checked_add_days(Days::new(1))? } else { day };
    Some((instant(quiet.timezone, day.and_time(quiet.from))?, instant(quiet.timezone, last.and_time(quiet.until))?))
}

/// A local time as an instant: the first of two, and where the clocks skip it, the first after the gap.
fn instant(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    (0..=24 * 4).find_map(|quarter| {
        let local = local.checked_add_signed(TimeDelta::minutes(15 * quarter))?;
        zone.from_local_datetime(&local).earliest().map(|instant| instant.with_timezone(&Utc))
    })
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::config::notify::QuietConfig;

    use super::earliest;

    fn check(quiet: &str, now: &str, expected: &str) {
        let quiet: QuietConfig = serde_json::from_str(quiet).unwrap();
        assert_eq!(
            earliest(&quiet, now.parse().unwrap()),
            expected.parse::<chrono::DateTime<chrono::Utc>>().unwrap(),
            "{now}"
        );
    }

    const BERLIN: &str = r#"{"from": "22:00", "until": "07:00", "timezone": "Europe/Berlin"}"#;

    #[test]
    fn nights_end_in_the_morning() {
        check(BERLIN, "2026-06-10T19:59:59Z", "2026-06-10T19:59:59Z");
        check(BERLIN, "2026-06-10T20:00:00Z", "2026-06-11T05:00:00Z");
        check(BERLIN, "2026-06-11T04:59:59Z", "2026-06-11T05:00:00Z");
        check(BERLIN, "2026-06-11T05:00:00Z", "2026-06-11T05:00:00Z");
        check(
            r#"{"from": "12:30", "until": "13:00", "timezone": "Asia/Kolkata"}"#,
            "2026-06-10T07:10:00Z",
            "2026-06-10T07:30:00Z",
        );
    }

    #[test]
    fn clocks_change_in_the_night() {
        check(BERLIN, "2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z");
        check(BERLIN, "2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z");
        // 02:30 does not exist on 29 March; 03:00 summer time is the first after it.
        check(
            r#"{"from": "22:00", "until": "02:30", "timezone": "Europe/Berlin"}"#,
            "2026-03-29T00:30:00Z",
            "2026-03-29T01:00:00Z",
        );
    }

    #[test]
    fn only_on_some_days() {
        let weekend = r#"{"from": "22:00", "until": "07:00", "timezone": "UTC", "days": ["fri"]}"#;
        check(weekend, "2026-06-12T23:00:00Z", "2026-06-13T07:00:00Z");
        check(weekend, "2026-06-13T06:00:00Z", "2026-06-13T07:00:00Z");
        check(weekend, "2026-06-13T23:00:00Z", "2026-06-13T23:00:00Z");
    }
}
