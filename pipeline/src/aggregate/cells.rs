//! The values that one set has sums for. In: keys; out: [`CellId`]s, small and reused. A cell lives as long as a sum points to it.
//!
//! Bytes per cell: 24 for the record, 5 to 10 in the table, and the key's own allocation (4 per value, its text, the allocator's overhead).

use super::key;
use super::table::Sharded;

/// Records per allocation: growing never moves what is there.
const CHUNK: usize = 4_096;

/// Values of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellId(pub(super) u32);

#[derive(Debug)]
struct Cell {
    key: Box<[u8]>,
    /// Sums that point here.
    uses: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Cells {
    ids: Sharded<u32>,
    chunks: Vec<Vec<Cell>>,
    free: Vec<u32>,
}

fn cell(chunks: &[Vec<Cell>], id: u32) -> &Cell {
    &chunks[id as usize / CHUNK][id as usize % CHUNK]
}

impl Cells {
    /// The cell of a key, if there is one.
    #[must_use]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<CellId> {
        self.ids.find(hash, |id| *cell(&self.chunks, *id).key == *key).map(|id| CellId(*id))
    }

    /// The cell of a key. One that nothing uses yet goes with the next [`Cells::release`] of it.
    pub fn intern(&mut self, hash: u64, key: &[u8]) -> CellId {
        let Self { ids, chunks, free } = self;
        let same = |id: &u32| *cell(chunks, *id).key == *key;
        let again = |id: &u32| key::hash(&cell(chunks, *id).key);
        let mut reused = None;
        let next = chunks.last().map_or(0, |last| (chunks.len() - 1) * CHUNK + last.len());
        let (id, new) = ids.entry(hash, same, again, || {
            reused = free.pop();
            reused.unwrap_or(u32::try_from(next).unwrap_or(u32::MAX))
        });
        let id = *id;
        if new {
            self.place(id, reused.is_some(), key);
        }
        CellId(id)
    }

    fn place(&mut self, id: u32, reused: bool, key: &[u8]) {
        let cell = Cell { key: key.into(), uses: 0 };
        if reused {
            self.chunks[id as usize / CHUNK][id as usize % CHUNK] = cell;
            return;
        }
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(last) = self.chunks.last_mut() {
            last.push(cell);
        }
    }

    /// One more sum points to the cell.
    pub fn retain(&mut self, id: CellId) {
        self.chunks[id.0 as usize / CHUNK][id.0 as usize % CHUNK].uses += 1;
    }

    /// One sum less does; the last one frees the cell.
    pub fn release(&mut self, id: CellId) {
        let cell = &mut self.chunks[id.0 as usize / CHUNK][id.0 as usize % CHUNK];
        cell.uses = cell.uses.saturating_sub(1);
        if cell.uses == 0 {
            let key = std::mem::take(&mut cell.key);
            if self.ids.remove(key::hash(&key), |other| *other == id.0).is_some() {
                self.free.push(id.0);
            }
        }
    }

    /// Frees the cell if nothing uses it.
    pub fn drop_unused(&mut self, id: CellId) {
        if cell(&self.chunks, id.0).uses == 0 {
            self.release(id);
        }
    }

    /// The key of a cell.
    #[must_use]
    pub fn key(&self, id: CellId) -> &[u8] {
        &cell(&self.chunks, id.0).key
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Bytes held, the allocator's overhead left out.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let keys: usize = self.chunks.iter().flatten().map(|cell| cell.key.len()).sum();
        self.ids.bytes()
            + self.chunks.len() * CHUNK * size_of::<Cell>()
            + keys
            + self.free.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Cells, key};

    #[test]
    fn a_cell_goes_with_its_last_sum_and_its_number_is_used_again() {
        let mut cells = Cells::default();
        let intern = |cells: &mut Cells, number: usize| {
            let key = key::of(&[Some(&number.to_string())]);
            let id = cells.intern(key::hash(&key), &key);
            cells.retain(id);
            id
        };
        let ids: Vec<_> = (0..=CHUNK * 2).map(|number| intern(&mut cells, number)).collect();
        assert_eq!(intern(&mut cells, 7), ids[7]);
        cells.release(ids[7]);
        assert_eq!(key::values(cells.key(ids[7])).collect::<Vec<_>>(), [Some("7")]);
        cells.release(ids[7]);
        assert_eq!(cells.len(), CHUNK * 2);
        assert_eq!(intern(&mut cells, 99_999), ids[7]);
        assert_eq!(key::values(cells.key(ids[7])).collect::<Vec<_>>(), [Some("99999")]);
        assert_eq!(cells.len(), CHUNK * 2 + 1);
    }
}
