//! Sections `[directory]` and `[budgets]`: whose spend is whose, and budgets that come from a file.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::decide::decimal;
use super::millis;
use crate::directory::Precedence;

/// How an event's owner is filled in.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct DirectoryConfig {
    /// Which dimensions are asked for an owner, first to last: `key`, `account`, `tag` (any), and names of the event.
    pub precedence: Vec<String>,
    /// Organisation (`*`: any other) → dimensions that its events must have; what lacks one is reported.
    pub required: BTreeMap<String, Vec<String>>,
    /// What a day of an organisation may cost without a required dimension before somebody is told, in the lake's currency.
    #[serde(with = "decimal")]
    pub unallocated_minimum: Decimal,
    /// How often that is looked at.
    #[serde(with = "millis")]
    pub unallocated_interval: Duration,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        let precedence = ["key", "account", "project", "app", "tag", "user"].map(str::to_owned).to_vec();
        Self {
            precedence,
            required: BTreeMap::new(),
            unallocated_minimum: Decimal::ONE,
            unallocated_interval: Duration::from_mins(5),
        }
    }
}

impl DirectoryConfig {
    /// What is wrong, if anything.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        if let Err(problem) = Precedence::new(self.precedence.iter().map(String::as_str)) {
            return Some(("directory.precedence", format!("is wrong: {problem}")));
        }
        if self.unallocated_minimum.is_sign_negative() || self.unallocated_minimum > Decimal::from(1_000_000_000) {
            return Some(("directory.unallocated_minimum", "is no amount from 0 to 1000000000".to_owned()));
        }
        if self.unallocated_interval.is_zero() {
            return Some(("directory.unallocated_interval", "must be more than zero".to_owned()));
        }
        let mut names = self.required.values().flatten();
        let problem = names.find_map(|name| name.parse::<crate::budget::ScopeKey>().err())?;
        Some(("directory.required", format!("is wrong: {problem}")))
    }
}

/// Budgets from a file.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetsConfig {
    /// A TOML file that is applied at start; empty: none.
    pub file: String,
}
