//! `[live]`: totals that are held in memory for budgets, decisions and detectors. Keys and their faults; no IO.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::millis;
use super::validate::{ConfigError, at_least_one};

/// Live totals.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LiveConfig {
    /// How long after the watermark passed its end a period stays in memory.
    #[serde(with = "millis")]
    pub allowed_lateness: Duration,
    /// A partition without messages for so long does not hold the watermark back.
    #[serde(with = "millis")]
    pub idle_timeout: Duration,
    /// How often live totals are compared with the lake, and repaired.
    #[serde(with = "millis")]
    pub reconcile_interval: Duration,
    /// Sums held: one per watch, period and values. At the limit new values are not watched and count as unknown, never as zero.
    pub max_cells: usize,
    /// Sums of batches held while the lake is read; at the limit it is read again after the next commit.
    pub max_held_groups: usize,
    /// Batches that may wait for the live totals; then decoding waits.
    pub queue_batches: usize,
    /// Bytes that reading the lake for live totals may use before it spills to the temporary directory.
    pub load_memory_bytes: usize,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            allowed_lateness: Duration::from_hours(1),
            idle_timeout: Duration::from_mins(1),
            reconcile_interval: Duration::from_mins(5),
            max_cells: 2_000_000,
            max_held_groups: 4_000_000,
            queue_batches: 32,
            load_memory_bytes: 256 << 20,
        }
    }
}

/// The first key whose value cannot work.
pub(super) fn validate(config: &LiveConfig) -> Result<(), ConfigError> {
    at_least_one("live.idle_timeout", config.idle_timeout.as_millis())?;
    at_least_one("live.reconcile_interval", config.reconcile_interval.as_millis())?;
    at_least_one("live.max_cells", config.max_cells)?;
    at_least_one("live.max_held_groups", config.max_held_groups)?;
    at_least_one("live.queue_batches", config.queue_batches)?;
    at_least_one("live.load_memory_bytes", config.load_memory_bytes)
}
