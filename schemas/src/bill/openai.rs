//! OpenAI's costs. In: pages of `GET /v1/organization/costs`, one or many, best grouped by `line_item`. Out: lines. Amounts are read as they are written,
//! never as floats.

use chrono::DateTime;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{BillLine, Meter, decimal, usage};

#[derive(Deserialize)]
struct Page {
    data: Vec<Bucket>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Bucket {
    start_time: i64,
    results: Vec<Cost>,
}

#[derive(Deserialize)]
struct Cost {
    amount: Amount,
    line_item: Option<String>,
    quantity: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Amount {
    value: Box<RawValue>,
    currency: String,
}

pub(super) fn read(text: &str) -> Result<Vec<(BillLine, String)>, String> {
    let mut lines = Vec::new();
    let mut more = false;
    for page in serde_json::Deserializer::from_str(text).into_iter::<Page>() {
        let page = page.map_err(|error| format!("the JSON is no page of OpenAI's costs: {error}"))?;
        more = page.has_more;
        for bucket in page.data {
            let start = DateTime::from_timestamp(bucket.start_time, 0);
            let date = start.ok_or_else(|| format!("start_time {} is no time", bucket.start_time))?.date_naive();
            for cost in bucket.results {
                lines.push((line(date, &cost)?, cost.amount.currency));
            }
        }
    }
    if more {
        return Err("the last page says has_more: fetch the pages after it too, and put them into one file".to_owned());
    }
    Ok(lines)
}

/// A line item is called `gpt-4o-2024-08-06, input`.
fn line(date: chrono::NaiveDate, cost: &Cost) -> Result<BillLine, String> {
    let item = cost.line_item.as_deref();
    let (model, meter) = match item.map(|item| item.rsplit_once(", ").unwrap_or((item, "other"))) {
        Some((model, meter)) => (Some(model.to_owned()), Some(Meter::guess(meter))),
        None => (None, None),
    };
    let number = |raw: &RawValue| decimal(raw.get()).map_err(|why| format!("the costs of {date}: {why}"));
    let quantity = cost.quantity.as_deref().filter(|raw| raw.get() != "null").map(number).transpose()?;
    Ok(BillLine { date, model, meter, amount: number(&cost.amount.value)?, quantity, category: usage() })
}
