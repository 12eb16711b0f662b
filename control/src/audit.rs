//! The audit log: who changed what, from what to what, when. Written in the transaction of the change, and never altered but where it names a
//! person who is erased.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::db::{Tx, args, to_json};
use crate::error::Result;
use crate::store::{Act, Store};

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Ascending, with holes.
    pub number: i64,
    pub at: DateTime<Utc>,
    pub who: String,
    /// `create`, `update`, `delete`, `reset`, `acknowledge`, `begin`, `finish`, ….
    pub action: String,
    /// `budget`, `alert`, `block`, `directory`, `key`, `erasure`, `lake`, `pseudonym`, `statement`, `bill`, `reprice`, `reattribute`.
    pub what: String,
    pub id: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What is changed: the action and the thing, as the log names them.
pub(crate) struct Change<'a> {
    pub action: &'a str,
    pub what: &'a str,
    pub id: &'a str,
}

pub(crate) async fn write<B: Serialize, A: Serialize>(
    tx: &mut Tx,
    act: &Act<'_>,
    change: Change<'_>,
    before: Option<&B>,
    after: Option<&A>,
) -> Result<()> {
    let (before, after) = (before.map(to_json).transpose()?, after.map(to_json).transpose()?);
    tx.execute(
        "INSERT INTO audit (at, who, action, what, id, before, after) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![act.now, act.who, change.action, change.what, change.id, before, after],
    )
    .await?;
    Ok(())
}

/// The audit log, to read.
#[derive(Clone, Copy, Debug)]
pub struct Audit<'a>(pub(crate) &'a Store);

impl Audit<'_> {
    /// Writes down what was done elsewhere, such as the lake's maintenance (`expire`, `lake`, the days): `details` is what a reader of the log wants
    /// to know.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn record<D: Serialize + Sync>(
        &self,
        act: &Act<'_>,
        action: &str,
        (what, id): (&str, &str),
        details: Option<&D>,
    ) -> Result<()> {
        let mut tx = self.0.pool.begin().await?;
        write(&mut tx, act, Change { action, what, id }, None::<&()>, details).await?;
        tx.commit().await
    }

    /// Changes, newest first: of one thing (`what`, `id`) or of all, before `before_number` for the next page.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(
        &self,
        what: Option<&str>,
        id: Option<&str>,
        before_number: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Entry>> {
        let sql = "SELECT number, at, who, action, what, id, before, after FROM audit \
                   WHERE ($1 IS NULL OR what = $1) AND ($2 IS NULL OR id = $2) AND ($3 IS NULL OR number < $3) \
                   ORDER BY number DESC LIMIT $4";
        let rows = self.0.pool.rows(sql, args![what, id, before_number, i64::from(limit)]).await?;
        rows.iter()
            .map(|row| {
                let json = |column| -> Result<Option<Value>> {
                    Ok(row.optional_text(column)?.and_then(|text| serde_json::from_str(&text).ok()))
                };
                Ok(Entry {
                    number: row.number(0)?,
                    at: row.time(1)?,
                    who: row.text(2)?,
                    action: row.text(3)?,
                    what: row.text(4)?,
                    id: row.text(5)?,
                    before: json(6)?,
                    after: json(7)?,
                })
            })
            .collect()
    }
}
