//! `[reports]`: how periods of reports and statements are cut. Keys and their faults; no IO.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::validate::{ConfigError, fault};

/// Reports and statements.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ReportsConfig {
    /// Where months, weeks and days of reports begin: an IANA time zone, printed on them.
    pub timezone: String,
}

impl Default for ReportsConfig {
    fn default() -> Self {
        Self { timezone: "UTC".to_owned() }
    }
}

impl ReportsConfig {
    /// The time zone; UTC where the name is none, which [`super::Config::validate`] refuses.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.timezone.parse().unwrap_or(Tz::UTC)
    }
}

/// The first key whose value cannot work.
pub(super) fn validate(config: &ReportsConfig) -> Result<(), ConfigError> {
    if config.timezone.parse::<Tz>().is_err() {
        let why = format!("is '{}'; write an IANA time zone such as Europe/Berlin", config.timezone);
        return fault("reports.timezone", why);
    }
    Ok(())
}
