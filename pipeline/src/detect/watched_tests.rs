use chrono::TimeDelta;
use proptest::prelude::*;
use spendstream_schemas::money::Amount;

use super::{By, Finding, Hour, Judging, News, Watched, is_critical};
use crate::detect::{Kind, Rule, Settings};

fn usd(text: &str) -> Amount {
    Amount::from_decimal(text.parse().unwrap()).unwrap()
}

fn judging() -> Judging {
    Judging { rule: Rule::default(), settings: Settings::default(), window: 35 * 24, currency: "USD".into() }
}

/// Two dollars an hour by day, one by night: 1.5 in the mean.
fn usual(hour: i64) -> Amount {
    if (8..20).contains(&hour.rem_euclid(24)) { usd("2") } else { usd("1") }
}

fn taught(hours: i64) -> (Watched, Vec<News>) {
    let mut watched = Watched::new();
    let news = (0..hours).filter_map(|hour| watched.learn(Hour(hour), usual(hour), &judging())).collect();
    (watched, news)
}

fn begun(news: Option<News>) -> Finding {
    match news {
        Some(News::Begun(finding)) => finding,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_usual_week_is_no_news_and_a_runaway_hour_is_told_before_it_is_over() {
    let (watched, news) = taught(240);
    assert_eq!(news, []);
    assert_eq!(watched.mean(), usd("1.5"));
    let peek = |cost: &str| watched.peek([(Hour(240), usd(cost))], &judging());
    assert_eq!(peek("1"), []);
    assert_eq!(peek("0"), [], "an hour that has just begun is no drop");
    let found = peek("4.500000000000001");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].by, found[0].threshold, found[0].mean, found[0].is_above),
        (By::HourlyMean, usd("4.500000000000001"), usd("1.5"), true)
    );
    assert_eq!(
        found[0].reason,
        "this hour cost 4.500000000000001 USD; the mean of the 240 hours before is 1.5 USD, and from 4.500000000000001 USD on it is \
         too much"
    );
}

#[test]
fn what_goes_on_is_told_once_what_doubles_again_and_then_its_end() {
    let (mut watched, _) = taught(240);
    let judging = judging();
    assert_eq!(begun(watched.learn(Hour(240), usd("30"), &judging)).by, By::HourlyMean);
    // The mean of 241 hours is 1.61…: 30 is still far beyond it.
    assert_eq!(watched.learn(Hour(241), usd("30"), &judging), None);
    assert_eq!(watched.learn(Hour(242), usd("60"), &judging), None);
    let finding = begun(watched.learn(Hour(243), usd("60.000000000000001"), &judging));
    assert_eq!((finding.hour, finding.cost), (Hour(243), usd("60.000000000000001")));
    let ends: Vec<News> = (244..300).filter_map(|hour| watched.learn(Hour(hour), usual(hour), &judging)).collect();
    assert_eq!(ends.first(), Some(&News::Over { since: Hour(240) }));
}

#[test]
fn what_becomes_critical_in_another_hour_is_told_again() {
    let (mut watched, _) = taught(240);
    let judging = judging();
    let first = begun(watched.learn(Hour(240), usd("10"), &judging));
    assert!(!is_critical(first.cost, first.mean), "{first:?}");
    let finding = begun(watched.learn(Hour(241), usd("16"), &judging));
    assert!(is_critical(finding.cost, finding.mean), "{finding:?}");
    assert_eq!(watched.learn(Hour(242), usd("19"), &judging), None);
}

#[test]
fn what_costs_as_much_at_that_hour_on_other_days_is_no_news() {
    let judging = judging();
    let batch = |hour: i64| if hour.rem_euclid(24) == 3 { usd("5") } else { Amount::ZERO };
    let (mut watched, mut news) = (Watched::new(), Vec::new());
    for hour in 0..24 * 28 {
        news.extend(watched.learn(Hour(hour), batch(hour), &judging).map(|told| (hour / 24, told)));
    }
    // As long as nobody can know that it comes every night.
    assert!(news.iter().all(|(day, _)| *day <= 2), "{news:?}");
    assert!(matches!(news.first(), Some((1, News::Begun(_)))), "{news:?}");
    let three = Hour(24 * 28 + 3);
    (24 * 28..three.0).for_each(|hour| assert_eq!(watched.learn(Hour(hour), Amount::ZERO, &judging), None));
    let by = |cost: &str| watched.peek([(three, usd(cost))], &judging).first().map(|found| found.by);
    assert_eq!((by("5.1"), by("7.5")), (None, Some(By::Seasonal(Kind::Spike))));
    assert_eq!(by("7.500000000000001"), Some(By::HourlyMean));
    // The clocks were put forward; and at another time of day it is none.
    let then = |hours: i64| {
        let mut watched = watched.clone();
        (0..hours).for_each(|hour| drop(watched.learn(three.plus(hour), Amount::ZERO, &judging)));
        let found = watched.peek([(three.plus(hours), usd("5"))], &judging);
        found.iter().filter(|finding| finding.by == By::HourlyMean).count()
    };
    assert_eq!((then(1), then(2)), (0, 1));
    // On Mondays only.
    let weekly = |hour: i64| if hour.rem_euclid(24 * 7) == 50 { usd("5") } else { Amount::ZERO };
    let mut watched = Watched::new();
    let told: Vec<i64> = (0..24 * 7 * 5)
        .filter(|hour| matches!(watched.learn(Hour(*hour), weekly(*hour), &judging), Some(News::Begun(_))))
        .map(|hour| hour / (24 * 7))
        .collect();
    assert_eq!(told, [0, 1]);
    assert_eq!(watched.busy_hours(), 5);
}

#[test]
fn a_drop_is_told_when_the_hour_is_over() {
    let (mut watched, _) = taught(24 * 20);
    let judging = judging();
    let news: Vec<News> = (480..492).filter_map(|hour| watched.learn(Hour(hour), Amount::ZERO, &judging)).collect();
    let Some(News::Begun(finding)) = news.first() else { panic!("{news:?}") };
    assert!(!finding.is_above, "{finding:?}");
    assert!(matches!(finding.by, By::Seasonal(Kind::Drop | Kind::LevelDown)), "{finding:?}");
}

#[test]
fn the_mean_is_of_the_window_only() {
    let judging = Judging { window: 2, ..judging() };
    let mut watched = Watched::new();
    for (hour, cost) in (0..).zip(["100", "3", "5"]) {
        watched.learn(Hour(hour), usd(cost), &judging);
    }
    assert_eq!(watched.mean(), usd("4"));
    assert_eq!(Hour(3).start() - Hour(2).start(), TimeDelta::hours(1));
}

proptest! {
    /// A restart reads the same hours again: it must say the same.
    #[test]
    fn what_was_learnt_is_a_function_of_the_hours(costs in prop::collection::vec(0_i64..1_000, 0..400)) {
        let judging = Judging { settings: Settings { learn: TimeDelta::days(2), ..Settings::default() }, ..judging() };
        let hours: Vec<(Hour, Amount)> =
            (0..).zip(&costs).map(|(hour, cost)| (Hour(hour), Amount::from_ratio(i128::from(*cost), 100).unwrap())).collect();
        let run = |watched: &mut Watched, hours: &[(Hour, Amount)]| -> Vec<News> {
            hours.iter().filter_map(|(hour, cost)| watched.learn(*hour, *cost, &judging)).collect()
        };
        let mut whole = Watched::new();
        let at_once = run(&mut whole, &hours);
        let mut parts = Watched::new();
        let half = hours.len() / 2;
        let mut in_parts = run(&mut parts, &hours[..half]);
        in_parts.extend(run(&mut parts.clone(), &hours[half..]));
        prop_assert_eq!(at_once, in_parts);
    }
}
