//! Spans across changes of clocks, short months, leap years and anchors.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use proptest::prelude::*;

use super::{Period, PeriodRule};
use crate::budget::quarter::Quarter;

fn rule(period: &str, zone: &str, starts_on: &str) -> PeriodRule {
    PeriodRule {
        period: period.parse().unwrap(),
        timezone: zone.parse().unwrap(),
        starts_on: (!starts_on.is_empty()).then(|| starts_on.parse::<NaiveDate>().unwrap()),
    }
}

/// `at` and the expected bounds in RFC 3339.
fn check(rule: PeriodRule, at: &str, from: &str, to: &str) {
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let span = rule.span(Quarter::of(time(at)));
    assert_eq!((span.start(), span.end()), (time(from), time(to)), "{rule:?} at {at}");
}

#[test]
fn a_day_has_23_and_25_hours_when_clocks_change() {
    let berlin = rule("daily", "Europe/Berlin", "");
    check(berlin, "2026-03-29T00:30:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    check(berlin, "2026-03-29T21:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
    check(berlin, "2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z");
    check(berlin, "2026-10-25T01:30:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
    check(berlin, "2026-10-25T22:45:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
}

#[test]
fn weeks_and_months_keep_local_midnights_over_a_change() {
    check(rule("weekly", "Europe/Berlin", ""), "2026-03-29T12:00:00Z", "2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z");
    check(rule("monthly", "Europe/Berlin", ""), "2026-03-15T00:00:00Z", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z");
    check(rule("monthly", "Europe/Berlin", ""), "2026-10-31T22:45:00Z", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z");
}

#[test]
fn half_and_three_quarter_hours() {
    check(rule("daily", "Asia/Kolkata", ""), "2026-05-01T18:29:00Z", "2026-04-30T18:30:00Z", "2026-05-01T18:30:00Z");
    check(rule("daily", "Asia/Kolkata", ""), "2026-05-01T18:30:00Z", "2026-05-01T18:30:00Z", "2026-05-02T18:30:00Z");
    check(rule("monthly", "Asia/Kolkata", ""), "2026-02-28T18:15:00Z", "2026-01-31T18:30:00Z", "2026-02-28T18:30:00Z");
    check(rule("daily", "Asia/Kathmandu", ""), "2026-05-01T12:00:00Z", "2026-04-30T18:15:00Z", "2026-05-01T18:15:00Z");
}

#[test]
fn clocks_that_jump_over_midnight_or_repeat_it() {
    // Cairo: Friday 24 April 2026 begins at 01:00.
    check(rule("daily", "Africa/Cairo", ""), "2026-04-23T22:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z");
    check(rule("daily", "Africa/Cairo", ""), "2026-04-23T21:45:00Z", "2026-04-22T22:00:00Z", "2026-04-23T22:00:00Z");
    // Havana: 00:00 to 01:00 comes twice on 1 November 2026; the day begins with the first.
    check(rule("daily", "America/Havana", ""), "2026-11-01T05:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z");
    // Samoa had no 30 December 2011.
    check(rule("daily", "Pacific/Apia", ""), "2011-12-30T09:45:00Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z");
    check(rule("daily", "Pacific/Apia", ""), "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z");
}

#[test]
fn months_anchored_on_the_15th_and_the_31st() {
    let from_15 = rule("monthly", "UTC", "2025-06-15");
    check(from_15, "2026-03-14T23:59:00Z", "2026-02-15T00:00:00Z", "2026-03-15T00:00:00Z");
    check(from_15, "2026-03-15T00:00:00Z", "2026-03-15T00:00:00Z", "2026-04-15T00:00:00Z");
    let from_31 = rule("monthly", "UTC", "2026-01-31");
    check(from_31, "2026-02-15T00:00:00Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z");
    check(from_31, "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z");
    check(from_31, "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z");
    check(from_31, "2026-04-30T12:00:00Z", "2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z");
}

#[test]
fn quarters_and_years_with_and_without_a_fiscal_anchor() {
    check(rule("quarterly", "UTC", ""), "2026-11-22T00:00:00Z", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z");
    check(
        rule("quarterly", "UTC", "2026-02-01"),
        "2026-01-31T00:00:00Z",
        "2025-11-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
    );
    check(rule("yearly", "UTC", ""), "2028-02-29T12:00:00Z", "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z");
    let fiscal = rule("yearly", "UTC", "2020-04-06");
    check(fiscal, "2026-04-05T23:59:00Z", "2025-04-06T00:00:00Z", "2026-04-06T00:00:00Z");
    check(fiscal, "2026-04-06T00:00:00Z", "2026-04-06T00:00:00Z", "2027-04-06T00:00:00Z");
    let leap = rule("yearly", "UTC", "2024-02-29");
    check(leap, "2026-03-01T00:00:00Z", "2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z");
    check(leap, "2028-02-28T12:00:00Z", "2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z");
}

#[test]
fn weeks_begin_on_monday_or_on_the_anchor() {
    check(rule("weekly", "UTC", ""), "2026-11-22T23:59:00Z", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z");
    check(rule("weekly", "UTC", ""), "2027-01-01T00:00:00Z", "2026-12-28T00:00:00Z", "2027-01-04T00:00:00Z");
    // 2026-11-01 was a Sunday.
    check(rule("weekly", "UTC", "2026-11-01"), "2026-11-22T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z");
}

#[test]
fn a_rolling_day_ends_with_the_quarter_hour() {
    check(rule("PT24H", "Europe/Berlin", ""), "2026-03-29T12:07:00Z", "2026-03-28T12:15:00Z", "2026-03-29T12:15:00Z");
    check(rule("PT15M", "UTC", ""), "2026-03-29T12:07:00Z", "2026-03-29T12:00:00Z", "2026-03-29T12:15:00Z");
}

#[test]
fn periods_read_back_and_say_what_is_wrong() {
    for (text, period) in [
        ("daily", Period::Daily),
        ("yearly", Period::Yearly),
        ("PT24H", Period::Rolling(96)),
        ("PT1H30M", Period::Rolling(6)),
        ("PT45M", Period::Rolling(3)),
    ] {
        assert_eq!(text.parse(), Ok(period));
        assert_eq!(period.to_string(), text);
    }
    for (text, quarters) in [("P7D", 672), ("P1W", 672), ("P1DT12H", 144), ("PT90M", 6), ("P31D", 2976)] {
        assert_eq!(text.parse(), Ok(Period::Rolling(quarters)), "{text}");
    }
    for (text, expected) in [
        ("hourly", "'hourly' is no period"),
        ("P1M", "'P1M' is no period"),
        ("P", "'P' is no period"),
        ("PT", "'PT' is no period"),
        ("P1DT", "'P1DT' is no period"),
        ("PT1M1H", "'PT1M1H' is no period"),
        ("PT-1H", "'PT-1H' is no period"),
        ("PT20M", "'PT20M' is not a whole number of quarter-hours"),
        ("PT0H", "'PT0H' is out of range"),
        ("P32D", "'P32D' is out of range"),
        ("PT99999999999999999999H", "'PT99999999999999999999H' is no period"),
    ] {
        let error = text.parse::<Period>().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

fn any_rule() -> impl Strategy<Value = PeriodRule> {
    let period = prop_oneof![
        Just(Period::Daily),
        Just(Period::Weekly),
        Just(Period::Monthly),
        Just(Period::Quarterly),
        Just(Period::Yearly),
        (1_u32..=2976).prop_map(Period::Rolling)
    ];
    let starts_on = proptest::option::of((2019_i32..2032, 1_u32..=366).prop_map(|(year, day)| {
        NaiveDate::from_yo_opt(year, day).unwrap_or(NaiveDate::from_ymd_opt(year, 12, 31).unwrap())
    }));
    (period, 0..TZ_VARIANTS.len(), starts_on).prop_map(|(period, zone, starts_on)| {
        let timezone: Tz = TZ_VARIANTS[zone];
        PeriodRule { period, timezone, starts_on }
    })
}

proptest! {
    /// 2000 to 2060, in every zone there is.
    #[test]
    fn spans_contain_their_time_and_tile(rule in any_rule(), at in 1_051_920_i32..3_155_760) {
        let at = Quarter(at);
        let span = rule.span(at);
        prop_assert!(span.contains(at));
        prop_assert_eq!(rule.previous(rule.next(span)), span);
        prop_assert_eq!(rule.next(rule.previous(span)), span);
        if rule.is_rolling() {
            prop_assert_eq!(rule.next(span).from, span.from.plus(1));
        } else {
            prop_assert_eq!(rule.next(span).from, span.to);
            prop_assert_eq!(rule.previous(span).to, span.from);
            prop_assert_eq!(rule.span(span.from), span);
            prop_assert_eq!(rule.span(span.to.plus(-1)), span);
        }
    }

    #[test]
    fn the_ends_of_time_do_no_harm(rule in any_rule(), at in prop_oneof![Just(i32::MIN), Just(i32::MAX), any::<i32>()]) {
        let span = rule.span(Quarter(at));
        prop_assert!(span.from <= span.to);
    }
}
