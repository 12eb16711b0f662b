//! What the watchman sends beside the crossings of budgets, and that a full channel loses none of it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use spendstream_schemas::alert::{Alert, Kind};
use spendstream_schemas::budget::Quarter;
use spendstream_schemas::config::{AlertsConfig, DecideConfig};
use tokio::sync::{mpsc, watch};

use super::super::book::Book;
use super::super::fixture::{FakeSpend, budget, prices};
use super::{Live, Observer, Watchman, own_requests};
use crate::aggregate::awaited::Awaited;
use crate::aggregate::tests::rig::{HOUR, MINUTE, NOW, Rig, event};
use crate::aggregate::totals::Touch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_channel_delays_alerts_and_loses_none() {
    let mut rig = Rig::new(&own_requests()).await;
    rig.settle().await;
    let (_prices, book) = watch::channel(prices());
    let spend = Arc::new(FakeSpend::default());
    let live = Arc::new(Live::new(DecideConfig::default(), spend, book, Arc::new(Awaited::default())));
    let (out, mut alerts) = mpsc::channel(1);
    let now = DateTime::from_timestamp_micros(NOW).unwrap();
    let mut watchman = Watchman::new(live, out, &AlertsConfig::default(), TimeDelta::hours(1), now);

    rig.read(0, &(0..9).map(|number| event(number, NOW)).collect::<Vec<_>>()).await;
    rig.commit().await;
    let touched: Vec<_> = rig.told.touched.lock().drain(..).map(|(touch, _)| touch).collect();
    let (keys, bucketing) = super::unpriced::request();
    let watch = rig.live.plan().find(&keys, &bucketing).unwrap();
    let values = [Some("acme-llm"), Some("home-grown")];
    rig.live.view().write().spoil(watch, &values, Quarter::of_micros(NOW), 1);
    rig.now += 360_000_000;
    rig.settle().await;
    let report = rig.told.reports.lock().pop().unwrap();
    assert_eq!(report.differences, 1);

    let totals = rig.live.read();
    watchman.touched(&totals, &touched);
    watchman.reconciled(&totals, &report);
    // The first has the only place; the second waits for room.
    assert_eq!(alerts.try_recv().unwrap().kind, Kind::UnpricedUsage);
    assert!(alerts.try_recv().is_err());
    watchman.tick(&totals, rig.now);
    let told = alerts.try_recv().unwrap();
    assert_eq!(
        (told.kind, told.scope.to_string().as_str()),
        (Kind::Reconciliation, "provider=acme-llm, model=home-grown")
    );
    assert_eq!((told.value.as_str(), told.threshold.as_str()), ("0.000000000000001", "0"));
    // And the other way round: what finds no room is found again by a later look.
    watchman.unpriced.forget();
    watchman.reconciled(&totals, &report);
    watchman.touched(&totals, &touched);
    assert_eq!(alerts.try_recv().unwrap().kind, Kind::Reconciliation);
    watchman.tick(&totals, rig.now);
    assert_eq!(alerts.try_recv().unwrap().kind, Kind::UnpricedUsage);
    watchman.tick(&totals, rig.now);
    assert!(alerts.try_recv().is_err());
}

/// One budget over real totals, and who watches it.
async fn watched(json: &str, now: i64, fill: impl AsyncFnOnce(&mut Rig)) -> (Rig, Watchman, mpsc::Receiver<Alert>) {
    let book = Book::new([budget(json)]);
    let mut rig = Rig::new(&book.requests()).await;
    rig.settle().await;
    fill(&mut rig).await;
    // The process starts anew, and reads what there is.
    rig.now = now;
    rig.assign().await;
    rig.settle().await;
    let (_, prices) = watch::channel(prices());
    let live = Live::new(DecideConfig::default(), rig.live.view(), prices, Arc::new(Awaited::default()));
    live.set_book(Arc::new(book.bound(&rig.live.plan())));
    let (out, alerts) = mpsc::channel(100);
    let started = DateTime::from_timestamp_micros(now).unwrap();
    (rig, Watchman::new(Arc::new(live), out, &AlertsConfig::default(), TimeDelta::hours(1), started), alerts)
}

/// A crossing just before the end of a period, and a crash before it was told: the period is not closed, so it is told after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_period_before_has_crossed_is_told_after_a_restart() {
    let json = r#"{"name": "day", "scope": {"team": "search"}, "period": "daily", "amount": "0.000001", "thresholds": ["100"]}"#;
    let midnight = (NOW.div_euclid(24 * HOUR) + 1) * 24 * HOUR;
    let crossed = async |rig: &mut Rig| {
        rig.now = midnight - MINUTE;
        rig.read(0, &(0..9).map(|number| event(number, midnight - MINUTE)).collect::<Vec<_>>()).await;
        rig.commit().await;
    };
    let (rig, mut watchman, mut alerts) = watched(json, midnight + 8_000_000, crossed).await;
    let watch = rig.live.plan().watches()[0].id;
    watchman.loaded(&rig.live.read(), watch);
    let told = alerts.try_recv().unwrap();
    assert_eq!((told.kind, told.period_end), (Kind::ThresholdExceeded, DateTime::from_timestamp_micros(midnight)));
    assert!(alerts.try_recv().is_err(), "the new day has nothing yet");
}

/// Two days later nobody can act on it, and no event has moved the watermark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_long_ago_by_the_clock_raises_nothing() {
    let json = r#"{"name": "day", "scope": {"team": "search"}, "period": "daily", "amount": "0.000001", "thresholds": ["100"]}"#;
    let midnight = (NOW.div_euclid(24 * HOUR) + 1) * 24 * HOUR;
    for (later, expected) in [(25 * HOUR - MINUTE, 1), (25 * HOUR, 0)] {
        let crossed = async |rig: &mut Rig| {
            rig.now = midnight - MINUTE;
            rig.read(0, &(0..9).map(|number| event(number, midnight - MINUTE)).collect::<Vec<_>>()).await;
            rig.commit().await;
        };
        let (rig, mut watchman, mut alerts) = watched(json, midnight + later, crossed).await;
        let watch = rig.live.plan().watches()[0].id;
        watchman.loaded(&rig.live.read(), watch);
        assert_eq!(std::iter::from_fn(|| alerts.try_recv().ok()).count(), expected, "{later}");
    }
}

/// Far more crossings than the channel holds are told one after the other, each once, the most urgent first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_crossings_at_once_are_all_told_once() {
    let json = r#"{"name": "each", "scope": {"user": "*"}, "period": "daily", "amount": "0.000001", "thresholds": [50, 100], "hard_limit": true}"#;
    let crossed = async |rig: &mut Rig| {
        let of = |number: u64| {
            event(number, NOW).replace(&format!(r#""user":"u{}""#, number % 5), &format!(r#""user":"u{number}""#))
        };
        rig.read(0, &(0..90).map(of).collect::<Vec<_>>()).await;
        rig.commit().await;
    };
    let (rig, _, _) = watched(json, NOW, crossed).await;
    let (_, prices) = watch::channel(prices());
    let live = Live::new(DecideConfig::default(), rig.live.view(), prices, Arc::new(Awaited::default()));
    let book = Book::new([budget(json)]);
    live.set_book(Arc::new(book.bound(&rig.live.plan())));
    let (out, mut alerts) = mpsc::channel(2);
    let config = AlertsConfig { queue: 1, ..AlertsConfig::default() };
    let now = DateTime::from_timestamp_micros(NOW).unwrap();
    let mut watchman = Watchman::new(Arc::new(live), out, &config, TimeDelta::hours(1), now);
    let totals = rig.live.read();
    let watch = rig.live.plan().watches()[0].id;
    let touched: Vec<_> = {
        let span = totals.held_spans(watch)[0];
        let cells = totals.cells_in(watch, span).unwrap();
        cells.map(|(bucket, cell)| Touch { watch, bucket, cell }).collect()
    };
    // Of ninety users, those whose model has a price.
    let cells = 60;
    assert_eq!(touched.len(), 90);
    let mut told = Vec::new();
    // As they come in, a few at a time: beyond what may wait nothing is judged.
    for some in touched.chunks(3) {
        watchman.touched(&totals, some);
    }
    assert!(watchman.has_missed && watchman.waiting() < 30, "{}", watchman.waiting());
    for _ in 0..10 * cells {
        watchman.tick(&totals, NOW);
        told.extend(std::iter::from_fn(|| alerts.try_recv().ok()));
    }
    let ids: std::collections::HashSet<_> = told.iter().map(|alert| alert.id.clone()).collect();
    assert_eq!((told.len(), ids.len()), (2 * cells, 2 * cells));
    assert_eq!(watchman.waiting(), 0);
    assert_eq!(told[0].kind, Kind::LimitReached, "emergencies go first");
}

/// A cell of a rolling window lies in as many buckets as it was active in; it is judged once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_is_judged_once_in_however_many_quarter_hours_it_was_active() {
    let json =
        r#"{"name": "rolling", "scope": {"team": "*"}, "period": "PT6H", "amount": "0.000001", "thresholds": ["100"]}"#;
    let active = async |rig: &mut Rig| {
        for partition in [0, 1] {
            let events = (0..20).map(|quarter| {
                event(
                    3 * (quarter + 100 * u64::try_from(partition).unwrap()),
                    NOW - i64::try_from(quarter).unwrap() * 15 * MINUTE,
                )
            });
            rig.read(partition, &events.collect::<Vec<_>>()).await;
        }
        rig.commit().await;
    };
    let (rig, mut watchman, mut alerts) = watched(json, NOW, active).await;
    let (totals, watch) = (rig.live.read(), rig.live.plan().watches()[0].id);
    watchman.queue(&totals, watch);
    // Of a team, and of no team.
    assert_eq!(watchman.cells.len(), 2);
    watchman.look_at_cells(&totals);
    assert!(alerts.try_recv().is_ok() && alerts.try_recv().is_err());
}
