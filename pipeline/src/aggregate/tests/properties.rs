//! Totals are a function of the log: batch boundaries, order within lateness, commits, assignments and restarts change nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use spendstream_schemas::budget::{Quarter, Span};
use spendstream_schemas::ids::OffsetRange;

use super::rig::{HOUR, NOW, daily, day, set, source};
use crate::aggregate::group::{Groups, SetGroups};
use crate::aggregate::join::Snapshot;
use crate::aggregate::plan::{Bucketing, WatchId, WatchPlan};
use crate::aggregate::sums::Sums;
use crate::aggregate::totals::{Accepted, Limits, Totals};
use crate::batch::Generation;

pub const LIMITS: Limits = Limits { max_cells: 10_000, max_held_groups: 10_000, lateness: HOUR, idle: HOUR };

/// A row: user, quarters back, cost.
type Row = (u8, i32, Option<i128>);

fn plan() -> Arc<WatchPlan> {
    let requests = [(set(&["user"]), daily()), (set(&["user"]), Bucketing::Quarters { keep: 16 }), (set(&[]), daily())];
    Arc::new(WatchPlan::default().next(&requests))
}

fn batch(plan: &Arc<WatchPlan>, partition: i32, from: i64, rows: &[Row], generation: u64) -> Arc<Groups> {
    let sets = plan.sets().iter().map(|(id, keys)| {
        let mut set = SetGroups::new(*id);
        for (user, back, cost) in rows {
            let user = format!("u{user}");
            let values: Vec<Option<&str>> = keys.keys().iter().map(|_| Some(user.as_str())).collect();
            set.push(&values, Quarter::of_micros(NOW).plus(-back), Sums::row(*cost));
        }
        set
    });
    Arc::new(Groups {
        source: Arc::new(source(partition)),
        generation: Generation(generation),
        range: OffsetRange::new(from, from + i64::try_from(rows.len()).unwrap()).unwrap(),
        plan: Arc::clone(plan),
        rows: rows.len() as u64,
        newest_micros: Some(NOW),
        sets: sets.collect(),
        arrived: Vec::new(),
        runs: Vec::new(),
    })
}

/// The lake: rows of each partition up to what was committed.
#[derive(Clone, Default)]
struct Lake(BTreeMap<i32, Vec<Row>>);

/// Reads the lake and joins, as the live thread does; false when it does not join.
fn load(totals: &mut Totals, lake: &Lake) -> bool {
    let offsets = lake.0.iter().map(|(no, rows)| (Arc::new(source(*no)), i64::try_from(rows.len()).unwrap()));
    let snapshot = Snapshot { version: 1, offsets: offsets.collect(), history: 0 };
    let plan = Arc::clone(totals.plan());
    let mut joined = true;
    for watch in plan.watches() {
        let cover = totals.cover_of(watch.id, NOW).unwrap();
        totals.begin_reading(watch.id, cover.clone());
        for (no, rows) in &lake.0 {
            let groups = batch(&plan, *no, 0, rows, 1);
            let set = groups.set(watch.set).unwrap();
            let sources = std::iter::repeat_n(Arc::new(source(*no)), set.len()).collect::<Vec<_>>();
            totals.stage(watch.id, set, &sources, 0, set.len());
        }
        let Ok(beyond) = totals.beyond(watch.id, &snapshot) else {
            joined = false;
            continue;
        };
        for (no, groups) in &beyond.batches {
            totals.stage_batch(watch.id, *no, groups.set(watch.set).unwrap(), 0, usize::MAX);
        }
        if let Some(report) = totals.compare(watch.id, &beyond, &snapshot) {
            assert_eq!(report.differences, 0, "{report:?}");
        }
        totals.put_in_place(watch.id, beyond);
    }
    totals.end_reading();
    joined
}

fn feed(totals: &mut Totals, groups: &Arc<Groups>) -> Accepted {
    let accepted = totals.accept(groups, NOW);
    if accepted != Accepted::Stale {
        for (at, set) in groups.sets.iter().enumerate() {
            totals.add(groups, at, 0, set.len(), &mut Vec::new());
        }
        totals.added(groups);
    }
    accepted
}

/// Everything that a watch says.
fn said(totals: &Totals, watch: WatchId, span: Span) -> BTreeMap<Vec<Option<String>>, Sums> {
    let cells: Vec<_> = totals.cells_in(watch, span).unwrap().map(|(_, cell)| cell).collect();
    cells.into_iter().map(|cell| (totals.values(watch, cell), totals.cell_sums(watch, cell, span).unwrap())).collect()
}

fn all(totals: &Totals) -> Vec<BTreeMap<Vec<Option<String>>, Sums>> {
    let rolling = Span { from: Quarter::of_micros(NOW).plus(-15), to: Quarter::of_micros(NOW).plus(1) };
    let spans = |bucketing: &Bucketing| if matches!(bucketing, Bucketing::Calendar(_)) { day(NOW) } else { rolling };
    totals.plan().watches().iter().map(|watch| said(totals, watch.id, spans(&watch.bucketing))).collect()
}

fn fresh(plan: &Arc<WatchPlan>) -> Totals {
    fresh_with(plan, LIMITS)
}

/// Totals that know that the lake is empty.
pub fn fresh_with(plan: &Arc<WatchPlan>, limits: Limits) -> Totals {
    let mut totals = Totals::new(limits);
    totals.set_plan(plan);
    totals.set_generation(Generation(1));
    assert!(load(&mut totals, &Lake::default()));
    totals
}

/// What the totals must be: all rows in one batch per partition, read once.
fn expected(plan: &Arc<WatchPlan>, log: &BTreeMap<i32, Vec<Row>>) -> Vec<BTreeMap<Vec<Option<String>>, Sums>> {
    let mut totals = fresh(plan);
    for (partition, rows) in log {
        feed(&mut totals, &batch(plan, *partition, 0, rows, 1));
    }
    all(&totals)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    // Within the day and the allowed lateness of the rolling watch.
    prop::collection::vec((0u8..4, 0i32..16, prop::option::of(-5_i128..1_000)), 0..12)
}

#[derive(Clone, Debug)]
enum Step {
    Read(i32, Vec<Row>),
    Commit,
    Reload,
    Reassign,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0i32..3, rows()).prop_map(|(partition, rows)| Step::Read(partition, rows)),
        3 => Just(Step::Commit),
        2 => Just(Step::Reload),
        1 => Just(Step::Reassign),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens on the way: the totals are those of the rows that are read, each once.
    #[test]
    fn totals_are_a_function_of_the_log(steps in prop::collection::vec(step(), 1..30)) {
        let plan = plan();
        let (mut totals, mut lake, mut generation) = (fresh(&plan), Lake::default(), 1);
        let mut log = BTreeMap::<i32, Vec<Row>>::new();
        for step in steps {
            match step {
                Step::Read(partition, rows) => {
                    let read = log.entry(partition).or_default();
                    let groups = batch(&plan, partition, i64::try_from(read.len()).unwrap(), &rows, generation);
                    read.extend(rows);
                    prop_assert_eq!(feed(&mut totals, &groups), Accepted::Taken);
                }
                Step::Commit => {
                    lake.0 = log.clone();
                    for (partition, rows) in &log {
                        totals.committed(&Arc::new(source(*partition)), i64::try_from(rows.len()).unwrap());
                    }
                }
                Step::Reload => prop_assert!(load(&mut totals, &lake)),
                Step::Reassign | Step::Restart => {
                    // What was not committed is lost, and read again.
                    log = lake.0.clone();
                    generation += 1;
                    if matches!(step, Step::Restart) {
                        totals = Totals::new(LIMITS);
                        totals.set_plan(&plan);
                    }
                    totals.set_generation(Generation(generation));
                    prop_assert!(!totals.is_known(plan.watches()[0].id));
                    prop_assert!(load(&mut totals, &lake));
                }
            }
            prop_assert_eq!(all(&totals), expected(&plan, &log));
        }
        while totals.sweep(7) {}
        // Cells live as long as their sums: what a fresh reading needs, and no more.
        let mut again = Totals::new(LIMITS);
        again.set_plan(&plan);
        again.set_generation(Generation(generation));
        load(&mut again, &Lake(log));
        prop_assert_eq!(totals.held_cells(), again.held_cells());
        let cells = |totals: &Totals| totals.cells.values().map(crate::aggregate::cells::Cells::len).collect::<Vec<_>>();
        prop_assert_eq!(cells(&totals), cells(&again));
    }

    /// The order of rows, and where batches end, change nothing.
    #[test]
    fn neither_order_nor_boundaries_matter(rows in rows(), cuts in prop::collection::vec(0usize..12, 0..4), seed in any::<prop::sample::Index>()) {
        let plan = plan();
        let straight = expected(&plan, &BTreeMap::from([(0, rows.clone())]));
        let mut turned = rows.clone();
        if !turned.is_empty() {
            let by = seed.index(turned.len());
            turned.rotate_left(by);
        }
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(turned.len())).chain([0, turned.len()]).collect();
        cuts.sort_unstable();
        let mut totals = fresh(&plan);
        for pair in cuts.windows(2) {
            let groups = batch(&plan, 0, i64::try_from(pair[0]).unwrap(), &turned[pair[0]..pair[1]], 1);
            prop_assert_eq!(feed(&mut totals, &groups), Accepted::Taken);
        }
        prop_assert_eq!(all(&totals), straight);
    }

    /// Batches that come again (a zombie, a replay of the same offsets) change nothing that is told as known.
    #[test]
    fn the_same_offsets_again_are_never_added_twice(first in rows(), again in 0i64..12) {
        prop_assume!(!first.is_empty());
        let plan = plan();
        let mut totals = fresh(&plan);
        feed(&mut totals, &batch(&plan, 0, 0, &first, 1));
        let before = all(&totals);
        let from = again.min(i64::try_from(first.len()).unwrap() - 1);
        let rows = &first[usize::try_from(from).unwrap()..];
        // Of an older assignment: dropped.
        prop_assert_eq!(feed(&mut totals, &batch(&plan, 0, from, rows, 0)), Accepted::Stale);
        prop_assert_eq!(&all(&totals), &before);
        // Of this one, out of order: unknown until the lake was read, never counted twice.
        prop_assert_eq!(feed(&mut totals, &batch(&plan, 0, from, rows, 1)), Accepted::Broken);
        prop_assert!(plan.watches().iter().all(|watch| !totals.is_known(watch.id)));
        let lake = Lake(BTreeMap::from([(0, first)]));
        prop_assert!(load(&mut totals, &lake));
        prop_assert_eq!(all(&totals), before);
    }
}
