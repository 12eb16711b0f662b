//! Runs the statements of the reports and keeps their answers as long as the lake stays as it is.
//!
//! In come a version of the lake and a look, out come exact sums per cell. Never rounds, never writes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, NaiveDate, Utc};
use parking_lot::Mutex;
use spendstream_schemas::directory::Spellings;
use spendstream_schemas::money::{Amount, SCALE};

use super::freshness::Freshness;
use super::look::Look;
use crate::catalog::Snapshot;
use crate::error::QueryError;
use crate::sql::engine::Engine;

/// Answers that are kept at most.
const MAX_LOOKS: usize = 1_000;
/// Cells of all kept answers at most: about 100 bytes each.
const MAX_CELLS: usize = 500_000;

/// What was spent in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub used: Amount,
    pub calls: i64,
    /// Of the calls, those without a price: their cost is not in `used`.
    pub unpriced_calls: i64,
}

/// Sums by the values of a look's dimensions, in their order.
pub type Cells = BTreeMap<Vec<Option<String>>, Sum>;

/// Keeps the answers for the newest version.
#[derive(Default)]
pub struct Sums {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The snapshot that the answers are of.
    number: u64,
    cells: usize,
    looks: HashMap<String, Arc<Cells>>,
    /// By the earliest day that it was read from.
    freshness: HashMap<NaiveDate, Freshness>,
}

impl Sums {
    /// The sums of a look at that version of the lake, in the lake's own spellings.
    ///
    /// # Errors
    /// When the query fails, or a sum does not fit a money column.
    pub async fn cells(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        look: &Look,
        spellings: &Spellings,
    ) -> Result<Arc<Cells>, QueryError> {
        let sql = look.sql(spellings);
        if let Some(cells) = self.kept.lock().get(snapshot.number, &sql) {
            return Ok(cells);
        }
        let mut cells = Cells::new();
        for batch in rows(engine, snapshot, &sql).await? {
            read(&batch, look.keys.len(), &mut cells)?;
        }
        let cells = Arc::new(cells);
        self.kept.lock().put(snapshot.number, sql, &cells);
        Ok(cells)
    }

    /// How far that version of the lake reaches, by its rows of `since`'s day and later.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn freshness(
        &self,
        engine: &Engine,
        snapshot: &Snapshot,
        since: DateTime<Utc>,
    ) -> Result<Freshness, QueryError> {
        let day = since.date_naive();
        let known = |kept: &Kept| (kept.number == snapshot.number).then(|| kept.freshness.get(&day).cloned()).flatten();
        if let Some(freshness) = known(&self.kept.lock()) {
            return Ok(freshness);
        }
        let freshness = Freshness::read(engine, snapshot, day).await?;
        let mut kept = self.kept.lock();
        // Only beside sums of the same version: those decide when a version is over.
        if kept.number == snapshot.number && kept.freshness.len() < MAX_LOOKS {
            kept.freshness.insert(day, freshness.clone());
        }
        Ok(freshness)
    }
}

impl Kept {
    fn get(&self, number: u64, sql: &str) -> Option<Arc<Cells>> {
        (self.number == number).then(|| self.looks.get(sql).cloned()).flatten()
    }

    fn put(&mut self, number: u64, sql: String, cells: &Arc<Cells>) {
        // A slow request may still work on an older version.
        if number < self.number || cells.len() > MAX_CELLS {
            return;
        }
        if number > self.number || self.looks.len() >= MAX_LOOKS || self.cells + cells.len() > MAX_CELLS {
            *self = Self { number, ..Self::default() };
        }
        self.cells += cells.len();
        self.looks.insert(sql, Arc::clone(cells));
    }
}

/// All rows of one statement at that version of the lake.
///
/// # Errors
/// As any query.
pub async fn rows(engine: &Engine, snapshot: &Snapshot, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
    let mut answer = engine.query_at(snapshot, sql).await?;
    let mut batches = Vec::new();
    while let Some(batch) = answer.next().await {
        batches.push(batch?);
    }
    Ok(batches)
}

fn read(batch: &RecordBatch, keys: usize, cells: &mut Cells) -> Result<(), QueryError> {
    let texts = (0..keys).map(|at| texts(batch, at)).collect::<Result<Vec<_>, _>>()?;
    let (used, calls, unpriced) = (money(batch, keys)?, integers(batch, keys + 1)?, integers(batch, keys + 2)?);
    for row in 0..batch.num_rows() {
        let values = texts.iter().map(|column| column[row].clone()).collect();
        cells.insert(values, Sum { used: used[row], calls: calls[row], unpriced_calls: unpriced[row] });
    }
    Ok(())
}

fn converted(batch: &RecordBatch, at: usize, to: &DataType) -> Result<arrow::array::ArrayRef, QueryError> {
    let unreadable = |error: ArrowError| QueryError::Internal(format!("column {at} of a report: {error}"));
    cast(batch.column(at), to).map_err(unreadable)
}

fn no_column(at: usize) -> QueryError {
    QueryError::Internal(format!("column {at} of a report has another type"))
}

/// A column of texts.
///
/// # Errors
/// When it is none.
pub fn texts(batch: &RecordBatch, at: usize) -> Result<Vec<Option<String>>, QueryError> {
    let column = converted(batch, at, &DataType::Utf8)?;
    let column = column.as_string_opt::<i32>().ok_or_else(|| no_column(at))?;
    Ok(column.iter().map(|text| text.map(str::to_owned)).collect())
}

/// A column of whole numbers; null is 0.
///
/// # Errors
/// When it is none.
pub fn integers(batch: &RecordBatch, at: usize) -> Result<Vec<i64>, QueryError> {
    let column = converted(batch, at, &DataType::Int64)?;
    let column = column.as_primitive_opt::<Int64Type>().ok_or_else(|| no_column(at))?;
    Ok(column.iter().map(Option::unwrap_or_default).collect())
}

/// A column of money; null (nothing, or nothing priced) is 0.
///
/// # Errors
/// When it is none.
pub fn money(batch: &RecordBatch, at: usize) -> Result<Vec<Amount>, QueryError> {
    let column = converted(batch, at, &DataType::Decimal128(38, SCALE))?;
    let column = column.as_primitive_opt::<Decimal128Type>().ok_or_else(|| no_column(at))?;
    // A sum that no money column holds is more than any limit: one absurd event must not hide the others' states.
    let amount = |units: i128| Amount::from_units(units).unwrap_or(if units > 0 { Amount::MAX } else { Amount::ZERO });
    Ok(column.iter().map(|units| amount(units.unwrap_or(0))).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Cells, Kept, MAX_LOOKS, Sum};

    #[test]
    fn answers_of_older_versions_go_and_never_come_back() {
        let cells = Arc::new(Cells::from([(vec![], Sum { calls: 1, ..Sum::default() })]));
        let mut kept = Kept::default();
        kept.put(3, "a".into(), &cells);
        assert!(kept.get(3, "a").is_some() && kept.get(2, "a").is_none() && kept.get(4, "a").is_none());
        kept.put(2, "b".into(), &cells);
        assert!(kept.get(2, "b").is_none() && kept.get(3, "a").is_some());
        kept.put(4, "b".into(), &cells);
        assert!(kept.get(4, "b").is_some() && kept.get(4, "a").is_none());
        for number in 0..=MAX_LOOKS {
            kept.put(4, number.to_string(), &cells);
            assert!(kept.looks.len() <= MAX_LOOKS);
        }
    }
}
