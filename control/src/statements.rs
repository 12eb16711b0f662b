//! Closed months. In: a statement whose lines are stored in the lake; out: the list of them. A month is closed once; a statement is never changed.

use spendstream_schemas::statement::{Month, Statement};

use crate::audit::{self, Change};
use crate::db::{args, to_json};
use crate::error::{Error, Result};
use crate::store::{Act, Store};

/// What the audit log calls a statement.
const WHAT: &str = "statement";

#[derive(Clone, Copy, Debug)]
pub struct Statements<'a>(pub(crate) &'a Store);

impl Statements<'_> {
    /// Closes a month.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is closed already.
    pub async fn add(&self, statement: &Statement, act: &Act<'_>) -> Result<()> {
        let month = statement.month.to_string();
        let mut tx = self.0.pool.begin().await?;
        let sql = "INSERT INTO statements (id, month, document, closed_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT DO NOTHING";
        if tx.execute(sql, args![&statement.id, &month, to_json(statement)?, statement.closed_at]).await? == 0 {
            return Err(Error::Conflict(format!(
                "{month} is closed already: `spendstream report show {month}` says how"
            )));
        }
        let change = Change { action: "close", what: WHAT, id: &month };
        audit::write(&mut tx, act, change, None::<&()>, Some(statement)).await?;
        tx.commit().await
    }

    /// All, by month.
    ///
    /// # Errors
    /// When the database is away, or a newer version wrote what this one does not know.
    pub async fn list(&self) -> Result<Vec<Statement>> {
        let rows = self.0.pool.rows("SELECT document FROM statements ORDER BY month", &[]).await?;
        rows.iter().map(|row| row.json(0)).collect()
    }

    /// That of a month; `None` while it is open.
    ///
    /// # Errors
    /// As [`Statements::list`].
    pub async fn of(&self, month: Month) -> Result<Option<Statement>> {
        let sql = "SELECT document FROM statements WHERE month = $1";
        let rows = self.0.pool.rows(sql, args![month.to_string()]).await?;
        rows.first().map(|row| row.json(0)).transpose()
    }
}
