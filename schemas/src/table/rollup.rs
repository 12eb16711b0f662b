//! The table `usage_rollup`: sums of sealed rows by quarter-hour and by the dimensions that reports group by, partitioned by `date`.
//!
//! A row of it is what `SELECT quarter, DIMENSIONS, sums … GROUP BY` gives of the rows of `usage` that were sealed together; which those are,
//! their files say by a number that the rollup's file carries too. Persons and tags are no dimensions: a rollup names nobody, and groupings
//! by them read rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::usage::{self, DATE, MONEY, timestamp_type};
use crate::count::Count;
use crate::money;

/// Start of the quarter-hour of `event_time`.
pub const QUARTER: &str = "quarter";
/// Rows of `usage`.
pub const CALLS: &str = "calls";
/// Rows that have a `cost`.
pub const PRICED_CALLS: &str = "priced_calls";
/// Rows that have a `latency_ms`.
pub const TIMED_CALLS: &str = "timed_calls";
/// Sum of `latency_ms`; null where no row has one.
pub const LATENCY: &str = "latency_ms";
/// How latencies are spread: a `DDSketch`, as its Java library writes it. Sketches of parts merge to that of the whole.
pub const LATENCY_SKETCH: &str = "latency_sketch";

/// Microseconds of a quarter-hour.
pub const QUARTER_MICROS: i64 = 900_000_000;

/// Text columns of `usage` that a rollup keeps apart.
pub const DIMENSIONS: [&str; 28] = [
    "organization",
    "team",
    "department",
    "cost_center",
    "project",
    "app",
    "feature",
    "agent",
    "environment",
    "endpoint",
    "task_type",
    "provider",
    "provider_sent",
    "model",
    "model_id",
    "operation",
    "billing_account",
    "service_tier",
    "region",
    "status",
    "error_type",
    "currency",
    "price_status",
    "unpriced_reason",
    "pricing_category",
    "cost_quality",
    "price_book_version",
    "payload_kind",
];

/// Digits of sums of money: as wide as a sum of `cost` is.
pub const SUM_PRECISION: u8 = 38;

/// The schema of a data file: every column but `date`. What every event has is in every sum too, so that an answer's columns are the same
/// whichever it is from.
#[must_use]
pub fn file_schema() -> SchemaRef {
    let rows = usage::file_schema();
    let may_be_null = |name: &str| rows.field_with_name(name).is_ok_and(Field::is_nullable);
    let mut fields = vec![Field::new(QUARTER, timestamp_type(), false)];
    fields.extend(DIMENSIONS.map(|name| Field::new(name, DataType::Utf8, may_be_null(name))));
    fields.push(Field::new("cache_hit", DataType::Boolean, true));
    for name in [CALLS, PRICED_CALLS, TIMED_CALLS] {
        fields.push(Field::new(name, DataType::Int64, false));
    }
    fields.extend(Count::ALL.map(|count| Field::new(count.column(), DataType::Int64, false)));
    fields.extend(MONEY.map(|name| Field::new(name, DataType::Decimal128(SUM_PRECISION, money::SCALE), true)));
    fields.push(Field::new(LATENCY, DataType::Int64, true));
    fields.push(Field::new(LATENCY_SKETCH, DataType::Binary, true));
    Arc::new(Schema::new(fields))
}

/// The schema of the table: the file's columns and, last, the partition column `date`.
#[must_use]
pub fn table_schema() -> SchemaRef {
    let mut fields = file_schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
    fields.push(Field::new(DATE, DataType::Date32, true));
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use super::{DIMENSIONS, file_schema};
    use crate::table::usage;

    #[test]
    fn dimensions_are_columns_of_usage_and_name_nobody() {
        let schema = usage::file_schema();
        for name in DIMENSIONS {
            assert!(schema.column_with_name(name).is_some(), "{name}");
            assert!(!usage::PERSONAL.contains(&name), "{name}");
        }
        assert_eq!(file_schema().fields().len(), 1 + DIMENSIONS.len() + 1 + 3 + 11 + 9 + 2);
    }
}
