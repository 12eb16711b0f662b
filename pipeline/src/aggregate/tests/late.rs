//! Late events: they count, closed periods are read back, periods that are over leave memory.

use super::rig::{HOUR, NOW, Rig, daily, day, event, set};
use crate::aggregate::read::{Spend, Unknown};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_event_for_a_closed_day_reads_its_base_back() {
    let mut rig = Rig::new(&[(set(&[]), daily())]).await;
    rig.settle().await;
    let (yesterday, before) = (NOW - 24 * HOUR, NOW - 48 * HOUR);
    // The lake has two rows of the day before yesterday; the live totals do not hold that day.
    rig.read(0, &[event(1, before), event(2, before)]).await;
    rig.commit().await;
    let watch = rig.watch(&[], &daily());
    let requests = |rig: &Rig, at| rig.live.read().sums(watch, &[], day(at)).map(|sums| sums.requests);
    // Already touched: read back, whole.
    assert_eq!(requests(&rig, before), Err(Unknown::NotHeld));
    assert_eq!(rig.settle().await, 1);
    assert_eq!(requests(&rig, before), Ok(2));
    rig.read(0, &[event(3, before), event(4, NOW)]).await;
    assert_eq!((requests(&rig, before), requests(&rig, NOW)), (Ok(3), Ok(1)));
    assert_eq!(requests(&rig, yesterday), Err(Unknown::NotHeld), "nobody touched it");
    rig.commit().await;
    assert_eq!(rig.live_sums(watch, day(before)), rig.lake_sums(&[], day(before)).await);
    // After the allowed lateness it leaves memory again.
    for passed in [1_000_000, HOUR + 1_000_000] {
        assert_eq!(requests(&rig, before), Ok(3));
        rig.now += passed;
        rig.thread.look(rig.now);
    }
    assert_eq!(requests(&rig, before), Err(Unknown::NotHeld));
    assert_eq!(requests(&rig, NOW), Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_over_leaves_memory_when_the_watermark_has_passed_it() {
    let mut rig = Rig::new(&[(set(&["user"]), daily())]).await;
    rig.settle().await;
    rig.read(0, &[event(1, NOW), event(2, NOW)]).await;
    rig.commit().await;
    let watch = rig.watch(&["user"], &daily());
    let (first, cells) = (rig.live.read().bytes(), rig.live.read().held_cells());
    assert!(first > 0 && cells == 2);
    // Half an hour into the next day the watermark is within the allowed lateness of the old one.
    rig.now = NOW + 6 * HOUR + HOUR / 2;
    let now = rig.now;
    rig.read(0, &[event(3, now)]).await;
    assert_eq!(rig.live.read().sums(watch, &[Some("u1")], day(NOW)).unwrap().requests, 1);
    assert_eq!(rig.live.read().as_of().watermark, Some(now));
    rig.now = NOW + 7 * HOUR + HOUR / 2;
    let now = rig.now;
    rig.read(0, &[event(4, now)]).await;
    rig.thread.look(rig.now + 1_000_000);
    let totals = rig.live.read();
    assert_eq!(totals.sums(watch, &[Some("u1")], day(NOW)), Err(Unknown::NotHeld));
    assert_eq!(totals.sums(watch, &[Some("u3")], day(now)).unwrap().requests, 1);
    assert_eq!(totals.sums(watch, &[Some("u1")], day(now)).unwrap().requests, 0);
    assert_eq!(totals.held_cells(), 2);
    assert!(totals.cells.values().all(|cells| cells.len() == 2), "cells that nothing uses are gone");
}
