//! Views that analysts expect beside the tables. In comes nothing, out comes SQL; never depends on data.

use spendstream_schemas::table::decisions;

/// Name and definition, in an order in which each only needs those before it.
pub const VIEWS: [(&str, &str); 3] = [
    // What decide answered, with what the call cost in the end.
    ("decisions_with_cost", decisions::WITH_ACTUAL_COST),
    // Everything that costs money. Today that is usage alone.
    ("spend", "SELECT *, 'Usage' AS charge_category, cost AS amount FROM usage"),
    (
        "spend_by_day",
        "SELECT date, organization, team, project, provider, coalesce(model_id, model) AS model, currency, \
         count(*) AS calls, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, \
         sum(cost) AS cost, sum(cache_savings) AS cache_savings, \
         sum(CASE WHEN price_status = 'unpriced' THEN 1 ELSE 0 END) AS unpriced_calls \
         FROM usage GROUP BY date, organization, team, project, provider, coalesce(model_id, model), currency",
    ),
];
