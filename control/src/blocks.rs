//! Emergency stops: a scope is blocked or downgraded until a time, or until someone lifts it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use spendstream_schemas::budget::Scope;
use spendstream_schemas::secret::looks_secret;
use uuid::Uuid;

use crate::audit::{self, Change};
use crate::db::{args, to_json};
use crate::error::{Error, Result};
use crate::store::{Act, Store};

/// The longest a stop may last: what must stop for longer is a budget or a key.
const LONGEST_DAYS: i64 = 366;

/// What happens to calls under a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockAction {
    Block,
    Downgrade,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBlock {
    pub scope: Scope,
    pub action: BlockAction,
    pub until: DateTime<Utc>,
    pub reason: String,
}

/// A stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    pub id: String,
    pub scope: Scope,
    pub action: BlockAction,
    /// Exclusive: it expires by itself.
    pub until: DateTime<Utc>,
    pub reason: String,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub lifted_by: Option<String>,
    pub lifted_at: Option<DateTime<Utc>>,
}

impl Block {
    /// Whether it is in force.
    #[must_use]
    pub fn holds(&self, at: DateTime<Utc>) -> bool {
        self.lifted_at.is_none() && at < self.until
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a>(pub(crate) &'a Store);

impl Blocks<'_> {
    /// # Errors
    /// [`Error::Invalid`] when it would end before it begins, or never; or has no reason.
    pub async fn create(&self, new: NewBlock, act: &Act<'_>) -> Result<Block> {
        let mut problems = Vec::new();
        if new.until <= act.now {
            problems.push(format!("until is {}, which is over already", new.until.to_rfc3339()));
        }
        if new.until > act.now + TimeDelta::days(LONGEST_DAYS) {
            problems.push(format!("until is {}; a block lasts at most {LONGEST_DAYS} days", new.until.to_rfc3339()));
        }
        if new.reason.trim().is_empty() {
            problems.push("reason is empty; say why, for those who are blocked".to_owned());
        }
        if looks_secret(&new.reason) {
            problems.push("reason holds what looks like an API key, and all who are blocked are told it".to_owned());
        }
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        let block = Block {
            id: Uuid::new_v4().simple().to_string(),
            scope: new.scope,
            action: new.action,
            until: new.until,
            reason: new.reason.trim().to_owned(),
            created_by: act.who.to_owned(),
            created_at: act.now,
            lifted_by: None,
            lifted_at: None,
        };
        let mut tx = self.0.pool.begin().await?;
        let version = tx.next_version().await?;
        let sql = "INSERT INTO blocks (id, document, until, lifted, version) VALUES ($1, $2, $3, 0, $4)";
        tx.execute(sql, args![&block.id, to_json(&block)?, block.until, version]).await?;
        let change = Change { action: "create", what: "block", id: &block.id };
        audit::write(&mut tx, act, change, None::<&()>, Some(&block)).await?;
        tx.commit().await?;
        Ok(block)
    }

    /// Those in force, the oldest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn active(&self, now: DateTime<Utc>) -> Result<Vec<Block>> {
        let sql = "SELECT document FROM blocks WHERE lifted = 0 AND until > $1 ORDER BY version";
        self.0.pool.rows(sql, args![now]).await?.iter().map(|row| row.json(0)).collect()
    }

    /// All, over ones included, the newest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(&self, limit: u32) -> Result<Vec<Block>> {
        let sql = "SELECT document FROM blocks ORDER BY version DESC LIMIT $1";
        self.0.pool.rows(sql, args![i64::from(limit)]).await?.iter().map(|row| row.json(0)).collect()
    }

    /// Ends it now. One that is over stays as it was.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn lift(&self, id: &str, act: &Act<'_>) -> Result<Block> {
        let mut tx = self.0.pool.begin().await?;
        let version = tx.next_version().await?;
        let row = tx.row("SELECT document FROM blocks WHERE id = $1", args![id]).await?;
        let before: Block = row.ok_or_else(|| Error::not_found("block", id))?.json(0)?;
        if !before.holds(act.now) {
            return Ok(before);
        }
        let (lifted_by, lifted_at) = (Some(act.who.to_owned()), Some(act.now));
        let after = Block { lifted_by, lifted_at, ..before.clone() };
        let sql = "UPDATE blocks SET document = $2, lifted = 1, version = $3 WHERE id = $1";
        tx.execute(sql, args![id, to_json(&after)?, version]).await?;
        audit::write(&mut tx, act, Change { action: "lift", what: "block", id }, Some(&before), Some(&after)).await?;
        tx.commit().await?;
        Ok(after)
    }
}
