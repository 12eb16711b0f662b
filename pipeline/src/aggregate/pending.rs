//! Batches whose sums are not yet, or not long, in the lake. In: batches in order, commits. Out: the batches beyond an offset, for a base
//! that was read at it. Pure.
//!
//! live = base + batches beyond the base's offset. That only holds when no batch is missing in between, none straddles the offset, and each was
//! summed by the set in question; [`Pending::beyond`] checks all three.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use thiserror::Error;

use super::buckets::PartitionNo;
use super::group::Groups;
use super::plan::SetId;

/// Next offset by partition.
pub type Offsets = BTreeMap<PartitionNo, i64>;

/// Why a base cannot be used; a later one can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotYet {
    #[error("batches between the base and what is held are gone")]
    Hole,
    #[error("a batch reaches over the base's offset")]
    Straddles,
    #[error("a batch was summed before the set was watched")]
    OldPlan,
}

/// A batch does not follow the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a batch starts at {got} instead of {expected}")]
pub struct Gap {
    pub expected: i64,
    pub got: i64,
}

#[derive(Debug, Default)]
struct Batches {
    held: VecDeque<Arc<Groups>>,
    committed: Option<i64>,
    /// Batches up to here were held once and are no longer.
    dropped: Option<i64>,
    /// Where the next batch starts.
    position: Option<i64>,
    /// Another instance's: its batches are told by it, and may be missing.
    foreign: bool,
    /// Read here, since the last assignment.
    own: bool,
}

impl Batches {
    /// Forgets batches that are committed; how many groups they had.
    fn prune(&mut self) -> usize {
        let mut groups = 0;
        while let Some(first) =
            self.held.front().filter(|first| self.committed.is_some_and(|to| first.range.to() <= to))
        {
            groups += weight(first);
            self.dropped = Some(first.range.to());
            self.held.pop_front();
        }
        groups
    }
}

/// The batches of another instance that follow a base without a hole, and where they end; `None` when they do not join.
fn following(batches: &Batches, base: Option<i64>, set: SetId) -> Option<(Vec<Arc<Groups>>, Option<i64>)> {
    let (mut next, mut follow) = (base.unwrap_or(0), Vec::new());
    let mut reached = None;
    for batch in &batches.held {
        if batch.range.to() <= next {
            continue;
        }
        if batch.range.from() != next || !batch.has(set) {
            return None;
        }
        next = batch.range.to();
        reached = Some(next);
        follow.push(Arc::clone(batch));
    }
    Some((follow, reached))
}

fn weight(groups: &Groups) -> usize {
    groups.sets.iter().map(super::group::SetGroups::len).sum()
}

/// See the module.
#[derive(Debug)]
pub struct Pending {
    partitions: BTreeMap<PartitionNo, Batches>,
    /// While a base is being read, committed batches stay: it may have been read before them.
    hold: bool,
    groups: usize,
    /// Groups beyond which committed batches go even then.
    max_groups: usize,
}

impl Pending {
    #[must_use]
    pub fn new(max_groups: usize) -> Self {
        Self { partitions: BTreeMap::new(), hold: false, groups: 0, max_groups }
    }

    /// Takes a batch that another instance tells of; false for a partition that is read here. One that does not follow the one before
    /// forgets those before.
    pub fn push_foreign(&mut self, partition: PartitionNo, batch: Arc<Groups>) -> bool {
        let batches = self.partitions.entry(partition).or_default();
        if batches.own {
            return false;
        }
        batches.foreign = true;
        if batches.position.is_none_or(|position| batch.range.to() > position) {
            // A gap is closed by the lake.
            let _ = self.follow(partition, batch);
        }
        true
    }

    /// Takes a batch of a partition that is read here.
    ///
    /// # Errors
    /// When it does not follow the one before; the batches before are then forgotten, and it is the first.
    pub fn push(&mut self, partition: PartitionNo, batch: Arc<Groups>) -> Result<(), Gap> {
        let batches = self.partitions.entry(partition).or_default();
        if batches.foreign {
            // From the lake's offset on they are read here: what another had read of them is among that.
            self.groups -= batches.held.iter().map(|held| weight(held)).sum::<usize>();
            *batches = Batches::default();
        }
        batches.own = true;
        self.follow(partition, batch)
    }

    fn follow(&mut self, partition: PartitionNo, batch: Arc<Groups>) -> Result<(), Gap> {
        let batches = self.partitions.entry(partition).or_default();
        let (from, to) = (batch.range.from(), batch.range.to());
        let gap = batches.position.filter(|expected| *expected != from).map(|expected| Gap { expected, got: from });
        if gap.is_some() {
            self.groups -= batches.held.iter().map(|held| weight(held)).sum::<usize>();
            batches.held.clear();
            batches.dropped = Some(from);
        }
        batches.position = Some(to);
        self.groups += weight(&batch);
        batches.held.push_back(batch);
        if self.groups > self.max_groups {
            self.prune();
        }
        gap.map_or(Ok(()), Err)
    }

    /// A commit reaches to this offset.
    pub fn committed(&mut self, partition: PartitionNo, to: i64) {
        let batches = self.partitions.entry(partition).or_default();
        batches.committed = Some(batches.committed.map_or(to, |known| known.max(to)));
        if !self.hold {
            self.groups -= batches.prune();
        }
    }

    /// Whether committed batches stay.
    pub fn hold(&mut self, hold: bool) {
        self.hold = hold;
        if !hold {
            self.prune();
        }
    }

    fn prune(&mut self) {
        self.groups -= self.partitions.values_mut().map(Batches::prune).sum::<usize>();
    }

    /// The batches beyond a base, in order, and the offsets that base and batches reach together.
    ///
    /// # Errors
    /// When they do not join.
    #[expect(clippy::type_complexity, reason = "read once, where it is taken apart")]
    pub fn beyond(&self, base: &Offsets, set: SetId) -> Result<(Vec<(PartitionNo, Arc<Groups>)>, Offsets), NotYet> {
        let mut reached = base.clone();
        let mut beyond = Vec::new();
        for (no, batches) in &self.partitions {
            let base = base.get(no).copied();
            if batches.foreign {
                // Hints: what does not join is left out, and the base stands alone until the lake has it.
                if let Some((follow, to)) = following(batches, base, set) {
                    beyond.extend(follow.into_iter().map(|batch| (*no, batch)));
                    reached.extend(to.map(|to| (*no, to)));
                }
                continue;
            }
            if batches.dropped.is_some_and(|dropped| base.is_none_or(|base| base < dropped)) {
                return Err(NotYet::Hole);
            }
            let mut next = base;
            for batch in &batches.held {
                let (from, to) = (batch.range.from(), batch.range.to());
                if base.is_some_and(|base| to <= base) {
                    continue;
                }
                match next {
                    Some(next) if from < next => return Err(NotYet::Straddles),
                    Some(next) if from > next => return Err(NotYet::Hole),
                    _ => {}
                }
                if !batch.has(set) {
                    return Err(NotYet::OldPlan);
                }
                next = Some(to);
                beyond.push((*no, Arc::clone(batch)));
            }
            reached.extend(next.map(|next| (*no, next)));
        }
        Ok((beyond, reached))
    }

    /// A base that is in use reaches to these offsets: a batch that starts before them does not follow.
    pub fn reached(&mut self, offsets: &Offsets) {
        for (no, offset) in offsets {
            let batches = self.partitions.entry(*no).or_default();
            batches.position = Some(batches.position.map_or(*offset, |known| known.max(*offset)));
        }
    }

    /// Groups held.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Partitions were assigned anew: what was read here is dropped. What others told of theirs stays: whoever owns it now, it is in the log.
    pub fn clear(&mut self) {
        self.partitions.retain(|_, batches| batches.foreign);
        self.groups = self.partitions.values().flat_map(|batches| &batches.held).map(|held| weight(held)).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;
    use spendstream_schemas::budget::Quarter;
    use spendstream_schemas::ids::{OffsetRange, SourcePartition};

    use super::{Gap, NotYet, Pending};
    use crate::aggregate::group::{Groups, SetGroups};
    use crate::aggregate::plan::SetId;
    use crate::aggregate::sums::Sums;
    use crate::batch::Generation;

    fn batch(from: i64, to: i64, sets: &[u64]) -> Arc<Groups> {
        let sets = sets.iter().map(|id| {
            let mut set = SetGroups::new(SetId(*id));
            set.push(&[], Quarter(1), Sums::row(Some(1)));
            set
        });
        Arc::new(Groups {
            source: Arc::new(SourcePartition { cluster: "c".into(), topic: "t".into(), partition: 0 }),
            generation: Generation(1),
            range: OffsetRange::new(from, to).unwrap(),
            plan: Arc::default(),
            rows: u64::try_from(to - from).unwrap(),
            newest_micros: None,
            sets: sets.collect(),
            arrived: Vec::new(),
            runs: Vec::new(),
        })
    }

    fn ranges(pending: &Pending, base: Option<i64>, set: u64) -> Result<Vec<(i64, i64)>, NotYet> {
        let base: BTreeMap<_, _> = base.map(|base| (0, base)).into_iter().collect();
        let (beyond, _) = pending.beyond(&base, SetId(set))?;
        Ok(beyond.iter().map(|(_, batch)| (batch.range.from(), batch.range.to())).collect())
    }

    #[test]
    fn a_base_joins_only_without_hole_straddle_or_old_plan() {
        let mut pending = Pending::new(100);
        for (from, to, sets) in [(10, 20, &[1][..]), (20, 30, &[1, 2]), (30, 30, &[]), (30, 40, &[1, 2])] {
            pending.push(0, batch(from, to, sets)).unwrap();
        }
        assert_eq!(ranges(&pending, Some(10), 1), Ok(vec![(10, 20), (20, 30), (30, 30), (30, 40)]));
        assert_eq!(ranges(&pending, None, 1), Ok(vec![(10, 20), (20, 30), (30, 30), (30, 40)]));
        assert_eq!(ranges(&pending, Some(20), 2), Ok(vec![(20, 30), (30, 30), (30, 40)]));
        assert_eq!(ranges(&pending, Some(10), 2), Err(NotYet::OldPlan));
        assert_eq!(ranges(&pending, Some(9), 1), Err(NotYet::Hole));
        assert_eq!(ranges(&pending, Some(25), 1), Err(NotYet::Straddles));
        assert_eq!(ranges(&pending, Some(40), 2), Ok(vec![]));
        pending.hold(true);
        pending.committed(0, 20);
        assert_eq!(ranges(&pending, Some(10), 1).unwrap().len(), 4, "held while a base is read");
        pending.hold(false);
        assert_eq!(ranges(&pending, Some(10), 1), Err(NotYet::Hole));
        assert_eq!(ranges(&pending, Some(20), 1).unwrap().len(), 3);
        assert_eq!(pending.push(0, batch(50, 60, &[1])), Err(Gap { expected: 40, got: 50 }));
        assert_eq!(ranges(&pending, Some(40), 1), Err(NotYet::Hole));
        assert_eq!(ranges(&pending, Some(50), 1), Ok(vec![(50, 60)]));
    }

    #[test]
    fn what_others_tell_outlives_an_assignment_and_joins_only_without_a_hole() {
        let mut pending = Pending::new(100);
        for (from, to) in [(10, 20), (20, 30)] {
            assert!(pending.push_foreign(0, batch(from, to, &[1])));
        }
        pending.clear();
        assert_eq!((ranges(&pending, Some(10), 1), pending.groups()), (Ok(vec![(10, 20), (20, 30)]), 2));
        assert_eq!(ranges(&pending, Some(30), 1), Ok(vec![]));
        // What does not join is left out: the base stands alone.
        assert_eq!((ranges(&pending, Some(15), 1), ranges(&pending, Some(5), 1)), (Ok(vec![]), Ok(vec![])));
        // A batch that is known, and one after a hole.
        assert!(pending.push_foreign(0, batch(10, 25, &[1])));
        assert_eq!(ranges(&pending, Some(10), 1).unwrap().len(), 2);
        assert!(pending.push_foreign(0, batch(35, 40, &[1])));
        assert_eq!((ranges(&pending, Some(30), 1), ranges(&pending, Some(35), 1)), (Ok(vec![]), Ok(vec![(35, 40)])));
        // Read here from now on: what others say of it counts no longer.
        pending.push(0, batch(0, 40, &[1])).unwrap();
        assert_eq!(ranges(&pending, None, 1), Ok(vec![(0, 40)]));
        assert!(!pending.push_foreign(0, batch(40, 50, &[1])));
        pending.clear();
        assert_eq!((ranges(&pending, Some(30), 1), pending.groups()), (Ok(vec![]), 0));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut pending = Pending::new(3);
        pending.hold(true);
        for from in 0..10 {
            pending.push(0, batch(from, from + 1, &[1])).unwrap();
            pending.committed(0, from + 1);
        }
        assert!(pending.groups() <= 4, "{}", pending.groups());
    }

    proptest! {
        /// Whatever was committed and forgotten: a base that joins gives every offset beyond it exactly once.
        #[test]
        fn a_join_covers_every_offset_once(lengths in prop::collection::vec(0i64..4, 1..20), committed in 0i64..40, base in 0i64..40) {
            let mut pending = Pending::new(1_000);
            let mut next = 0;
            for length in lengths {
                pending.push(0, batch(next, next + length, &[1])).unwrap();
                next += length;
            }
            pending.committed(0, committed);
            if let Ok(ranges) = ranges(&pending, Some(base), 1) {
                let mut at = base;
                for (from, to) in ranges {
                    prop_assert_eq!(from, at);
                    at = to;
                }
                prop_assert_eq!(at, base.max(next));
            }
        }
    }
}
