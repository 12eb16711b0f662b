//! The SQL of an export. In: a day and how fine. Out: one statement for the calls of that day, summed up by what makes a row, and one for its charges.
//!
//! A day at a time, so that what the query engine holds is bounded by a day; the day is the lake's partition, so that no other day is read.

use chrono::NaiveDate;
use spendstream_schemas::count::Count;
use spendstream_schemas::table::rollup::SUM_PRECISION;
use spendstream_schemas::table::usage::QUANTITY_SCALE;

use super::group::{PARTS, TEXTS};
use super::period::{Granularity, Period};
use super::row::DIMENSIONS;

/// Names of quantities in a period: those are columns of [`usage`].
#[must_use]
pub fn quantity_names(period: Period) -> String {
    format!(
        "SELECT DISTINCT unnest(map_keys(quantities)) AS name FROM usage WHERE date >= DATE '{}' AND date < DATE '{}' ORDER BY name",
        period.from(),
        period.to()
    )
}

/// The calls of a day.
#[must_use]
pub fn usage(day: NaiveDate, granularity: Granularity, quantities: &[String]) -> String {
    let mut keys: Vec<String> = vec![format!("date_trunc('{}', event_time) AS start", granularity.word())];
    keys.extend(TEXTS.map(|name| format!("{} AS \"{name}\"", text(name))));
    keys.push("tags".to_owned());
    keys.push("coalesce(cache_hit, false) AS cache_hit".to_owned());
    keys.push("coalesce(array_has(price_notes, 'thinking_price'), false) AS thinks".to_owned());
    let grouped: Vec<String> = (1..=keys.len()).map(|position| position.to_string()).collect();
    let sums = sums(quantities).join(", ");
    let names = TEXTS.map(|name| format!("\"{name}\"")).join(", ");
    let keys = keys.join(", ");
    format!(
        "SELECT CAST(arrow_cast(start, 'Timestamp(Microsecond, Some(\"UTC\"))') AS BIGINT) AS start_micros, {names}, tags, \
         CAST(cache_hit AS BIGINT) AS cache_hit, CAST(thinks AS BIGINT) AS thinks, * EXCLUDE (start, {names}, tags, cache_hit, thinks) \
         FROM (SELECT {keys}, {sums} FROM usage WHERE date = DATE '{day}' GROUP BY {}) ORDER BY start_micros",
        grouped.join(", ")
    )
}

fn text(name: &str) -> String {
    match name {
        "service_tier_sent" | "region_sent" | "model_answered" => format!("pricing_inputs['{name}']"),
        // Only a price that was looked for has a version that matters.
        name => format!("usage.{name}"),
    }
}

fn sums(quantities: &[String]) -> Vec<String> {
    // Whoever counts requests, or searches, is not charged by the call besides.
    let counted = ["request", "requests", "web_search_low", "web_search_high"]
        .map(|name| format!("quantities['{name}'] IS NULL"))
        .join(" AND ");
    let mut sums = vec![
        "count(*) AS calls".to_owned(),
        format!("sum(CASE WHEN web_searches = 0 AND {counted} THEN 1 ELSE 0 END) AS implied_requests"),
        "min(CAST(arrow_cast(event_time, 'Timestamp(Microsecond, Some(\"UTC\"))') AS BIGINT)) AS first_call".to_owned(),
        "min(input_tokens) AS least_input".to_owned(),
    ];
    sums.extend(Count::ALL.map(|count| format!("sum({0}) AS {0}", count.column())));
    sums.extend(quantities.iter().enumerate().map(|(position, name)| {
        let name = name.replace('\'', "''");
        format!("CAST(sum(quantities['{name}']) AS DECIMAL({SUM_PRECISION}, {QUANTITY_SCALE})) AS q{position}")
    }));
    sums.extend(PARTS.iter().chain(&["list_cost"]).map(|name| format!("sum({name}) AS {name}")));
    sums
}

/// The charges that count on a day.
#[must_use]
pub fn charges(day: NaiveDate) -> String {
    let micros = |column: &str, name: &str| {
        format!("CAST(arrow_cast({column}, 'Timestamp(Microsecond, Some(\"UTC\"))') AS BIGINT) AS {name}")
    };
    let times = [("charge_time", "time_micros"), ("period_start", "start_micros"), ("period_end", "end_micros")];
    let times = times.map(|(column, name)| micros(column, name)).join(", ");
    let texts = super::charge::TEXTS.join(", ");
    let dimensions = DIMENSIONS.map(|(name, _)| name).join(", ");
    format!(
        "SELECT {times}, amount, {texts}, {dimensions} FROM charges WHERE date = DATE '{day}' ORDER BY charge_time, charge_id"
    )
}
