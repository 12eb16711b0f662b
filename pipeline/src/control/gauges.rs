//! How full budgets are, for Prometheus. In: budgets and live totals; out: a ratio and a flag per budget that names all of its values, every few
//! seconds. Nothing is decided by it.

use std::sync::Arc;
use std::time::Duration;

use spendstream_schemas::budget::Quarter;
use tokio::sync::watch;

use super::{now, pause};
use crate::budget::live::Live;
use crate::budget::percent::fullness;
use crate::metrics::Metrics;

const EVERY: Duration = Duration::from_secs(5);
/// Budgets that have series: the first by name. Templates (one per value) are in `GET /v1/budgets/status` alone.
pub const MAX_BUDGETS: usize = 1_000;

/// Follows until it is stopped.
pub async fn run(live: Arc<Live>, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    while !pause(EVERY, &mut stop).await {
        show(&live, &metrics);
    }
}

fn show(live: &Live, metrics: &Metrics) {
    let now = now();
    let rows = live.with_ground(live.spend(), now, |ground| {
        let entries = ground.book.entries().iter().filter(|entry| entry.budget.in_force(now));
        let named = entries.filter_map(|entry| Some((entry, entry.named()?)));
        let rows = named.take(MAX_BUDGETS).filter_map(|(entry, values)| {
            let standing = ground.standing(entry, &values, Quarter::of(now)).ok()?;
            Some((entry.budget.id.clone(), entry.budget.name.clone(), fullness(standing.used, standing.limit)))
        });
        rows.collect::<Vec<_>>()
    });
    metrics.budget_ratio.reset();
    metrics.budget_exceeded.reset();
    for (id, name, millionths) in rows {
        let labels = [id.as_str(), name.as_str()];
        metrics.budget_ratio.with_label_values(&labels).set(millionths as f64 / 1e6);
        metrics.budget_exceeded.with_label_values(&labels).set(i64::from(millionths >= 1_000_000));
    }
}
