//! What the query API counts, for Prometheus. In come outcomes, out comes the text of `/metrics`; labels are closed sets.

use std::time::{Duration, Instant};

use prometheus::{Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// Seconds; from a cached answer to the default time limit and beyond.
const SECONDS: [f64; 10] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// The counters of one server.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    queries: IntCounterVec,
    seconds: Histogram,
    rows: IntCounter,
    bytes: IntCounter,
    active: IntGauge,
}

impl Metrics {
    /// # Errors
    /// When a name is taken twice, which only a wrong build can do.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            queries: IntCounterVec::new(
                Opts::new("spendstream_queries_total", "SQL queries by outcome."),
                &["outcome"],
            )?,
            seconds: Histogram::with_opts(
                HistogramOpts::new("spendstream_query_seconds", "Time from a query's arrival to its last row.")
                    .buckets(SECONDS.to_vec()),
            )?,
            rows: IntCounter::new("spendstream_query_rows_total", "Rows sent to clients.")?,
            bytes: IntCounter::new("spendstream_query_bytes_total", "Bytes of answers made for clients.")?,
            active: IntGauge::new("spendstream_queries_active", "Queries that run right now.")?,
        };
        metrics.registry.register(Box::new(metrics.queries.clone()))?;
        metrics.registry.register(Box::new(metrics.seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.rows.clone()))?;
        metrics.registry.register(Box::new(metrics.bytes.clone()))?;
        metrics.registry.register(Box::new(metrics.active.clone()))?;
        Ok(metrics)
    }

    /// A query ended: `outcome` is `ok`, `client_gone` or the kind of its error.
    pub fn query_ended(&self, outcome: &str, took: Duration) {
        self.queries.with_label_values(&[outcome]).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Part of an answer was made.
    pub fn answered(&self, rows: usize, bytes: usize) {
        self.rows.inc_by(rows as u64);
        self.bytes.inc_by(bytes as u64);
    }

    /// The text of `/metrics`; `active` is how many queries run.
    ///
    /// # Errors
    /// When a metric cannot be written.
    pub fn text(&self, active: usize) -> Result<String, prometheus::Error> {
        self.active.set(i64::try_from(active).unwrap_or(i64::MAX));
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        String::from_utf8(out).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}
/// Counts a query once, when it is over; one that is dropped before was left by its client.
#[derive(Debug)]
pub struct Ending {
    metrics: Metrics,
    started: Instant,
    /// As [`Metrics::query_ended`] has it.
    pub outcome: &'static str,
}

impl Ending {
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, started: Instant::now(), outcome: "client_gone" }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.metrics.query_ended(self.outcome, self.started.elapsed());
    }
}
