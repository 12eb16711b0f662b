use chrono::TimeDelta;
use proptest::prelude::*;
use spendstream_schemas::money::Amount;

use super::{By, Finding, Hour, Judging, News, Watched};
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
