//! Distinct texts of a decode thread: each gets a number, kept across batches. In: `&str`; out: `(Symbol, hash)`.
//!
//! Bounded: when it is full, the owner starts a fresh one between two batches ([`Interner::is_full`]). Never shared between threads.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

/// The number of a text in its interner. Zero is "no value".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u32);

impl Symbol {
    /// No value: null in the column.
    pub const NONE: Symbol = Symbol(0);

    #[must_use]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// A dense index: 0 for none, then in order of first sight.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The hash of a text, the same in every process: duplicates are decided by it after a restart, too.
#[must_use]
pub fn text_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// See the module.
#[derive(Debug)]
pub struct Interner {
    table: HashTable<u32>,
    bytes: Vec<u8>,
    /// End of each text in `bytes`; index 0 is the empty text of [`Symbol::NONE`].
    ends: Vec<u32>,
    hashes: Vec<u64>,
    max_values: usize,
    max_bytes: usize,
}

impl Interner {
    /// `max_values` texts of `max_bytes` bytes in all are where [`Self::is_full`] begins; neither is exceeded by more than a batch.
    #[must_use]
    pub fn new(max_values: usize, max_bytes: usize) -> Self {
        Self { table: HashTable::new(), bytes: Vec::new(), ends: vec![0], hashes: vec![0], max_values, max_bytes }
    }

    /// The symbol of a text, and its hash.
    pub fn intern(&mut self, text: &str) -> (Symbol, u64) {
        let hash = text_hash(text);
        let (bytes, ends, hashes) = (&mut self.bytes, &mut self.ends, &mut self.hashes);
        let entry = self.table.entry(
            hash,
            |&id| hashes[id as usize] == hash && slice(bytes, ends, id) == text.as_bytes(),
            |&id| hashes[id as usize],
        );
        let id = match entry {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(slot) => {
                // Both fit u32 because `is_full` bounds them far below.
                #[expect(clippy::cast_possible_truncation, reason = "bounded by max_values and max_bytes")]
                let id = ends.len() as u32;
                slot.insert(id);
                bytes.extend_from_slice(text.as_bytes());
                #[expect(clippy::cast_possible_truncation, reason = "bounded by max_values and max_bytes")]
                ends.push(bytes.len() as u32);
                hashes.push(hash);
                id
            }
        };
        (Symbol(id), hash)
    }

    /// The text of a symbol; `None` for [`Symbol::NONE`].
    #[must_use]
    pub fn text(&self, symbol: Symbol) -> Option<&str> {
        if symbol.is_none() {
            return None;
        }
        std::str::from_utf8(slice(&self.bytes, &self.ends, symbol.0)).ok()
    }

    /// How many symbols there are, [`Symbol::NONE`] included: the length of a table indexed by [`Symbol::index`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Never: there is always [`Symbol::NONE`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Time for a fresh one.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ends.len() > self.max_values || self.bytes.len() > self.max_bytes
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u32], id: u32) -> &'a [u8] {
    let id = id as usize;
    &bytes[ends[id - 1] as usize..ends[id] as usize]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Interner, Symbol};

    proptest! {
        #[test]
        fn a_text_reads_back_and_equal_texts_share_a_symbol(texts in prop::collection::vec("[a-c]{1,3}", 1..50)) {
            let mut interner = Interner::new(1000, 1000);
            let symbols: Vec<_> = texts.iter().map(|text| interner.intern(text).0).collect();
            for (text, symbol) in texts.iter().zip(&symbols) {
                prop_assert_eq!(interner.text(*symbol), Some(text.as_str()));
                prop_assert_eq!(interner.intern(text).0, *symbol);
            }
            let distinct: std::collections::BTreeSet<_> = texts.iter().collect();
            prop_assert_eq!(interner.len(), distinct.len() + 1);
        }
    }

    #[test]
    fn no_value_has_no_text() {
        assert_eq!(Interner::new(1, 1).text(Symbol::NONE), None);
    }
}
