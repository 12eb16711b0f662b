//! Whose turn it is while a command works on a lake. In: the control store, where a lease says whose turn it is; a piece of work. Out: what the work gives.
//!
//! A command takes the lake over at once; who maintained it is refused and would come back after a lease. It waits for as long as the command says
//! that it still works.

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;

use chrono::{DateTime, TimeDelta};
use spendstream_control::Store;
use spendstream_schemas::config::Config;
use spendstream_storage::Lake;

use super::super::now_micros;

/// The control store, if it is there: where it is not, nobody takes turns by it.
pub async fn store(config: &Config) -> Option<Store> {
    let file = config.store.url.strip_prefix("sqlite:").filter(|file| !file.starts_with(':'));
    if file.is_some_and(|file| !Path::new(file.trim_start_matches("//")).exists()) {
        return None;
    }
    let opened = Store::open(&config.store.url).await;
    opened
        .inspect_err(|error| tracing::warn!(%error, "who maintains the lake otherwise may take it back meanwhile"))
        .ok()
}

/// Works, and keeps the turn meanwhile.
pub async fn keeping<T>(store: Option<&Store>, lake: &Lake, config: &Config, work: impl Future<Output = T>) -> T {
    let Some(store) = store else { return work.await };
    tokio::select! {
        done = work => done,
        never = keep(store, lake, config) => match never {},
    }
}

async fn keep(store: &Store, lake: &Lake, config: &Config) -> Infallible {
    let (lease, holder) = (format!("lake {}", lake.url()), format!("cli/{}/{}", std::process::id(), now_micros()));
    let ttl = TimeDelta::from_std(config.lake.maintenance.lease).unwrap_or(TimeDelta::MAX);
    loop {
        let now = DateTime::from_timestamp_micros(now_micros()).unwrap_or_default();
        if let Err(error) = store.leases().take(&lease, &holder, now, ttl).await {
            tracing::debug!(%error, "the lease of the lake's maintenance was not taken");
        }
        tokio::time::sleep(config.lake.maintenance.lease / 3).await;
    }
}
