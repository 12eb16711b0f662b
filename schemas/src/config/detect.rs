//! `[detect]`: which series are watched for anomalies, and how readily. Keys and their faults; no IO.

use std::time::Duration;

use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::decide::decimal;
use super::millis;
use super::validate::{ConfigError, at_least_one, fault};
use crate::budget::ScopeKey;

/// Days of hours that are read for a series, at most.
const MOST_DAYS: u32 = 365;
/// Sets of dimensions, at most: each is a query an hour.
const MOST_SCOPES: usize = 20;
/// Series of one set, at most: each is named in the query.
const MOST_TOP: u32 = 1_000;

/// Anomalies of hourly spend.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct DetectConfig {
    pub enabled: bool,
    /// Sets of dimensions; `[]` is all spend together, `["team"]` a series per team.
    pub scopes: Vec<Vec<ScopeKey>>,
    /// Of each set the values that cost the most in the last seven days.
    pub top: u32,
    /// Days of history that a series is judged by; read from the lake at the start.
    pub history_days: u32,
    /// How often the hour that runs is looked at.
    #[serde(with = "millis")]
    pub interval: Duration,
    /// An hour is final so long after the watermark passed its end; what comes later is in the lake, not in the baseline.
    #[serde(with = "millis")]
    pub settle: Duration,
    /// An hour that costs more than so many times the mean of the hours before is told, unless it is usual at that time of day.
    #[serde(with = "decimal")]
    pub times: Decimal,
    /// Hours that cost less are never told, nor are changes by less; in the lake's currency.
    #[serde(with = "decimal")]
    pub minimum: Decimal,
    /// Hours of history before `times` is applied; a quarter of them must have had spend before anything is told.
    pub minimum_hours: u32,
    /// Of the seasonal detector, above 0.5 and below 1: 0.5 is as surprising as the worst of the last weeks, 0.6 half as much again.
    pub threshold: f64,
    /// Days of history before the seasonal detector speaks.
    pub learn_days: u32,
    /// Whose hours and weekdays the season follows: an IANA time zone.
    pub timezone: String,
    /// Dimensions that are searched for who moved.
    pub causes: Vec<ScopeKey>,
}

impl Default for DetectConfig {
    fn default() -> Self {
        let keys = |names: &[&str]| names.iter().filter_map(|name| name.parse().ok()).collect::<Vec<ScopeKey>>();
        Self {
            enabled: true,
            scopes: vec![keys(&[]), keys(&["team"]), keys(&["model"])],
            top: 50,
            history_days: 35,
            interval: Duration::from_secs(30),
            settle: Duration::from_mins(10),
            times: Decimal::from(3),
            minimum: Decimal::ONE,
            minimum_hours: 24,
            threshold: 0.6,
            learn_days: 8,
            timezone: "UTC".to_owned(),
            causes: keys(&["model", "team", "user", "app"]),
        }
    }
}

impl DetectConfig {
    /// The time zone; UTC where the name is none, which [`super::Config::validate`] refuses.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.timezone.parse().unwrap_or(Tz::UTC)
    }
}

/// The first key whose value cannot work.
pub(super) fn validate(config: &DetectConfig) -> Result<(), ConfigError> {
    if config.scopes.len() > MOST_SCOPES {
        return fault("detect.scopes", format!("has {} sets; at most {MOST_SCOPES}", config.scopes.len()));
    }
    at_least_one("detect.top", config.top)?;
    if config.top > MOST_TOP {
        return fault("detect.top", format!("is {}; at most {MOST_TOP}", config.top));
    }
    if !(2..=MOST_DAYS).contains(&config.history_days) {
        return fault("detect.history_days", format!("is {}; write 2 to {MOST_DAYS}", config.history_days));
    }
    if config.learn_days >= config.history_days {
        let problem =
            format!("is {}; write less than detect.history_days ({})", config.learn_days, config.history_days);
        return fault("detect.learn_days", problem);
    }
    at_least_one("detect.interval", config.interval.as_millis())?;
    if config.times <= Decimal::ONE || config.times > Decimal::from(1_000) {
        return fault("detect.times", format!("is {}; write a number above 1, at most 1000", config.times));
    }
    if config.minimum.is_sign_negative() || config.minimum > Decimal::from(1_000_000_000) {
        return fault("detect.minimum", format!("is {}; write an amount from 0 to 1000000000", config.minimum));
    }
    at_least_one("detect.minimum_hours", config.minimum_hours)?;
    if !(config.threshold > 0.5 && config.threshold < 1.0) {
        return fault("detect.threshold", format!("is {}; write a number above 0.5 and below 1", config.threshold));
    }
    if config.timezone.parse::<Tz>().is_err() {
        return fault(
            "detect.timezone",
            format!("is '{}'; write an IANA time zone such as Europe/Berlin", config.timezone),
        );
    }
    Ok(())
}
