//! Sums of one batch. In: decoded and priced columns, the plan. Out: [`Groups`]: per watched set, sums by (values, quarter-hour).
//!
//! Runs in the decode thread, on interned symbols: per row and set one lookup in a small table and no allocation. Texts are
//! written out once per group. The values are those of the lake's row, so that SQL groups the same way:
//! [`super::load`] has the same rules as expressions.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};
use spendstream_schemas::budget::{Quarter, ScopeKey};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::Spellings;
use spendstream_schemas::ids::{OffsetRange, SourcePartition};

use super::awaited::Arrival;
use super::key;
use super::plan::{SetId, WatchPlan};
use super::sums::Sums;
use crate::batch::Generation;
use crate::columns::events::EventColumns;
use crate::columns::interner::{Interner, Symbol};
use crate::columns::owners::symbols;

/// Sums of one batch of one partition.
#[derive(Clone, Debug)]
pub struct Groups {
    pub source: Arc<SourcePartition>,
    pub generation: Generation,
    pub range: OffsetRange,
    /// The plan that it was summed by.
    pub plan: Arc<WatchPlan>,
    pub rows: u64,
    /// The newest event time of its rows, microseconds since the epoch.
    pub newest_micros: Option<i64>,
    pub sets: Vec<SetGroups>,
    /// Events of it that somebody waited for.
    pub arrived: Vec<Arrival>,
    /// What events of runs that somebody waits for cost.
    pub runs: Vec<(Arrival, i128)>,
}

impl Groups {
    /// The sums by a set; `None` when the batch was summed by a plan without it.
    #[must_use]
    pub fn set(&self, id: SetId) -> Option<&SetGroups> {
        self.sets.iter().find(|set| set.id == id)
    }

    /// Whether nothing is missing for a set: a batch without rows has all sums.
    #[must_use]
    pub fn has(&self, id: SetId) -> bool {
        self.rows == 0 || self.set(id).is_some()
    }
}

/// Sums by one set.
#[derive(Clone, Debug)]
pub struct SetGroups {
    pub id: SetId,
    /// The keys of all groups, end to end.
    keys: Vec<u8>,
    groups: Vec<Group>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    hash: u64,
    key_end: u32,
    quarter: Quarter,
    sums: Sums,
}

/// One group, as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRef<'a> {
    pub hash: u64,
    /// As [`key::of`] makes it.
    pub key: &'a [u8],
    pub quarter: Quarter,
    pub sums: Sums,
}

impl SetGroups {
    #[must_use]
    pub fn new(id: SetId) -> Self {
        Self { id, keys: Vec::new(), groups: Vec::new() }
    }

    /// Adds a group; the same one may be added several times.
    pub fn push(&mut self, values: &[Option<&str>], quarter: Quarter, sums: Sums) {
        let from = self.keys.len();
        for value in values {
            key::push(&mut self.keys, *value);
        }
        self.end(from, quarter, sums);
    }

    /// Adds a group under a key as [`key::of`] makes it.
    pub fn push_key(&mut self, key: &[u8], quarter: Quarter, sums: Sums) {
        let from = self.keys.len();
        self.keys.extend_from_slice(key);
        self.end(from, quarter, sums);
    }

    /// Ends the key that was written since `from`.
    fn end(&mut self, from: usize, quarter: Quarter, sums: Sums) {
        let key_end = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.groups.push(Group { hash: key::hash(&self.keys[from..]), key_end, quarter, sums });
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Groups of a range of positions.
    pub fn slice(&self, from: usize, to: usize) -> impl Iterator<Item = GroupRef<'_>> {
        let to = to.min(self.groups.len());
        let from = from.min(to);
        let mut start = if from == 0 { 0 } else { self.groups[from - 1].key_end as usize };
        self.groups[from..to].iter().map(move |group| {
            let key = &self.keys[start..group.key_end as usize];
            start = group.key_end as usize;
            GroupRef { hash: group.hash, key, quarter: group.quarter, sums: group.sums }
        })
    }

    /// All groups.
    pub fn iter(&self) -> impl Iterator<Item = GroupRef<'_>> {
        self.slice(0, self.groups.len())
    }
}

/// The columns of a batch that pricing made, one entry per row.
#[derive(Clone, Copy)]
pub struct PricedView<'a> {
    pub provider: &'a [Symbol],
    pub model_id: &'a [Symbol],
    pub tier: &'a [Symbol],
    pub region: &'a [Symbol],
    /// In units of 10⁻¹⁵; `None` when unpriced.
    pub cost: &'a [Option<i128>],
}

/// Groups batches; keeps its tables from one to the next. One per decode thread.
#[derive(Debug, Default)]
pub struct Grouper {
    quarters: Vec<Quarter>,
    table: HashTable<u32>,
    /// Symbols of all groups of the set at hand, end to end.
    keys: Vec<Symbol>,
    sums: Vec<(Quarter, Sums)>,
}

impl Grouper {
    /// The sums of a batch by every set of the plan.
    pub fn group(
        &mut self,
        plan: &WatchPlan,
        events: &EventColumns,
        priced: PricedView<'_>,
        interner: &mut Interner,
    ) -> Vec<SetGroups> {
        if plan.sets().is_empty() || events.is_empty() {
            return Vec::new();
        }
        self.quarters.clear();
        self.quarters.extend(events.times.iter().map(|micros| Quarter::of_micros(*micros)));
        let mut columns: Vec<(&ScopeKey, Cow<'_, [Symbol]>)> = Vec::new();
        for key in plan.sets().iter().flat_map(|(_, keys)| keys.keys()) {
            if !columns.iter().any(|(known, _)| *known == key) {
                columns.push((key, spelled(key, column(key, events, priced, interner), plan.spellings(), interner)));
            }
        }
        let of = |key: &ScopeKey| columns.iter().find(|(known, _)| *known == key).map(|(_, column)| &**column);
        let sets = plan.sets().iter().map(|(id, keys)| {
            let columns: Vec<&[Symbol]> = keys.keys().iter().filter_map(of).collect();
            self.sum(&columns, priced.cost);
            self.write(*id, columns.len(), interner)
        });
        sets.collect()
    }

    fn sum(&mut self, columns: &[&[Symbol]], costs: &[Option<i128>]) {
        let Self { quarters, table, keys, sums } = self;
        table.clear();
        keys.clear();
        sums.clear();
        let width = columns.len();
        for (row, (quarter, cost)) in quarters.iter().zip(costs).enumerate() {
            let hash = columns.iter().fold(mix(0, quarter.0.unsigned_abs()), |hash, column| {
                mix(hash, u32::try_from(column[row].index()).unwrap_or(u32::MAX))
            });
            let same = |at: usize| {
                sums[at].0 == *quarter
                    && columns.iter().zip(&keys[at * width..]).all(|(column, symbol)| column[row] == *symbol)
            };
            match table.entry(spread(hash), |at| same(*at as usize), |at| rehash(*at as usize, width, keys, sums)) {
                Entry::Occupied(found) => sums[*found.get() as usize].1 += Sums::row(*cost),
                Entry::Vacant(slot) => {
                    slot.insert(u32::try_from(sums.len()).unwrap_or(u32::MAX));
                    keys.extend(columns.iter().map(|column| column[row]));
                    sums.push((*quarter, Sums::row(*cost)));
                }
            }
        }
    }

    fn write(&self, id: SetId, width: usize, interner: &Interner) -> SetGroups {
        let mut groups = SetGroups::new(id);
        groups.groups.reserve(self.sums.len());
        for (at, (quarter, sums)) in self.sums.iter().enumerate() {
            let from = groups.keys.len();
            for symbol in &self.keys[at * width..(at + 1) * width] {
                key::push(&mut groups.keys, interner.text(*symbol));
            }
            groups.end(from, *quarter, *sums);
        }
        groups
    }
}

fn mix(hash: u64, part: u32) -> u64 {
    (hash.rotate_left(23) ^ u64::from(part)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// The table looks at the lowest and the highest bits.
fn spread(hash: u64) -> u64 {
    hash ^ (hash >> 32)
}

fn rehash(at: usize, width: usize, keys: &[Symbol], sums: &[(Quarter, Sums)]) -> u64 {
    let start = mix(0, sums[at].0.0.unsigned_abs());
    let symbols = &keys[at * width..(at + 1) * width];
    spread(symbols.iter().fold(start, |hash, symbol| mix(hash, u32::try_from(symbol.index()).unwrap_or(u32::MAX))))
}

/// The symbols of a key in the plan's spelling: what was filled in by an older or newer directory counts as the same.
fn spelled<'a>(
    key: &ScopeKey,
    symbols: Cow<'a, [Symbol]>,
    spellings: &Spellings,
    interner: &mut Interner,
) -> Cow<'a, [Symbol]> {
    if !spellings.concern(key) {
        return symbols;
    }
    let mut known: HashMap<Symbol, Symbol> = HashMap::new();
    let mut spell = |symbol: Symbol| {
        *known.entry(symbol).or_insert_with(|| {
            let spelled = interner.text(symbol).and_then(|text| spellings.of(key, text));
            spelled.map_or(symbol, |text| interner.intern(text).0)
        })
    };
    Cow::Owned(symbols.iter().map(|symbol| spell(*symbol)).collect())
}

/// The price book's id; what no book knows counts under the name that was sent.
fn known<'a>(ids: &[Symbol], sent: &[Symbol]) -> Cow<'a, [Symbol]> {
    let either = |(id, sent): (&Symbol, &Symbol)| if id.is_none() { *sent } else { *id };
    Cow::Owned(ids.iter().zip(sent).map(either).collect())
}

/// The symbols of a key in every row, as the lake's row has them.
fn column<'a>(
    key: &ScopeKey,
    events: &'a EventColumns,
    priced: PricedView<'a>,
    interner: &mut Interner,
) -> Cow<'a, [Symbol]> {
    match key {
        ScopeKey::Text(Text::ProviderSent) => known(priced.provider, &events.symbols[Text::ProviderSent as usize]),
        ScopeKey::Text(Text::Model) => known(priced.model_id, &events.symbols[Text::Model as usize]),
        ScopeKey::Text(Text::ServiceTier) => Cow::Borrowed(priced.tier),
        ScopeKey::Text(Text::Region) => Cow::Borrowed(priced.region),
        key => symbols(key, events, interner),
    }
}
