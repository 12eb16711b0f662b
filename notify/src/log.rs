//! What the courier needs of the log of deliveries.
//!
//! A claim is for a time and by name: who claimed a delivery alone says what became of it, and when it does not, because
//! it was killed, another takes over once the lease ran out. So a message can arrive twice, never not at all.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};
use spendstream_schemas::alert::Alert;
use thiserror::Error;

/// A delivery that is this process's to make until its lease ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub id: String,
    pub alert: Alert,
    /// `None`: whom the channel's configuration names.
    pub target: Option<String>,
    /// Attempts that ended before this one.
    pub attempts: u32,
}

/// The log did not answer; the same call may work later.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the log of deliveries: {0}")]
pub struct LogError(pub String);

/// Where deliveries are kept. The answers of the last three are `false` when the claim had run out.
pub trait Log: Send + Sync + 'static {
    /// Names of all channels that have deliveries waiting.
    fn waiting(&self) -> impl Future<Output = Result<BTreeSet<String>, LogError>> + Send;

    /// Takes up to `limit` due deliveries of a channel, oldest first, for `lease`.
    fn claim_due(
        &self,
        channel: &str,
        now: DateTime<Utc>,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Claim>, LogError>> + Send;

    fn sent(&self, id: &str, owner: &str, now: DateTime<Utc>) -> impl Future<Output = Result<bool, LogError>> + Send;

    /// It is due again at `next`.
    fn failed(
        &self,
        id: &str,
        owner: &str,
        error: &str,
        next: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<bool, LogError>> + Send;

    fn given_up(
        &self,
        id: &str,
        owner: &str,
        error: &str,
        now: DateTime<Utc>,
    ) -> impl Future<Output = Result<bool, LogError>> + Send;
}
