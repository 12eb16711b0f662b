//! The store: opened once, cloned freely, one face per thing that it keeps.

use chrono::{DateTime, Utc};

use crate::alerts::Alerts;
use crate::audit::Audit;
use crate::bills::Bills;
use crate::blocks::Blocks;
use crate::budgets::Budgets;
use crate::db::Pool;
use crate::directory::DirectoryEntries;
use crate::erasures::Erasures;
use crate::error::{Error, Result};
use crate::keys::Keys;
use crate::leases::Leases;
use crate::migrations;
use crate::notifications::Notifications;
use crate::rewrites::Rewrites;
use crate::statements::Statements;

/// A connection pool to the control store.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: Pool,
}

/// Who changes something, and when.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// A key's name, `file`, `cli` …, as the audit log shows it.
    pub who: &'a str,
    pub now: DateTime<Utc>,
}

impl Store {
    /// Opens `sqlite:./FILE` (made when it is not there), `sqlite::memory:` or `postgres://…` and migrates it.
    ///
    /// # Errors
    /// [`Error::Away`] when the database does not answer, [`Error::Refused`] when the address is none or a newer version
    /// of spendstream made it.
    pub async fn open(url: &str) -> Result<Self> {
        let pool = Pool::open(url).await?;
        migrations::run(&pool).await?;
        Ok(Self { pool })
    }

    /// The number of the last change of budgets, blocks or directory: cheap enough to ask twice a second.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn version(&self) -> Result<i64> {
        let rows = self.pool.rows("SELECT value FROM store_state WHERE name = 'version'", &[]).await?;
        rows.first().ok_or_else(|| Error::Unreadable("it has no version".to_owned()))?.number(0)
    }

    /// Waits for what is running and closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub fn budgets(&self) -> Budgets<'_> {
        Budgets(self, None)
    }

    pub fn alerts(&self) -> Alerts<'_> {
        Alerts(self)
    }

    pub fn notifications(&self) -> Notifications<'_> {
        Notifications(self)
    }

    pub fn blocks(&self) -> Blocks<'_> {
        Blocks(self)
    }

    pub fn directory(&self) -> DirectoryEntries<'_> {
        DirectoryEntries(self)
    }

    pub fn keys(&self) -> Keys<'_> {
        Keys(self)
    }

    pub fn leases(&self) -> Leases<'_> {
        Leases(self)
    }

    pub fn erasures(&self) -> Erasures<'_> {
        Erasures(self)
    }

    pub fn statements(&self) -> Statements<'_> {
        Statements(self)
    }

    pub fn bills(&self) -> Bills<'_> {
        Bills(self)
    }

    pub fn rewrites(&self) -> Rewrites<'_> {
        Rewrites(self)
    }

    pub fn audit(&self) -> Audit<'_> {
        Audit(self)
    }
}
