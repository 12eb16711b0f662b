//! A base from the lake, joined with the batches beyond it. In: sums of the lake at one snapshot, the batches that [`Totals`] holds. Out: a watch
//! that is whole again; if it was before, what differed. Pure.
//!
//! A watch is read into a second set of sums beside the one in use, completed with the batches beyond the snapshot, compared, and put in
//! place: the same way at a start, for a new watch, for a late period and for the check every few minutes. A difference is repaired by that.

use std::sync::Arc;

use spendstream_schemas::budget::Quarter;
use spendstream_schemas::ids::SourcePartition;

use super::buckets::{Added, Buckets, PartitionNo};
use super::cover::Cover;
use super::group::{Groups, SetGroups};
use super::pending::{NotYet, Offsets};
use super::plan::WatchId;
use super::sums::Sums;
use super::totals::{Held, Totals, reopen};

/// Differences that a report names; all are counted.
const EXAMPLES: usize = 5;

/// Where a base was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Version of the table.
    pub version: u64,
    /// Next offset of every partition that the lake knows.
    pub offsets: Vec<(Arc<SourcePartition>, i64)>,
    /// How often the lake had rewritten sums: readings with another number are not compared.
    pub history: i64,
}

impl Snapshot {
    fn offset(&self, source: &SourcePartition) -> Option<i64> {
        self.offsets.iter().find(|(known, _)| **known == *source).map(|(_, offset)| *offset)
    }
}

/// A sum that was not what the lake says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// In the order of the watch's keys.
    pub values: Vec<Option<String>>,
    pub bucket: Quarter,
    pub source: Arc<SourcePartition>,
    /// As it was held.
    pub live: Sums,
    /// By the lake and the batches beyond it; held now.
    pub lake: Sums,
    /// The partition's next offset at the version of the lake that was read.
    pub committed: i64,
    /// The next offset that both sums reach: the lake's was completed with the batches from `committed` on.
    pub reached: i64,
}

/// What a comparison of one watch with the lake found. It is repaired already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciled {
    pub watch: WatchId,
    pub version: u64,
    /// Sums compared.
    pub compared: u64,
    pub differences: u64,
    /// The first few.
    pub examples: Vec<Difference>,
}

/// The batches beyond a base, and where they end.
#[derive(Debug)]
pub(super) struct Beyond {
    pub batches: Vec<(PartitionNo, Arc<Groups>)>,
    reached: Offsets,
    history: i64,
}

impl Totals {
    /// Begins to read a watch; what was read of it before and is not in place is dropped. Batches are held until [`Totals::end_reading`].
    pub fn begin_reading(&mut self, id: WatchId, cover: Cover) {
        self.pending.hold(true);
        self.drop_staged(id);
        if let Some(state) = self.watches.get_mut(&id) {
            state.staged = Some(Buckets::new(cover));
        }
    }

    /// Nothing more is read: committed batches need not be held.
    pub fn end_reading(&mut self) {
        self.pending.hold(false);
    }

    pub(super) fn drop_staged(&mut self, id: WatchId) {
        let Some(state) = self.watches.get_mut(&id) else { return };
        if let Some(staged) = state.staged.take() {
            self.retired.push((state.watch.set, staged.retire()));
        }
    }

    /// Takes sums of the lake, one source partition per group, `from..to` of them.
    pub fn stage(&mut self, id: WatchId, rows: &SetGroups, sources: &[Arc<SourcePartition>], from: usize, to: usize) {
        let to = to.min(rows.len());
        for (row, source) in rows.slice(from, to).zip(sources.iter().skip(from)) {
            let no = self.number(source);
            self.stage_one(id, no, row);
        }
    }

    /// Takes the groups `from..to` of a batch beyond the base.
    pub(super) fn stage_batch(&mut self, id: WatchId, no: PartitionNo, groups: &SetGroups, from: usize, to: usize) {
        for group in groups.slice(from, to) {
            self.stage_one(id, no, group);
        }
    }

    fn stage_one(&mut self, id: WatchId, no: PartitionNo, group: super::group::GroupRef<'_>) {
        let Some(state) = self.watches.get_mut(&id) else { return };
        let (Some(staged), Some(cells)) = (&mut state.staged, self.cells.get_mut(&state.watch.set)) else { return };
        let cell = cells.intern(group.hash, group.key);
        let room = staged.cells() < self.limits.max_cells;
        match staged.add(group.quarter, no, cell, group.sums, room, cells) {
            Added::In(_) => {}
            Added::Refused => self.refused += 1,
            // Of a batch beyond the base: its period is read back, as for one that came later.
            Added::Outside => {
                self.late += 1;
                reopen(&state.watch, staged.cover(), group.quarter, &mut state.reopened);
            }
        }
        cells.drop_unused(cell);
    }

    /// The batches that complete a base.
    ///
    /// # Errors
    /// When they do not join; a later base will.
    pub(super) fn beyond(&mut self, id: WatchId, snapshot: &Snapshot) -> Result<Beyond, NotYet> {
        let base: Offsets = snapshot.offsets.iter().map(|(source, offset)| (self.number(source), *offset)).collect();
        // A watch that is gone needs nothing.
        let Some(set) = self.watches.get(&id).map(|state| state.watch.set) else { return Err(NotYet::OldPlan) };
        let (batches, reached) = self.pending.beyond(&base, set)?;
        Ok(Beyond { batches, reached, history: snapshot.history })
    }

    /// Compares what was read and completed with what is in use, sum by sum. Partitions that reach another offset (another instance's)
    /// and buckets that only one of them holds are left out.
    pub(super) fn compare(&self, id: WatchId, beyond: &Beyond, snapshot: &Snapshot) -> Option<Reconciled> {
        let state = self.watches.get(&id)?;
        let (live, staged) = (state.live.as_ref()?, state.staged.as_ref()?);
        // Repeats removed, a person erased, days deleted: the sums are meant to be others.
        if live.history != snapshot.history {
            return None;
        }
        let mut report =
            Reconciled { watch: id, version: snapshot.version, compared: 0, differences: 0, examples: Vec::new() };
        let comparable = |bucket: Quarter, no: PartitionNo| {
            live.covered.get(&no) == beyond.reached.get(&no) && live.buckets.is_whole(bucket) && staged.is_whole(bucket)
        };
        let mut differs = |bucket, no: PartitionNo, cell, held: Sums, lake: Sums| {
            report.differences += 1;
            if report.examples.len() < EXAMPLES
                && let Some(source) = self.sources.get(no as usize)
            {
                let (values, source) = (self.values(id, cell), Arc::clone(source));
                let reached = beyond.reached.get(&no).copied().unwrap_or_default();
                let committed = snapshot.offset(&source).unwrap_or_default();
                report.examples.push(Difference { values, bucket, source, live: held, lake, committed, reached });
            }
        };
        let mut compared = 0;
        for (bucket, no, cell, lake) in staged.each().filter(|(bucket, no, ..)| comparable(*bucket, *no)) {
            compared += 1;
            let held = live.buckets.one(bucket, no, cell).unwrap_or_default();
            if held != lake {
                differs(bucket, no, cell, held, lake);
            }
        }
        for (bucket, no, cell, held) in live.buckets.each().filter(|(bucket, no, ..)| comparable(*bucket, *no)) {
            if staged.one(bucket, no, cell).is_none() && !held.is_zero() {
                compared += 1;
                differs(bucket, no, cell, held, Sums::default());
            }
        }
        report.compared = compared;
        Some(report)
    }

    /// Puts what was read and completed in the place of what was in use; the watch is known from now on.
    pub(super) fn put_in_place(&mut self, id: WatchId, beyond: Beyond) {
        let Some(state) = self.watches.get_mut(&id) else { return };
        let Some(buckets) = state.staged.take() else { return };
        self.pending.reached(&beyond.reached);
        if let Some(before) = state.live.replace(Held { buckets, covered: beyond.reached, history: beyond.history }) {
            self.retired.push((state.watch.set, before.buckets.retire()));
        }
    }

    /// Spoils a sum, so that a test can see it found.
    #[cfg(test)]
    pub(crate) fn spoil(&mut self, id: WatchId, values: &[Option<&str>], bucket: Quarter, by: i128) {
        let key = super::key::of(values);
        let state = self.watches.get_mut(&id).unwrap();
        let cell = self.cells[&state.watch.set].find(super::key::hash(&key), &key).unwrap();
        state.live.as_mut().unwrap().buckets.spoil(bucket, 0, cell, by);
    }
}
