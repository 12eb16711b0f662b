//! Writes logged decisions to the lake. In: the rows that decide wrote down; out: the table `decisions`. Nobody waits for it: while the lake is
//! away rows wait, up to `decide.log_rows`, and further ones are dropped and counted. What waits when the process is killed is lost:
//! decisions are a record of answers, not of money.

use std::sync::Arc;
use std::time::Duration;

use spendstream_schemas::table::decisions::Row;
use tokio::sync::watch;

use super::pause;
use crate::budget::live::Live;
use crate::lake::decisions::Decisions as Table;
use crate::metrics::Metrics;

/// Rows of one append.
const MOST: usize = 50_000;
/// How long the last append may take before the rows are given up.
const LAST: Duration = Duration::from_secs(10);

/// See the module.
pub struct Decisions {
    pub live: Arc<Live>,
    pub table: Table,
    pub every: Duration,
    pub metrics: Arc<Metrics>,
    /// Taken and not appended yet.
    waiting: Vec<Row>,
    is_away: bool,
    dropped: u64,
}

impl Decisions {
    #[must_use]
    pub fn new(live: Arc<Live>, table: Table, every: Duration, metrics: Arc<Metrics>) -> Self {
        Self { live, table, every, metrics, waiting: Vec::new(), is_away: false, dropped: 0 }
    }

    /// Writes every so often until it is stopped, and once more then.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !pause(self.every, &mut stop).await {
            self.write().await;
        }
        if tokio::time::timeout(LAST, self.write()).await.is_err() || !self.waiting.is_empty() {
            tracing::warn!(rows = self.waiting.len(), "decisions of the last moments are not in the lake");
        }
    }

    async fn write(&mut self) {
        loop {
            if self.waiting.is_empty() {
                self.waiting = self.live.take_decisions(MOST);
            }
            if self.waiting.is_empty() {
                break;
            }
            if let Err(error) = self.table.append(&self.waiting).await {
                if !self.is_away {
                    tracing::warn!(%error, "decisions wait until the lake can be written");
                }
                self.is_away = true;
                break;
            }
            self.is_away = false;
            self.metrics.decisions.with_label_values(&["written"]).inc_by(self.waiting.len() as u64);
            self.waiting.clear();
        }
        let dropped = self.live.dropped_decisions();
        self.metrics.decisions.with_label_values(&["dropped"]).inc_by(dropped - self.dropped);
        if dropped > self.dropped {
            tracing::warn!(rows = dropped - self.dropped, "decide.log_rows is reached: decisions are not written down");
        }
        self.dropped = dropped;
    }
}
