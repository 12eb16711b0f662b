//! Live totals. In: groups of batches, sums of the lake, commits, the time. Out: what was spent by the values of a watch over a span, or that it is
//! not known. Pure: it starts no thread, reads no clock and no lake.
//!
//! Each watch is either whole (every event up to [`Totals::covered`], once) or unknown; [`super::thread`] says when. One cell costs its record
//! ([`super::cells`]) once per set and 33 to 75 bytes per watch, bucket and source partition ([`super::buckets`]). Counted: a million users in one
//! watch, bucket and partition take 119 bytes each, tables just doubled (`tests::memory`).

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use spendstream_schemas::budget::Quarter;
use spendstream_schemas::ids::SourcePartition;

use super::buckets::{Added, Buckets, PartitionNo, Retired};
use super::cells::{CellId, Cells};
use super::cover::{Cover, REOPENED, Times};
use super::group::Groups;
use super::pending::{Offsets, Pending};
use super::plan::{Bucketing, SetId, Watch, WatchId, WatchPlan};
use super::read::AsOf;
use super::watermark::Watermarks;
use crate::batch::Generation;

/// Bounds and times of live totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sums held, one per watch, bucket and cell. At the limit further cells are unknown, never zero.
    pub max_cells: usize,
    /// Groups of batches held while the lake is read.
    pub max_held_groups: usize,
    /// How long after the watermark a period stays in memory, microseconds.
    pub lateness: i64,
    /// A partition without batches for so long does not hold the watermark back, microseconds.
    pub idle: i64,
}

/// A sum that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Touch {
    pub watch: WatchId,
    /// The bucket's first quarter-hour.
    pub bucket: Quarter,
    pub cell: CellId,
}

/// A watch and what is held of it.
#[derive(Debug)]
pub(super) struct State {
    pub watch: Watch,
    /// `None` while unknown.
    pub live: Option<Held>,
    /// A base in the making.
    pub staged: Option<Buckets>,
    /// Closed buckets that late events touched: a quarter-hour in each, and until when it is held, microseconds.
    pub reopened: BTreeMap<Quarter, i64>,
}

/// Sums that are whole.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub buckets: Buckets,
    pub covered: Offsets,
    /// See [`super::join::Snapshot::history`].
    pub history: i64,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Of an older assignment: dropped.
    Stale,
    Taken,
    /// Taken, and some watch is unknown since.
    Broken,
}

/// See the module.
#[derive(Debug)]
pub struct Totals {
    pub(super) limits: Limits,
    pub(super) plan: Arc<WatchPlan>,
    pub(super) generation: Generation,
    pub(super) cells: BTreeMap<SetId, Cells>,
    pub(super) watches: BTreeMap<WatchId, State>,
    numbers: HashMap<Arc<SourcePartition>, PartitionNo>,
    pub(super) sources: Vec<Arc<SourcePartition>>,
    pub(super) pending: Pending,
    watermarks: Watermarks,
    pub(super) as_of: AsOf,
    pub(super) retired: Vec<(SetId, Retired)>,
    pub(super) refused: u64,
    pub(super) late: u64,
    scratch: Vec<CellId>,
}

impl Totals {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            plan: Arc::default(),
            generation: Generation::default(),
            cells: BTreeMap::new(),
            watches: BTreeMap::new(),
            numbers: HashMap::new(),
            sources: Vec::new(),
            pending: Pending::new(limits.max_held_groups),
            watermarks: Watermarks::default(),
            as_of: AsOf::default(),
            retired: Vec::new(),
            refused: 0,
            late: 0,
            scratch: Vec::new(),
        }
    }

    /// Watches what a newer plan says; what it shares with the old one goes on, what is new is unknown.
    pub fn set_plan(&mut self, plan: &Arc<WatchPlan>) {
        if plan.version() <= self.plan.version() {
            return;
        }
        self.plan = Arc::clone(plan);
        let gone: Vec<WatchId> = self.watches.keys().filter(|id| plan.watch(**id).is_none()).copied().collect();
        for id in gone {
            self.give_up(id);
            self.watches.remove(&id);
        }
        self.cells.retain(|id, _| plan.sets().iter().any(|(known, _)| known == id));
        self.retired.retain(|(id, _)| self.cells.contains_key(id));
        for watch in plan.watches() {
            self.cells.entry(watch.set).or_default();
            let new = || State { watch: watch.clone(), live: None, staged: None, reopened: BTreeMap::new() };
            self.watches.entry(watch.id).or_insert_with(new);
        }
    }

    /// Partitions were assigned anew: what is not in the lake is dropped, and everything is unknown until it was read there.
    pub fn set_generation(&mut self, generation: Generation) {
        if generation <= self.generation {
            return;
        }
        self.generation = generation;
        self.pending.clear();
        self.watermarks.forget();
        self.give_up_all();
    }

    fn give_up_all(&mut self) {
        let all: Vec<WatchId> = self.watches.keys().copied().collect();
        for id in all {
            self.give_up(id);
        }
    }

    /// Makes a watch unknown.
    fn give_up(&mut self, id: WatchId) {
        let Some(state) = self.watches.get_mut(&id) else { return };
        let buckets = state.live.take().map(|held| held.buckets).into_iter().chain(state.staged.take());
        self.retired.extend(buckets.map(|buckets| (state.watch.set, buckets.retire())));
    }

    /// Takes a batch, before its groups are added.
    pub fn accept(&mut self, groups: &Arc<Groups>, now: i64) -> Accepted {
        self.set_generation(groups.generation);
        if groups.generation != self.generation {
            return Accepted::Stale;
        }
        self.set_plan(&groups.plan);
        let no = self.number(&groups.source);
        self.watermarks.saw(no, groups.newest_micros, now);
        let mut broken = false;
        if let Err(gap) = self.pending.push(no, Arc::clone(groups)) {
            tracing::warn!(source = %groups.source, %gap, "live totals are read again from the lake");
            self.give_up_all();
            broken = true;
        }
        // Unsummed for a watch, or of a partition that another had read further than the lake when it was assigned here.
        let lacking = |state: &&State| {
            let fits = |live: &Held| follows(live, no, groups, state.watch.set) || has(live, no, groups);
            state.live.as_ref().is_some_and(|live| !groups.has(state.watch.set) || !fits(live))
        };
        let lacking: Vec<WatchId> = self.watches.values().filter(lacking).map(|state| state.watch.id).collect();
        broken |= !lacking.is_empty();
        for id in lacking {
            self.give_up(id);
        }
        if broken { Accepted::Broken } else { Accepted::Taken }
    }

    /// Takes a batch that another instance tells of, before its groups are added; false for a partition that is read here. Nothing becomes
    /// unknown by it.
    pub fn accept_foreign(&mut self, groups: &Arc<Groups>, now: i64) -> bool {
        let no = self.number(&groups.source);
        if !self.pending.push_foreign(no, Arc::clone(groups)) {
            return false;
        }
        self.watermarks.saw(no, groups.newest_micros, now);
        // A partition that the lake does not know starts at its first offset, whatever is told of it first.
        for held in self.watches.values_mut().filter_map(|state| state.live.as_mut()) {
            held.covered.entry(no).or_insert(0);
        }
        true
    }

    /// Whether some watch lacks batches before this one: the lake has to be read.
    #[must_use]
    pub fn is_behind(&mut self, groups: &Groups) -> bool {
        let no = self.number(&groups.source);
        self.watches.values().any(|state| {
            state
                .live
                .as_ref()
                .is_some_and(|live| !follows(live, no, groups, state.watch.set) && !has(live, no, groups))
        })
    }

    /// Whether the sums of some watch end before an offset that is in the lake.
    #[must_use]
    pub fn lacks(&mut self, source: &Arc<SourcePartition>, committed: i64) -> bool {
        let no = self.number(source);
        let covered = |live: &Held| live.covered.get(&no).copied().unwrap_or(0);
        self.watches.values().filter_map(|state| state.live.as_ref()).any(|live| covered(live) < committed)
    }

    /// The number of a partition.
    pub(super) fn number(&mut self, source: &Arc<SourcePartition>) -> PartitionNo {
        if let Some(no) = self.numbers.get(source) {
            return *no;
        }
        let no = PartitionNo::try_from(self.sources.len()).unwrap_or(PartitionNo::MAX);
        self.sources.push(Arc::clone(source));
        self.numbers.insert(Arc::clone(source), no);
        no
    }

    /// Adds the groups `from..to` of one of an accepted batch's sets; what changed is told.
    pub fn add(&mut self, groups: &Groups, set: usize, from: usize, to: usize, touched: &mut Vec<Touch>) {
        let no = self.number(&groups.source);
        let Some(set) = groups.sets.get(set) else { return };
        // Before anybody is told: an alert names the event that made the sum, not the one before it.
        self.as_of.newest = self.as_of.newest.max(groups.newest_micros);
        let mut held: usize = self.held_cells();
        let Some(cells) = self.cells.get_mut(&set.id) else { return };
        self.scratch.clear();
        self.scratch.extend(set.slice(from, to).map(|group| cells.intern(group.hash, group.key)));
        for state in self.watches.values_mut().filter(|state| state.watch.set == set.id) {
            let State { watch, live: Some(live), reopened, .. } = state else { continue };
            if !follows(live, no, groups, watch.set) {
                continue;
            }
            for (group, cell) in set.slice(from, to).zip(&self.scratch) {
                let before = live.buckets.cells();
                let room = held < self.limits.max_cells;
                match live.buckets.add(group.quarter, no, *cell, group.sums, room, cells) {
                    Added::In(bucket) => touched.push(Touch { watch: watch.id, bucket, cell: *cell }),
                    Added::Refused => self.refused += 1,
                    Added::Outside => {
                        self.late += 1;
                        reopen(watch, live.buckets.cover(), group.quarter, reopened);
                    }
                }
                held += live.buckets.cells() - before;
            }
        }
        self.scratch.iter().for_each(|cell| cells.drop_unused(*cell));
    }

    /// All groups of a batch were added.
    pub fn added(&mut self, groups: &Groups) {
        let no = self.number(&groups.source);
        for state in self.watches.values_mut() {
            let Some(held) = state.live.as_mut() else { continue };
            if follows(held, no, groups, state.watch.set) {
                held.covered.insert(no, groups.range.to());
            }
        }
        self.as_of.newest = self.as_of.newest.max(groups.newest_micros);
    }

    /// A commit of this process reaches to that offset.
    pub fn committed(&mut self, source: &Arc<SourcePartition>, to: i64) {
        let no = self.number(source);
        self.pending.committed(no, to);
    }

    /// Moves the watermark and gives up what is over.
    pub fn advance(&mut self, now: i64) {
        self.as_of.watermark = self.watermarks.advance(now, self.limits.idle);
        let times = self.times(now);
        for state in self.watches.values_mut() {
            state.reopened.retain(|_, until| *until == 0 || *until > now);
            state
                .reopened
                .values_mut()
                .filter(|until| **until == 0)
                .for_each(|until| *until = now + self.limits.lateness);
            let Some(live) = &mut state.live else { continue };
            let retired = live.buckets.shrink(&cover(state.watch.bucketing.clone(), times, &state.reopened));
            if !retired.is_empty() {
                self.retired.push((state.watch.set, retired));
            }
        }
    }

    fn times(&self, now: i64) -> Times {
        let settled = self.as_of.watermark.unwrap_or(now).min(now) - self.limits.lateness;
        Times { now: Quarter::of_micros(now), settled: Quarter::of_micros(settled) }
    }

    /// What would be held of a watch if it were read now.
    #[must_use]
    pub fn cover_of(&self, id: WatchId, now: i64) -> Option<Cover> {
        let state = self.watches.get(&id)?;
        Some(cover(state.watch.bucketing.clone(), self.times(now), &state.reopened))
    }

    /// Watches that have to be read: unknown ones, and those of which a late event touched what is not held.
    #[must_use]
    pub fn wanting(&self) -> Vec<WatchId> {
        let wants = |state: &&State| match &state.live {
            None => true,
            Some(live) => state.reopened.keys().any(|quarter| live.buckets.cover().bucket(*quarter).is_none()),
        };
        self.watches.values().filter(wants).map(|state| state.watch.id).collect()
    }

    /// Releases up to so many sums that were given up; false when none are left.
    pub fn sweep(&mut self, limit: usize) -> bool {
        let Some((set, retired)) = self.retired.last_mut() else { return false };
        let more = self.cells.get_mut(set).is_some_and(|cells| retired.release(limit, cells));
        if !more {
            self.retired.pop();
        }
        more || !self.retired.is_empty()
    }
}

/// Whether a batch is the next that sums lack.
fn follows(held: &Held, no: PartitionNo, groups: &Groups, set: SetId) -> bool {
    groups.has(set) && held.covered.get(&no).copied().unwrap_or(groups.range.from()) == groups.range.from()
}

/// Whether sums have all of a batch already.
fn has(held: &Held, no: PartitionNo, groups: &Groups) -> bool {
    held.covered.get(&no).is_some_and(|covered| groups.range.to() <= *covered)
}

fn cover(bucketing: Bucketing, times: Times, reopened: &BTreeMap<Quarter, i64>) -> Cover {
    let reopened: Vec<Quarter> = reopened.keys().copied().collect();
    Cover::of(&bucketing, times, &reopened)
}

/// Remembers the closed period of a late event, to read it back.
pub(super) fn reopen(watch: &Watch, cover: &Cover, quarter: Quarter, reopened: &mut BTreeMap<Quarter, i64>) {
    let Bucketing::Calendar(rule) = &watch.bucketing else { return };
    let late = cover.spans().last().is_some_and(|last| quarter < last.from);
    if late && reopened.len() < REOPENED {
        reopened.entry(rule.span(quarter).from).or_insert(0);
    }
}
