//! Ids of events that somebody waits for: calls that were allowed and hold a part of a budget until their event arrives. In: ids, from
//! whoever holds. Out: which of a batch's events are among them. Costs one atomic read per batch while nobody waits.
//!
//! Where several instances hold, an event may be read here before its hold is told here: the ids that came lately are remembered then.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hashbrown::{HashMap, HashSet};
use parking_lot::{Mutex, RwLock};

use crate::columns::events::PlainColumn;
use crate::columns::interner::{Symbol, text_hash};

/// The hash of an event's id, the same in every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKey(pub u64);

impl EventKey {
    #[must_use]
    pub fn of(event_id: &str) -> Self {
        Self(text_hash(event_id))
    }
}

/// Whose an id is: hashes of organisation and source, each 0 where none was sent. Who does not say is taken for anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(pub u64);

impl Origin {
    #[must_use]
    pub fn of(organization: Option<&str>, source: Option<&str>) -> Self {
        let half = |text: Option<&str>| text.map_or(0, |text| (text_hash(text) & 0xffff_ffff).max(1));
        Self(half(organization) << 32 | half(source))
    }

    /// Whether both can be the same.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        let same = |a: u64, b: u64| a == 0 || b == 0 || a == b;
        same(self.0 >> 32, other.0 >> 32) && same(self.0 & 0xffff_ffff, other.0 & 0xffff_ffff)
    }
}

/// An event, or a run, that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arrival {
    pub key: EventKey,
    pub origin: Origin,
}

#[cfg(test)]
impl Arrival {
    /// Nobody says whose.
    pub fn of(id: &str) -> Self {
        Self { key: EventKey::of(id), origin: Origin::default() }
    }
}

/// Ids that are remembered, at least; at most twice as many.
const LATELY: usize = 50_000;

/// See the module. Whoever adds ids bounds them and takes them out again.
#[derive(Debug, Default)]
pub struct Awaited {
    count: AtomicUsize,
    keys: RwLock<HashSet<EventKey>>,
    remembers: AtomicBool,
    lately: Mutex<Lately>,
}

/// Two halves: when the newer is full, the older is forgotten.
#[derive(Debug, Default)]
struct Lately {
    newer: HashSet<EventKey>,
    older: HashSet<EventKey>,
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

    /// Whether to remember from now on which ids came lately: only where others hold too, as it costs a place per event.
    pub fn remember(&self, wanted: bool) {
        if self.remembers.swap(wanted, Ordering::AcqRel) && !wanted {
            *self.lately.lock() = Lately::default();
        }
    }

    /// Whether an event was read here lately, whoever waited for it.
    #[must_use]
    pub fn came_lately(&self, key: EventKey) -> bool {
        let lately = self.lately.lock();
        lately.newer.contains(&key) || lately.older.contains(&key)
    }

    /// What events of runs that are waited for cost together, by run: names by row, each with whose it is and its cost.
    pub(crate) fn of_runs<'a>(
        &self,
        rows: impl Iterator<Item = (Symbol, [Symbol; 2], Option<i128>)>,
        name: impl Fn(Symbol) -> Option<&'a str>,
    ) -> Vec<(Arrival, i128)> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let waiting = self.keys.read();
        let mut runs: HashMap<_, Option<(Arrival, i128)>> = HashMap::new();
        for (symbol, whose, cost) in rows.filter(|(symbol, ..)| !symbol.is_none()) {
            let run = runs.entry((symbol, whose)).or_insert_with(|| {
                let key = EventKey::of(name(symbol)?);
                let origin = Origin::of(name(whose[0]), name(whose[1]));
                waiting.contains(&key).then_some((Arrival { key, origin }, 0))
            });
            if let (Some((_, sum)), Some(cost)) = (run, cost) {
                *sum += cost;
            }
        }
        let mut runs: Vec<_> = runs.into_values().flatten().filter(|(_, sum)| *sum > 0).collect();
        runs.sort_unstable();
        runs
    }

    /// Those of a batch's ids that are waited for; `origin` says whose a row is.
    pub(crate) fn among(&self, ids: &PlainColumn, origin: impl Fn(usize) -> Origin) -> Vec<Arrival> {
        if self.remembers.load(Ordering::Acquire) {
            let mut lately = self.lately.lock();
            for (_, key) in keys(ids) {
                lately.newer.insert(key);
                if lately.newer.len() >= LATELY {
                    lately.older = std::mem::take(&mut lately.newer);
                }
            }
        }
        // Only now: who began to wait since then has seen it in the set above.
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let waiting = self.keys.read();
        let awaited = keys(ids).filter(|(_, key)| waiting.contains(key));
        awaited.map(|(row, key)| Arrival { key, origin: origin(row) }).collect()
    }
}

fn keys(ids: &PlainColumn) -> impl Iterator<Item = (usize, EventKey)> + '_ {
    let mut from = 0;
    ids.ends.iter().zip(&ids.valid).enumerate().filter_map(move |(row, (end, valid))| {
        let to = usize::try_from(*end).unwrap_or(from);
        let key = EventKey(xxhash_rust::xxh3::xxh3_64(&ids.bytes[from..to]));
        from = to;
        valid.then_some((row, key))
    })
}
