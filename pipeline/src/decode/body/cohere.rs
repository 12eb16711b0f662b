//! Cohere: what it bills (`billed_units`), not what the model saw (`tokens`).

use rust_decimal::Decimal;

use super::super::field::count_of;
use super::super::json::Node;
use super::super::parts::Parts;
use super::super::reject::Fault;
use super::Reading;

pub(super) fn usage<'n>(usage: &'n Node<'_>) -> Result<Reading<'n>, Fault> {
    let Some(billed) = usage.get("billed_units") else { return Ok(Reading::default()) };
    let image = count_of(billed, "image_tokens")?.unwrap_or(0);
    let mut parts = Parts {
        input: count_of(billed, "input_tokens")?.map(|text| text.saturating_add(image)),
        output: count_of(billed, "output_tokens")?,
        image_in: image,
        ..Parts::default()
    };
    if let Some(searches) = count_of(billed, "search_units")? {
        parts.add_quantity("query", Decimal::from(searches));
    }
    Ok(Reading { parts, ..Reading::default() })
}
