//! Whether sums of sealed rows are those of the rows, to the last digit. In: a view of all tables. Out: [`Rollups`]. Day by day, so that memory is bounded.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use deltalake_core::DeltaTable;
use spendstream_lake::files;
use spendstream_lake::rollup;
use spendstream_lake::tiered::{self, Tiered};
use spendstream_lake::visible::split;
use spendstream_schemas::count::Count;
use spendstream_schemas::lake_path::ROLLUP_TABLE;
use spendstream_schemas::money::SCALE;
use spendstream_schemas::table::rollup::{
    CALLS, DIMENSIONS, LATENCY, LATENCY_SKETCH, PRICED_CALLS, QUARTER, SUM_PRECISION, TIMED_CALLS,
};
use spendstream_schemas::table::usage::MONEY;

use super::figures::EXAMPLES;
use crate::lake::error::LakeError;
use crate::lake::log::Log;
use crate::lake::view::{LakeView, failed, quoted};

/// What comparing sums with rows gave.
#[derive(Clone, Debug, Default)]
pub struct Rollups {
    /// Sealed files that have no sums: their rows are read instead.
    pub without: usize,
    pub files: usize,
    pub days: usize,
    /// Groups that are not the same, with their day.
    pub different: Vec<String>,
    pub different_groups: u64,
}

/// Compares every sum with its rows.
///
/// # Errors
/// When the lake cannot be read.
pub async fn compare(view: &LakeView) -> Result<Rollups, LakeError> {
    let broken = |error: &dyn std::fmt::Display| failed(&view.lake, error);
    let sealed = view.files().filter(|file| file.seal.is_some()).count();
    let Some(state) = Log::of(&view.lake, ROLLUP_TABLE).load().await? else {
        return Ok(Rollups { without: sealed, ..Rollups::default() });
    };
    let mut table = DeltaTable::new(view.lake.log_store(ROLLUP_TABLE));
    table.load_version(state.version).await.map_err(|error| broken(&error))?;
    let sums = files::files(&table).map_err(|error| broken(&error))?;
    let visible: Vec<Vec<_>> = view.places.iter().map(|place| place.files.iter().collect()).collect();
    let split = split(&visible, &sums);
    let context = view.session();
    let chosen = tiered::scan(&table, &context.state(), Some(split.sums.clone())).map_err(|error| broken(&error))?;
    context.register_table(ROLLUP_TABLE, chosen).map_err(|error| broken(&error))?;
    let mut parts: Vec<Arc<dyn TableProvider>> = Vec::new();
    for (place, rows) in view.places.iter().zip(&split.rows) {
        let rows: BTreeSet<&String> = rows.iter().collect();
        let summed = place.files.iter().map(|file| file.path.clone()).filter(|path| !rows.contains(path)).collect();
        parts.push(place.scan_of(&context, Some(summed)).map_err(|error| broken(&error))?);
    }
    let summed = Tiered::new(parts).map_err(|error| broken(&error))?;
    context.register_table("summed", Arc::new(summed)).map_err(|error| broken(&error))?;

    let used: BTreeSet<&str> = split.sums.iter().map(String::as_str).collect();
    let days: BTreeSet<&str> =
        sums.iter().filter(|file| used.contains(file.path.as_str())).map(|file| file.date.as_str()).collect();
    let without = split.rows.iter().flatten().collect::<BTreeSet<_>>();
    let without = view.files().filter(|file| file.seal.is_some() && without.contains(&file.path)).count();
    let mut found = Rollups { without, files: used.len(), days: days.len(), ..Rollups::default() };
    for date in days {
        let different = view.integers(&differences(date)).await?.first().copied().unwrap_or(0);
        if different > 0 {
            found.different_groups += u64::try_from(different).unwrap_or(0);
            if found.different.len() < EXAMPLES {
                found.different.push(format!("{date}: {different} groups"));
            }
        }
    }
    Ok(found)
}

/// How many groups of a day are in the sums or in the rows only.
fn differences(date: &str) -> String {
    let dimensions = DIMENSIONS.join(", ");
    let sums = [CALLS, PRICED_CALLS, TIMED_CALLS].into_iter().chain(Count::ALL.map(Count::column));
    let sums: Vec<String> = sums.map(|name| format!("sum({name}) AS {name}")).collect();
    let money =
        MONEY.map(|name| format!("CAST(sum({name}) AS DECIMAL({SUM_PRECISION}, {SCALE})) AS {name}")).join(", ");
    let day = format!("date = CAST({} AS DATE)", quoted(date));
    let merged = format!(
        "SELECT {QUARTER}, {dimensions}, cache_hit, {}, {money}, sum({LATENCY}) AS {LATENCY}, \
         merge_sketches({LATENCY_SKETCH}) AS {LATENCY_SKETCH} FROM {ROLLUP_TABLE} WHERE {day} \
         GROUP BY {QUARTER}, {dimensions}, cache_hit",
        sums.join(", ")
    );
    let rows = rollup::query(&format!("(SELECT * FROM summed WHERE {day})"));
    let counts = Count::ALL.map(Count::column).join(", ");
    let all = format!(
        "{QUARTER}, {dimensions}, cache_hit, {CALLS}, {PRICED_CALLS}, {TIMED_CALLS}, {counts}, {}, {LATENCY}, {LATENCY_SKETCH}",
        MONEY.join(", ")
    );
    format!(
        "SELECT count(*) FROM (SELECT 1 FROM (SELECT {all} FROM ({merged}) UNION ALL SELECT {all} FROM ({rows})) \
         GROUP BY {all} HAVING count(*) <> 2)"
    )
}
