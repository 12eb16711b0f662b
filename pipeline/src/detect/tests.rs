//! One series through its public face: what is said, when, in which words, and what is never said.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::verdict::Against;
use super::*;

const HOUR: TimeDelta = TimeDelta::hours(1);

/// Monday 2026-01-05, midnight UTC, and hours after it.
fn hour(number: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_458) + HOUR * i32::try_from(number).expect("a small number")
}

/// Hourly points, and what was said of them: hour and kind.
fn said(series: &mut Series, settings: &Settings, points: impl IntoIterator<Item = (i64, f64)>) -> Vec<(i64, Kind)> {
    let say = |(number, value)| Some((number, series.observe(hour(number), value, settings).verdict?.kind));
    points.into_iter().filter_map(say).collect()
}

/// An office's day: 10 at night, 40 from nine to five, weekends 10; wobbles by 3 of 100 in a fixed way.
fn office(number: i64) -> f64 {
    let (weekday, hour_of_day) = (number.div_euclid(24).rem_euclid(7), number.rem_euclid(24));
    let base = if weekday < 5 && (9..17).contains(&hour_of_day) { 40.0 } else { 10.0 };
    base * (1.0 + 0.03 * noise(number))
}

/// In [-1, 1], the same each time.
fn noise(number: i64) -> f64 {
    let mixed = number.cast_unsigned().wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed >> 40) as f64 / (1_u64 << 23) as f64) - 1.0
}

#[test]
fn a_series_takes_no_more_than_stated() {
    const { assert!(Series::BYTES <= 2048) };
}

#[test]
fn nothing_is_said_before_a_week_was_watched() {
    let wild = (0..8 * 24).map(|number| (number, if number % 5 == 0 { 1000.0 } else { 1.0 }));
    assert_eq!(said(&mut Series::default(), &Settings::default(), wild), []);
}

#[test]
fn constant_and_zero_series_are_quiet_until_they_move() {
    let settings = Settings::default();
    for level in [0.0, 0.001, 7.0] {
        let mut series = Series::default();
        assert_eq!(said(&mut series, &settings, (0..500).map(|number| (number, level))), []);
        assert_eq!(said(&mut series, &settings, [(500, level + 5.0)]), [(500, Kind::Spike)]);
    }
}

#[test]
fn a_change_below_the_least_is_not_news() {
    let settings = Settings { least: 1.0, ..Settings::default() };
    let mut series = Series::default();
    let quiet = (0..500).map(|number| (number, 0.0));
    assert_eq!(said(&mut series, &settings, quiet.chain([(500, 0.99), (501, 0.0), (502, 3.0)])), [(502, Kind::Spike)]);
}

#[test]
fn a_spike_at_night_is_judged_by_its_hour() {
    let settings = Settings::default();
    let mut series = Series::default();
    // Six weeks of office hours, then Tuesday at three in the morning costs what is usual at noon.
    let night = 42 * 24 + 24 + 3;
    assert_eq!(said(&mut series, &settings, (504..night).map(|number| (number, office(number)))), []);
    let judgement = series.observe(hour(night), 40.0, &settings);
    let verdict = judgement.verdict.expect("a spike");
    assert_eq!((verdict.kind, verdict.against), (Kind::Spike, Against::Season));
    assert!(verdict.low < 10.0 && verdict.high < 40.0 && verdict.high > 10.0, "{verdict:?}");
    let reason = verdict.reason("USD");
    assert!(reason.starts_with("40.00 USD is above what is usual at this hour: "), "{reason}");
}

#[test]
fn an_outage_at_noon_is_a_drop() {
    let settings = Settings::default();
    let mut series = Series::default();
    let noon = 42 * 24 + 24 + 12;
    assert_eq!(said(&mut series, &settings, (504..noon).map(|number| (number, office(number)))), []);
    let verdict = series.observe(hour(noon), 0.0, &settings).verdict.expect("a drop");
    assert_eq!((verdict.kind, verdict.against), (Kind::Drop, Against::Season));
}

#[test]
fn a_fault_that_goes_on_is_said_once_and_recovers() {
    let settings = Settings::default();
    let mut series = Series::default();
    said(&mut series, &settings, (504..2000).map(|number| (number, office(number))));
    let first = series.observe(hour(2000), 400.0, &settings);
    let second = series.observe(hour(2001), 400.0, &settings);
    let third = series.observe(hour(2002), office(2002), &settings);
    assert!(first.verdict.is_some() && first.ongoing, "{first:?}");
    assert!(second.verdict.is_none() && second.ongoing, "{second:?}");
    assert!(third.verdict.is_none() && !third.ongoing, "{third:?}");
}

#[test]
fn after_rearming_a_smaller_incident_is_news() {
    let settings = Settings::default();
    let mut series = Series::default();
    said(&mut series, &settings, (504..2000).map(|number| (number, office(number))));
    assert_eq!(said(&mut series, &settings, [(2000, 4000.0)]).len(), 1);
    assert_eq!(said(&mut series, &settings, (2001..2020).map(|number| (number, office(number)))), []);
    let mut known = series.clone();
    known.rearm();
    let later = || (2020..2100).map(|number| (number, if number == 2090 { 400.0 } else { office(number) }));
    assert_eq!(said(&mut series, &settings, later()), []);
    assert_eq!(said(&mut known, &settings, later()), [(2090, Kind::Spike)]);
}

#[test]
fn a_new_level_is_said_and_then_becomes_usual() {
    let settings = Settings::default();
    let mut series = Series::default();
    let level = |number: i64, base: f64| (number, base * (1.0 + 0.05 * noise(number)));
    assert_eq!(said(&mut series, &settings, (0..700).map(|number| level(number, 10.0))), []);
    let shifted = said(&mut series, &settings, (700..2000).map(|number| level(number, 15.0)));
    assert!(!shifted.is_empty() && shifted.len() <= 4, "{shifted:?}");
    assert!(shifted.iter().all(|(number, _)| *number < 730), "{shifted:?}");
    let back = series.observe(hour(2000), 15.0, &settings);
    assert!(!back.ongoing, "{back:?}");
}

#[test]
fn a_slow_mean_shift_is_a_level_not_a_spike() {
    let settings = Settings { threshold: 0.525, ..Settings::default() };
    let mut series = Series::default();
    said(&mut series, &settings, (0..700).map(|number| (number, 100.0 + 10.0 * noise(number))));
    // Each point is within the noise, together they are not.
    let shifted = said(&mut series, &settings, (700..720).map(|number| (number, 109.0 + noise(number))));
    assert!(shifted.iter().any(|(_, kind)| matches!(kind, Kind::LevelUp | Kind::Unsteady)), "{shifted:?}");
    assert!(shifted.iter().all(|(_, kind)| !matches!(kind, Kind::Spike | Kind::Drop)), "{shifted:?}");
}

#[test]
fn growth_is_not_an_anomaly() {
    let settings = Settings::default();
    let growing = (0..90 * 24).map(|number| (number, office(number) * (1.0 + number as f64 / (24.0 * 60.0))));
    let said = said(&mut Series::default(), &settings, growing.skip(504));
    assert_eq!(said, []);
}

#[test]
fn gaps_and_uneven_steps_are_tolerated() {
    let settings = Settings::default();
    let uneven = (504..2500).filter(|number| !(1000..1100).contains(number) && number % 7 != 3);
    assert_eq!(said(&mut Series::default(), &settings, uneven.map(|number| (number, office(number)))), []);
}

#[test]
fn a_season_follows_the_wall_clock_over_a_change_of_time() {
    // 2026-03-29 in Berlin; from then on nine o'clock is an hour earlier in UTC.
    let berlin = Settings { timezone: Tz::Europe__Berlin, ..Settings::default() };
    let local = |number: i64| office(number + if number > 83 * 24 { 2 } else { 1 });
    let points = || (168..110 * 24).map(|number| (number, local(number)));
    assert_eq!(said(&mut Series::default(), &berlin, points()), []);
    assert_ne!(said(&mut Series::default(), &Settings::default(), points()), []);
}

#[test]
fn noisy_money_raises_few_false_alarms() {
    // 50 series of office hours for ten weeks, times noise of up to `width` each way in the logarithm.
    let alarms = |threshold: f64, width: f64| {
        let settings = Settings { threshold, ..Settings::default() };
        let one = |number: i64| {
            let cost = |at: i64| {
                office(at) * (width * f64::midpoint(noise(at * 64 + number), noise(at * 64 + number + 7_000_000))).exp()
            };
            said(&mut Series::default(), &settings, (0..70 * 24).map(|at| (at, cost(at)))).len()
        };
        (0..50).map(one).sum::<usize>()
    };
    // 500 weeks of series: less than one in six weeks, even when an hour varies by 3 to 1 each way.
    for width in [0.3, 0.6, 1.1] {
        let (usual, strict) = (alarms(0.6, width), alarms(0.667, width));
        assert!(usual <= 80 && strict <= 12, "{usual} and {strict} false alarms at {width}");
    }
}

#[test]
fn words_name_the_figure_and_the_range() {
    let verdict = Verdict {
        kind: Kind::LevelDown,
        against: Against::Level,
        figure: 0.0,
        expected: 12.5,
        low: -0.001,
        high: 1234.4,
    };
    assert_eq!(
        verdict.reason("USD"),
        "the mean of the last 12 points, 0 USD, is below what is usual: 12.50 USD expected, -0.001000 USD to 1234 USD would be normal"
    );
}

#[test]
fn older_points_and_no_numbers_are_ignored() {
    let settings = Settings::default();
    let mut series = Series::rebuild((0..100).map(|number| (hour(number), office(number))), &settings);
    let before = series.clone();
    assert_eq!(series.observe(hour(50), 1e9, &settings), Judgement::default());
    assert_eq!(series.observe(hour(100), f64::NAN, &settings), Judgement::default());
    assert_eq!(series.observe(hour(100), f64::INFINITY, &settings), Judgement::default());
    assert_eq!(series, before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_gives_scores_in_range_and_survives_storage(
        points in proptest::collection::vec((0_i64..200_000, prop_oneof![-1e12_f64..1e12, -1e30_f64..1e30, Just(0.0)]), 1..300),
        cut in 0_usize..300,
    ) {
        let settings = Settings::default();
        let (mut one, mut at) = (Series::default(), hour(0));
        let mut stored = None;
        for (index, (seconds, value)) in points.iter().enumerate() {
            if index == cut {
                stored = Some(serde_json::from_str::<Series>(&serde_json::to_string(&one).unwrap()).unwrap());
            }
            at += TimeDelta::seconds(*seconds);
            let judgement = one.observe(at, *value, &settings);
            prop_assert!((0.0..=1.0).contains(&judgement.score), "{judgement:?}");
            if let Some(stored) = &mut stored {
                let again = stored.observe(at, *value, &settings);
                prop_assert!((again.score - judgement.score).abs() < 1e-6);
                prop_assert_eq!(again.verdict.is_some(), judgement.verdict.is_some());
            }
        }
    }
}
