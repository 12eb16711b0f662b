//! Two databases behind one face: statements with `$1` and texts or whole numbers go in, rows of those come out.
//!
//! Both speak the same SQL here. Writers take turns: `SQLite` by `BEGIN IMMEDIATE`, PostgreSQL by the row of the version.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow, Postgres};
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{Row as _, Transaction};

use crate::error::{Error, Result};

/// How long a statement waits for a connection, or for another writer of a `SQLite` file.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a file that another process is making is left alone.
const LOCKED: Duration = Duration::from_millis(20);
/// `SQLite`'s code for a file that is locked.
const BUSY: &str = "5";
const CONNECTIONS: u32 = 8;

#[derive(Clone, Debug)]
pub enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A value that goes into a statement.
#[derive(Clone, Debug)]
pub enum Arg {
    Text(Option<String>),
    Number(Option<i64>),
}

macro_rules! arg_from {
    ($($type:ty => $value:ident, $arg:expr;)*) => {
        $(impl From<$type> for Arg { fn from($value: $type) -> Self { $arg } })*
    };
}

arg_from! {
    &str => text, Self::Text(Some(text.to_owned()));
    &String => text, Self::Text(Some(text.clone()));
    String => text, Self::Text(Some(text));
    Option<String> => text, Self::Text(text);
    Option<&str> => text, Self::Text(text.map(str::to_owned));
    i64 => number, Self::Number(Some(number));
    Option<i64> => number, Self::Number(number);
    bool => flag, Self::Number(Some(i64::from(flag)));
    DateTime<Utc> => time, Self::Number(Some(time.timestamp_micros()));
    Option<DateTime<Utc>> => time, Self::Number(time.map(|time| time.timestamp_micros()));
}

/// `args![id, now]`: values of a statement, in the order of `$1`, `$2` ….
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::db::Arg::from($value)),*] };
}
pub(crate) use args;

macro_rules! bound {
    ($database:ty, $sql:expr, $args:expr) => {{
        let mut query = sqlx::query::<$database>($sql);
        for arg in $args {
            query = match arg {
                Arg::Text(text) => query.bind(text.clone()),
                Arg::Number(number) => query.bind(*number),
            };
        }
        query
    }};
}

impl Pool {
    /// Connects; makes a `SQLite` file that is not there.
    pub async fn open(url: &str) -> Result<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)?;
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
            return Ok(Self::Postgres(pool.connect_with(options).await?));
        }
        if !url.starts_with("sqlite:") {
            return Err(Error::Refused(format!(
                "'{url}' is no store; write sqlite:./FILE or postgres://USER@HOST/NAME"
            )));
        }
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was decided (an alert fired) stays decided over a loss of power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE);
        let pool = SqlitePoolOptions::new().acquire_timeout(PATIENCE);
        // Each connection to :memory: is a database of its own, and gone when it closes.
        let pool = if url.contains(":memory:") {
            pool.max_connections(1).min_connections(1).idle_timeout(None).max_lifetime(None)
        } else {
            pool.max_connections(CONNECTIONS)
        };
        Ok(Self::Sqlite(connect(pool, options).await?))
    }

    /// Begins a transaction that may write.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(match self {
            Self::Sqlite(pool) => Tx::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }

    pub async fn rows(&self, sql: &'static str, args: &[Arg]) -> Result<Vec<Row>> {
        Ok(match self {
            Self::Sqlite(pool) => {
                bound!(Sqlite, sql, args).fetch_all(pool).await?.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(pool) => {
                bound!(Postgres, sql, args).fetch_all(pool).await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Connects, waiting as long as for any other lock: of processes that make a file together one turns it to WAL, and `SQLite` refuses
/// that to the others at once, without its own patience.
async fn connect(pool: SqlitePoolOptions, options: SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    for _ in 0..PATIENCE.as_millis() / LOCKED.as_millis() {
        match pool.clone().connect_with(options.clone()).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(BUSY) => {
                tokio::time::sleep(LOCKED).await;
            }
            connected => return connected,
        }
    }
    pool.connect_with(options).await
}

/// A transaction; dropped without [`Tx::commit`] it never was.
#[derive(Debug)]
pub enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// Runs a statement and says how many rows it changed.
    pub async fn execute(&mut self, sql: &'static str, args: &[Arg]) -> Result<u64> {
        Ok(match self {
            Self::Sqlite(tx) => bound!(Sqlite, sql, args).execute(&mut **tx).await?.rows_affected(),
            Self::Postgres(tx) => bound!(Postgres, sql, args).execute(&mut **tx).await?.rows_affected(),
        })
    }

    pub async fn rows(&mut self, sql: &'static str, args: &[Arg]) -> Result<Vec<Row>> {
        Ok(match self {
            Self::Sqlite(tx) => {
                bound!(Sqlite, sql, args).fetch_all(&mut **tx).await?.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(tx) => {
                bound!(Postgres, sql, args).fetch_all(&mut **tx).await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub async fn row(&mut self, sql: &'static str, args: &[Arg]) -> Result<Option<Row>> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Runs several statements without values, as in a migration.
    pub async fn script(&mut self, sql: &'static str) -> Result<()> {
        match self {
            Self::Sqlite(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(|_| ())?,
            Self::Postgres(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(|_| ())?,
        }
        Ok(())
    }

    /// Raises the store's version and returns it. The first statement of every change that pollers look for: it makes
    /// writers wait for each other, so that versions become visible in their order.
    pub async fn next_version(&mut self) -> Result<i64> {
        let sql = "UPDATE store_state SET value = value + 1 WHERE name = 'version' RETURNING value";
        self.row(sql, &[]).await?.ok_or_else(|| Error::Unreadable("it has no version".to_owned()))?.number(0)
    }

    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// A row of texts and whole numbers.
#[derive(Debug)]
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! get {
    ($row:expr, $column:expr) => {
        Ok(match $row {
            Row::Sqlite(row) => row.try_get($column)?,
            Row::Postgres(row) => row.try_get($column)?,
        })
    };
}

impl Row {
    pub fn text(&self, column: usize) -> Result<String> {
        get!(self, column)
    }

    pub fn optional_text(&self, column: usize) -> Result<Option<String>> {
        get!(self, column)
    }

    pub fn number(&self, column: usize) -> Result<i64> {
        get!(self, column)
    }

    pub fn optional_number(&self, column: usize) -> Result<Option<i64>> {
        get!(self, column)
    }

    pub fn flag(&self, column: usize) -> Result<bool> {
        Ok(self.number(column)? != 0)
    }

    pub fn time(&self, column: usize) -> Result<DateTime<Utc>> {
        let micros = self.number(column)?;
        DateTime::from_timestamp_micros(micros).ok_or_else(|| Error::Unreadable(format!("{micros} is no time")))
    }

    pub fn optional_time(&self, column: usize) -> Result<Option<DateTime<Utc>>> {
        let micros: Result<Option<i64>> = get!(self, column);
        Ok(micros?.and_then(DateTime::from_timestamp_micros))
    }

    /// A column that holds JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T> {
        serde_json::from_str(&self.text(column)?).map_err(|error| Error::Unreadable(error.to_string()))
    }
}

/// A value as the JSON of a column.
pub fn to_json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Unreadable(error.to_string()))
}
