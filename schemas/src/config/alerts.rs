//! `[alerts]`: what becomes an alert, and how often. Keys and their faults; no IO.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::millis;
use super::validate::{ConfigError, at_least_one};

/// Alerts, before they are delivered.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// How long the same budget, scope, kind and threshold stays quiet after it fired; what holds then is told after that.
    #[serde(with = "millis")]
    pub repeat_guard: Duration,
    /// Alerts that may wait for the control store; what does not fit is found again later.
    pub queue: usize,
    /// Crossed thresholds that are remembered, so that the store is not asked again; at the limit the oldest are asked again.
    pub remembered: usize,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self { repeat_guard: Duration::from_hours(1), queue: 1_000, remembered: 200_000 }
    }
}

/// The first key whose value cannot work.
pub(super) fn validate(config: &AlertsConfig) -> Result<(), ConfigError> {
    at_least_one("alerts.queue", config.queue)?;
    at_least_one("alerts.remembered", config.remembered)
}
