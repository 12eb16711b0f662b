//! `[privacy]`: who is pseudonymous, and the key that pseudonyms and erasures are made with. Keys and their faults; no IO.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::millis;
use super::secret::Secret;
use super::validate::{ConfigError, at_least_one, fault};
use crate::pseudonym::{Dimension, PrivacyKey};

/// Pseudonyms and erasures.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacyConfig {
    /// A file with the key; empty: none.
    pub key_file: String,
    /// The key itself, or `env:NAME`; empty: that of `key_file`.
    pub key: Secret,
    /// Dimensions whose values are replaced by pseudonyms at intake, by the lake's columns or `tags.NAME`.
    pub pseudonymise: Vec<String>,
    /// How often the list of the erased is read.
    #[serde(with = "millis")]
    pub refresh_interval: Duration,
}

impl Default for PrivacyConfig {
    fn default() -> Self {
        Self {
            key_file: String::new(),
            key: Secret::default(),
            pseudonymise: Vec::new(),
            refresh_interval: Duration::from_secs(30),
        }
    }
}

impl PrivacyConfig {
    /// The pseudonymous dimensions; those that are none were refused before.
    #[must_use]
    pub fn dimensions(&self) -> Vec<Dimension> {
        self.pseudonymise.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

/// The first key whose value cannot work.
pub(super) fn validate(config: &PrivacyConfig) -> Result<(), ConfigError> {
    if !config.key.is_empty() && !config.key_file.is_empty() {
        return fault("privacy.key", "is set and so is privacy.key_file; set one of them");
    }
    // Of one that is not written here, whoever reads it says so.
    if !config.key.is_empty() && !config.key.is_variable_or(|text| PrivacyKey::new(text).is_ok()) {
        return fault(
            "privacy.key",
            format!(
                "is too short; write at least {} bytes drawn by lot, or env:NAME",
                crate::pseudonym::key::LEAST_BYTES
            ),
        );
    }
    for name in &config.pseudonymise {
        if let Err(problem) = name.parse::<Dimension>() {
            return fault("privacy.pseudonymise", format!("is wrong: {problem}"));
        }
    }
    if !config.pseudonymise.is_empty() && config.key.is_empty() && config.key_file.is_empty() {
        return fault(
            "privacy.pseudonymise",
            "needs a key; name a file with at least 16 bytes drawn by lot in privacy.key_file, or set SPENDSTREAM__PRIVACY__KEY",
        );
    }
    at_least_one("privacy.refresh_interval", config.refresh_interval.as_millis())
}
