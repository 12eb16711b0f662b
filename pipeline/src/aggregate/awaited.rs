//! Ids of events that somebody waits for: calls that were allowed and hold a part of a budget until their event arrives. In: ids, from
//! whoever holds. Out: which of a batch's events are among them. Costs one atomic read per batch while nobody waits.

use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashSet;
use parking_lot::RwLock;

use crate::columns::events::PlainColumn;
use crate::columns::interner::text_hash;

/// The hash of an event's id, the same in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(pub u64);

impl EventKey {
    #[must_use]
    pub fn of(event_id: &str) -> Self {
        Self(text_hash(event_id))
    }
}

/// See the module. Whoever adds ids bounds them and takes them out again.
#[derive(Debug, Default)]
pub struct Awaited {
    count: AtomicUsize,
    keys: RwLock<HashSet<EventKey>>,
}

impl Awaited {
    /// Waits for an event.
    pub fn add(&self, key: EventKey) {
        let mut keys = self.keys.write();
        keys.insert(key);
        self.count.store(keys.len(), Ordering::Release);
    }

    /// Waits no longer.
    pub fn remove(&self, key: EventKey) {
        let mut keys = self.keys.write();
        keys.remove(&key);
        self.count.store(keys.len(), Ordering::Release);
    }

    /// Those of a batch's ids that are waited for.
    pub(crate) fn among(&self, ids: &PlainColumn) -> Vec<EventKey> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let keys = self.keys.read();
        let mut from = 0;
        let mut found = Vec::new();
        for (end, valid) in ids.ends.iter().zip(&ids.valid) {
            let to = usize::try_from(*end).unwrap_or(from);
            let key = EventKey(xxhash_rust::xxh3::xxh3_64(&ids.bytes[from..to]));
            if *valid && keys.contains(&key) {
                found.push(key);
            }
            from = to;
        }
        found
    }
}
