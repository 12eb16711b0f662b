//! The sums of one watch: by bucket, source partition and cell. In: groups of batches or rows of the lake. Out: sums of spans. Pure.
//!
//! Each sum is 32 bytes plus a byte of its table, which is between half and fully used: 33 to 75 bytes. A bucket is given up whole.

use std::collections::BTreeMap;

use spendstream_schemas::budget::{Quarter, Span};

use super::cells::{CellId, Cells};
use super::cover::Cover;
use super::sums::Sums;
use super::table::{IntoShards, Sharded};

/// The number of a source partition in this process.
pub type PartitionNo = u32;

/// One sum. `unpriced` stops counting at four thousand million.
#[derive(Clone, Copy, Debug)]
struct Slot {
    cost: i128,
    requests: u64,
    unpriced: u32,
    cell: CellId,
}

impl Slot {
    fn sums(&self) -> Sums {
        Sums { cost: self.cost, requests: self.requests, unpriced: self.unpriced.into() }
    }

    fn set(&mut self, sums: Sums) {
        self.cost = sums.cost;
        self.requests = sums.requests;
        self.unpriced = u32::try_from(sums.unpriced).unwrap_or(u32::MAX);
    }
}

fn hash(cell: CellId) -> u64 {
    let hash = u64::from(cell.0).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash ^ (hash >> 29)
}

#[derive(Debug, Default)]
struct Bucket {
    parts: Vec<(PartitionNo, Sharded<Slot>)>,
    /// Cells with a sum in any partition.
    cells: usize,
    /// At the limit a cell was left out: a cell without sums is not known to be zero.
    refused: bool,
}

impl Bucket {
    fn has(&self, cell: CellId) -> bool {
        self.parts.iter().any(|(_, slots)| slots.find(hash(cell), |slot| slot.cell == cell).is_some())
    }

    fn sums(&self, cell: CellId) -> Option<Sums> {
        let mut found = None;
        for (_, slots) in &self.parts {
            if let Some(slot) = slots.find(hash(cell), |slot| slot.cell == cell) {
                *found.get_or_insert_with(Sums::default) += slot.sums();
            }
        }
        found
    }

    fn part(&mut self, partition: PartitionNo) -> &mut Sharded<Slot> {
        let known = self.parts.iter().position(|(known, _)| *known == partition);
        let at = known.unwrap_or_else(|| {
            self.parts.push((partition, Sharded::default()));
            self.parts.len() - 1
        });
        &mut self.parts[at].1
    }
}

/// What became of a sum that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is in that bucket.
    In(Quarter),
    /// Its bucket is not held.
    Outside,
    /// The limit of cells is reached: its values are not known in that bucket.
    Refused,
}

/// Why a span has no sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSum {
    NotHeld,
    Refused,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Buckets {
    cover: Cover,
    by_start: BTreeMap<Quarter, Bucket>,
    cells: usize,
}

impl Buckets {
    /// Nothing spent in any bucket of the cover.
    #[must_use]
    pub fn new(cover: Cover) -> Self {
        Self { cover, ..Self::default() }
    }

    #[must_use]
    pub fn cover(&self) -> &Cover {
        &self.cover
    }

    /// Sums held, partitions of one cell and bucket counted once.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Adds sums; `room` says whether another cell may be held.
    pub fn add(
        &mut self,
        quarter: Quarter,
        partition: PartitionNo,
        cell: CellId,
        sums: Sums,
        room: bool,
        cells: &mut Cells,
    ) -> Added {
        let Some(start) = self.cover.bucket(quarter) else { return Added::Outside };
        let bucket = self.by_start.entry(start).or_default();
        if let Some(slot) = bucket.part(partition).find_mut(hash(cell), |slot| slot.cell == cell) {
            let sum = slot.sums() + sums;
            slot.set(sum);
            return Added::In(start);
        }
        if !bucket.has(cell) {
            // What was left out once stays out: admitted later, its sum would lack what came before.
            if bucket.refused || !room {
                bucket.refused = true;
                return Added::Refused;
            }
            bucket.cells += 1;
            self.cells += 1;
        }
        let new = || Slot { cost: 0, requests: 0, unpriced: 0, cell };
        let (slot, _) = bucket.part(partition).entry(hash(cell), |slot| slot.cell == cell, |slot| hash(slot.cell), new);
        slot.set(sums);
        cells.retain(cell);
        Added::In(start)
    }

    /// The sums of a cell over a span of whole buckets; `None` for values without a cell.
    ///
    /// # Errors
    /// When a part of the span is not held, or the cell may have been left out.
    pub fn sums(&self, span: Span, cell: Option<CellId>) -> Result<Sums, NoSum> {
        if !self.cover.holds(span) {
            return Err(NoSum::NotHeld);
        }
        let mut sums = Sums::default();
        for bucket in self.by_start.range(span.from..span.to).map(|(_, bucket)| bucket) {
            match cell.and_then(|cell| bucket.sums(cell)) {
                Some(found) => sums += found,
                None if bucket.refused => return Err(NoSum::Refused),
                None => {}
            }
        }
        Ok(sums)
    }

    /// Every cell that has a sum in a bucket of the span; one that has several is told several times.
    pub fn cells_in(&self, span: Span) -> impl Iterator<Item = (Quarter, CellId)> {
        let buckets = self.by_start.range(span.from..span.to);
        buckets.flat_map(|(start, bucket)| {
            let slots = bucket.parts.iter().flat_map(|(_, slots)| slots.iter());
            slots.map(move |slot| (*start, slot.cell))
        })
    }

    /// Every single sum, bucket by bucket.
    pub fn each(&self) -> impl Iterator<Item = (Quarter, PartitionNo, CellId, Sums)> {
        self.by_start.iter().flat_map(|(start, bucket)| {
            bucket
                .parts
                .iter()
                .flat_map(move |(no, slots)| slots.iter().map(move |slot| (*start, *no, slot.cell, slot.sums())))
        })
    }

    /// One single sum; `None` when there is none.
    #[must_use]
    pub fn one(&self, start: Quarter, partition: PartitionNo, cell: CellId) -> Option<Sums> {
        let parts = &self.by_start.get(&start)?.parts;
        let (_, slots) = parts.iter().find(|(known, _)| *known == partition)?;
        slots.find(hash(cell), |slot| slot.cell == cell).map(Slot::sums)
    }

    /// Whether a bucket is held and nothing was left out of it.
    #[must_use]
    pub fn is_whole(&self, start: Quarter) -> bool {
        self.cover.bucket(start) == Some(start) && !self.by_start.get(&start).is_some_and(|bucket| bucket.refused)
    }

    /// Gives up the buckets that `cover` no longer holds.
    pub fn shrink(&mut self, cover: &Cover) -> Retired {
        self.cover.shrink(cover);
        let Self { cover, by_start: buckets, cells } = self;
        let gone: Vec<Quarter> = buckets.keys().filter(|start| cover.bucket(**start).is_none()).copied().collect();
        let mut retired = Retired::default();
        for bucket in gone.iter().filter_map(|start| buckets.remove(start)) {
            *cells -= bucket.cells;
            retired.take(bucket);
        }
        retired
    }

    /// Gives up everything.
    #[must_use]
    pub fn retire(self) -> Retired {
        let mut retired = Retired::default();
        self.by_start.into_values().for_each(|bucket| retired.take(bucket));
        retired
    }

    /// Bytes of the tables.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let parts = self.by_start.values().flat_map(|bucket| &bucket.parts);
        parts.map(|(_, slots)| slots.bytes()).sum()
    }

    /// Spoils a sum, so that a test can see it found.
    #[cfg(test)]
    pub(super) fn spoil(&mut self, start: Quarter, partition: PartitionNo, cell: CellId, by: i128) {
        let bucket = self.by_start.get_mut(&start).unwrap();
        bucket.part(partition).find_mut(hash(cell), |slot| slot.cell == cell).unwrap().cost += by;
    }
}

const _: () = assert!(size_of::<Slot>() == 32, "what a sum costs is documented");

/// Sums that were given up and still count as uses of their cells: released a few at a time, so that no reader waits long.
#[derive(Debug, Default)]
pub struct Retired(Vec<std::iter::Flatten<IntoShards<Slot>>>);

impl Retired {
    fn take(&mut self, bucket: Bucket) {
        self.0.extend(bucket.parts.into_iter().map(|(_, slots)| slots.into_iter()));
    }

    /// Releases up to so many sums; false when none are left.
    pub fn release(&mut self, limit: usize, cells: &mut Cells) -> bool {
        for _ in 0..limit {
            let Some(slots) = self.0.last_mut() else { return false };
            match slots.next() {
                Some(slot) => cells.release(slot.cell),
                None => drop(self.0.pop()),
            }
        }
        !self.0.is_empty()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
