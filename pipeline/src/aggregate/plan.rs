//! What is watched: sets of dimensions, and how their sums are cut in time. In: requests (from budgets, detectors, configuration). Out: a
//! numbered [`WatchPlan`]. Pure; never holds a sum.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use spendstream_schemas::budget::{Period, PeriodRule, ScopeKey};
use spendstream_schemas::directory::Spellings;

/// Dimensions that sums are kept by, sorted, each once. Empty: one sum of everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DimensionSet(Arc<[ScopeKey]>);

impl DimensionSet {
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = ScopeKey>) -> Self {
        let keys: BTreeSet<ScopeKey> = keys.into_iter().collect();
        Self(keys.into_iter().collect())
    }

    /// In the order of a cell's values.
    #[must_use]
    pub fn keys(&self) -> &[ScopeKey] {
        &self.0
    }
}

impl fmt::Display for DimensionSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("everything");
        }
        for (at, key) in self.0.iter().enumerate() {
            write!(out, "{}{key}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// How sums are cut in time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bucketing {
    /// One sum per period of the calendar.
    Calendar(PeriodRule),
    /// One sum per quarter-hour, the newest `keep` of them: rolling budgets, the last 60 minutes, detectors.
    Quarters { keep: u32 },
}

impl Bucketing {
    /// What a budget of that period needs.
    #[must_use]
    pub fn of(rule: PeriodRule) -> Self {
        match rule.period {
            Period::Rolling(quarters) => Self::Quarters { keep: quarters },
            _ => Self::Calendar(rule),
        }
    }

    /// Whether sums cut this way answer what the other asks for.
    fn serves(&self, other: &Bucketing) -> bool {
        match (self, other) {
            (Self::Quarters { keep }, Self::Quarters { keep: wanted }) => keep >= wanted,
            _ => self == other,
        }
    }
}

/// `daily periods of UTC`, `weekly periods of Europe/Berlin from 2026-01-05`, `quarter-hours`.
impl fmt::Display for Bucketing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Calendar(rule) = self else { return out.write_str("quarter-hours") };
        write!(out, "{} periods of {}", rule.period, rule.timezone)?;
        rule.starts_on.map_or(Ok(()), |day| write!(out, " from {day}"))
    }
}

/// A watched set; its number is never given to another set while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(pub u64);

/// A watch; its number is never given to another watch while the process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatchId(pub u64);

/// Sums of one set, cut one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub id: WatchId,
    pub set: SetId,
    pub keys: DimensionSet,
    pub bucketing: Bucketing,
}

/// A request for a watch.
pub type Request = (DimensionSet, Bucketing);

/// Everything that is watched. Versions only grow; what two plans share keeps its numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchPlan {
    version: u64,
    /// The next number of a set or watch.
    next: u64,
    sets: Vec<(SetId, DimensionSet)>,
    watches: Vec<Watch>,
    /// In which words values are summed: whatever spelling an event or a row of the lake has.
    spellings: Arc<Spellings>,
}

impl WatchPlan {
    /// The plan that follows this one and serves these requests, each watch once.
    #[must_use]
    pub fn next(&self, requests: &[Request]) -> Self {
        self.next_spelled(requests, &self.spellings)
    }

    /// The same with other spellings: a set that these concern is another one, read anew.
    #[must_use]
    pub fn next_spelled(&self, requests: &[Request], spellings: &Arc<Spellings>) -> Self {
        let mut plan =
            Self { version: self.version + 1, next: self.next, spellings: Arc::clone(spellings), ..Self::default() };
        for (keys, bucketing) in widest(requests) {
            let set = plan.set(self, &keys);
            let same = |watch: &&Watch| watch.set == set && watch.bucketing == bucketing;
            let id = match self.watches.iter().find(same) {
                Some(known) => known.id,
                None => WatchId(plan.number()),
            };
            plan.watches.push(Watch { id, set, keys, bucketing });
        }
        plan
    }

    fn set(&mut self, before: &WatchPlan, keys: &DimensionSet) -> SetId {
        let found = |sets: &[(SetId, DimensionSet)]| sets.iter().find(|(_, known)| known == keys).map(|(id, _)| *id);
        if let Some(id) = found(&self.sets) {
            return id;
        }
        let respelled = self.spellings != before.spellings
            && keys.keys().iter().any(|key| self.spellings.concern(key) || before.spellings.concern(key));
        let known = found(&before.sets).filter(|_| !respelled);
        let id = known.unwrap_or_else(|| SetId(self.number()));
        self.sets.push((id, keys.clone()));
        id
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    #[must_use]
    pub fn spellings(&self) -> &Arc<Spellings> {
        &self.spellings
    }

    #[must_use]
    pub fn sets(&self) -> &[(SetId, DimensionSet)] {
        &self.sets
    }

    #[must_use]
    pub fn watches(&self) -> &[Watch] {
        &self.watches
    }

    #[must_use]
    pub fn watch(&self, id: WatchId) -> Option<&Watch> {
        self.watches.iter().find(|watch| watch.id == id)
    }

    /// The watch that answers a request; rolling windows share the longest of their set.
    #[must_use]
    pub fn find(&self, keys: &DimensionSet, bucketing: &Bucketing) -> Option<WatchId> {
        self.watches.iter().find(|watch| watch.keys == *keys && watch.bucketing.serves(bucketing)).map(|watch| watch.id)
    }
}

/// Each request once; of rolling windows over one set only the longest.
fn widest(requests: &[Request]) -> Vec<Request> {
    let mut rolling = BTreeMap::<&DimensionSet, u32>::new();
    let mut wanted: Vec<Request> = Vec::new();
    for request in requests {
        match &request.1 {
            Bucketing::Quarters { keep } => {
                let longest = rolling.entry(&request.0).or_default();
                *longest = (*longest).max(*keep);
            }
            Bucketing::Calendar(_) if !wanted.contains(request) => wanted.push(request.clone()),
            Bucketing::Calendar(_) => {}
        }
    }
    wanted.extend(rolling.into_iter().map(|(keys, keep)| (keys.clone(), Bucketing::Quarters { keep })));
    wanted
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::budget::ScopeKey;
    use spendstream_schemas::dimension::Text;

    use super::{Bucketing, DimensionSet, WatchPlan};

    fn set(keys: &[Text]) -> DimensionSet {
        DimensionSet::new(keys.iter().map(|key| ScopeKey::Text(*key)))
    }

    #[test]
    fn a_set_is_sorted_and_named() {
        let one = set(&[Text::Model, Text::Team, Text::Model]);
        assert_eq!(one, set(&[Text::Team, Text::Model]));
        assert_eq!(one.keys().len(), 2);
        assert_eq!(set(&[]).to_string(), "everything");
    }

    #[test]
    fn what_two_plans_share_keeps_its_numbers() {
        let quarters = |keep| Bucketing::Quarters { keep };
        let (team, all) = (set(&[Text::Team]), set(&[]));
        let first = WatchPlan::default().next(&[(team.clone(), quarters(4)), (all.clone(), quarters(4))]);
        assert_eq!((first.version(), first.sets().len(), first.watches().len()), (1, 2, 2));
        let longer =
            first.next(&[(team.clone(), quarters(4)), (team.clone(), quarters(96)), (all.clone(), quarters(4))]);
        assert_eq!(longer.find(&all, &quarters(4)), first.find(&all, &quarters(4)));
        // A longer window has to be read from the lake: it is another watch.
        assert_ne!(longer.find(&team, &quarters(4)), first.find(&team, &quarters(4)));
        assert_eq!(longer.find(&team, &quarters(4)), longer.find(&team, &quarters(96)));
        assert_eq!(longer.find(&team, &quarters(97)), None);
        assert_eq!(longer.sets().iter().filter(|known| first.sets().contains(known)).count(), 2);
        let empty = longer.next(&[]);
        assert!(empty.sets().is_empty() && empty.version() == 3);
        let again = empty.next(&[(team.clone(), quarters(4))]);
        assert!(longer.watch(again.watches()[0].id).is_none() && first.watch(again.watches()[0].id).is_none());
    }
}
