//! Who is pseudonymous and who is erased. In: a dimension and a value; out: what stands for it, or whether it is on the list.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::dimension::Dimension;
use super::erasure::Erasure;
use super::key::{PrivacyKey, Purpose, stands_for_another};
use crate::budget::{Scope, ScopeKey};
use crate::directory::Entry;
use crate::hex::hex;

/// Which dimensions are pseudonymous, and the key that their pseudonyms are made with. Nothing is, by default.
#[derive(Clone, Debug, Default)]
pub struct Pseudonyms {
    key: Option<PrivacyKey>,
    dimensions: Vec<Dimension>,
}

impl Pseudonyms {
    #[must_use]
    pub fn new(key: PrivacyKey, dimensions: impl IntoIterator<Item = Dimension>) -> Self {
        Self { key: Some(key), dimensions: dimensions.into_iter().collect() }
    }

    /// The key; `None` where none is configured.
    #[must_use]
    pub const fn key(&self) -> Option<&PrivacyKey> {
        self.key.as_ref()
    }

    /// The dimensions whose values are replaced at intake.
    #[must_use]
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// What stands for a value, where its dimension is pseudonymous and it is no pseudonym yet.
    #[must_use]
    pub fn of(&self, dimension: &Dimension, value: &str) -> Option<String> {
        let key = self.key.as_ref().filter(|_| self.dimensions.contains(dimension) && !stands_for_another(value))?;
        Some(key.pseudonym(dimension, value))
    }

    /// The same for a value of a scope: what people write in clear is compared with what the ledger has.
    #[must_use]
    pub fn of_scope(&self, key: &ScopeKey, value: &str) -> Option<String> {
        let dimension = self.dimensions.iter().find(|dimension| dimension.scope_key() == key)?;
        self.of(dimension, value)
    }

    /// A whole scope as the ledger has it.
    #[must_use]
    pub fn scope(&self, scope: &Scope) -> Scope {
        scope.spelled(|key, value| self.of_scope(key, value))
    }

    /// A directory about pseudonyms: entries about a person are found by what stands for the person in the ledger.
    #[must_use]
    pub fn entries(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        if self.dimensions.is_empty() {
            return entries;
        }
        for entry in &mut entries {
            if let Some(pseudonym) = self.of_scope(&entry.key, &entry.value) {
                entry.value = pseudonym;
            }
        }
        entries
    }
}

/// Erased persons, as keyed hashes: nobody can read from it who they were, but who is asked for is found.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ErasedList {
    key: Option<PrivacyKey>,
    hashes: BTreeMap<Dimension, HashSet<String>>,
}

impl ErasedList {
    /// From dimensions and hashes as [`Erasure::hash`] makes them with the same key.
    #[must_use]
    pub fn new(key: PrivacyKey, erased: impl IntoIterator<Item = (Dimension, String)>) -> Self {
        let mut hashes: BTreeMap<_, HashSet<_>> = BTreeMap::new();
        for (dimension, hash) in erased {
            hashes.entry(dimension).or_default().insert(hash);
        }
        Self { key: Some(key), hashes }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// How many are on it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.values().map(HashSet::len).sum()
    }

    /// By which dimensions persons were erased.
    pub fn dimensions(&self) -> impl Iterator<Item = &Dimension> {
        self.hashes.keys()
    }

    /// Whether a value, or the person that it is the pseudonym of, was erased.
    #[must_use]
    pub fn is_erased(&self, dimension: &Dimension, value: &str) -> bool {
        let (Some(key), Some(hashes)) = (&self.key, self.hashes.get(dimension)) else { return false };
        let pseudonym = key.pseudonym(dimension, value);
        hashes.contains(&hex(&key.hash(Purpose::Erased, dimension, &pseudonym)))
    }

    /// What the erasure of a value leaves of its rows; `None` where it was not erased.
    #[must_use]
    pub fn erasure(&self, dimension: &Dimension, value: &str) -> Option<Erasure> {
        let key = self.key.as_ref().filter(|_| self.is_erased(dimension, value))?;
        Some(Erasure::new(key, dimension.clone(), value))
    }
}

impl fmt::Debug for ErasedList {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ErasedList").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Dimension, ErasedList, Erasure, PrivacyKey, Pseudonyms};
    use crate::directory::read;

    fn key() -> PrivacyKey {
        PrivacyKey::new("0123456789abcdef").unwrap()
    }

    #[test]
    fn who_is_erased_is_found_in_any_form_and_nobody_else_is() {
        let customer: Dimension = "customer".parse().unwrap();
        let ann = Erasure::new(&key(), Dimension::USER, "ann");
        let list = ErasedList::new(key(), [(Dimension::USER, ann.hash())]);
        for value in ["ann", "ANN", " ann ", &key().pseudonym(&Dimension::USER, "Ann")] {
            assert!(list.is_erased(&Dimension::USER, value), "{value}");
        }
        assert!(!list.is_erased(&Dimension::USER, "bob") && !list.is_erased(&customer, "ann"));
        assert_eq!(list.len(), 1);
        assert_eq!(list.erasure(&Dimension::USER, "Ann").map(|erasure| erasure.hash()), Some(ann.hash()));
        assert!(list.erasure(&Dimension::USER, "bob").is_none());
        let other = PrivacyKey::new("fedcba9876543210").unwrap();
        let other = ErasedList::new(other, [(Dimension::USER, ann.hash())]);
        assert!(!other.is_erased(&Dimension::USER, "ann"), "another key knows nobody");
        assert!(!ErasedList::default().is_erased(&Dimension::USER, "ann"));
    }

    #[test]
    fn the_directory_and_scopes_are_asked_by_pseudonyms() {
        let pseudonyms = Pseudonyms::new(key(), [Dimension::USER]);
        let ann = pseudonyms.of(&Dimension::USER, "Ann").unwrap();
        let (user, team) = ("user".parse().unwrap(), "team".parse().unwrap());
        assert_eq!(pseudonyms.of_scope(&user, "ann"), Some(ann.clone()));
        assert_eq!(pseudonyms.of_scope(&user, &ann), None, "it stands for itself");
        assert_eq!(pseudonyms.of_scope(&team, "ann"), None);
        let entries = read("kind,name,team\nuser,ANN,search\nteam,search,\n", "d.csv").unwrap();
        let values: Vec<_> = pseudonyms.entries(entries).into_iter().map(|entry| entry.value).collect();
        assert_eq!(values, [ann, "search".to_owned()]);
        assert_eq!(Pseudonyms::default().of(&Dimension::USER, "ann"), None);
    }
}
