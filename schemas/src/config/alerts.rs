//! `[alerts]`: what becomes an alert, and how often. Keys and their faults; no IO.

use std::time::Duration;

use chrono::NaiveTime;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::millis;
use super::validate::{ConfigError, at_least_one, fault};

/// Alerts, before they are delivered.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// How long the same budget, scope, kind and threshold stays quiet after it fired; what holds then is told after that.
    #[serde(with = "millis")]
    pub repeat_guard: Duration,
    /// Alerts that may wait for the control store, and 20 times as many behind them, emergencies first. Beyond that sums are not judged until
    /// all have been taken; then all sums are.
    pub queue: usize,
    /// A period that ended longer ago than this and `live.allowed_lateness`, by the clock, raises nothing, though events are read again after a
    /// standstill.
    #[serde(with = "millis")]
    pub catch_up: Duration,
    /// Local time of the daily summary, `08:00`; empty: none.
    pub summary_at: String,
    /// Whose day the summary of all spend is; budgets of other time zones have a summary of their own.
    pub summary_timezone: String,
    /// Crossed thresholds that are remembered, so that the store is not asked again; at the limit the oldest are asked again.
    pub remembered: usize,
    /// Models without a price that are told one by one on a day; that there are more is one alert.
    pub unpriced_models: usize,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            repeat_guard: Duration::from_hours(1),
            queue: 1_000,
            catch_up: Duration::from_hours(24),
            summary_at: String::new(),
            summary_timezone: "UTC".to_owned(),
            remembered: 200_000,
            unpriced_models: 100,
        }
    }
}

impl AlertsConfig {
    /// When the summary is sent; `None`: never.
    #[must_use]
    pub fn summary_time(&self) -> Option<NaiveTime> {
        NaiveTime::parse_from_str(&self.summary_at, "%H:%M").ok()
    }
}

/// The first key whose value cannot work.
pub(super) fn validate(config: &AlertsConfig) -> Result<(), ConfigError> {
    if !config.summary_at.is_empty() && config.summary_time().is_none() {
        return fault(
            "alerts.summary_at",
            format!("is '{}'; write 08:00, or nothing for no summary", config.summary_at),
        );
    }
    if config.summary_timezone.parse::<Tz>().is_err() {
        let problem = format!("is '{}'; write an IANA time zone such as Europe/Berlin", config.summary_timezone);
        return fault("alerts.summary_timezone", problem);
    }
    at_least_one("alerts.queue", config.queue)?;
    at_least_one("alerts.unpriced_models", config.unpriced_models)?;
    at_least_one("alerts.remembered", config.remembered)
}
