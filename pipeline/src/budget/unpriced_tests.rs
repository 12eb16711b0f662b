//! Usage without a price, through decode, lake and live totals of a test, and in words.

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_schemas::alert::{Alert, Kind, Level};
use spendstream_schemas::budget::{Quarter, ResolvedScope};

use super::super::fixture::at;
use super::{Moment, Sums, Unpriced, Usage, alert, request};
use crate::aggregate::tests::rig::{HOUR, NOW, Rig, event};

fn moment(micros: i64) -> Moment {
    let now = DateTime::from_timestamp_micros(micros).unwrap();
    Moment { now, event_time: now }
}

fn usage(provider: Option<&str>, model: Option<&str>) -> Usage {
    let values = [(super::PROVIDER, provider), (super::MODEL, model)];
    let sums = Sums { cost: 0, requests: 40, unpriced: 14 };
    let day = Quarter::of(at("2026-11-22T00:00:00Z"));
    let scope = ResolvedScope::new(values.map(|(key, value)| (key, value.map(str::to_owned))));
    Usage { scope, day, sums, since: day.plus(5) }
}

/// What changed since, judged.
fn changed(rig: &Rig, unpriced: &mut Unpriced, now: i64) -> Vec<Alert> {
    let touched: Vec<_> = rig.told.touched.lock().drain(..).map(|(touch, _)| touch).collect();
    unpriced.touched(&rig.live.read(), &touched, moment(now))
}

#[test]
fn the_alert_says_how_many_since_when_and_what_to_do() {
    let told = alert(&usage(Some("acme-llm"), Some("home-grown")), moment(NOW));
    assert_eq!((told.kind, told.level), (Kind::UnpricedUsage, Level::Warning));
    assert_eq!(told.title, "acme-llm/home-grown: usage without a price");
    assert!(
        told.message.starts_with(
            "14 of 40 requests to acme-llm/home-grown since 2026-11-22T01:15:00Z have no price. Their tokens are counted, their \
             cost is not: it is missing in every total, budget and limit. Add its price: "
        ) && told.message.contains("`spendstream prices export DIR`")
            && told.message.contains("prices.overrides"),
        "{}",
        told.message
    );
    assert_eq!((told.value.as_str(), told.currency.as_str()), ("14", ""));
    assert_eq!(
        (told.period_start, told.period_end),
        (Some(at("2026-11-22T00:00:00Z")), Some(at("2026-11-23T00:00:00Z")))
    );
    assert_eq!(told.scope.to_string(), "provider=acme-llm, model=home-grown");
    let told = alert(&usage(None, Some("home-grown")), moment(NOW));
    assert!(told.title.starts_with("(no provider)/home-grown") && told.message.contains("see who sends these events"));
}

#[test]
fn another_model_or_day_is_another_alert_and_more_requests_are_not() {
    let one = usage(Some("a"), Some("b"));
    let more = Usage { sums: Sums { unpriced: 15, ..one.sums }, ..one.clone() };
    let tomorrow = Usage { day: one.day.plus(96), ..one.clone() };
    let id = |usage: &Usage| alert(usage, moment(NOW)).id;
    assert_eq!(id(&one), id(&more));
    assert_ne!(id(&one), id(&tomorrow));
    assert_ne!(id(&one), id(&usage(Some("a"), Some("c"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_model_is_told_once_a_day_and_priced_ones_never() {
    let mut rig = Rig::new(&[request()]).await;
    rig.settle().await;
    let mut unpriced = Unpriced::new(100, 100);
    // Of every nine events three are of the provider that no book knows.
    rig.read(0, &(0..9).map(|number| event(number, NOW - HOUR)).collect::<Vec<_>>()).await;
    rig.read(1, &(9..18).map(|number| event(number, NOW)).collect::<Vec<_>>()).await;
    let told = changed(&rig, &mut unpriced, NOW);
    let said = "6 of 6 requests to acme-llm/home-grown since 2026-11-22T17:00:00Z have no price.";
    assert_eq!(told.len(), 1);
    assert!(told[0].message.starts_with(said), "{}", told[0].message);
    rig.read(0, &(18..27).map(|number| event(number, NOW)).collect::<Vec<_>>()).await;
    assert_eq!(changed(&rig, &mut unpriced, NOW), []);
    assert_eq!(unpriced.look(&rig.live.read(), moment(NOW)), []);
    // Late events of the day before are another day's.
    rig.read(1, &(27..36).map(|number| event(number, NOW - 24 * HOUR)).collect::<Vec<_>>()).await;
    let late = changed(&rig, &mut unpriced, NOW);
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].period_end, Some(at("2026-11-22T00:00:00Z")));
    assert!(late[0].message.starts_with("3 of 3 requests"), "{}", late[0].message);
    assert_ne!(late[0].id, told[0].id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_beyond_the_most_of_a_day_are_one_alert() {
    let mut rig = Rig::new(&[request()]).await;
    rig.settle().await;
    let mut unpriced = Unpriced::new(100, 0);
    rig.read(0, &(0..9).map(|number| event(number, NOW)).collect::<Vec<_>>()).await;
    let told = changed(&rig, &mut unpriced, NOW);
    let said: Vec<_> = told.iter().map(|alert| (alert.title.as_str(), alert.level)).collect();
    assert_eq!(said, [("More than 0 models without a price", Level::Critical)]);
    rig.read(0, &(18..27).map(|number| event(number, NOW)).collect::<Vec<_>>()).await;
    assert_eq!(changed(&rig, &mut unpriced, NOW), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_the_lake_tells_the_same_alert_again() {
    let mut rig = Rig::new(&[request()]).await;
    rig.settle().await;
    rig.read(0, &(0..9).map(|number| event(number, NOW)).collect::<Vec<_>>()).await;
    let first = changed(&rig, &mut Unpriced::new(100, 100), NOW);
    rig.commit().await;
    rig.assign().await;
    let mut unpriced = Unpriced::new(100, 100);
    assert_eq!(unpriced.look(&rig.live.read(), moment(NOW)), [], "nothing is known before the lake was read");
    rig.settle().await;
    assert_eq!(unpriced.look(&rig.live.read(), moment(NOW)), first);
    // Forgotten, or two days on: told again, or not any more.
    unpriced.forget();
    assert_eq!(unpriced.look(&rig.live.read(), moment(NOW)), first);
    unpriced.forget();
    let later: DateTime<Utc> = moment(NOW).now + TimeDelta::days(2);
    assert_eq!(unpriced.look(&rig.live.read(), moment(later.timestamp_micros())), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_watches_it_nothing_is_told() {
    let mut rig = Rig::new(&[]).await;
    rig.settle().await;
    let mut unpriced = Unpriced::new(1, 100);
    assert_eq!(unpriced.watch(rig.live.read().plan()), None);
    assert_eq!(unpriced.look(&rig.live.read(), moment(NOW)), []);
}
