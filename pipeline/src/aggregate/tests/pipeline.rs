//! Live totals equal SQL: after each commit, after a dropped generation, with watches added while events stream.

use spendstream_schemas::budget::Quarter;
use spendstream_schemas::directory::Precedence;

use super::rig::{HOUR, MINUTE, NOW, Rig, daily, day, event, set};
use crate::aggregate::plan::Bucketing;
use crate::aggregate::read::Unknown;
use crate::aggregate::sums::Sums;

const COLUMNS: [(&[&str], &[&str]); 5] = [
    (&[], &[]),
    (&["team", "user"], &["team", "user_id"]),
    (&["provider", "model"], &["coalesce(provider, provider_sent)", "model"]),
    (&["tags.env"], &["tags['env']"]),
    (&["service_tier", "region"], &["service_tier", "region"]),
];

fn requests() -> Vec<(crate::aggregate::plan::DimensionSet, Bucketing)> {
    COLUMNS.iter().flat_map(|(keys, _)| [(set(keys), daily()), (set(keys), Bucketing::Quarters { keep: 8 })]).collect()
}

/// Every watch says what SQL says, of today and of the last two hours.
async fn assert_equal(rig: &Rig) {
    let now = Quarter::of_micros(rig.now);
    for (keys, columns) in COLUMNS {
        // The keys of a set are sorted as the columns of the lake are.
        let today = rig.lake_sums(columns, day(rig.now)).await;
        assert_eq!(rig.live_sums(rig.watch(keys, &daily()), day(rig.now)), today, "{keys:?} today");
        let hours = spendstream_schemas::budget::Span { from: now.plus(-7), to: now.plus(1) };
        let rolling = rig.lake_sums(columns, hours).await;
        assert_eq!(
            rig.live_sums(rig.watch(keys, &Bucketing::Quarters { keep: 8 }), hours),
            rolling,
            "{keys:?} rolling"
        );
    }
}

fn events(numbers: std::ops::Range<u64>) -> Vec<String> {
    // Spread over the last three hours and a half.
    numbers.map(|number| event(number, NOW - i64::try_from(number * 37 % 210).unwrap() * MINUTE)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_equal_sql_after_each_commit_and_before_it_too() {
    let mut rig = Rig::new(&requests()).await;
    assert_eq!(rig.settle().await, 1);
    for round in 0..4 {
        rig.read(0, &events(round * 100..round * 100 + 60)).await;
        rig.read(1, &events(round * 100 + 60..round * 100 + 90)).await;
        let before = rig.live_sums(rig.watch(&[], &daily()), day(NOW));
        assert_eq!(before[&vec![]].requests, (round + 1) * 90);
        rig.commit().await;
        assert_eq!(rig.live_sums(rig.watch(&[], &daily()), day(NOW)), before, "a commit moves nothing");
        assert_equal(&rig).await;
    }
    let everything = rig.live_sums(rig.watch(&[], &daily()), day(NOW))[&vec![]];
    assert!(everything.cost > 0 && everything.unpriced > 0, "{everything:?}");
    assert!(rig.told.reports.lock().is_empty());
    let touched = rig.told.touched.lock();
    assert!(touched.iter().any(|(_, values)| *values == [Some("o'hara".to_owned()), Some("u0".to_owned())]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_generation_leaves_nothing_behind() {
    let mut rig = Rig::new(&requests()).await;
    rig.settle().await;
    rig.read(0, &events(0..50)).await;
    rig.commit().await;
    rig.read(0, &events(50..80)).await;
    rig.assign().await;
    let watch = rig.watch(&[], &daily());
    let asked = |rig: &Rig| rig.live.read().sums(watch, &[], day(NOW));
    assert_eq!(asked(&rig), Err(Unknown::Loading), "until the lake was read again");
    assert_eq!(rig.settle().await, 1);
    assert_eq!(asked(&rig).unwrap().requests, 50);
    assert_equal(&rig).await;
    // The same messages are read again.
    rig.read(0, &events(50..80)).await;
    assert_eq!(asked(&rig).unwrap().requests, 80);
    rig.commit().await;
    assert_equal(&rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_reads_everything_again_and_pending_batches_join() {
    let mut rig = Rig::new(&requests()).await;
    rig.read(0, &events(0..50)).await;
    rig.commit().await;
    // Asked for before the commit, answered with the lake as it was read between two commits.
    rig.read(0, &events(50..60)).await;
    let told = rig.commit_unheard().await;
    let answer = rig.query().await.unwrap();
    rig.read(0, &events(60..70)).await;
    rig.thread.handle(told, rig.now);
    for message in answer {
        rig.thread.handle(message, rig.now);
    }
    let watch = rig.watch(&[], &daily());
    assert_eq!(rig.live.read().sums(watch, &[], day(NOW)).unwrap().requests, 70);
    rig.commit().await;
    assert_equal(&rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_added_while_events_stream_is_unknown_until_it_is_whole() {
    let all: Vec<_> = requests();
    let mut rig = Rig::new(&all[..2]).await;
    rig.settle().await;
    rig.read(0, &events(0..40)).await;
    rig.commit().await;
    // Summed without the new sets, and not committed yet: the base of the new watches cannot be completed with it.
    rig.read(0, &events(40..50)).await;
    let late = rig.decode(1, &events(50..60)).await;
    let old = rig.watch(&[], &daily());
    rig.live.watch(&all);
    let new = rig.watch(&["team", "user"], &daily());
    assert_eq!(rig.settle().await, 1);
    let values = [Some("search"), Some("u0")];
    assert_eq!(rig.live.read().sums(new, &values, day(NOW)), Err(Unknown::Loading));
    assert_eq!(rig.live.read().sums(old, &[], day(NOW)).unwrap().requests, 50, "what was watched goes on");
    rig.commit().await;
    assert_eq!(rig.settle().await, 1);
    let known = rig.live.read().is_known(new);
    assert!(known);
    // The other decode thread was behind: its batch lacks the set, so the sums are not whole any more.
    rig.hear(late);
    let known = rig.live.read().is_known(new);
    assert!(!known);
    let told = rig.live.read().sums(old, &[], day(NOW)).unwrap().requests;
    assert_eq!(told, 60);
    rig.commit().await;
    assert_eq!(rig.settle().await, 1);
    assert_equal(&rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_hour_moves_by_quarters() {
    let hour = Bucketing::Quarters { keep: 4 };
    let mut rig = Rig::new(&[(set(&["team"]), hour.clone())]).await;
    rig.now = NOW + 5 * MINUTE;
    rig.settle().await;
    let times = [-46, -44, -1, 4].map(|minutes| NOW + minutes * MINUTE);
    let events: Vec<String> = times.iter().zip([0, 9, 18, 12]).map(|(time, number)| event(number, *time)).collect();
    rig.read(0, &events).await;
    let watch = rig.watch(&["team"], &hour);
    let totals = rig.live.read();
    let recent = totals.recent(watch, &[Some("search")], rig.now).unwrap();
    // 17:15 to 18:05 is 50 minutes.
    assert_eq!((recent.sums.requests, recent.per_minute.to_string().as_str()), (3, "0.06"));
    let mean = recent.mean.unwrap().units();
    let priced = i128::from(recent.sums.requests - recent.sums.unpriced);
    assert!((mean * priced - recent.sums.cost).abs() <= priced / 2, "{recent:?}");
    assert_eq!(totals.recent(watch, &[Some("nobody")], rig.now).unwrap().sums, Sums::default());
    assert!(totals.recent(watch, &[Some("search")], rig.now + 2 * HOUR).is_ok());
    assert_eq!(totals.recent(watch, &[Some("search")], rig.now - 9 * HOUR), Err(Unknown::NotHeld));
    drop(totals);
    assert_eq!(rig.live_sums(watch, recent.span).len(), 1);
}

/// A directory that comes later spells a team otherwise: rows of before and events of after are one sum, whichever side they come from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_one_name_are_one_sum_whatever_their_spelling() {
    let requests = [(set(&["team"]), daily()), (set(&["user"]), daily())];
    let mut rig = Rig::new(&requests).await;
    rig.settle().await;
    rig.read(0, &events(0..30)).await;
    rig.commit().await;
    rig.read(0, &events(30..60)).await;
    let users = rig.watch(&["user"], &daily());
    let before = rig.live_sums(rig.watch(&["team"], &daily()), day(NOW));
    let line = "kind,name,team,department,cost_center,contact\nteam,SEARCH,,Product,,\n";
    let entries = spendstream_schemas::directory::read(line, "test").unwrap();
    let directory = spendstream_schemas::directory::Directory::new(entries, &Precedence::default());
    rig.live.watch_spelled(&requests, directory.spellings());
    assert_eq!(rig.watch(&["user"], &daily()), users, "what it does not concern goes on");
    // What was read and not committed was summed by the plan before.
    rig.settle().await;
    let team = rig.watch(&["team"], &daily());
    assert_eq!(rig.live.read().sums(team, &[Some("SEARCH")], day(NOW)), Err(Unknown::Loading));
    rig.commit().await;
    rig.settle().await;
    rig.read(1, &events(60..90)).await;
    let sums = |name: &str| rig.live.read().sums(team, &[Some(name)], day(NOW)).unwrap();
    let requests_of = |name: &str| before[&vec![Some(name.to_owned())]].requests;
    assert_eq!(sums("search"), Sums::default());
    assert!(sums("SEARCH").requests > requests_of("search"));
    rig.commit().await;
    rig.now += 400 * MINUTE;
    rig.settle().await;
    assert!(rig.told.reports.lock().iter().all(|report| report.differences == 0), "the lake says the same");
}
