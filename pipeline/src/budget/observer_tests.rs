//! What the watchman sends beside the crossings of budgets, and that a full channel loses none of it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use spendstream_schemas::alert::Kind;
use spendstream_schemas::budget::Quarter;
use spendstream_schemas::config::DecideConfig;
use tokio::sync::{mpsc, watch};

use super::super::fixture::{FakeSpend, prices};
use super::{Live, Observer, Watchman, own_requests};
use crate::aggregate::awaited::Awaited;
use crate::aggregate::tests::rig::{NOW, Rig, event};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_channel_delays_alerts_and_loses_none() {
    let mut rig = Rig::new(&own_requests()).await;
    rig.settle().await;
    let (_prices, book) = watch::channel(prices());
    let spend = Arc::new(FakeSpend::default());
    let live = Arc::new(Live::new(DecideConfig::default(), spend, book, Arc::new(Awaited::default())));
    let (out, mut alerts) = mpsc::channel(1);
    let now = DateTime::from_timestamp_micros(NOW).unwrap();
    let mut watchman = Watchman::new(live, out, 100, TimeDelta::hours(1), now);

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
