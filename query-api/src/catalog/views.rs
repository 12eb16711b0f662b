//! Views that analysts expect beside the tables. In comes the time zone that months are counted in, and whether there are charges; out comes SQL.

use chrono_tz::Tz;
use spendstream_schemas::table::{charges, decisions, usage};

/// By day, over calls alone.
const BY_DAY: &str = "SELECT date, organization, team, project, provider, coalesce(model_id, model) AS model, currency, \
     count(*) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, \
     sum(cost) AS cost, sum(cache_savings) AS cache_savings, \
     sum(CASE WHEN price_status = 'unpriced' THEN 1 ELSE 0 END) AS unpriced_calls \
     FROM usage GROUP BY date, organization, team, project, provider, coalesce(model_id, model), currency";

/// Columns of `spend` that no call has, with what they are for a call.
const OF_CHARGES: [(&str, &str); 9] = [
    ("charge_id", "VARCHAR"),
    ("charge_class", "VARCHAR"),
    ("period_start", "TIMESTAMP WITH TIME ZONE"),
    ("period_end", "TIMESTAMP WITH TIME ZONE"),
    ("service_name", "VARCHAR"),
    ("reason", "VARCHAR"),
    ("charge_source", "VARCHAR"),
    ("statement_id", "VARCHAR"),
    ("corrects", "VARCHAR"),
];

/// Name and definition, in an order in which each only needs those before it.
///
/// Without charges `spend` is `usage` alone, so that sums of it come from the rollup.
#[must_use]
pub fn views(timezone: Tz, has_charges: bool) -> Vec<(&'static str, String)> {
    vec![
        // What decide answered, with what the call cost in the end.
        ("decisions_with_cost", decisions::WITH_ACTUAL_COST.to_owned()),
        // Everything that costs money.
        ("spend", spend(timezone, has_charges)),
        ("spend_by_day", BY_DAY.to_owned()),
    ]
}

/// Calls and charges with one set of columns: those of `usage`, and then those of a charge. `cost` and `amount` are the same money, `calls` is 1
/// for a call, and `event_time` the moment it counts at.
fn spend(timezone: Tz, has_charges: bool) -> String {
    let mut calls = format!(
        "SELECT *, 'Usage' AS charge_category, cost AS amount, CAST(1 AS BIGINT) AS calls, {} AS billing_period",
        month("event_time", timezone)
    );
    let nothing = OF_CHARGES.map(|(name, kind)| format!(", CAST(NULL AS {kind}) AS {name}"));
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
