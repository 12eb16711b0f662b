//! API keys: made once and shown once, kept as a hash, found by the secret that a caller sends.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::audit::{self, Change};
use crate::db::{Row, args, to_json};
use crate::error::{Error, Result};
use crate::store::{Act, Store};
use spendstream_schemas::hex::hex;

/// What secrets begin with, so that one that leaks is recognised.
const PREFIX: &str = "ssk_";

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads everything.
    Analyst,
    /// Reads the rows of its teams.
    Member,
    /// Sends events and asks for decisions; reads nothing.
    Producer,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Admin, Self::Analyst, Self::Member, Self::Producer];

    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Analyst => "analyst",
            Self::Member => "member",
            Self::Producer => "producer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.word())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word).ok_or_else(|| {
            Error::Invalid(vec![format!("'{word}' is no role; write one of admin, analyst, member, producer")])
        })
    }
}

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    pub id: String,
    pub name: String,
    pub role: Role,
    /// Whose rows a member may read.
    pub teams: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A new key. Its secret is nowhere else.
#[derive(Clone, PartialEq, Eq)]
pub struct NewKey {
    pub key: Key,
    pub secret: String,
}

/// The secret is not for logs.
impl fmt::Debug for NewKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("NewKey").field("key", &self.key).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Keys<'a>(pub(crate) &'a Store);

impl Keys<'_> {
    /// # Errors
    /// [`Error::Invalid`] for a key without a name, or a member without teams.
    pub async fn create(&self, name: &str, role: Role, teams: &[String], act: &Act<'_>) -> Result<NewKey> {
        if name.trim().is_empty() {
            return Err(Error::Invalid(vec!["name is empty".to_owned()]));
        }
        if role == Role::Member && teams.is_empty() {
            return Err(Error::Invalid(vec!["teams is empty; a member reads the rows of its teams alone".to_owned()]));
        }
        // Two random identifiers: 244 bits from the operating system.
        let secret = format!("{PREFIX}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let key = Key {
            id: Uuid::new_v4().simple().to_string(),
            name: name.trim().to_owned(),
            role,
            teams: teams.to_vec(),
            created_at: act.now,
            revoked_at: None,
        };
        let mut tx = self.0.pool.begin().await?;
        let sql = "INSERT INTO api_keys (id, name, hash, role, teams, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
        let teams = to_json(&key.teams)?;
        tx.execute(sql, args![&key.id, &key.name, hash(&secret), role.word(), teams, act.now]).await?;
        let change = Change { action: "create", what: "key", id: &key.id };
        audit::write(&mut tx, act, change, None::<&()>, Some(&key)).await?;
        tx.commit().await?;
        Ok(NewKey { key, secret })
    }

    /// The key with that secret, unless it is revoked.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn find(&self, secret: &str) -> Result<Option<Key>> {
        // By hash: how long it takes says nothing about the secret.
        let sql = "SELECT id, name, role, teams, created_at, revoked_at FROM api_keys \
                   WHERE hash = $1 AND revoked_at IS NULL";
        self.0.pool.rows(sql, args![hash(secret)]).await?.first().map(key).transpose()
    }

    /// All, revoked ones included, the oldest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(&self) -> Result<Vec<Key>> {
        let sql = "SELECT id, name, role, teams, created_at, revoked_at FROM api_keys ORDER BY created_at, id";
        self.0.pool.rows(sql, &[]).await?.iter().map(key).collect()
    }

    /// # Errors
    /// [`Error::NotFound`] when there is none that is not revoked.
    pub async fn revoke(&self, id: &str, act: &Act<'_>) -> Result<()> {
        let mut tx = self.0.pool.begin().await?;
        let sql = "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
        if tx.execute(sql, args![id, act.now]).await? == 0 {
            return Err(Error::not_found("key", id));
        }
        audit::write(&mut tx, act, Change { action: "revoke", what: "key", id }, None::<&()>, None::<&()>).await?;
        tx.commit().await
    }
}

pub(crate) fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn key(row: &Row) -> Result<Key> {
    Ok(Key {
        id: row.text(0)?,
        name: row.text(1)?,
        role: row.text(2)?.parse().map_err(|error: Error| Error::Unreadable(error.to_string()))?,
        teams: row.json(3)?,
        created_at: row.time(4)?,
        revoked_at: row.optional_time(5)?,
    })
}
