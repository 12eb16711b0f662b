//! What the pipeline tells Prometheus: every name, label and unit is here. Counters are of what was decided, not of what was tried.
//!
//! Labels are bounded: reasons, kinds and notes are closed sets; models of unpriced rows are cut off at [`MAX_UNPRICED_SERIES`]
//! (then `model="other"`), so that a producer cannot fill the memory of whoever scrapes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};
use spendstream_schemas::money::Amount;

use crate::aggregate::metrics::LiveMetrics;
use crate::batch::Tally;
use crate::decode::reject::Reason;
use crate::http::observe::HttpMetrics;
use crate::lake::maintenance::metrics::MaintenanceMetrics;
use crate::price::spend::SpendMetrics;
use crate::price::summary::Summary;

/// Distinct (provider, model, reason) that get a series of their own.
pub const MAX_UNPRICED_SERIES: usize = 500;

/// Series of one pipeline.
pub struct Metrics {
    registry: Registry,
    pub messages: IntCounter,
    pub bytes: IntCounter,
    pub rows: IntCounter,
    pub rejected: IntCounterVec,
    refused_items: IntCounterVec,
    pub duplicates: IntCounterVec,
    pub ignored: IntCounterVec,
    pub unpriced: IntCounterVec,
    pub noted: IntCounterVec,
    doubted: IntCounterVec,
    pub committed_rows: IntCounter,
    pub commits: IntCounter,
    pub commit_retries: IntCounter,
    pub fenced: IntCounter,
    pub commit_seconds: Histogram,
    pub file_bytes: IntCounter,
    pub lag: IntGaugeVec,
    pub committed_offset: IntGaugeVec,
    pub queue_depth: IntGaugeVec,
    pub assigned: IntGauge,
    pub stopped: IntGaugeVec,
    pub watched: IntGaugeVec,
    pub paused: IntCounter,
    pub book_reloads: IntCounterVec,
    pub checkpoint_failures: IntCounter,
    pub live: LiveMetrics,
    pub maintenance: Arc<MaintenanceMetrics>,
    pub http: HttpMetrics,
    spend: SpendMetrics,
    pub budget_ratio: GaugeVec,
    pub budget_exceeded: IntGaugeVec,
    pub alerts: IntCounterVec,
    pub deliveries: IntCounterVec,
    pub decisions: IntCounterVec,
    pub control_store_up: IntGauge,
    pub alerts_waiting: IntGauge,
    pub deliveries_waiting: IntGauge,
    unpriced_series: AtomicU64,
    cost: Mutex<Amount>,
}

pub(crate) fn counter(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntCounter> {
    let metric = IntCounter::with_opts(Opts::new(name, help))?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(crate) fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(crate) fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    let metric = IntGauge::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(crate) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
    let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn ratios(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<GaugeVec> {
    let metric = GaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(crate) fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
    let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl Metrics {
    /// All series at zero.
    ///
    /// # Errors
    /// When two series share a name: a fault of this file.
    #[expect(clippy::too_many_lines, reason = "a list: one entry per series")]
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let r = &registry;
        let seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
        Ok(Self {
            messages: counter(r, "spendstream_messages_total", "Kafka messages read.")?,
            bytes: counter(r, "spendstream_message_bytes_total", "Payload bytes of Kafka messages read.")?,
            rows: counter(
                r,
                "spendstream_events_total",
                "Events decoded, not repeated, and priced or kept as unpriced.",
            )?,
            rejected: counters(r, "spendstream_rejected_total", "Items sent to the dead-letter topic.", &["reason"])?,
            refused_items: counters(
                r,
                "spendstream_http_unreadable_total",
                "Items posted over HTTP that cannot be read; the answer named them.",
                &["reason"],
            )?,
            duplicates: counters(
                r,
                "spendstream_duplicates_total",
                "Items dropped because they were charged before.",
                &["kind"],
            )?,
            ignored: counters(r, "spendstream_ignored_total", "Items that are nobody's cost.", &["kind"])?,
            unpriced: counters(
                r,
                "spendstream_unpriced_total",
                "Events kept without a price.",
                &["provider", "model", "reason"],
            )?,
            noted: counters(
                r,
                "spendstream_price_notes_total",
                "Events whose price rests on an assumption.",
                &["note"],
            )?,
            doubted: counters(
                r,
                "spendstream_inexact_cost_total",
                "Events whose cost is an upper bound or an estimate (the column cost_quality).",
                &["quality"],
            )?,
            committed_rows: counter(r, "spendstream_committed_rows_total", "Rows made durable in the lake.")?,
            commits: counter(r, "spendstream_commits_total", "Commits to the lake.")?,
            commit_retries: counter(
                r,
                "spendstream_commit_retries_total",
                "Tries of a commit that did not succeed at once.",
            )?,
            fenced: counter(
                r,
                "spendstream_fenced_total",
                "Commits dropped because another instance owns a partition.",
            )?,
            commit_seconds: histogram(r, "spendstream_commit_seconds", "Time from encoded to durable.", &seconds)?,
            file_bytes: counter(r, "spendstream_file_bytes_total", "Bytes of Parquet files made durable.")?,
            lag: gauges(
                r,
                "spendstream_lag_messages",
                "Messages between the lake's offset and the broker's end: what is not committed yet, read or not.",
                &["partition"],
            )?,
            committed_offset: gauges(
                r,
                "spendstream_committed_offset",
                "Next offset of a source partition by the lake.",
                &["partition"],
            )?,
            queue_depth: gauges(r, "spendstream_queue_batches", "Batches that wait before a stage.", &["stage"])?,
            assigned: gauge(r, "spendstream_partitions_assigned", "Source partitions this process consumes.")?,
            stopped: gauges(
                r,
                "spendstream_partition_stopped",
                "1: the partition's lake offset is outside the broker's range; see the log.",
                &["partition"],
            )?,
            watched: gauges(
                r,
                "spendstream_watched_identities",
                "Identities remembered to recognise repeats.",
                &["partition"],
            )?,
            paused: counter(
                r,
                "spendstream_paused_total",
                "Times consumption was paused because the lake was slower.",
            )?,
            book_reloads: counters(
                r,
                "spendstream_price_book_reloads_total",
                "Price books taken or refused.",
                &["outcome"],
            )?,
            alerts: counters(
                r,
                "spendstream_alerts_total",
                "Alerts that budgets and detectors found: new ones, and those that were told before.",
                &["kind", "outcome"],
            )?,
            spend: SpendMetrics::new(r)?,
            budget_ratio: ratios(
                r,
                "spendstream_budget_used_ratio",
                "What is used of a budget that names all of its values, 1 is all of it; to look at, not to account with.",
                &["budget_id", "budget"],
            )?,
            budget_exceeded: gauges(
                r,
                "spendstream_budget_exceeded",
                "1 when all of such a budget or more is used.",
                &["budget_id", "budget"],
            )?,
            decisions: counters(
                r,
                "spendstream_decisions_total",
                "Decisions to write down: written to the lake, or dropped because they waited too long.",
                &["outcome"],
            )?,
            deliveries: counters(
                r,
                "spendstream_deliveries_total",
                "Attempts to deliver an alert, by what became of them.",
                &["channel", "outcome"],
            )?,
            control_store_up: gauge(
                r,
                "spendstream_control_store_up",
                "1 when the control store answered last, a few seconds ago; 0 before it did so for the first time.",
            )?,
            alerts_waiting: gauge(
                r,
                "spendstream_alerts_waiting",
                "Alerts that were found here and are not in the control store yet: they wait for it.",
            )?,
            deliveries_waiting: gauge(
                r,
                "spendstream_deliveries_waiting",
                "Deliveries of alerts that are not made yet, of all instances; also those that wait for quiet hours or a digest.",
            )?,
            checkpoint_failures: counter(
                r,
                "spendstream_checkpoint_failures_total",
                "Delta checkpoints that failed; the next one is tried anyway.",
            )?,
            live: LiveMetrics::new(r)?,
            maintenance: Arc::new(MaintenanceMetrics::new(r)?),
            http: HttpMetrics::new(r)?,
            unpriced_series: AtomicU64::new(0),
            cost: Mutex::new(Amount::ZERO),
            registry,
        })
    }

    /// Counts a batch that was decoded and priced.
    pub fn count_batch(&self, tally: &Tally, summary: &Summary) {
        self.messages.inc_by(tally.messages);
        self.rows.inc_by(tally.rows);
        for ((provider, model, reason), rows) in &summary.unpriced {
            self.count_unpriced(provider, model, reason, *rows);
        }
        for (note, rows) in &summary.noted {
            self.noted.with_label_values(&[note.name()]).inc_by(*rows);
        }
        for (quality, rows) in &summary.doubted {
            self.doubted.with_label_values(&[quality.name()]).inc_by(*rows);
        }
        self.spend.count(&summary.spend);
        let mut cost = self.cost.lock();
        *cost = *cost + summary.cost;
    }

    fn count_unpriced(&self, provider: &str, model: &str, reason: &str, rows: u64) {
        let seen = self.unpriced_series.load(Ordering::Relaxed);
        let model = if seen >= MAX_UNPRICED_SERIES as u64 { "other" } else { model };
        let provider = if seen >= MAX_UNPRICED_SERIES as u64 { "other" } else { provider };
        let series = self.unpriced.with_label_values(&[provider, model, reason]);
        if series.get() == 0 {
            self.unpriced_series.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                provider,
                model,
                reason,
                "no price: events are kept as unpriced, never as 0; add a price and later ones are priced"
            );
        }
        series.inc_by(rows);
    }

    /// Whether the lake has all that the broker had when it was last asked, a few seconds ago at most. False before it was asked.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        let families = self.lag.collect();
        let mut lags = families
            .iter()
            .flat_map(prometheus::proto::MetricFamily::get_metric)
            .map(|one| one.get_gauge().get_value());
        lags.next().is_some_and(|first| first <= 0.0) && lags.all(|lag| lag <= 0.0)
    }

    /// Partitions were given back: what is known of them is somebody else's to tell from now on.
    pub fn released(&self) {
        for gauges in [&self.lag, &self.committed_offset, &self.stopped, &self.watched] {
            gauges.reset();
        }
        self.assigned.set(0);
    }

    /// The lake's offset of a source partition moved, or was read.
    pub fn committed_to(&self, partition: i32, next: i64) {
        self.committed_offset.with_label_values(&[&partition.to_string()]).set(next);
    }

    /// Counts what was posted and cannot be read.
    pub fn count_refused_items(&self, reasons: impl Iterator<Item = Reason>) {
        for reason in reasons {
            self.refused_items.with_label_values(&[reason.as_str()]).inc();
        }
    }

    /// Posted items that could not be read, since the start.
    pub fn refused_items(&self) -> u64 {
        sum(&self.refused_items)
    }

    /// The sum of `cost` of all rows priced since the start.
    pub fn cost(&self) -> Amount {
        *self.cost.lock()
    }

    /// Unpriced rows since the start.
    pub fn unpriced_rows(&self) -> u64 {
        sum(&self.unpriced)
    }

    /// Rejected items since the start.
    pub fn rejected_items(&self) -> u64 {
        sum(&self.rejected)
    }

    /// Dropped repeats since the start.
    pub fn duplicate_items(&self) -> u64 {
        sum(&self.duplicates)
    }

    /// The text that `/metrics` answers.
    ///
    /// # Errors
    /// When the encoder fails, which writing to memory does not.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut families = self.registry.gather();
        // Money stays exact on its way to the text: the encoder only knows floats, so this one line is ours.
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        let cost = self.cost();
        text.extend_from_slice(
            format!(
                "# HELP spendstream_cost_total Cost of the events priced, in the lake's currency.\n\
                 # TYPE spendstream_cost_total counter\nspendstream_cost_total {cost}\n"
            )
            .as_bytes(),
        );
        text.extend_from_slice(self.spend.render().as_bytes());
        Ok(text)
    }
}

fn sum(counters: &IntCounterVec) -> u64 {
    use prometheus::core::Collector;
    counters
        .collect()
        .iter()
        .flat_map(|family| family.get_metric().iter().map(|metric| metric.get_counter().get_value()))
        .map(|value| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an integer counter's value")]
            let whole = value as u64;
            whole
        })
        .sum()
}
