//! One dated line of the directory: what it is about, and who owns that.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::spelling::normal;
use crate::budget::ScopeKey;

/// What belongs to whom, from `valid_from` to `valid_until`. `None` says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The dimension: `api_key_id`, `billing_account`, `project`, `app`, `tags.NAME`, `user`, `team`, ….
    pub key: ScopeKey,
    /// Its value, as the directory spells it.
    pub value: String,
    pub team: Option<String>,
    pub department: Option<String>,
    pub cost_center: Option<String>,
    /// An address of who is told.
    pub contact: Option<String>,
    /// Whatever else is known: `plan`, ….
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    pub valid_from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub valid_until: Option<DateTime<Utc>>,
}

impl Entry {
    /// Whether it says something about that time.
    #[must_use]
    pub fn holds(&self, at: DateTime<Utc>) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_until.is_none_or(|until| at < until)
    }

    /// What it is about, in the form that values are compared by.
    #[must_use]
    pub fn subject(&self) -> (ScopeKey, String) {
        (self.key.clone(), normal(&self.key, &self.value))
    }

    /// Whether both hold at some time.
    #[must_use]
    pub fn overlaps(&self, other: &Entry) -> bool {
        let before = |until: Option<DateTime<Utc>>, from: Option<DateTime<Utc>>| match (until, from) {
            (Some(until), Some(from)) => until <= from,
            _ => false,
        };
        !before(self.valid_until, other.valid_from) && !before(other.valid_until, self.valid_from)
    }

    /// Whether both say the same of the same, whatever the time.
    #[must_use]
    pub fn agrees(&self, other: &Entry) -> bool {
        let said = |entry: &Entry| Entry { value: String::new(), valid_from: None, valid_until: None, ..entry.clone() };
        self.subject() == other.subject() && said(self) == said(other)
    }
}
