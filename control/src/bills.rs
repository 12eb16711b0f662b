//! Bills of providers, as they were imported. In: the lines of a file, and its SHA-256; out: the list of them. One file is one import, however often it
//! comes; it is never changed, but says when its difference was accepted.

use chrono::{DateTime, Utc};
use serde::Serialize;
use spendstream_schemas::bill::Bill;

use crate::audit::{self, Change};
use crate::db::{Row, args, to_json};
use crate::error::{Error, Result};
use crate::store::{Act, Store};

/// What the audit log calls a bill.
const WHAT: &str = "bill";

/// A bill, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredBill {
    pub bill: Bill,
    pub imported_at: DateTime<Utc>,
    pub accepted_at: Option<DateTime<Utc>>,
    pub accepted_by: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub struct Bills<'a>(pub(crate) &'a Store);

impl Bills<'_> {
    /// Keeps a bill; `false` when that file was imported before.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn add(&self, bill: &Bill, act: &Act<'_>) -> Result<bool> {
        let mut tx = self.0.pool.begin().await?;
        let sql =
            "INSERT INTO bills (id, provider, document, imported_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let added = tx.execute(sql, args![&bill.id, &bill.provider, to_json(bill)?, act.now]).await? == 1;
        if added {
            let change = Change { action: "import", what: WHAT, id: &bill.id };
            audit::write(&mut tx, act, change, None::<&()>, Some(&bill.summary())).await?;
        }
        tx.commit().await?;
        Ok(added)
    }

    /// Its difference became charges.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn accept<D: Serialize + Sync>(&self, id: &str, details: &D, act: &Act<'_>) -> Result<()> {
        let mut tx = self.0.pool.begin().await?;
        let sql = "UPDATE bills SET accepted_at = $2, accepted_by = $3 WHERE id = $1";
        if tx.execute(sql, args![id, act.now, act.who]).await? == 0 {
            return Err(Error::not_found(WHAT, id));
        }
        audit::write(&mut tx, act, Change { action: "accept", what: WHAT, id }, None::<&()>, Some(details)).await?;
        tx.commit().await
    }

    /// All, the oldest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(&self) -> Result<Vec<StoredBill>> {
        let sql = "SELECT document, imported_at, accepted_at, accepted_by FROM bills ORDER BY imported_at, id";
        self.0.pool.rows(sql, &[]).await?.iter().map(stored).collect()
    }

    /// One by its file's SHA-256.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn get(&self, id: &str) -> Result<Option<StoredBill>> {
        let sql = "SELECT document, imported_at, accepted_at, accepted_by FROM bills WHERE id = $1";
        self.0.pool.rows(sql, args![id]).await?.first().map(stored).transpose()
    }
}

fn stored(row: &Row) -> Result<StoredBill> {
    Ok(StoredBill {
        bill: row.json(0)?,
        imported_at: row.time(1)?,
        accepted_at: row.optional_time(2)?,
        accepted_by: row.optional_text(3)?,
    })
}
