//! Budgets by what they watch. In: all budgets, and later the values of a call or of a sum; out: the budgets that these values
//! belong to, and the watches that live totals must keep. Pure.
//!
//! Found by hash, never by a scan: budgets lie by their set of dimensions, there by which of these are named (the others are
//! "one per value"), there by the named values. A call is looked up once per such pattern, however many budgets share it.
//!
//! A budget that names a value replaces the "one per value" budgets of the same dimensions for it, unless it is additive.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hashbrown::{Equivalent, HashMap};
use smallvec::SmallVec;
use spendstream_schemas::budget::{Budget, ResolvedScope, ScopeKey, ScopeValue};
use spendstream_schemas::directory::Spellings;
use xxhash_rust::xxh3::xxh3_128;

use crate::aggregate::key;
use crate::aggregate::plan::{Bucketing, DimensionSet, Request, WatchId, WatchPlan};

/// A budget and the values it is resolved with: what is used, held and limited together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BudgetCell(pub u128);

/// Values in the order of a set's dimensions.
pub type Values<'a> = SmallVec<[Option<&'a str>; 4]>;

/// Budgets of one set that some values belong to.
pub type Matches = SmallVec<[usize; 8]>;

/// One active budget.
#[derive(Debug)]
pub struct Entry {
    pub budget: Arc<Budget>,
    /// Position of its dimensions in [`Book::sets`].
    pub set: usize,
    pub bucketing: Bucketing,
    /// The watch with its sums; `None` until a plan has it.
    pub watch: Option<WatchId>,
    /// Which dimensions of the set are "one per value", by position.
    each: u64,
}

impl Entry {
    /// The cell of these values, which must match.
    #[must_use]
    pub fn cell(&self, values: &[Option<&str>]) -> BudgetCell {
        let mut bytes = key::of(values);
        bytes.extend_from_slice(self.budget.id.as_bytes());
        BudgetCell(xxh3_128(&bytes))
    }

    /// Its values, where it names all of them; `None` for one budget per value.
    #[must_use]
    pub fn named(&self) -> Option<Values<'_>> {
        let values = self.budget.scope.iter().map(|(_, wanted)| match wanted {
            ScopeValue::Is(value) => Some(Some(value.as_str())),
            ScopeValue::Each => None,
        });
        values.collect()
    }

    /// The scope with these values in place of "one per value".
    #[must_use]
    pub fn resolve(&self, keys: &DimensionSet, values: &[Option<&str>]) -> ResolvedScope {
        ResolvedScope::new(keys.keys().iter().cloned().zip(values.iter().map(|value| value.map(ToOwned::to_owned))))
    }
}

/// Budgets over the same dimensions.
#[derive(Debug)]
pub struct Set {
    pub keys: DimensionSet,
    patterns: Vec<Pattern>,
}

/// Budgets of a set that name the same dimensions.
#[derive(Debug)]
struct Pattern {
    each: u64,
    by_values: HashMap<Named, SmallVec<[usize; 1]>>,
}

/// The named values of a budget.
#[derive(Debug, PartialEq, Eq)]
struct Named(Box<[Box<str>]>);

/// The values of a call at the places that a pattern names.
struct Probe<'a> {
    values: &'a [Option<&'a str>],
    each: u64,
}

impl Probe<'_> {
    fn named(&self) -> impl Iterator<Item = &str> {
        let each = self.each;
        self.values
            .iter()
            .enumerate()
            .filter(move |(at, _)| each & (1_u64 << at) == 0)
            .map(|(_, value)| value.unwrap_or_default())
    }
}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|value| value.hash(state));
    }
}

impl Hash for Probe<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.named().for_each(|value| value.hash(state));
    }
}

impl Equivalent<Named> for Probe<'_> {
    fn equivalent(&self, key: &Named) -> bool {
        self.named().eq(key.0.iter().map(|value| &**value))
    }
}

/// See the module. Immutable; another list of budgets is another book.
#[derive(Debug, Default)]
pub struct Book {
    entries: Vec<Entry>,
    sets: Vec<Set>,
    by_watch: HashMap<WatchId, usize>,
    spellings: Arc<Spellings>,
}

impl Book {
    /// The active ones of these budgets; their time of validity is looked at when they are asked for.
    #[must_use]
    pub fn new(budgets: impl IntoIterator<Item = Arc<Budget>>) -> Self {
        let mut book = Self::default();
        let mut sets = HashMap::new();
        for budget in budgets.into_iter().filter(|budget| budget.active) {
            let keys = DimensionSet::new(budget.scope.keys().cloned());
            let set = *sets.entry(keys).or_insert_with_key(|keys| {
                book.sets.push(Set { keys: keys.clone(), patterns: Vec::new() });
                book.sets.len() - 1
            });
            book.add(set, budget);
        }
        book
    }

    fn add(&mut self, set: usize, budget: Arc<Budget>) {
        let (mut each, mut named) = (0_u64, Vec::new());
        // A scope has its dimensions in the order of its set, and at most eight of them.
        for (at, (_, value)) in budget.scope.iter().enumerate() {
            match value {
                ScopeValue::Is(value) => named.push(Box::from(value.as_str())),
                ScopeValue::Each => each |= 1 << at,
            }
        }
        let patterns = &mut self.sets[set].patterns;
        let position = patterns.iter().position(|pattern| pattern.each == each).unwrap_or_else(|| {
            patterns.push(Pattern { each, by_values: HashMap::new() });
            patterns.len() - 1
        });
        let entry = self.entries.len();
        patterns[position].by_values.entry(Named(named.into())).or_default().push(entry);
        let bucketing = Bucketing::of(budget.period);
        self.entries.push(Entry { budget, set, bucketing, watch: None, each });
    }

    /// What live totals must keep for these budgets; each once.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        let mut seen = hashbrown::HashSet::new();
        let all = self.entries.iter().map(|entry| (self.sets[entry.set].keys.clone(), entry.bucketing.clone()));
        all.filter(|request| seen.insert(request.clone())).collect()
    }

    /// The same book, each budget with the watch that a plan keeps its sums in.
    #[must_use]
    pub fn bound(mut self, plan: &WatchPlan) -> Self {
        self.spellings = Arc::clone(plan.spellings());
        let mut known = HashMap::new();
        for entry in &mut self.entries {
            let keys = &self.sets[entry.set].keys;
            let request = (entry.set, entry.bucketing.clone());
            entry.watch = *known.entry(request).or_insert_with(|| plan.find(keys, &entry.bucketing));
            self.by_watch.extend(entry.watch.map(|watch| (watch, entry.set)));
        }
        self
    }

    /// In which words the sums of its watches are kept.
    #[must_use]
    pub fn spellings(&self) -> &Spellings {
        &self.spellings
    }

    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    #[must_use]
    pub fn sets(&self) -> &[Set] {
        &self.sets
    }

    /// Position in [`Book::sets`] of the dimensions of a watch; `None` when no budget looks at it.
    #[must_use]
    pub fn set_of(&self, watch: WatchId) -> Option<usize> {
        self.by_watch.get(&watch).copied()
    }

    /// Every watch that some budget looks at.
    pub fn watches(&self) -> impl Iterator<Item = WatchId> {
        self.by_watch.keys().copied()
    }

    /// Watches of budgets whose figures move by time alone: rolling, with forecasts, or with an amount or a validity that has a date.
    pub fn moving_watches(&self) -> impl Iterator<Item = WatchId> {
        let moves = |entry: &&Entry| {
            let budget = &entry.budget;
            budget.period.is_rolling()
                || !budget.forecast_thresholds.is_empty()
                || budget.increase.is_some()
                || budget.amounts_by.is_some()
                || budget.valid_from.is_some()
        };
        let all: hashbrown::HashSet<WatchId> =
            self.entries.iter().filter(moves).filter_map(|entry| entry.watch).collect();
        all.into_iter()
    }

    /// The dimensions of a budget, in the order of its values.
    #[must_use]
    pub fn keys(&self, entry: &Entry) -> &DimensionSet {
        &self.sets[entry.set].keys
    }

    /// The budgets of a set that these values belong to, in force at `now`; replaced ones are left out.
    #[must_use]
    pub fn matches(&self, set: usize, values: &[Option<&str>], now: DateTime<Utc>) -> Matches {
        let mut found = Matches::new();
        for pattern in &self.sets[set].patterns {
            let named_are_present =
                values.iter().enumerate().all(|(at, value)| value.is_some() || pattern.each & (1_u64 << at) != 0);
            if !named_are_present {
                continue;
            }
            let Some(entries) = pattern.by_values.get(&Probe { values, each: pattern.each }) else { continue };
            let complete = values.iter().all(Option::is_some);
            found.extend(entries.iter().copied().filter(|entry| {
                let entry = &self.entries[*entry];
                (complete || entry.budget.include_missing) && entry.budget.in_force(now)
            }));
        }
        self.drop_replaced(&mut found);
        found
    }

    /// Of two budgets for the same values, the one that names more of them replaces the other.
    fn drop_replaced(&self, found: &mut Matches) {
        if found.len() < 2 {
            return;
        }
        let masks: SmallVec<[u64; 8]> = found
            .iter()
            .map(|entry| &self.entries[*entry])
            .filter(|entry| !entry.budget.additive)
            .map(|entry| entry.each)
            .collect();
        found.retain(|entry| {
            let each = self.entries[*entry].each;
            !masks.iter().any(|other| *other != each && other & each == *other)
        });
    }

    /// The values of a set, asked from whoever knows a dimension's value.
    pub fn values<'v>(&self, set: usize, value: impl Fn(&ScopeKey) -> Option<&'v str>) -> Values<'v> {
        self.sets[set].keys.keys().iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::super::fixture::{at, book, budget};
    use super::Book;

    /// Names of the budgets that values of `team` and `user` belong to, in any set.
    fn found(book: &Book, team: Option<&str>, user: Option<&str>, now: DateTime<Utc>) -> Vec<String> {
        let mut names: Vec<String> = (0..book.sets().len())
            .flat_map(|set| {
                let values = book.values(set, |key| match key.to_string().as_str() {
                    "team" => team,
                    "user" => user,
                    _ => None,
                });
                book.matches(set, &values, now).into_iter().map(|entry| book.entries()[entry].budget.name.clone())
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_named_value_replaces_the_template_unless_it_is_additive() {
        let now = at("2026-11-22T12:00:00Z");
        let book = book(&[
            budget(r#"{"name": "all", "scope": {}, "amount": "1"}"#),
            budget(r#"{"name": "each team", "scope": {"team": "*"}, "amount": "1"}"#),
            budget(r#"{"name": "search", "scope": {"team": "search"}, "amount": "1"}"#),
            budget(r#"{"name": "ads too", "scope": {"team": "ads"}, "amount": "1", "additive": true}"#),
            budget(r#"{"name": "each user", "scope": {"user": "*", "team": "*"}, "amount": "1"}"#),
            budget(r#"{"name": "ads users", "scope": {"user": "*", "team": "ads"}, "amount": "1"}"#),
            budget(r#"{"name": "off", "scope": {"team": "search"}, "amount": "1", "active": false}"#),
        ]);
        for (team, user, expected) in [
            (None, None, vec!["all"]),
            (Some("search"), None, vec!["all", "search"]),
            (Some("core"), None, vec!["all", "each team"]),
            (Some("ads"), None, vec!["ads too", "all", "each team"]),
            (Some("ads"), Some("ann"), vec!["ads too", "ads users", "all", "each team"]),
            (Some("core"), Some("ann"), vec!["all", "each team", "each user"]),
        ] {
            assert_eq!(found(&book, team, user, now), expected, "{team:?} {user:?}");
        }
        assert_eq!(book.requests().len(), 3, "three sets, one period");
    }

    #[test]
    fn missing_values_have_a_budget_only_where_it_says_so() {
        let now = at("2026-11-22T12:00:00Z");
        let book = book(&[
            budget(r#"{"name": "each", "scope": {"user": "*"}, "amount": "1"}"#),
            budget(r#"{"name": "each and none", "scope": {"user": "*"}, "amount": "1", "include_missing": true}"#),
        ]);
        assert_eq!(found(&book, None, Some("ann"), now), ["each", "each and none"]);
        assert_eq!(found(&book, None, None, now), ["each and none"]);
    }

    #[test]
    fn a_budget_counts_from_and_until_the_moments_it_names() {
        let book = book(&[budget(
            r#"{"name": "n", "scope": {}, "amount": "1", "valid_from": "2026-11-01T00:00:00Z", "valid_until": "2026-12-01T00:00:00Z"}"#,
        )]);
        for (now, count) in [
            ("2026-10-31T23:59:59Z", 0),
            ("2026-11-01T00:00:00Z", 1),
            ("2026-11-30T23:59:59Z", 1),
            ("2026-12-01T00:00:00Z", 0),
        ] {
            assert_eq!(found(&book, None, None, at(now)).len(), count, "{now}");
        }
    }

    proptest! {
        /// The index finds what a scan with the words of the contract finds.
        #[test]
        fn the_index_finds_what_a_scan_finds(
            scopes in prop::collection::vec((prop::option::of(0u8..3), prop::option::of(0u8..3), any::<bool>()), 1..12),
            team in prop::option::of(1u8..4), user in prop::option::of(1u8..4),
        ) {
            let word = |value: u8| if value == 0 { "*".to_owned() } else { format!("v{value}") };
            let budgets: Vec<_> = scopes.iter().enumerate().map(|(at, (team, user, additive))| {
                let part = |key: &str, value: &Option<u8>| value.map(|value| format!(r#""{key}": "{}""#, word(value)));
                let scope = [part("team", team), part("user", user)].into_iter().flatten().collect::<Vec<_>>().join(",");
                budget(&format!(r#"{{"name": "b{at:02}", "scope": {{{scope}}}, "amount": "1", "additive": {additive}}}"#))
            }).collect();
            let (team, user) = (team.map(word), user.map(word));
            let hit = |scope: Option<u8>, value: &Option<String>| scope.is_none_or(|scope| value.as_ref().is_some_and(|value| scope == 0 || *value == word(scope)));
            let matching: Vec<usize> = (0..scopes.len()).filter(|at| hit(scopes[*at].0, &team) && hit(scopes[*at].1, &user)).collect();
            let replaced = |at: usize| matching.iter().any(|other| {
                let (a, b) = (&scopes[at], &scopes[*other]);
                let same_keys = a.0.is_some() == b.0.is_some() && a.1.is_some() == b.1.is_some();
                let names = |scope: Option<u8>| scope.is_some_and(|value| value > 0);
                let more = (names(b.0) || !names(a.0)) && (names(b.1) || !names(a.1)) && (names(a.0), names(a.1)) != (names(b.0), names(b.1));
                same_keys && more && !b.2
            });
            let expected: Vec<String> = matching.iter().filter(|at| !replaced(**at)).map(|at| format!("b{at:02}")).collect();
            prop_assert_eq!(found(&book(&budgets), team.as_deref(), user.as_deref(), at("2026-11-22T12:00:00Z")), expected);
        }
    }
}
