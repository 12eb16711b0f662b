//! How rows of `usage` are summed up. In: the name of a table of them. Out: SQL that makes rows of `usage_rollup`. Pure.

use spendstream_schemas::count::Count;
use spendstream_schemas::table::rollup::{
    CALLS, DIMENSIONS, LATENCY, LATENCY_SKETCH, PRICED_CALLS, QUARTER, TIMED_CALLS,
};
use spendstream_schemas::table::usage::MONEY;

use crate::latency::SKETCH;

/// Start of the quarter-hour of an event, in SQL over `usage`; by itself the engine would give it in nanoseconds.
pub const QUARTER_OF: &str =
    "arrow_cast(date_bin(INTERVAL '15 minutes', event_time), 'Timestamp(Microsecond, Some(\"UTC\"))')";

/// A query over `table`, which has the columns of `usage`: one row per quarter-hour and dimensions, its columns named and ordered as in
/// `table::rollup::file_schema()`. The session must know the functions of [`crate::latency::register`]. Types are those of that schema but for
/// columns that SQL thinks may be null.
#[must_use]
pub fn query(table: &str) -> String {
    let keys: Vec<&str> = DIMENSIONS.into_iter().chain(["cache_hit"]).collect();
    let sums: Vec<String> =
        Count::ALL.iter().map(|count| count.column()).chain(MONEY).chain([LATENCY]).map(sum).collect();
    format!(
        "SELECT {QUARTER_OF} AS {QUARTER}, {keys}, count(*) AS {CALLS}, count(cost) AS {PRICED_CALLS}, \
         count({LATENCY}) AS {TIMED_CALLS}, {sums}, {SKETCH}({LATENCY}) AS {LATENCY_SKETCH} \
         FROM {table} GROUP BY {QUARTER_OF}, {keys}",
        keys = keys.join(", "),
        sums = sums.join(", "),
    )
}

fn sum(column: &str) -> String {
    format!("sum({column}) AS {column}")
}
