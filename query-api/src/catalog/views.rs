//! Views that analysts expect beside the tables. In comes the time zone that months are counted in, and whether there are charges; out comes SQL.

use chrono_tz::Tz;
use spendstream_schemas::table::{charges, decisions, usage};

/// Views by day and one dimension, with what that is in `spend`.
const BY: [(&str, &str); 12] = [
    ("spend_by_organization", "organization"),
    ("spend_by_team", "team"),
    ("spend_by_department", "department"),
    ("spend_by_cost_center", "cost_center"),
    ("spend_by_project", "project"),
    ("spend_by_user", "user_id"),
    ("spend_by_customer", "customer"),
    ("spend_by_app", "app"),
    ("spend_by_feature", "feature"),
    ("spend_by_environment", "environment"),
    ("spend_by_provider", "provider"),
    ("spend_by_model", "coalesce(model_id, model) AS model"),
];
/// What all of them sum up.
const SUMS: &str = "sum(calls) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost) AS cost, \
     sum(cache_savings) AS cache_savings, sum(CASE WHEN price_status = 'unpriced' THEN calls ELSE 0 END) AS unpriced_calls";

/// Spend by day (UTC) and these columns of it, which may have other names.
fn by_day(columns: &[&str]) -> String {
    let plain = columns.iter().map(|column| column.split(" AS ").next().unwrap_or(column));
    let plain: Vec<_> = plain.collect();
    format!(
        "SELECT date, {}, currency, {SUMS} FROM spend GROUP BY date, {}, currency",
        columns.join(", "),
        plain.join(", ")
    )
}

/// Columns of `spend` that no call has, with what they are for a call.
const OF_CHARGES: [(&str, &str); 9] = [
    ("charge_id", "CAST(NULL AS VARCHAR)"),
    ("charge_class", "CAST(NULL AS VARCHAR)"),
    ("period_start", "CASE WHEN false THEN event_time END"),
    ("period_end", "CASE WHEN false THEN event_time END"),
    ("service_name", "CAST(NULL AS VARCHAR)"),
    ("reason", "CAST(NULL AS VARCHAR)"),
    ("charge_source", "CAST(NULL AS VARCHAR)"),
    ("statement_id", "CAST(NULL AS VARCHAR)"),
    ("corrects", "CAST(NULL AS VARCHAR)"),
];

/// Name and definition, in an order in which each only needs those before it.
///
/// Without charges `spend` is `usage` alone, so that sums of it come from the rollup.
#[must_use]
pub fn views(timezone: Tz, has_charges: bool) -> Vec<(&'static str, String)> {
    let mut views = vec![
        // What decide answered, with what the call cost in the end.
        ("decisions_with_cost", decisions::WITH_ACTUAL_COST.to_owned()),
        // Everything that costs money.
        ("spend", spend(timezone, has_charges)),
        (
            "spend_by_day",
            by_day(&["organization", "team", "project", "provider", "coalesce(model_id, model) AS model"]),
        ),
    ];
    views.extend(BY.map(|(name, column)| (name, by_day(&[column]))));
    views.push((
        "spend_by_month",
        format!("SELECT billing_period, currency, {SUMS} FROM spend GROUP BY billing_period, currency"),
    ));
    views
}

/// Calls and charges with one set of columns: those of `usage`, and then those of a charge. `cost` and `amount` are the same money, `calls` is 1
/// for a call, and `event_time` the moment it counts at.
fn spend(timezone: Tz, has_charges: bool) -> String {
    let mut calls = format!(
        "SELECT *, 'Usage' AS charge_category, cost AS amount, CAST(1 AS BIGINT) AS calls, {} AS billing_period",
        month("event_time", timezone)
    );
    let nothing = OF_CHARGES.map(|(name, nothing)| format!(", {nothing} AS {name}"));
    calls.extend(nothing);
    calls.push_str(" FROM usage");
    if !has_charges {
        return calls;
    }
    let schema = usage::table_schema();
    let mut columns: Vec<String> = schema.fields().iter().map(|field| charged(field.name())).collect();
    columns.extend(["charge_category", "amount", "calls", "billing_period"].map(str::to_owned));
    columns.extend(OF_CHARGES.map(|(name, _)| match name {
        "charge_source" => "source AS charge_source".to_owned(),
        _ => name.to_owned(),
    }));
    format!("{calls} UNION ALL SELECT {} FROM charges", columns.join(", "))
}

/// What a column of `usage` is for a charge.
fn charged(name: &str) -> String {
    let own = charges::table_schema().column_with_name(name).is_some();
    match name {
        _ if own => name.to_owned(),
        "event_id" => "charge_id AS event_id".to_owned(),
        "event_time" => "charge_time AS event_time".to_owned(),
        "cost" => "amount AS cost".to_owned(),
        "ingest_time" => "recorded_at AS ingest_time".to_owned(),
        "price_status" => "'priced' AS price_status".to_owned(),
        "cost_quality" => "'exact' AS cost_quality".to_owned(),
        _ => format!("NULL AS {name}"),
    }
}

/// The month of a time as `2026-10`.
fn month(time: &str, timezone: Tz) -> String {
    let time = if timezone == Tz::UTC { time.to_owned() } else { format!("{time} AT TIME ZONE '{timezone}'") };
    format!("substr(CAST(date_trunc('month', {time}) AS VARCHAR), 1, 7)")
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use spendstream_schemas::count::Count;

    use super::{charged, spend};

    #[test]
    fn a_charge_has_the_counts_and_dimensions_of_a_call() {
        for name in ["team", "cost_center", "tags", "date", "currency", Count::Input.column()] {
            assert_eq!(charged(name), name);
        }
        assert_eq!(charged("list_cost"), "NULL AS list_cost");
        assert!(!spend(Tz::UTC, false).contains("charges"));
        assert!(spend(Tz::Europe__Berlin, true).contains("event_time AT TIME ZONE 'Europe/Berlin'"));
    }
}
