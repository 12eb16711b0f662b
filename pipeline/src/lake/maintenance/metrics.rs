//! What the lake's maintenance tells Prometheus: every name, label and unit is here. Labels are closed sets.

use std::time::Duration;

use chrono::NaiveDate;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry, histogram_opts};

use super::maintainer::Done;
use super::plan::Step;
use super::vacuum::Vacuumed;
use crate::metrics::{counter, counters, gauge};

/// Series of the maintenance.
pub struct MaintenanceMetrics {
    /// 1 while this process maintains the lake.
    pub leads: IntGauge,
    pub failures: IntCounter,
    /// `step`: `seal`, `join`, `compact`, `pack`, `move`, `expire`.
    steps: IntCounterVec,
    files: IntCounterVec,
    bytes: IntCounterVec,
    removed: IntCounterVec,
    seconds: HistogramVec,
    vacuumed: IntCounterVec,
    oldest: IntGauge,
}

impl MaintenanceMetrics {
    /// All series at zero.
    ///
    /// # Errors
    /// When two series share a name: a fault of this program.
    pub fn new(r: &Registry) -> prometheus::Result<Self> {
        let step = &["step"];
        let seconds = HistogramVec::new(
            histogram_opts!(
                "spendstream_lake_maintenance_seconds",
                "How long a step of the lake's maintenance took.",
                vec![0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0]
            ),
            step,
        )?;
        r.register(Box::new(seconds.clone()))?;
        Ok(Self {
            leads: gauge(r, "spendstream_lake_maintenance_leads", "1 while this process maintains the lake.")?,
            failures: counter(r, "spendstream_lake_maintenance_failures_total", "Rounds that did not get through.")?,
            steps: counters(r, "spendstream_lake_maintenance_steps_total", "Steps done.", step)?,
            files: counters(r, "spendstream_lake_maintenance_files_total", "Files written anew.", step)?,
            bytes: counters(r, "spendstream_lake_maintenance_bytes_total", "Bytes written anew.", step)?,
            removed: counters(r, "spendstream_lake_removed_rows_total", "Repeats removed, and rows deleted.", step)?,
            seconds,
            vacuumed: counters(
                r,
                "spendstream_lake_vacuumed_files_total",
                "Files removed that no version needs.",
                &["kind"],
            )?,
            oldest: gauge(
                r,
                "spendstream_lake_oldest_unsealed_day_seconds",
                "Start of the oldest day with rows that are not sealed, seconds since the epoch; 0: none.",
            )?,
        })
    }

    /// The series of a process that does nothing else.
    ///
    /// # Errors
    /// As [`MaintenanceMetrics::new`].
    pub fn alone() -> prometheus::Result<(Self, Registry)> {
        let registry = Registry::new();
        Ok((Self::new(&registry)?, registry))
    }

    /// A step is done.
    pub fn step(&self, step: &Step, done: &Done, took: Duration) {
        let name = match step {
            Step::Seal { is_late: false, .. } => "seal",
            Step::Seal { .. } => "join",
            Step::Compact { .. } => "compact",
            Step::Repack { .. } => "pack",
            Step::Move { .. } | Step::FinishMove { .. } => "move",
            Step::Expire { .. } | Step::ExpireRows { .. } => "expire",
        };
        self.steps.with_label_values(&[name]).inc();
        self.files.with_label_values(&[name]).inc_by(done.added_files as u64);
        self.bytes.with_label_values(&[name]).inc_by(done.added_bytes);
        self.removed.with_label_values(&[name]).inc_by(done.removed_rows);
        self.seconds.with_label_values(&[name]).observe(took.as_secs_f64());
    }

    /// A round has seen which day is the oldest that is not sealed.
    pub fn looked(&self, oldest: Option<NaiveDate>) {
        let start = oldest.map_or(0, |date| date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp());
        self.oldest.set(start);
    }

    /// Files were removed.
    pub fn vacuumed(&self, tables: &[Vacuumed]) {
        let sum = |of: fn(&Vacuumed) -> usize| tables.iter().map(of).sum::<usize>() as u64;
        self.vacuumed.with_label_values(&["data"]).inc_by(sum(|table| table.files));
        self.vacuumed.with_label_values(&["log"]).inc_by(sum(|table| table.log_files));
    }
}
