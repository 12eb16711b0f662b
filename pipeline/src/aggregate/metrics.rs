//! What live totals tell Prometheus: every name, label and unit is here. Labels are closed sets.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use crate::metrics::{counter, counters, gauge, gauges};

/// Series of the live totals.
pub struct LiveMetrics {
    /// Groups of batches added.
    pub groups: IntCounter,
    pub cells: IntGauge,
    pub bytes: IntGauge,
    /// `state`: `known`, `unknown`.
    pub watches: IntGaugeVec,
    /// `outcome`: `in_place`, `too_early`, `failed`.
    pub loads: IntCounterVec,
    pub compared: IntCounter,
    pub differences: IntCounter,
    /// `why`: `full`, `late`.
    pub left_out: IntCounterVec,
    pub watermark: IntGauge,
}

impl LiveMetrics {
    /// All series at zero.
    ///
    /// # Errors
    /// When two series share a name: a fault of this program.
    pub fn new(r: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            groups: counter(r, "spendstream_live_groups_total", "Sums of batches added to live totals.")?,
            cells: gauge(r, "spendstream_live_cells", "Live sums held: one per watch, period and values.")?,
            bytes: gauge(r, "spendstream_live_bytes", "Bytes of live totals.")?,
            watches: gauges(r, "spendstream_live_watches", "Watches, by whether their totals are known.", &["state"])?,
            loads: counters(r, "spendstream_live_loads_total", "Readings of watches from the lake.", &["outcome"])?,
            compared: counter(r, "spendstream_live_compared_total", "Live sums compared with the lake.")?,
            differences: counter(
                r,
                "spendstream_live_differences_total",
                "Live sums that were not what the lake says; repaired.",
            )?,
            left_out: counters(
                r,
                "spendstream_live_left_out_total",
                "Sums not held: live.max_cells reached, or a period no longer held.",
                &["why"],
            )?,
            watermark: gauge(
                r,
                "spendstream_live_watermark_seconds",
                "Event time reached, seconds since the epoch; 0 before the first event.",
            )?,
        })
    }
}
