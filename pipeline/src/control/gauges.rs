//! How full budgets are, for Prometheus, and what waits. In: budgets, live totals and the control store; out: a ratio and a flag per budget
//! that names all of its values, what is held, and whether the store answers, every few seconds. Nothing is decided by it.

use std::sync::Arc;
use std::time::Duration;

use spendstream_control::Store;
use spendstream_schemas::budget::Quarter;
use tokio::sync::watch;

use super::{now, pause};
use crate::budget::live::Live;
use crate::budget::percent::fullness;
use crate::metrics::Metrics;

const EVERY: Duration = Duration::from_secs(5);
/// How long the control store may take for an answer: slower, it is as good as away.
const PATIENCE: Duration = Duration::from_secs(2);
/// Budgets that have series: the first by name. Templates (one per value) are in `GET /v1/budgets/status` alone.
pub const MAX_BUDGETS: usize = 1_000;

/// Follows until it is stopped.
pub async fn run(live: Arc<Live>, store: Store, metrics: Arc<Metrics>, mut stop: watch::Receiver<bool>) {
    loop {
        show(&live, &metrics);
        ask(&store, &metrics).await;
        if pause(EVERY, &mut stop).await {
            return;
        }
    }
}

/// What is not known any more keeps its last value; that the store is away says how old it is.
async fn ask(store: &Store, metrics: &Metrics) {
    let asked = tokio::time::timeout(PATIENCE, store.notifications().waiting()).await;
    let is_up = match &asked {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => !error.is_away(),
        Err(_) => false,
    };
    metrics.control_store_up.set(i64::from(is_up));
    if let Ok(Ok(waiting)) = asked {
        metrics.deliveries_waiting.set(waiting);
    }
}

fn show(live: &Live, metrics: &Metrics) {
    metrics.http.holds.set(i64::try_from(live.holds()).unwrap_or(i64::MAX));
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

#[cfg(test)]
mod tests {
    use spendstream_control::Store;

    use super::ask;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn a_store_that_is_away_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("control.db").display())).await.unwrap();
        let metrics = Metrics::new().unwrap();
        assert_eq!(metrics.control_store_up.get(), 0);
        ask(&store, &metrics).await;
        assert_eq!((metrics.control_store_up.get(), metrics.deliveries_waiting.get()), (1, 0));
        store.close().await;
        ask(&store, &metrics).await;
        assert_eq!(metrics.control_store_up.get(), 0);
    }
}
