//! The table `decisions`: one row per logged answer of decide, partitioned by `date`. In: [`Row`]s; out: an Arrow batch.
//!
//! What a call cost in the end is not here: it is the row of `usage` with the same `organization`, `event_source` and `event_id`, and of an
//! evaluation run all rows with its id as `run_id` ([`WITH_ACTUAL_COST`]), so that a row is written once and never changed.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::usage::timestamp_type;
use crate::decision::{Basis, Priority, Strategy};
use crate::dimension::Text;
use crate::money::{self, Amount};

/// The partition column: the UTC date of `decided_at`.
pub const DATE: &str = "date";

/// When it was answered; the one column with statistics.
pub const DECIDED_AT: &str = "decided_at";

/// A query over both tables: every logged decision with what its call, or so far its evaluation run, cost; null until an event has arrived.
/// As what is held: organization and source must be equal where both sides name them. A call that was refused, and asked for again later, cost
/// nothing.
pub const WITH_ACTUAL_COST: &str = "SELECT d.*, c.cost AS actual_cost FROM decisions d LEFT JOIN \
     (SELECT a.id, a.is_run, a.organization, a.event_source, sum(u.cost) AS cost FROM \
     (SELECT DISTINCT event_id AS id, basis IN ('metric_history', 'metric_default') AS is_run, organization, event_source \
     FROM decisions WHERE event_id IS NOT NULL) a JOIN \
     (SELECT event_id AS id, false AS is_run, organization, event_source, sum(cost) AS cost FROM usage \
     GROUP BY event_id, organization, event_source \
     UNION ALL SELECT run_id, true, organization, NULL, sum(cost) FROM usage WHERE run_id IS NOT NULL \
     GROUP BY run_id, organization) u \
     ON u.id = a.id AND u.is_run = a.is_run \
     AND (u.organization = a.organization OR u.organization IS NULL OR a.organization IS NULL) \
     AND (u.event_source = a.event_source OR u.event_source IS NULL OR a.event_source IS NULL) \
     GROUP BY a.id, a.is_run, a.organization, a.event_source) c \
     ON (d.allow OR d.shadow) AND c.id = d.event_id AND c.is_run = (d.basis IN ('metric_history', 'metric_default')) \
     AND (c.organization IS NOT DISTINCT FROM d.organization) AND (c.event_source IS NOT DISTINCT FROM d.event_source)";

/// The event's texts that a row has, by their lake columns.
pub const TEXTS: [Text; 17] = [
    Text::EventId,
    Text::EventSource,
    Text::Organization,
    Text::Team,
    Text::Department,
    Text::CostCenter,
    Text::Project,
    Text::UserId,
    Text::Customer,
    Text::App,
    Text::Feature,
    Text::Agent,
    Text::Environment,
    Text::Endpoint,
    Text::TaskType,
    Text::RunId,
    Text::Model,
];

/// One logged answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Microseconds since the epoch, UTC.
    pub decided_at: i64,
    /// In the order of [`TEXTS`].
    pub texts: [Option<String>; TEXTS.len()],
    /// The price book's id, or as sent.
    pub provider: Option<String>,
    pub priority: Priority,
    pub allow: bool,
    pub strategy: Strategy,
    /// In shadow mode `allow` and `strategy` are what had been decided, and the call was allowed.
    pub shadow: bool,
    /// The first reason; `None` for a call that was simply allowed.
    pub reason: Option<String>,
    /// The tightest budget.
    pub budget_id: Option<String>,
    pub budget_scope: Option<String>,
    pub used: Option<Amount>,
    pub held: Option<Amount>,
    pub amount_limit: Option<Amount>,
    pub estimated_cost: Amount,
    pub basis: Basis,
    pub suggested_model: Option<String>,
    pub savings: Option<Amount>,
    pub retry_after_seconds: Option<i64>,
    /// One row stands for so many: allowed calls are sampled.
    pub sampled: i64,
}

fn money_type() -> DataType {
    DataType::Decimal128(money::PRECISION, money::SCALE)
}

/// Days since the epoch, UTC.
fn date(micros: i64) -> i32 {
    i32::try_from(micros.div_euclid(86_400_000_000)).unwrap_or(i32::MAX)
}

/// The schema of the table: the partition column `date` is the last.
#[must_use]
pub fn table_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let required = |name: &str, data_type| Field::new(name, data_type, false);
    let money = |name: &str| Field::new(name, money_type(), true);
    let mut fields = vec![required(DECIDED_AT, timestamp_type())];
    fields.extend(TEXTS.map(|column| text(column.column())));
    fields.extend([
        text("provider"),
        required("priority", DataType::Utf8),
        required("allow", DataType::Boolean),
        required("strategy", DataType::Utf8),
        required("shadow", DataType::Boolean),
        text("reason"),
        text("budget_id"),
        text("budget_scope"),
        money("used"),
        money("held"),
        money("amount_limit"),
        required("estimated_cost", money_type()),
        required("basis", DataType::Utf8),
        text("suggested_model"),
        money("savings"),
        Field::new("retry_after_seconds", DataType::Int64, true),
        required("sampled", DataType::Int64),
        Field::new(DATE, DataType::Date32, true),
    ]);
    Arc::new(Schema::new(fields))
}

/// The schema of its files: every column but `date`.
#[must_use]
pub fn file_schema() -> SchemaRef {
    let table = table_schema();
    let fields = table.fields().iter().filter(|field| field.name() != DATE);
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// Rows as columns of [`table_schema`].
///
/// # Errors
/// Only when Arrow refuses consistent columns, which is a fault of this program.
pub fn batch(rows: &[Row]) -> Result<RecordBatch, ArrowError> {
    let texts = |value: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<StringArray>())
    };
    let money = |value: &dyn Fn(&Row) -> Option<Amount>| -> Result<ArrayRef, ArrowError> {
        let column: Decimal128Array = rows.iter().map(|row| value(row).map(Amount::units)).collect();
        Ok(Arc::new(column.with_precision_and_scale(money::PRECISION, money::SCALE)?))
    };
    let flags = |value: &dyn Fn(&Row) -> bool| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(value(row))).collect::<BooleanArray>())
    };
    let decided: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.decided_at)).collect();
    let mut columns: Vec<ArrayRef> = vec![Arc::new(decided.with_timezone("UTC"))];
    columns.extend((0..TEXTS.len()).map(|at| texts(&|row| row.texts[at].clone())));
    columns.extend([
        texts(&|row| row.provider.clone()),
        texts(&|row| Some(row.priority.word().to_owned())),
        flags(&|row| row.allow),
        texts(&|row| Some(row.strategy.word().to_owned())),
        flags(&|row| row.shadow),
        texts(&|row| row.reason.clone()),
        texts(&|row| row.budget_id.clone()),
        texts(&|row| row.budget_scope.clone()),
        money(&|row| row.used)?,
        money(&|row| row.held)?,
        money(&|row| row.amount_limit)?,
        money(&|row| Some(row.estimated_cost))?,
        texts(&|row| Some(row.basis.word().to_owned())),
        texts(&|row| row.suggested_model.clone()),
        money(&|row| row.savings)?,
        Arc::new(rows.iter().map(|row| row.retry_after_seconds).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.sampled)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(date(row.decided_at))).collect::<Date32Array>()),
    ]);
    RecordBatch::try_new(table_schema(), columns)
}

#[cfg(test)]
mod tests {
    use super::{Row, TEXTS, batch};
    use crate::decision::{Basis, Priority, Strategy};
    use crate::money::Amount;

    #[test]
    fn rows_become_columns_with_exact_money() {
        let row = Row {
            decided_at: 1_795_000_000_000_000,
            texts: std::array::from_fn(|at| (at == 0).then(|| "r-1".to_owned())),
            provider: Some("openai".into()),
            priority: Priority::Low,
            allow: false,
            strategy: Strategy::Block,
            shadow: false,
            reason: Some("why".into()),
            budget_id: Some("b".into()),
            budget_scope: Some("team=search".into()),
            used: Some(Amount::from_units(1).unwrap()),
            held: None,
            amount_limit: None,
            estimated_cost: Amount::ZERO,
            basis: Basis::P95,
            suggested_model: None,
            savings: None,
            retry_after_seconds: Some(7),
            sampled: 1,
        };
        let found = batch(&[row.clone(), Row { allow: true, used: None, ..row }]).unwrap();
        assert_eq!((found.num_rows(), found.num_columns()), (2, TEXTS.len() + 19));
        let shown = |name: &str| {
            let column = found.column_by_name(name).unwrap();
            arrow::util::display::array_value_to_string(column, 0).unwrap()
        };
        for (name, expected) in [
            ("date", "2026-11-18"),
            ("event_id", "r-1"),
            ("allow", "false"),
            ("strategy", "block"),
            ("used", "0.000000000000001"),
            ("basis", "p95"),
            ("team", ""),
        ] {
            assert_eq!(shown(name), expected, "{name}");
        }
    }
}
