//! Where thresholds stand: table `alert_rounds`. In: an alert about a threshold; out: whether that is news, and what is told and not over.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use spendstream_schemas::alert::{Alert, Kind};

use super::{AlertFilter, Alerts, StoredAlert, guard, quiet};
use crate::db::{Tx, args};
use crate::error::{Error, Result};

/// The states of a threshold: nothing is known of it, it was told, it was taken back, its period is over.
const NEW: &str = "new";
const TOLD: &str = "told";
const OVER: &str = "over";
const CLOSED: &str = "closed";

/// The state that an alert leaves.
fn state_after(alert: &Alert) -> &'static str {
    match alert.kind {
        Kind::Recovery if alert.is_period_over() => CLOSED,
        Kind::Recovery => OVER,
        _ => TOLD,
    }
}

impl Alerts<'_> {
    /// Has [`Alerts::standing`] know what older versions told, by the newest `limit` alerts. Without such nothing is read.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn adopt(&self, limit: u32) -> Result<()> {
        let any = async |sql| Ok::<_, Error>(!self.0.pool.rows(sql, &[]).await?.is_empty());
        let is_all_known = any("SELECT about FROM alert_rounds LIMIT 1").await?
            && !any("SELECT about FROM alert_rounds WHERE alert IS NULL LIMIT 1").await?;
        if is_all_known {
            return Ok(());
        }
        let page = self.list(&AlertFilter::default(), limit).await?;
        let mut tx = self.0.pool.begin().await?;
        let mut seen = HashSet::new();
        for StoredAlert { alert, .. } in page.alerts {
            let Some(about) = alert.condition().filter(|about| seen.insert(about.clone())) else { continue };
            let state = state_after(&alert);
            let quiet = (state == TOLD).then(|| quiet(&alert, &guard(&alert)));
            let sql = "INSERT INTO alert_rounds (about, state, taken_back, seen_at, quiet, alert) VALUES ($1, $2, $3, $4, $5, $6) \
                       ON CONFLICT (about) DO UPDATE SET alert = excluded.alert WHERE alert_rounds.alert IS NULL";
            tx.execute(sql, args![about, state, i64::from(state != TOLD), alert.seen(), quiet, &alert.id]).await?;
        }
        tx.commit().await
    }

    /// The newest alert about each threshold of a budget that is told, or was taken back since a moment; not those of periods that are over. The
    /// newest `limit`.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn standing(&self, since: DateTime<Utc>, limit: u32) -> Result<Vec<Alert>> {
        let sql = "SELECT a.document FROM alert_rounds r JOIN alerts a ON a.id = r.alert \
                   WHERE r.state = $1 OR (r.state = $2 AND r.seen_at >= $3) ORDER BY r.seen_at DESC LIMIT $4";
        let rows = self.0.pool.rows(sql, args![TOLD, OVER, since, i64::from(limit)]).await?;
        rows.iter().map(|row| row.json(0)).collect()
    }
}

/// The id of what comes again after it was taken back so often.
pub(super) fn again(id: &str, taken_back: i64) -> String {
    if taken_back == 0 { id.to_owned() } else { format!("{id}-{}", taken_back + 1) }
}

/// How a threshold stands.
pub(super) struct Threshold {
    about: String,
    state: String,
    pub(super) taken_back: i64,
    seen_at: DateTime<Utc>,
    pub(super) quiet: Option<String>,
}

impl Threshold {
    /// Reads it, and keeps others from changing it until the transaction is over.
    pub(super) async fn lock(tx: &mut Tx, about: String) -> Result<Self> {
        let sql = "INSERT INTO alert_rounds (about, state, taken_back, seen_at) VALUES ($1, $2, 0, 0) \
                   ON CONFLICT (about) DO UPDATE SET about = excluded.about RETURNING state, taken_back, seen_at, quiet";
        let row = tx.row(sql, args![&about, NEW]).await?;
        let row = row.ok_or_else(|| Error::Unreadable("a row that was written is not there".to_owned()))?;
        Ok(Self {
            about,
            state: row.text(0)?,
            taken_back: row.number(1)?,
            seen_at: row.time(2)?,
            quiet: row.optional_text(3)?,
        })
    }

    /// Whether nothing was ever said of it here.
    pub(super) fn is_new(&self) -> bool {
        self.state == NEW
    }

    /// Whether nothing follows from it any more: it is over already, or was seen before what is known.
    pub(super) fn is_old_news(&self, alert: &Alert) -> bool {
        let is_over = self.state == CLOSED || (alert.kind == Kind::Recovery && self.state == OVER);
        is_over || alert.seen() < self.seen_at
    }

    /// It was told, or taken back.
    pub(super) async fn moved(self, tx: &mut Tx, alert: &Alert, quiet: &str) -> Result<()> {
        let state = state_after(alert);
        let quiet = (state == TOLD).then_some(quiet);
        let sql = "UPDATE alert_rounds SET state = $2, taken_back = $3, seen_at = $4, quiet = $5, alert = $6 WHERE about = $1";
        let taken_back = self.taken_back + i64::from(state != TOLD);
        tx.execute(sql, args![self.about, state, taken_back, alert.seen(), quiet, &alert.id]).await?;
        Ok(())
    }
}
