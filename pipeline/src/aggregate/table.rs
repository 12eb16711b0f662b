//! A hash table that never stops long to grow: small at first, then split into shards that grow one at a time. In: entries and their
//! hashes. Out: entries. Readers wait at most for one shard to double (below a millisecond up to some millions of entries).

use hashbrown::HashTable;
use hashbrown::hash_table::{Entry, IntoIter};

/// Entries from which on there are shards.
const SPLIT: usize = 8_192;
const SHARDS: usize = 64;

/// See the module. The caller brings hashes whose every bit counts.
#[derive(Debug)]
pub struct Sharded<T> {
    shards: Vec<HashTable<T>>,
    len: usize,
}

impl<T> Default for Sharded<T> {
    fn default() -> Self {
        Self { shards: vec![HashTable::new()], len: 0 }
    }
}

impl<T> Sharded<T> {
    fn shard(&self, hash: u64) -> usize {
        // Bits that the tables themselves look at last.
        if self.shards.len() == 1 { 0 } else { usize::from(hash.to_le_bytes()[6]) % SHARDS }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn find(&self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&T> {
        self.shards[self.shard(hash)].find(hash, eq)
    }

    /// The entry, made by `new` if it is not there; true when it is new.
    pub fn entry(
        &mut self,
        hash: u64,
        mut eq: impl FnMut(&T) -> bool,
        hasher: impl Fn(&T) -> u64,
        new: impl FnOnce() -> T,
    ) -> (&mut T, bool) {
        if self.shards.len() == 1 && self.len >= SPLIT {
            self.split(&hasher);
        }
        let shard = self.shard(hash);
        match self.shards[shard].entry(hash, &mut eq, hasher) {
            Entry::Occupied(found) => (found.into_mut(), false),
            Entry::Vacant(place) => {
                self.len += 1;
                (place.insert(new()).into_mut(), true)
            }
        }
    }

    pub fn find_mut(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let shard = self.shard(hash);
        self.shards[shard].find_mut(hash, eq)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, hash: u64, eq: impl FnMut(&T) -> bool) -> Option<T> {
        let shard = self.shard(hash);
        let found = self.shards[shard].find_entry(hash, eq).ok()?;
        self.len -= 1;
        Some(found.remove().0)
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.shards.iter().flat_map(HashTable::iter)
    }

    /// Bytes of the tables, entries included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.allocation_size() + size_of::<HashTable<T>>()).sum()
    }

    fn split(&mut self, hasher: &impl Fn(&T) -> u64) {
        let whole = std::mem::take(&mut self.shards);
        self.shards = (0..SHARDS).map(|_| HashTable::with_capacity(SPLIT / SHARDS * 2)).collect();
        for entry in whole.into_iter().flatten() {
            let hash = hasher(&entry);
            let shard = self.shard(hash);
            self.shards[shard].insert_unique(hash, entry, hasher);
        }
    }
}

impl<T> IntoIterator for Sharded<T> {
    type Item = T;
    type IntoIter = std::iter::Flatten<IntoShards<T>>;

    fn into_iter(self) -> Self::IntoIter {
        IntoShards(self.shards.into_iter()).flatten()
    }
}

/// The shards of a table, one after the other.
#[derive(Debug)]
pub struct IntoShards<T>(std::vec::IntoIter<HashTable<T>>);

impl<T> Iterator for IntoShards<T> {
    type Item = IntoIter<T>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::{SPLIT, Sharded};

    fn hash(number: u64) -> u64 {
        super::super::key::hash(&number.to_le_bytes())
    }

    #[test]
    fn nothing_is_lost_when_it_splits() {
        let mut table = Sharded::default();
        let all = SPLIT as u64 * 3;
        for number in (0..all).chain(0..all) {
            let (entry, _) =
                table.entry(hash(number), |(key, _)| *key == number, |(key, _)| hash(*key), || (number, 0));
            entry.1 += 1;
        }
        assert_eq!(table.len() as u64, all);
        assert!(table.iter().all(|(_, seen)| *seen == 2));
        for number in (0..all).step_by(2) {
            assert_eq!(table.remove(hash(number), |(key, _)| *key == number), Some((number, 2)));
        }
        assert_eq!(table.len() as u64, all / 2);
        assert!(table.find(hash(0), |(key, _)| *key == 0).is_none());
        assert!(table.find(hash(1), |(key, _)| *key == 1).is_some());
        let mut rest: Vec<u64> = table.into_iter().map(|(key, _)| key).collect();
        rest.sort_unstable();
        assert!(rest.iter().copied().eq((0..all).filter(|number| number % 2 == 1)));
    }
}
