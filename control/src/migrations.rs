//! Brings a database to the form that this version works with: numbered files, each run once, in one transaction.
//!
//! Processes that start together wait for each other; a database that a newer version made is refused.

use sha2::{Digest, Sha256};
use spendstream_schemas::hex::hex;

use crate::db::{Pool, Tx, args};
use crate::error::{Error, Result};

struct Migration {
    number: i64,
    sqlite: &'static str,
    postgres: &'static str,
}

const MIGRATIONS: [Migration; 6] = [
    Migration {
        number: 1,
        // They differ in how a number is counted up, and in nothing else.
        sqlite: concat!(
            include_str!("../migrations/0001_control.sql"),
            include_str!("../migrations/sqlite/0001_audit.sql")
        ),
        postgres: concat!(
            include_str!("../migrations/0001_control.sql"),
            include_str!("../migrations/postgres/0001_audit.sql")
        ),
    },
    Migration {
        number: 2,
        sqlite: include_str!("../migrations/0002_rounds.sql"),
        postgres: include_str!("../migrations/0002_rounds.sql"),
    },
    Migration {
        number: 3,
        sqlite: include_str!("../migrations/0003_round_alerts.sql"),
        postgres: include_str!("../migrations/0003_round_alerts.sql"),
    },
    Migration {
        number: 4,
        sqlite: include_str!("../migrations/0004_privacy.sql"),
        postgres: include_str!("../migrations/0004_privacy.sql"),
    },
    Migration {
        number: 5,
        sqlite: include_str!("../migrations/0005_repeats.sql"),
        postgres: include_str!("../migrations/0005_repeats.sql"),
    },
    Migration {
        number: 6,
        sqlite: include_str!("../migrations/0006_statements.sql"),
        postgres: include_str!("../migrations/0006_statements.sql"),
    },
];

/// Runs what was not run yet.
pub async fn run(pool: &Pool) -> Result<()> {
    let mut tx = pool.begin().await?;
    if let Tx::Postgres(_) = tx {
        // Any number that is ours alone; it is let go with the transaction. Cast, for it returns no value of its own.
        tx.rows("SELECT CAST(pg_advisory_xact_lock($1) AS TEXT)", args![7_355_608_413_i64]).await?;
    }
    tx.script(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number BIGINT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL)",
    )
    .await?;
    let done = tx.rows("SELECT number, checksum FROM schema_migrations ORDER BY number", &[]).await?;
    for row in &done {
        let number = row.number(0)?;
        let Some(known) = MIGRATIONS.iter().find(|migration| migration.number == number) else {
            return Err(Error::Refused(format!(
                "migration {number} was made by a newer version of spendstream; use that one"
            )));
        };
        if checksum(known.text(&tx)) != row.text(1)? {
            return Err(Error::Unreadable(format!("migration {number} was another text when it was run")));
        }
    }
    for migration in MIGRATIONS.iter().skip(done.len()) {
        let text = migration.text(&tx);
        tx.script(text).await?;
        let sql = "INSERT INTO schema_migrations (number, checksum) VALUES ($1, $2)";
        tx.execute(sql, args![migration.number, checksum(text)]).await?;
    }
    tx.commit().await
}

impl Migration {
    fn text(&self, tx: &Tx) -> &'static str {
        match tx {
            Tx::Sqlite(_) => self.sqlite,
            Tx::Postgres(_) => self.postgres,
        }
    }
}

/// A fingerprint of a text.
pub fn checksum(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
