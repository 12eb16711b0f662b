//! Databases for the tests: a `SQLite` file, and a real PostgreSQL that is started once and gone with the process.

pub mod postgres;

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_control::{Act, Store};
use sqlx::{AssertSqlSafe, Connection as _};

/// 15 June 2026, noon, and so many seconds.
pub fn at(seconds: i64) -> DateTime<Utc> {
    "2026-06-15T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
}

/// Ann, so many seconds after noon.
pub fn ann(seconds: i64) -> Act<'static> {
    Act { who: "ann", now: at(seconds) }
}

/// Where a test's own, empty database is. Opening it again finds what was written.
pub struct Place {
    pub url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Place {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { url: format!("sqlite:{}/control.db", folder.path().display()), _folder: Some(folder) }
    }

    /// `None` where there is no PostgreSQL and need not be.
    pub async fn postgres(name: &str) -> Option<Self> {
        Some(Self { url: postgres::database(name).await?, _folder: None })
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }

    /// Changes what is there behind the store's back.
    pub async fn run(&self, sql: &'static str) {
        if self.url.starts_with("sqlite") {
            let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        } else {
            let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
    }

    /// Every row of every table, one per line.
    pub async fn dump(&self) -> String {
        let mut lines = Vec::new();
        if self.url.starts_with("sqlite") {
            let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
            let tables = "SELECT 'SELECT json_array(''' || m.name || ''', ' || (SELECT group_concat('\"' || p.name || '\"') FROM \
                          pragma_table_info(m.name) p) || ') FROM ' || m.name FROM sqlite_master m WHERE m.type = 'table'";
            let selects: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
            for select in selects {
                let rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(select)).fetch_all(&mut connection).await;
                lines.extend(rows.unwrap());
            }
        } else {
            let mut connection = sqlx::PgConnection::connect(&self.url).await.unwrap();
            let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
            let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
            for table in tables {
                let select = format!("SELECT row_to_json(t)::text FROM {table} t");
                let rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(select)).fetch_all(&mut connection).await;
                lines.extend(rows.unwrap());
            }
        }
        assert!(lines.len() > 3);
        lines.join("\n")
    }
}

/// Runs each scenario against both databases: one test per scenario and database.
macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::Place::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(place) = crate::support::Place::postgres(stringify!($name)).await {
                    super::$name(place).await;
                }
            })*
        }
    };
}
pub(crate) use scenarios;
