//! The control store as the courier's log: what is planned goes in, what is due comes out.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_control::Store;
use spendstream_control::notifications::{self, DeliveryState};

use crate::log::{Claim, Log, LogError};
use crate::route::Delivery;

/// How many waiting lines are looked through for channels that are no longer configured.
const LOOKED_THROUGH: u32 = 10_000;

impl Log for Store {
    async fn waiting(&self) -> Result<BTreeSet<String>, LogError> {
        let mut channels = BTreeSet::new();
        for state in [DeliveryState::Pending, DeliveryState::Failed] {
            let lines = self.notifications().list(None, Some(state), LOOKED_THROUGH).await.map_err(fault)?;
            channels.extend(lines.into_iter().map(|line| line.channel));
        }
        Ok(channels)
    }

    async fn claim_due(
        &self,
        channel: &str,
        now: DateTime<Utc>,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<Claim>, LogError> {
        let lease = TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX);
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let claimed = self.notifications().claim_due(channel, now, owner, lease, limit).await.map_err(fault)?;
        let claim = |claimed: notifications::Claimed| Claim {
            id: claimed.id,
            alert: claimed.alert,
            target: Some(claimed.target).filter(|target| !target.is_empty()),
            attempts: u32::try_from(claimed.attempts).unwrap_or(u32::MAX),
        };
        Ok(claimed.into_iter().map(claim).collect())
    }

    async fn sent(&self, id: &str, owner: &str, now: DateTime<Utc>) -> Result<bool, LogError> {
        self.notifications().sent(id, owner, now).await.map_err(fault)
    }

    async fn failed(
        &self,
        id: &str,
        owner: &str,
        error: &str,
        next: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, LogError> {
        self.notifications().failed(id, owner, error, next, now).await.map_err(fault)
    }

    async fn given_up(&self, id: &str, owner: &str, error: &str, now: DateTime<Utc>) -> Result<bool, LogError> {
        self.notifications().given_up(id, owner, error, now).await.map_err(fault)
    }
}

fn fault(error: spendstream_control::Error) -> LogError {
    LogError(error.to_string())
}

/// Planned deliveries as the control store's `raise` takes them.
#[must_use]
pub fn to_log(deliveries: Vec<Delivery>) -> Vec<notifications::Delivery> {
    let line = |delivery: Delivery| notifications::Delivery {
        channel: delivery.channel,
        target: delivery.target.unwrap_or_default(),
        not_before: Some(delivery.not_before),
    };
    deliveries.into_iter().map(line).collect()
}
