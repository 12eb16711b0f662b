//! Who does what only one may do at a time. In: a name, who asks and the time; out: whether it is theirs, until when.
//!
//! A lease ends by itself: whoever stopped without a word is followed once its time is over. It is no fence: a holder that slept past its
//! time may still believe, so what it does must be refused elsewhere (the lake's shared transaction). Times are the callers' clocks.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::db::args;
use crate::error::Result;
use crate::store::Store;

/// A lease that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lease {
    pub name: String,
    pub holder: String,
    /// Exclusive.
    pub until: DateTime<Utc>,
}

#[derive(Clone, Copy, Debug)]
pub struct Leases<'a>(pub(crate) &'a Store);

impl Leases<'_> {
    /// Takes a lease that is free or over, or renews one's own, until `now` + `ttl`; `false` when another holds it.
    ///
    /// # Errors
    /// When the database is away; then it may or may not be held.
    pub async fn take(&self, name: &str, holder: &str, now: DateTime<Utc>, ttl: TimeDelta) -> Result<bool> {
        let sql = "INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3) \
                   ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
                   WHERE leases.holder = excluded.holder OR leases.until <= $4";
        let mut tx = self.0.pool.begin().await?;
        let taken = tx.execute(sql, args![name, holder, now + ttl, now]).await?;
        tx.commit().await?;
        Ok(taken == 1)
    }

    /// Gives one's own lease back, so that another need not wait for its end. Of another's nothing is changed.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn release(&self, name: &str, holder: &str) -> Result<()> {
        let mut tx = self.0.pool.begin().await?;
        tx.execute("DELETE FROM leases WHERE name = $1 AND holder = $2", args![name, holder]).await?;
        tx.commit().await
    }

    /// Who holds it; `None` when nobody does.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn holder(&self, name: &str, now: DateTime<Utc>) -> Result<Option<Lease>> {
        let sql = "SELECT name, holder, until FROM leases WHERE name = $1 AND until > $2";
        let rows = self.0.pool.rows(sql, args![name, now]).await?;
        let lease = |row: &crate::db::Row| Ok(Lease { name: row.text(0)?, holder: row.text(1)?, until: row.time(2)? });
        rows.first().map(lease).transpose()
    }
}
