//! The check against the lake: a spoiled sum is found, reported and repaired; a healthy one is not touched; the limit of cells.

use std::time::Duration;

use spendstream_schemas::config::LiveConfig;

use super::rig::{HOUR, NOW, Rig, daily, day, event, set};
use crate::aggregate::read::Unknown;

const SIX_MINUTES: i64 = 360_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spoiled_sum_is_found_named_and_repaired() {
    let mut rig = Rig::new(&[(set(&["user"]), daily())]).await;
    rig.settle().await;
    let events: Vec<String> = (0..30).map(|number| event(number, NOW)).collect();
    rig.read(0, &events[..20]).await;
    rig.commit().await;
    // Not committed: the check has to leave it out of what the lake says and in what is right.
    rig.read(0, &events[20..]).await;
    let watch = rig.watch(&["user"], &daily());
    let right = rig.live_sums(watch, day(NOW));
    rig.now += SIX_MINUTES;
    assert_eq!(rig.settle().await, 1);
    let report = rig.told.reports.lock().pop().unwrap();
    assert_eq!((report.watch, report.compared, report.differences), (watch, 5, 0));
    let bucket = day(NOW).from;
    rig.live.view().write().spoil(watch, &[Some("u3")], bucket, 1);
    rig.now += SIX_MINUTES;
    assert_eq!(rig.settle().await, 1);
    let report = rig.told.reports.lock().pop().unwrap();
    assert_eq!((report.compared, report.differences, report.examples.len()), (5, 1, 1));
    let found = &report.examples[0];
    assert_eq!((&found.values, found.bucket), (&vec![Some("u3".to_owned())], bucket));
    assert_eq!(found.live.cost, found.lake.cost + 1);
    assert_eq!(found.source.partition, 0);
    assert_eq!((found.committed, found.reached), (20, 30));
    assert_eq!(rig.live_sums(watch, day(NOW)), right);
    rig.commit().await;
    assert_eq!(rig.live_sums(watch, day(NOW)), rig.lake_sums(&["user_id"], day(NOW)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_check_gives_way_to_what_has_no_figures() {
    let mut rig = Rig::new(&[(set(&["user"]), daily())]).await;
    rig.settle().await;
    rig.read(0, &(0..30).map(|number| event(number, NOW)).collect::<Vec<_>>()).await;
    rig.commit().await;
    rig.now += SIX_MINUTES;
    rig.thread.look(rig.now);
    let late = rig.query().await.unwrap();
    rig.live.watch(&[(set(&["user"]), daily()), (set(&["team"]), daily())]);
    let new = rig.watch(&["team"], &daily());
    rig.thread.look(rig.now);
    assert!(rig.answer().await);
    assert!(rig.live.read().is_known(new), "read before the check, which was under way");
    assert_eq!(rig.told.reports.lock().len(), 0);
    // The answer to what was given up says nothing any more; the check itself comes after.
    for message in late {
        rig.thread.handle(message, rig.now);
    }
    assert_eq!(rig.told.reports.lock().len(), 0);
    assert_eq!(rig.settle().await, 1);
    assert_eq!(rig.told.reports.lock().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_limit_values_are_unknown_and_what_is_held_stays_exact() {
    let config = LiveConfig { max_cells: 3, reconcile_interval: Duration::from_mins(5), ..LiveConfig::default() };
    let mut rig = Rig::with(&[(set(&["user"]), daily())], config).await;
    rig.settle().await;
    rig.read(0, &(0..3).map(|number| event(number, NOW)).collect::<Vec<_>>()).await;
    let watch = rig.watch(&["user"], &daily());
    let asked = |rig: &Rig, user: &str| rig.live.read().sums(watch, &[Some(user)], day(NOW)).map(|sums| sums.requests);
    assert_eq!(asked(&rig, "u4"), Ok(0));
    rig.read(1, &(3..10).map(|number| event(number, NOW)).collect::<Vec<_>>()).await;
    assert_eq!((asked(&rig, "u0"), asked(&rig, "u1"), asked(&rig, "u2")), (Ok(2), Ok(2), Ok(2)));
    assert_eq!((asked(&rig, "u3"), asked(&rig, "u4")), (Err(Unknown::Full), Err(Unknown::Full)));
    assert_eq!(rig.live.read().left_out(), (2, 0), "two values, each once per batch");
    // Tomorrow is another bucket, which nothing filled yet.
    assert_eq!(rig.live.read().sums(watch, &[Some("u4")], day(NOW + 24 * HOUR)).unwrap().requests, 0);
}
