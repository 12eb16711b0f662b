//! What the lake says of a month. In: one version of its calls and charges, a month, what a statement of it covers. Out: lines. Never writes.
//!
//! Charges are read before the calls: what one takes out of a closed month is then among the calls.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use deltalake_core::DeltaTable;
use sha2::{Digest, Sha256};
use spendstream_lake::tiered::scan;
use spendstream_schemas::count::Count;
use spendstream_schemas::hex::hex;
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::lake_path::{CHARGES_TABLE, USAGE_TABLE};
use spendstream_schemas::statement::change::Now;
use spendstream_schemas::statement::line::{KEYS, USERS};
use spendstream_schemas::statement::{Line, Statement, line};
use spendstream_schemas::table::charges;
use spendstream_storage::Lake;
use uuid::Uuid;

use super::super::error::LakeError;
use super::super::view::{LakeView, failed, quoted, texts};
use super::StatementError;

/// A lake at one version, to be asked about months.
pub struct Looked {
    view: LakeView,
    /// `None` where no charge was ever made.
    charges_version: Option<u64>,
}

/// A period, and the name of its month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period {
    pub month: String,
    pub start: DateTime<Utc>,
    /// Exclusive.
    pub end: DateTime<Utc>,
}

impl Period {
    /// That of a statement.
    #[must_use]
    pub fn of(statement: &Statement) -> Self {
        Self { month: statement.month.to_string(), start: statement.period_start, end: statement.period_end }
    }
}

impl Looked {
    /// The newest version; queries together take at most `memory_bytes`.
    ///
    /// # Errors
    /// When there is no lake, or it cannot be read.
    pub async fn open(lake: &Lake, memory_bytes: usize) -> Result<Self, LakeError> {
        let broken = |error: &dyn std::fmt::Display| failed(lake, error);
        let mut table = DeltaTable::new(lake.log_store(CHARGES_TABLE));
        let there = table.verify_deltatable_existence().await.map_err(|error| broken(&error))?;
        if there {
            table.load().await.map_err(|error| broken(&error))?;
        }
        let view = LakeView::open(lake, memory_bytes).await?;
        let session = view.session();
        let provider: Arc<dyn TableProvider> = if there {
            scan(&table, &session.state(), None).map_err(|error| broken(&error))?
        } else {
            Arc::new(MemTable::try_new(charges::table_schema(), vec![Vec::new()]).map_err(|error| broken(&error))?)
        };
        session.register_table(CHARGES_TABLE, provider).map_err(|error| broken(&error))?;
        Ok(Self { view, charges_version: table.version().filter(|_| there) })
    }

    /// One version of the calls: their offsets and books.
    #[must_use]
    pub fn view(&self) -> &LakeView {
        &self.view
    }

    /// Versions of the tables, by place and table.
    #[must_use]
    pub fn versions(&self) -> BTreeMap<String, u64> {
        let usage =
            self.view.places.iter().map(|place| (format!("{}/{USAGE_TABLE}", place.place.tier()), place.facts.version));
        let charges = self.charges_version.map(|version| (CHARGES_TABLE.to_owned(), version));
        usage.chain(charges).collect()
    }

    /// All lines of a month that is not closed. Users become hashes that nobody can make again.
    ///
    /// # Errors
    /// When the lake cannot be read, or a sum does not fit.
    pub async fn lines(&self, period: &Period) -> Result<Vec<Line>, StatementError> {
        let sql = format!(
            "{} UNION ALL {}",
            calls(period, "true", true),
            charged(&format!("billing_period = {}", quoted(&period.month)), true)
        );
        let mut lines = self.read(&sql).await?;
        // The salt is gone with this call: a hash only compares within one statement.
        let salt = [*Uuid::new_v4().as_bytes(), *Uuid::new_v4().as_bytes()].concat();
        for line in &mut lines {
            for user in &mut line.users {
                let hash = Sha256::new().chain_update(&salt).chain_update(user.as_bytes()).finalize();
                *user = hex(&hash[..8]);
            }
            line.users.sort_unstable();
        }
        lines.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(lines)
    }

    /// What is said now of a month that is closed.
    ///
    /// # Errors
    /// When the lake cannot be read, or a sum does not fit.
    pub async fn now(&self, statement: &Statement) -> Result<Now, StatementError> {
        let period = Period::of(statement);
        let covered = covered(&statement.offsets);
        let others = format!("billing_period = {} AND NOT {}", quoted(&period.month), carried_out(statement));
        let closed = statement.closed_at.timestamp_micros();
        let before = format!("{others} AND CAST(recorded_at AS BIGINT) < {closed}");
        let after = format!("{others} AND CAST(recorded_at AS BIGINT) >= {closed}");
        let covered_sql = format!("{} UNION ALL {}", calls(&period, &covered, false), charged(&before, false));
        let late_sql =
            format!("{} UNION ALL {}", calls(&period, &format!("NOT {covered}"), false), charged(&after, false));
        Ok(Now {
            covered: self.read(&covered_sql).await?,
            late: self.read(&late_sql).await?,
            carried: self.carried(statement).await?,
        })
    }

    async fn carried(&self, statement: &Statement) -> Result<Vec<(Line, u64)>, StatementError> {
        let sql = charged(&carried_out(statement), false);
        let counted = sql.replacen("SELECT ", "SELECT CAST(count(*) AS VARCHAR) AS times, ", 1);
        let mut all = Vec::new();
        for batch in self.view.rows(&counted).await? {
            let times =
                texts(&batch, 0).into_iter().map(|times| times.and_then(|times| times.parse().ok()).unwrap_or(0));
            all.extend(line::read(&batch)?.into_iter().zip(times));
        }
        Ok(all)
    }

    /// Which versions of the price book the calls of a period were priced by.
    ///
    /// # Errors
    /// When the lake cannot be read.
    pub async fn price_books(&self, period: &Period) -> Result<Vec<String>, StatementError> {
        let sql = format!("SELECT DISTINCT price_book_version FROM usage WHERE {} ORDER BY 1", within(period));
        let batches = self.view.rows(&sql).await?;
        Ok(batches.iter().flat_map(|batch| texts(batch, 0)).flatten().collect())
    }

    async fn read(&self, sql: &str) -> Result<Vec<Line>, StatementError> {
        let mut lines = Vec::new();
        for batch in self.view.rows(sql).await? {
            lines.extend(line::read(&batch)?);
        }
        Ok(lines)
    }
}

/// Charges that take what was found late out of the month of a statement.
fn carried_out(statement: &Statement) -> String {
    format!(
        "((statement_id IS NOT DISTINCT FROM {}) AND billing_period = {} AND source = 'close')",
        quoted(&statement.id),
        quoted(&statement.month.to_string())
    )
}

/// Rows that a statement covers, by their source.
fn covered(offsets: &BTreeMap<String, i64>) -> String {
    let part = |(id, offset): (&String, &i64)| {
        let source = SourcePartition::parse(id)?;
        Some(format!(
            "(source_cluster = {} AND source_topic = {} AND source_partition = {} AND source_offset < {offset})",
            quoted(&source.cluster),
            quoted(&source.topic),
            source.partition
        ))
    };
    let parts: Vec<String> = offsets.iter().filter_map(part).collect();
    if parts.is_empty() { "false".to_owned() } else { format!("({})", parts.join(" OR ")) }
}

/// Days first, so that no other file is read.
fn within(period: &Period) -> String {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let last = period.end - chrono::TimeDelta::microseconds(1);
    format!(
        "date BETWEEN DATE '{}' AND DATE '{}' AND event_time >= '{}' AND event_time < '{}'",
        period.start.date_naive(),
        last.date_naive(),
        time(period.start),
        time(period.end)
    )
}

fn calls(period: &Period, which: &str, with_users: bool) -> String {
    let key = |name: &str| match name {
        "charge_category" => "'Usage'".to_owned(),
        "model" => "coalesce(model_id, model)".to_owned(),
        _ => name.to_owned(),
    };
    let users = if with_users { "array_agg(DISTINCT user_id) FILTER (WHERE user_id IS NOT NULL)" } else { "" };
    let sums = Sums {
        calls: "count(*)",
        unpriced: "count(*) FILTER (WHERE price_status = 'unpriced')",
        money: ["cost", "list_cost", "cache_savings"],
        users,
    };
    statement(&key, &sums, &format!("usage WHERE {} AND {which}", within(period)))
}

fn charged(which: &str, with_users: bool) -> String {
    let key = |name: &str| match name {
        "model" => "coalesce(model_id, model)".to_owned(),
        _ => name.to_owned(),
    };
    let users = if with_users { "array_agg(DISTINCT user_id) FILTER (WHERE user_id IS NOT NULL)" } else { "" };
    let nothing = "CAST(0 AS DECIMAL(28, 15))";
    let sums = Sums { calls: "sum(calls)", unpriced: "CAST(0 AS BIGINT)", money: ["amount", nothing, nothing], users };
    statement(&key, &sums, &format!("charges WHERE {which}"))
}

struct Sums<'s> {
    calls: &'s str,
    unpriced: &'s str,
    money: [&'s str; line::MONEY.len()],
    users: &'s str,
}

fn statement(key: &dyn Fn(&str) -> String, sums: &Sums<'_>, from: &str) -> String {
    let keys: Vec<String> = KEYS.iter().map(|name| key(name)).collect();
    let mut sql = "SELECT ".to_owned();
    for (expr, name) in keys.iter().zip(KEYS) {
        // Writing to a text cannot fail.
        let _ = write!(sql, "{expr} AS {name}, ");
    }
    let _ = write!(sql, "{} AS calls, {} AS unpriced_calls", sums.calls, sums.unpriced);
    for count in Count::ALL {
        let _ = write!(sql, ", sum({0}) AS {0}", count.column());
    }
    for (expr, name) in sums.money.iter().zip(line::MONEY) {
        let _ = write!(sql, ", sum({expr}) AS {name}");
    }
    if !sums.users.is_empty() {
        let _ = write!(sql, ", {} AS {USERS}", sums.users);
    }
    // A constant needs no place in the grouping.
    let grouped: Vec<&str> = keys.iter().map(String::as_str).filter(|key| !key.starts_with('\'')).collect();
    let _ = write!(sql, " FROM {from} GROUP BY {}", grouped.join(", "));
    sql
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::covered;

    #[test]
    fn what_is_covered_is_named_by_source() {
        let offsets =
            BTreeMap::from([("spendstream/main/usage.events/3".to_owned(), 17), ("spendstream/moves".to_owned(), 2)]);
        assert_eq!(
            covered(&offsets),
            "((source_cluster = 'main' AND source_topic = 'usage.events' AND source_partition = 3 AND source_offset < 17))"
        );
        assert_eq!(covered(&BTreeMap::new()), "false");
    }
}
