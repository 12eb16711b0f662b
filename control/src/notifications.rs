//! The notification log: one row per alert, channel and target, from pending to sent, or failed and tried again, or given up.
//!
//! A delivery is claimed for a time. Who claimed it alone may say what became of it; when it does not, the claim runs out
//! and another process takes over, so delivery is at least once and never by two at a time within the lease.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use spendstream_schemas::alert::Alert;

use crate::db::{Row, Tx, args};
use crate::error::{Error, Result};
use crate::store::Store;

/// Where an alert is to be sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Delivery {
    /// A configured channel's name.
    pub channel: String,
    /// Who in the channel (an address, a number); empty: whom the channel is configured for.
    pub target: String,
    /// Not before; `None`: at once. A digest or quiet hours wait.
    pub not_before: Option<DateTime<Utc>>,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Pending,
    Sent,
    /// The last attempt failed; there will be another.
    Failed,
    /// There will be none.
    GivenUp,
}

impl DeliveryState {
    const ALL: [Self; 4] = [Self::Pending, Self::Sent, Self::Failed, Self::GivenUp];

    /// As it is stored and shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.word())
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    pub id: String,
    pub alert_id: String,
    pub channel: String,
    pub target: String,
    pub state: DeliveryState,
    /// Attempts that ended.
    pub attempts: i64,
    pub next_attempt: DateTime<Utc>,
    /// Of the last attempt that failed.
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A delivery that is now this process's to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    pub id: String,
    pub channel: String,
    pub target: String,
    /// Attempts that ended before this one.
    pub attempts: i64,
    pub alert: Alert,
}

#[derive(Clone, Copy, Debug)]
pub struct Notifications<'a>(pub(crate) &'a Store);

impl Notifications<'_> {
    /// Adds deliveries of an alert that is stored; those that are there already stay as they are.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the alert.
    pub async fn enqueue(&self, alert_id: &str, deliveries: &[Delivery], now: DateTime<Utc>) -> Result<()> {
        let mut tx = self.0.pool.begin().await?;
        let known = tx.row("SELECT id FROM alerts WHERE id = $1", args![alert_id]).await?;
        known.ok_or_else(|| Error::not_found("alert", alert_id))?;
        enqueue(&mut tx, alert_id, deliveries, now).await?;
        tx.commit().await
    }

    /// Takes up to `limit` deliveries of a channel that are due, oldest first, for `lease`. `owner` names this process. Each
    /// channel is asked by itself, so that a slow one holds up no other.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn claim_due(
        &self,
        channel: &str,
        now: DateTime<Utc>,
        owner: &str,
        lease: TimeDelta,
        limit: u32,
    ) -> Result<Vec<Claimed>> {
        let mut tx = self.0.pool.begin().await?;
        // The condition stands twice: who waited for another's row lock sees it again with the new row.
        let sql = "UPDATE notifications SET lease_owner = $1, lease_until = $2, updated_at = $3 \
                   WHERE state IN ('pending', 'failed') AND next_attempt <= $3 AND lease_until <= $3 AND id IN ( \
                     SELECT id FROM notifications WHERE state IN ('pending', 'failed') AND next_attempt <= $3 \
                     AND lease_until <= $3 AND channel = $5 ORDER BY next_attempt, created_at, id LIMIT $4) \
                   RETURNING id, channel, target, attempts, alert_id, next_attempt, created_at";
        let mut claimed = tx.rows(sql, args![owner, now + lease, now, i64::from(limit), channel]).await?;
        let order = |row: &Row| {
            (row.number(5).unwrap_or_default(), row.number(6).unwrap_or_default(), row.text(0).unwrap_or_default())
        };
        claimed.sort_by_cached_key(order);
        let mut deliveries = Vec::with_capacity(claimed.len());
        for row in &claimed {
            let alert_id = row.text(4)?;
            let alert = tx.row("SELECT document FROM alerts WHERE id = $1", args![&alert_id]).await?;
            deliveries.push(Claimed {
                id: row.text(0)?,
                channel: row.text(1)?,
                target: row.text(2)?,
                attempts: row.number(3)?,
                alert: alert.ok_or_else(|| Error::not_found("alert", &alert_id))?.json(0)?,
            });
        }
        tx.commit().await?;
        Ok(deliveries)
    }

    /// The claimed delivery arrived. `false`: the claim had run out and another process has it.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn sent(&self, id: &str, owner: &str, now: DateTime<Utc>) -> Result<bool> {
        self.end(id, owner, DeliveryState::Sent, None, now, now).await
    }

    /// The claimed delivery failed and is due again at `next_attempt`.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn failed(
        &self,
        id: &str,
        owner: &str,
        error: &str,
        next_attempt: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        self.end(id, owner, DeliveryState::Failed, Some(error), next_attempt, now).await
    }

    /// The claimed delivery failed for good.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn given_up(&self, id: &str, owner: &str, error: &str, now: DateTime<Utc>) -> Result<bool> {
        self.end(id, owner, DeliveryState::GivenUp, Some(error), now, now).await
    }

    async fn end(
        &self,
        id: &str,
        owner: &str,
        state: DeliveryState,
        error: Option<&str>,
        next_attempt: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let sql = "UPDATE notifications SET state = $3, error = $4, next_attempt = $5, updated_at = $6, \
                   attempts = attempts + 1, lease_owner = NULL, lease_until = 0 WHERE id = $1 AND lease_owner = $2";
        let mut tx = self.0.pool.begin().await?;
        let ended = tx.execute(sql, args![id, owner, state.word(), error, next_attempt, now]).await?;
        tx.commit().await?;
        Ok(ended == 1)
    }

    /// The next time at which a delivery may be due; `None` when nothing waits.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn next_due(&self) -> Result<Option<DateTime<Utc>>> {
        let sql = "SELECT MIN(CASE WHEN next_attempt > lease_until THEN next_attempt ELSE lease_until END) \
                   FROM notifications WHERE state IN ('pending', 'failed')";
        self.0.pool.rows(sql, &[]).await?.first().map_or(Ok(None), |row| row.optional_time(0))
    }

    /// Deliveries that are neither made nor given up.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn waiting(&self) -> Result<i64> {
        let sql = "SELECT COUNT(*) FROM notifications WHERE state IN ('pending', 'failed')";
        self.0.pool.rows(sql, &[]).await?.first().map_or(Ok(0), |row| row.number(0))
    }

    /// Lines of the log, newest first: of one alert, in one state, or all.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(
        &self,
        alert_id: Option<&str>,
        state: Option<DeliveryState>,
        limit: u32,
    ) -> Result<Vec<Notification>> {
        let sql = "SELECT id, alert_id, channel, target, state, attempts, next_attempt, error, created_at, updated_at \
                   FROM notifications WHERE ($1 IS NULL OR alert_id = $1) AND ($2 IS NULL OR state = $2) \
                   ORDER BY created_at DESC, id LIMIT $3";
        let rows = self.0.pool.rows(sql, args![alert_id, state.map(DeliveryState::word), i64::from(limit)]).await?;
        rows.iter().map(notification).collect()
    }
}

/// A channel's row of an alert: its id is made of what it is, so that doing it twice changes nothing.
pub(crate) async fn enqueue(tx: &mut Tx, alert_id: &str, deliveries: &[Delivery], now: DateTime<Utc>) -> Result<()> {
    let sql = "INSERT INTO notifications (id, alert_id, channel, target, state, attempts, next_attempt, lease_until, \
               created_at, updated_at) VALUES ($1, $2, $3, $4, 'pending', 0, $5, 0, $6, $6) ON CONFLICT (id) DO NOTHING";
    for delivery in deliveries {
        let Delivery { channel, target, not_before } = delivery;
        let id = format!("{alert_id}:{channel}:{target}");
        tx.execute(sql, args![id, alert_id, channel, target, not_before.unwrap_or(now), now]).await?;
    }
    Ok(())
}

fn notification(row: &Row) -> Result<Notification> {
    let word = row.text(4)?;
    let state = DeliveryState::ALL.into_iter().find(|state| state.word() == word);
    Ok(Notification {
        id: row.text(0)?,
        alert_id: row.text(1)?,
        channel: row.text(2)?,
        target: row.text(3)?,
        state: state.ok_or_else(|| Error::Unreadable(format!("'{word}' is no state of a notification")))?,
        attempts: row.number(5)?,
        next_attempt: row.time(6)?,
        error: row.optional_text(7)?,
        created_at: row.time(8)?,
        updated_at: row.time(9)?,
    })
}
