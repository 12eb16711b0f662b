//! `usage` by rollup: a table that no catalog has and no statement can name. In: sums of sealed rows, and the rows of all others. Out: a plan that reads
//! both, each row of the second as the sum of one.
//!
//! The time of a row stays what it is: whoever reads this cannot tell it from the beginning of its quarter-hour.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::provider_as_source;
use datafusion::common::{Column, Result, ScalarValue, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, SubqueryAlias, TableScanBuilder, Union, cast, lit};
use spendstream_schemas::count::Count;
use spendstream_schemas::lake_path::{ROLLUP_TABLE, USAGE_TABLE};
use spendstream_schemas::money;
use spendstream_schemas::table::rollup::{
    CALLS, DIMENSIONS, LATENCY, LATENCY_SKETCH, PRICED_CALLS, QUARTER, SUM_PRECISION, TIMED_CALLS,
};
use spendstream_schemas::table::usage::{DATE, MONEY};

use super::keys::CACHE_HIT;
use crate::catalog::checked::Shown;
use crate::catalog::usage::ByRollup;

/// What columns of the plan are called after.
pub(super) const NAME: &str = "usage_by_rollup";
/// The time of an event, or the quarter-hour of many.
pub(super) const TIME: &str = "event_time";
/// The latency of a row, which is in no sketch yet.
pub(super) const ROW_LATENCY: &str = "row_latency_ms";

/// The plan.
///
/// # Errors
/// When the tables have not the columns that they should.
pub fn plan(by_rollup: &ByRollup) -> Result<LogicalPlan> {
    let shown = format!("rollup of {}, rows of {}", files(by_rollup.sum_files), files(by_rollup.row_files));
    let sketch = by_rollup.sums.schema().field_with_name(LATENCY_SKETCH)?.data_type().clone();
    let sums: Arc<dyn TableProvider> = Arc::new(Shown { inner: Arc::clone(&by_rollup.sums), shown });
    let name = format!("{ROLLUP_TABLE} (rollup of {})", files(by_rollup.sum_files));
    let sums = read(&name, sums, sums_as_they_are)?;
    let both = match &by_rollup.rows {
        None => sums,
        Some(rows) => {
            let name = format!("{USAGE_TABLE} (rows of {})", files(by_rollup.row_files));
            let rows = read(&name, Arc::clone(rows), |column| rows_as_sums(column, &sketch))?;
            LogicalPlan::Union(Union::try_new(vec![Arc::new(sums), Arc::new(rows)])?)
        }
    };
    Ok(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(both), TableReference::bare(NAME))?))
}

fn files(count: usize) -> String {
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}

/// All columns of the plan, from a table whose own are given by their names.
fn read(
    name: &str,
    table: Arc<dyn TableProvider>,
    made: impl Fn(&dyn Fn(&str) -> Expr) -> Vec<(&'static str, Expr)>,
) -> Result<LogicalPlan> {
    let name = TableReference::bare(name);
    let scan = TableScanBuilder::new(name.clone(), provider_as_source(table)).build()?;
    let column = |column: &str| Expr::Column(Column::new(Some(name.clone()), column));
    let made = made(&column).into_iter().map(|(name, made)| made.alias(name)).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(made, Arc::new(LogicalPlan::TableScan(scan)))?))
}

fn keys(column: &dyn Fn(&str) -> Expr) -> Vec<(&'static str, Expr)> {
    DIMENSIONS.into_iter().chain([CACHE_HIT, DATE]).map(|name| (name, column(name))).collect()
}

fn sums_as_they_are(column: &dyn Fn(&str) -> Expr) -> Vec<(&'static str, Expr)> {
    let mut all = vec![(TIME, column(QUARTER))];
    all.extend(keys(column));
    let counts = Count::ALL.iter().map(|count| count.column());
    let own =
        [CALLS, PRICED_CALLS, TIMED_CALLS].into_iter().chain(counts).chain(MONEY).chain([LATENCY, LATENCY_SKETCH]);
    all.extend(own.map(|name| (name, column(name))));
    all.push((ROW_LATENCY, lit(ScalarValue::Int64(None))));
    all
}

fn rows_as_sums(column: &dyn Fn(&str) -> Expr, sketch: &DataType) -> Vec<(&'static str, Expr)> {
    let one_where = |there: Expr| cast(there.is_not_null(), DataType::Int64);
    let wide = DataType::Decimal128(SUM_PRECISION, money::SCALE);
    let mut all = vec![(TIME, column(TIME))];
    all.extend(keys(column));
    all.extend([
        (CALLS, lit(1_i64)),
        (PRICED_CALLS, one_where(column("cost"))),
        (TIMED_CALLS, one_where(column(LATENCY))),
    ]);
    all.extend(Count::ALL.iter().map(|count| (count.column(), column(count.column()))));
    all.extend(MONEY.map(|name| (name, cast(column(name), wide.clone()))));
    all.push((LATENCY, column(LATENCY)));
    all.push((LATENCY_SKETCH, cast(lit(ScalarValue::Null), sketch.clone())));
    all.push((ROW_LATENCY, column(LATENCY)));
    all
}
