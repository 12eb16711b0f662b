//! The tables `budgets`, `alerts`, `blocks`, `directory` and `statements`: rows of the control store, read when a query scans them.
//!
//! In come the things that the store keeps, out come columns. Nothing is kept between queries and nothing is written; keys and
//! the audit log are no tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use datafusion::catalog::Session;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::{MemTable, TableProvider, TableType};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use spendstream_control::alerts::{AlertFilter, StoredAlert};
use spendstream_control::blocks::Block;
use spendstream_control::budgets::BudgetFilter;
use spendstream_schemas::budget::Budget;
use spendstream_schemas::directory::Entry;
use spendstream_schemas::money;
use spendstream_schemas::statement::Statement;

use crate::control::ControlStore;

/// The newest so many alerts and blocks are read.
const MAX_ROWS: u32 = 100_000;

/// Tables by their names.
pub type Tables = Vec<(&'static str, Arc<dyn TableProvider>)>;

/// All tables of the control store; nothing is read yet.
///
/// # Errors
/// Never, as long as the columns of each table have one length.
pub fn tables(control: &Arc<ControlStore>) -> Result<Tables> {
    let kinds = [
        ("budgets", Kind::Budgets),
        ("alerts", Kind::Alerts),
        ("blocks", Kind::Blocks),
        ("directory", Kind::Directory),
        ("statements", Kind::Statements),
    ];
    let table = |(name, kind)| Ok((name, Arc::new(ControlTable::new(kind, Arc::clone(control))?) as _));
    kinds.into_iter().map(table).collect()
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Budgets,
    Alerts,
    Blocks,
    Directory,
    Statements,
}

/// One of the tables.
#[derive(Debug)]
struct ControlTable {
    kind: Kind,
    control: Arc<ControlStore>,
    schema: SchemaRef,
}

impl ControlTable {
    fn new(kind: Kind, control: Arc<ControlStore>) -> Result<Self> {
        let none = match kind {
            Kind::Budgets => budgets(&[]),
            Kind::Alerts => alerts(&[]),
            Kind::Blocks => blocks(&[]),
            Kind::Directory => directory(&[]),
            Kind::Statements => statements(&[]),
        };
        Ok(Self { kind, control, schema: batch(none)?.schema() })
    }

    async fn rows(&self) -> Result<RecordBatch> {
        let away = |error: spendstream_control::Error| DataFusionError::External(Box::new(error));
        let store = self.control.get().await.map_err(away)?;
        batch(match self.kind {
            Kind::Budgets => budgets(&store.budgets().list(&BudgetFilter::default()).await.map_err(away)?),
            Kind::Alerts => alerts(&store.alerts().list(&AlertFilter::default(), MAX_ROWS).await.map_err(away)?.alerts),
            Kind::Blocks => blocks(&store.blocks().list(MAX_ROWS).await.map_err(away)?),
            Kind::Directory => directory(&store.directory().list().await.map_err(away)?),
            Kind::Statements => statements(&store.statements().list().await.map_err(away)?),
        })
    }
}

#[async_trait]
impl TableProvider for ControlTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = MemTable::try_new(self.schema(), vec![vec![self.rows().await?]])?;
        table.scan(state, projection, filters, limit).await
    }
}

type Columns = Vec<(&'static str, ArrayRef)>;

fn batch(columns: Columns) -> Result<RecordBatch> {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

fn text<T>(rows: &[T], value: impl Fn(&T) -> Option<String>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<StringArray>())
}

fn time<T>(rows: &[T], value: impl Fn(&T) -> Option<DateTime<Utc>>) -> ArrayRef {
    let micros = rows.iter().map(|row| value(row).map(|time| time.timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

fn flag<T>(rows: &[T], value: impl Fn(&T) -> bool) -> ArrayRef {
    Arc::new(rows.iter().map(|row| Some(value(row))).collect::<BooleanArray>())
}

fn amount<T>(rows: &[T], value: impl Fn(&T) -> Option<money::Amount>) -> ArrayRef {
    let units = rows.iter().map(|row| value(row).map(money::Amount::units)).collect::<Decimal128Array>();
    Arc::new(units.with_data_type(DataType::Decimal128(money::PRECISION, money::SCALE)))
}

fn budgets(rows: &[Budget]) -> Columns {
    vec![
        ("id", text(rows, |one| Some(one.id.clone()))),
        ("revision", Arc::new(Int64Array::from_iter_values(rows.iter().map(|one| one.revision)))),
        ("name", text(rows, |one| Some(one.name.clone()))),
        ("scope", text(rows, |one| Some(one.scope.to_string()))),
        ("period", text(rows, |one| Some(one.period.period.to_string()))),
        ("timezone", text(rows, |one| Some(one.period.timezone.to_string()))),
        ("starts_on", text(rows, |one| one.period.starts_on.map(|date| date.to_string()))),
        ("amount", amount(rows, |one| money::Amount::from_decimal(one.amount).ok())),
        ("currency", text(rows, |one| Some(one.currency.clone()))),
        ("hard_limit", flag(rows, |one| one.hard_limit)),
        ("active", flag(rows, |one| one.active)),
        ("additive", flag(rows, |one| one.additive)),
        ("owner", text(rows, |one| one.owner.clone())),
        ("valid_from", time(rows, |one| one.valid_from)),
        ("valid_until", time(rows, |one| one.valid_until)),
        ("reset_at", time(rows, |one| one.reset_at)),
        ("created_at", time(rows, |one| Some(one.created_at))),
        ("updated_at", time(rows, |one| Some(one.updated_at))),
    ]
}

fn alerts(rows: &[StoredAlert]) -> Columns {
    vec![
        ("id", text(rows, |one| Some(one.alert.id.clone()))),
        ("kind", text(rows, |one| Some(one.alert.kind.to_string()))),
        ("level", text(rows, |one| Some(one.alert.level.to_string()))),
        ("budget_id", text(rows, |one| one.alert.budget_id.clone())),
        ("scope", text(rows, |one| Some(one.alert.scope.to_string()))),
        ("title", text(rows, |one| Some(one.alert.title.clone()))),
        ("message", text(rows, |one| Some(one.alert.message.clone()))),
        ("value", text(rows, |one| Some(one.alert.value.clone()))),
        ("threshold", text(rows, |one| Some(one.alert.threshold.clone()))),
        ("currency", text(rows, |one| Some(one.alert.currency.clone()))),
        ("period_start", time(rows, |one| one.alert.period_start)),
        ("period_end", time(rows, |one| one.alert.period_end)),
        ("event_time", time(rows, |one| Some(one.alert.event_time))),
        ("raised_at", time(rows, |one| Some(one.alert.raised_at))),
        ("owner", text(rows, |one| one.alert.owner.clone())),
        ("snoozed", flag(rows, |one| one.snoozed)),
        ("acknowledged_at", time(rows, |one| one.acknowledged_at)),
        ("acknowledged_by", text(rows, |one| one.acknowledged_by.clone())),
        ("note", text(rows, |one| one.note.clone())),
    ]
}

fn blocks(rows: &[Block]) -> Columns {
    let action = |one: &Block| serde_json::to_value(one.action).ok()?.as_str().map(str::to_owned);
    vec![
        ("id", text(rows, |one| Some(one.id.clone()))),
        ("scope", text(rows, |one| Some(one.scope.to_string()))),
        ("action", text(rows, action)),
        ("until", time(rows, |one| Some(one.until))),
        ("reason", text(rows, |one| Some(one.reason.clone()))),
        ("created_by", text(rows, |one| Some(one.created_by.clone()))),
        ("created_at", time(rows, |one| Some(one.created_at))),
        ("lifted_by", text(rows, |one| one.lifted_by.clone())),
        ("lifted_at", time(rows, |one| one.lifted_at)),
    ]
}

fn directory(rows: &[Entry]) -> Columns {
    vec![
        ("key", text(rows, |one| Some(one.key.to_string()))),
        ("value", text(rows, |one| Some(one.value.clone()))),
        ("team", text(rows, |one| one.team.clone())),
        ("department", text(rows, |one| one.department.clone())),
        ("cost_center", text(rows, |one| one.cost_center.clone())),
        ("contact", text(rows, |one| one.contact.clone())),
        ("attributes", text(rows, |one| serde_json::to_string(&one.attributes).ok())),
        ("valid_from", time(rows, |one| one.valid_from)),
        ("valid_until", time(rows, |one| one.valid_until)),
    ]
}

fn statements(rows: &[Statement]) -> Columns {
    let whole =
        |value: fn(&Statement) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(value))) };
    let cost = |one: &Statement| money::Amount::from_decimal(one.cost.parse().ok()?).ok();
    vec![
        ("statement_id", text(rows, |one| Some(one.id.clone()))),
        ("month", text(rows, |one| Some(one.month.to_string()))),
        ("timezone", text(rows, |one| Some(one.timezone.clone()))),
        ("period_start", time(rows, |one| Some(one.period_start))),
        ("period_end", time(rows, |one| Some(one.period_end))),
        ("calls", whole(|one| one.calls)),
        ("unpriced_calls", whole(|one| one.unpriced_calls)),
        ("cost", amount(rows, cost)),
        ("currency", text(rows, |one| Some(one.currency.clone()))),
        ("closed_at", time(rows, |one| Some(one.closed_at))),
        ("closed_by", text(rows, |one| Some(one.closed_by.clone()))),
    ]
}
