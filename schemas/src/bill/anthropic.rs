//! Anthropic's cost report. In: pages of `GET /v1/organizations/cost_report`, one or many, best grouped by `description`. Out: lines. Its amounts are in
//! the currency's smallest unit (cents), as decimal texts.

use rust_decimal::Decimal;
use serde::Deserialize;

use super::{BillLine, Meter, day, decimal, usage};

#[derive(Deserialize)]
struct Page {
    data: Vec<Bucket>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Bucket {
    starting_at: String,
    results: Vec<Cost>,
}

#[derive(Deserialize)]
struct Cost {
    amount: String,
    currency: String,
    model: Option<String>,
    token_type: Option<String>,
    #[serde(rename = "cost_type")]
    kind: Option<String>,
}

pub(super) fn read(text: &str) -> Result<Vec<(BillLine, String)>, String> {
    let mut lines = Vec::new();
    let mut more = false;
    for page in serde_json::Deserializer::from_str(text).into_iter::<Page>() {
        let page = page.map_err(|error| format!("the JSON is no page of Anthropic's cost report: {error}"))?;
        more = page.has_more;
        for bucket in page.data {
            let date = day(&bucket.starting_at)?;
            for cost in bucket.results {
                let cents = decimal(&cost.amount).map_err(|why| format!("the costs of {date}: {why}"))?;
                let meter = match (&cost.token_type, &cost.kind) {
                    (Some(tokens), _) => Some(Meter::guess(tokens)),
                    (None, Some(_)) => Some(Meter::Other),
                    (None, None) => None,
                };
                let amount = cents / Decimal::ONE_HUNDRED;
                lines.push((
                    BillLine { date, model: cost.model, meter, amount, quantity: None, category: usage() },
                    cost.currency,
                ));
            }
        }
    }
    if more {
        return Err("the last page says has_more: fetch the pages after it too, and put them into one file".to_owned());
    }
    Ok(lines)
}
