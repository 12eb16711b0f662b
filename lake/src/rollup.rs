//! How rows of `usage` become sums of `usage_rollup`. In: a table's name. Out: SQL. Pure.

use spendstream_schemas::count::Count;
use spendstream_schemas::money::SCALE;
use spendstream_schemas::table::rollup::{
    CALLS, DIMENSIONS, LATENCY, LATENCY_SKETCH, PRICED_CALLS, QUARTER, SUM_PRECISION, TIMED_CALLS,
};
use spendstream_schemas::table::usage::MONEY;

/// Sums of all rows of a table with the columns of `usage`, in the columns of `usage_rollup`'s files.
#[must_use]
pub fn query(table: &str) -> String {
    let dimensions = DIMENSIONS.join(", ");
    let counts = Count::ALL.map(|count| format!("sum({0}) AS {0}", count.column())).join(", ");
    let money =
        MONEY.map(|name| format!("CAST(sum({name}) AS DECIMAL({SUM_PRECISION}, {SCALE})) AS {name}")).join(", ");
    format!(
        "SELECT date_bin(INTERVAL '15 minutes', event_time) AS {QUARTER}, {dimensions}, cache_hit, \
         count(*) AS {CALLS}, count(cost) AS {PRICED_CALLS}, count({LATENCY}) AS {TIMED_CALLS}, {counts}, {money}, \
         sum({LATENCY}) AS {LATENCY}, latency_sketch({LATENCY}) AS {LATENCY_SKETCH} \
         FROM {table} GROUP BY date_bin(INTERVAL '15 minutes', event_time), {dimensions}, cache_hit"
    )
}
