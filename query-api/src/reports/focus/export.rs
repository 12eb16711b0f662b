//! Runs an export. In: an engine, a period, the lake's price books. Out: batches of rows, the next when it is asked for; at most a batch of the query's
//! answer is held. Stops where it is dropped.

use std::collections::VecDeque;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;

use super::books::Books;
use super::divide::lines;
use super::group::{Group, groups};
use super::meters::meters;
use super::period::{Granularity, Period};
use super::row::{Row, usage_row};
use super::shares::shares;
use super::{charge, columns, query};
use crate::catalog::Snapshot;
use crate::error::QueryError;
use crate::format::cell;
use crate::sql::engine::{Answer, Engine};

/// What an export says beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub rows: u64,
    /// Of all rows, in units of 10⁻¹⁵.
    pub billed_cost: i128,
    /// Calls without a price: their rows have a cost of zero that is none.
    pub unpriced_calls: u64,
    /// Rows whose part of the cost was divided by quantity, for want of a price book.
    pub split_by_quantity: u64,
}

/// An export under way.
pub struct Export<'e> {
    engine: &'e Engine,
    snapshot: Snapshot,
    books: Books,
    granularity: Granularity,
    quantities: Vec<String>,
    steps: VecDeque<Step>,
    running: Option<(Kind, Answer)>,
    told: Told,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Usage,
    Charges,
}

/// One statement to come.
#[derive(Clone, Copy, Debug)]
struct Step {
    day: NaiveDate,
    kind: Kind,
}

impl<'e> Export<'e> {
    /// Fixes the version of the lake that all rows are of.
    ///
    /// # Errors
    /// When there is no lake or it cannot be read.
    pub async fn start(engine: &'e Engine, period: Period, granularity: Granularity) -> Result<Self, QueryError> {
        let snapshot = engine.snapshot().await?;
        let quantities = names(engine, &snapshot, period).await?;
        let days = period.days().flat_map(|day| [Kind::Usage, Kind::Charges].map(|kind| Step { day, kind }));
        Ok(Self {
            engine,
            snapshot,
            books: Books::new(engine.lake().clone()),
            granularity,
            quantities,
            steps: days.collect(),
            running: None,
            told: Told::default(),
        })
    }

    /// The lake's version that is read.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.snapshot.version
    }

    /// What is known so far; all of it after the last batch.
    #[must_use]
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// The next rows; `None` after the last.
    ///
    /// # Errors
    /// When a query fails; what was given before is then no export.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        loop {
            let Some((kind, answer)) = &mut self.running else {
                let Some(step) = self.steps.pop_front() else { return Ok(None) };
                self.begin(step).await?;
                continue;
            };
            let kind = *kind;
            let Some(batch) = answer.next().await.transpose()? else {
                self.running = None;
                continue;
            };
            let rows = match kind {
                Kind::Usage => self.usage_rows(&batch).await?,
                Kind::Charges => charge::rows(&batch).map_err(|error| unreadable(&error))?,
            };
            if !rows.is_empty() {
                self.count(&rows);
                return columns::batch(&rows).map(Some).map_err(|error| unreadable(&error));
            }
        }
    }

    async fn begin(&mut self, step: Step) -> Result<(), QueryError> {
        let sql = match step.kind {
            Kind::Usage => query::usage(step.day, self.granularity, &self.quantities),
            Kind::Charges => query::charges(step.day),
        };
        self.running = Some((step.kind, self.engine.query_at(&self.snapshot, &sql).await?));
        Ok(())
    }

    async fn usage_rows(&mut self, batch: &RecordBatch) -> Result<Vec<Row>, QueryError> {
        let groups = groups(batch, &self.quantities).map_err(|error| unreadable(&error))?;
        let mut rows = Vec::with_capacity(groups.len() * 3);
        for group in &groups {
            self.add_rows(group, &mut rows).await;
        }
        Ok(rows)
    }

    async fn add_rows(&mut self, group: &Group, rows: &mut Vec<Row>) {
        let meters = meters(group);
        let shares = match group.text("price_book_version").filter(|_| group.is_priced()) {
            Some(version) => self.books.get(version).await.and_then(|book| shares(&book, group, &meters)),
            None => None,
        };
        let lines = lines(group, meters, shares);
        let period = self.granularity.micros();
        rows.extend(lines.iter().enumerate().map(|(position, line)| usage_row(group, line, period, position == 0)));
    }

    fn count(&mut self, rows: &[Row]) {
        for row in rows {
            self.told.rows += 1;
            self.told.billed_cost += row.billed_cost;
            if row.own.price_status == "unpriced" {
                self.told.unpriced_calls += row.own.calls.unwrap_or_default().unsigned_abs();
            }
            if row.own.meter_split == Some("by_quantity") {
                self.told.split_by_quantity += 1;
            }
        }
    }
}

/// Which quantities were counted at all.
async fn names(engine: &Engine, snapshot: &Snapshot, period: Period) -> Result<Vec<String>, QueryError> {
    let mut answer = engine.query_at(snapshot, &query::quantity_names(period)).await?;
    let mut names = Vec::new();
    while let Some(batch) = answer.next().await.transpose()? {
        let column = cell::texts(batch.column(0)).map_err(|error| unreadable(&error))?;
        names.extend(column.into_iter().flatten());
    }
    Ok(names)
}

fn unreadable(error: &ArrowError) -> QueryError {
    QueryError::Internal(format!("an export cannot be made of an answer: {error}"))
}
