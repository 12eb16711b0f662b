//! Erased persons. In: a keyed hash of who was erased; out: the list by which later arrivals are recognised, and how far each erasure is. The
//! value itself is never stored; what the store held of it is made anonymous (`anonymise`).

use chrono::{DateTime, Utc};
use serde::Serialize;
use spendstream_schemas::pseudonym::{Dimension, ErasedList, Erasure as Rule, PrivacyKey};
use uuid::Uuid;

use crate::audit::{self, Change};
use crate::db::{Row, args};
use crate::error::{Error, Result};
use crate::store::{Act, Store};

mod anonymise;
mod tables;
pub use anonymise::Anonymised;

/// What the audit log calls an erasure.
const WHAT: &str = "erasure";
const COLUMNS: &str = "SELECT id, dimension, value_hash, shown, requested_by, requested_at, rewritten_rows, rewritten_at, \
                       proven_at, note, repeated_at FROM erasures ORDER BY requested_at, id";

/// An erasure, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Erasure {
    pub id: String,
    /// As [`Dimension`] writes it.
    pub dimension: String,
    /// As [`Rule::hash`] makes it.
    pub value_hash: String,
    /// As [`Rule::shown`] makes it.
    pub shown: String,
    pub requested_by: String,
    pub requested_at: DateTime<Utc>,
    /// Rows of the lake that were made anonymous, by all rewrites together.
    pub rows: Option<i64>,
    /// When the lake was rewritten last.
    pub rewritten_at: Option<DateTime<Utc>>,
    /// When no object had the value any more.
    pub proven_at: Option<DateTime<Utc>>,
    pub note: Option<String>,
    /// When the lake's maintenance had erased again what was written before pipelines knew.
    pub repeated_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Erasures<'a>(pub(crate) &'a Store);

impl Erasures<'_> {
    /// Puts a person on the list; one who is on it stays as it was. From then on intake recognises the person.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn add(&self, rule: &Rule, act: &Act<'_>) -> Result<Erasure> {
        let (id, dimension, hash) = (Uuid::new_v4().simple().to_string(), rule.dimension().to_string(), rule.hash());
        let mut tx = self.0.pool.begin().await?;
        let sql = "INSERT INTO erasures (id, dimension, value_hash, shown, requested_by, requested_at) \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (dimension, value_hash) DO NOTHING";
        // Whoever asks may be the person.
        let (shown, who) = (rule.shown(), rule.text(act.who).into_owned());
        if tx.execute(sql, args![&id, &dimension, &hash, &shown, &who, act.now]).await? == 1 {
            let (act, change) = (Act { who: &who, ..*act }, Change { action: "create", what: WHAT, id: &id });
            audit::write(&mut tx, &act, change, None::<&()>, Some(&shown)).await?;
        }
        tx.commit().await?;
        let all = self.list().await?;
        let found = all.into_iter().find(|one| one.dimension == dimension && one.value_hash == hash);
        found.ok_or_else(|| Error::Unreadable("an erasure that was written is not there".to_owned()))
    }

    /// All, the oldest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(&self) -> Result<Vec<Erasure>> {
        self.0.pool.rows(COLUMNS, &[]).await?.iter().map(erasure).collect()
    }

    /// The list as intake asks it; `key` is what the hashes were made with.
    ///
    /// # Errors
    /// When the database is away, or a newer version wrote a dimension that this one does not know.
    pub async fn erased(&self, key: &PrivacyKey) -> Result<ErasedList> {
        let listed = self.list().await?.into_iter().map(|one| {
            let dimension: Dimension = one.dimension.parse().map_err(Error::Unreadable)?;
            Ok((dimension, one.value_hash))
        });
        Ok(ErasedList::new(key.clone(), listed.collect::<Result<Vec<_>>>()?))
    }

    /// The lake was rewritten: so many further rows are anonymous.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn rewritten(&self, id: &str, rows: i64, act: &Act<'_>) -> Result<()> {
        let sql =
            "UPDATE erasures SET rewritten_rows = COALESCE(rewritten_rows, 0) + $2, rewritten_at = $3 WHERE id = $1";
        let mut tx = self.0.pool.begin().await?;
        if tx.execute(sql, args![id, rows, act.now]).await? == 0 {
            return Err(Error::not_found(WHAT, id));
        }
        audit::write(&mut tx, act, Change { action: "rewrite", what: WHAT, id }, None::<&()>, Some(&rows)).await?;
        tx.commit().await
    }

    /// Erasures that were asked for at this time or before and are still to be repeated, the oldest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn to_repeat(&self, asked_by: DateTime<Utc>) -> Result<Vec<Erasure>> {
        let all = self.list().await?.into_iter();
        Ok(all.filter(|one| one.repeated_at.is_none() && one.requested_at <= asked_by).collect())
    }

    /// What was written before pipelines knew is anonymous, too: so many further rows.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn repeated(&self, id: &str, rows: i64, act: &Act<'_>) -> Result<()> {
        let sql =
            "UPDATE erasures SET rewritten_rows = COALESCE(rewritten_rows, 0) + $2, repeated_at = $3 WHERE id = $1";
        let mut tx = self.0.pool.begin().await?;
        if tx.execute(sql, args![id, rows, act.now]).await? == 0 {
            return Err(Error::not_found(WHAT, id));
        }
        audit::write(&mut tx, act, Change { action: "repeat", what: WHAT, id }, None::<&()>, Some(&rows)).await?;
        tx.commit().await
    }

    /// Every remaining object was searched, and none has the value.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn proven(&self, id: &str, note: &str, act: &Act<'_>) -> Result<()> {
        let sql = "UPDATE erasures SET proven_at = $2, note = $3 WHERE id = $1";
        let mut tx = self.0.pool.begin().await?;
        if tx.execute(sql, args![id, act.now, note]).await? == 0 {
            return Err(Error::not_found(WHAT, id));
        }
        audit::write(&mut tx, act, Change { action: "prove", what: WHAT, id }, None::<&()>, Some(&note)).await?;
        tx.commit().await
    }
}

fn erasure(row: &Row) -> Result<Erasure> {
    Ok(Erasure {
        id: row.text(0)?,
        dimension: row.text(1)?,
        value_hash: row.text(2)?,
        shown: row.text(3)?,
        requested_by: row.text(4)?,
        requested_at: row.time(5)?,
        rows: row.optional_number(6)?,
        rewritten_at: row.optional_time(7)?,
        proven_at: row.optional_time(8)?,
        note: row.optional_text(9)?,
        repeated_at: row.optional_time(10)?,
    })
}
