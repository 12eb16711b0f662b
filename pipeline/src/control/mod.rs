//! The control store's side of the pipeline: what people set comes in, alerts go out. Ingest never waits for it: while the
//! database is away, the last known budgets stay in force and alerts wait.
//!
//! [`anomalies`] watches hourly spend; [`rules`] follows budgets, stops and the directory; [`news`] raises alerts and has them delivered; [`topic`] publishes them; [`unallocated`] and [`summary`] find
//! some by SQL; [`decisions`] writes down what decide answered; [`erased`] follows who is erased; [`upkeep`] maintains the lake when it is this process's turn; [`past`] reads from the lake what
//! live totals cannot know (what was spent before a reset, how long answers of a kind usually are).

pub mod again;
pub mod anomalies;
pub mod decisions;
pub mod erased;
pub mod gauges;
pub mod news;
pub mod past;
pub mod rules;
pub mod start;
pub mod summary;
pub mod topic;
pub mod unallocated;
pub mod upkeep;

use std::time::Duration;

use chrono::{DateTime, Utc};
use spendstream_control::{Error, Store};
use tokio::sync::watch;

/// How long after a failed try the next one is made.
const RETRY: Duration = Duration::from_secs(1);
/// The longest wait between two tries.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The one clock of these tasks.
#[expect(clippy::disallowed_methods, reason = "the edge: everything below takes the time as an argument")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Opens the store, however long its database is away; `None` when it is stopped meanwhile.
///
/// # Errors
/// When waiting cannot help: the address is wrong, or a newer version made the store.
pub async fn open(url: &str, stop: &mut watch::Receiver<bool>) -> Result<Option<Store>, Error> {
    let mut wait = RETRY;
    loop {
        match Store::open(url).await {
            Ok(store) => return Ok(Some(store)),
            Err(error) if error.is_away() => {
                tracing::warn!(%error, "events are taken, but budgets and alerts wait for the control store, and no owner is filled in");
            }
            Err(error) => return Err(error),
        }
        if pause(wait, stop).await {
            return Ok(None);
        }
        wait = (wait * 2).min(LONGEST_RETRY);
    }
}

/// Waits; true when it is time to stop.
pub(crate) async fn pause(time: Duration, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        // Nobody is left who could stop it: so is it over.
        _ = stop.wait_for(|stopped| *stopped) => true,
        () = tokio::time::sleep(time) => false,
    }
}
