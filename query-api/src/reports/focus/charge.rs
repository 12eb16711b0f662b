//! Rows of the table `charges`: money that is no call. In: rows of the answer of [`super::query::charges`]. Out: rows of the export. Pure.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_schemas::money;

use super::group::Columns;
use super::names::{SUBCATEGORY, ascii, provider_names};
use super::period::{Period, month_of};
use super::price::{PricingQuantity, unit_price};
use super::row::{DIMENSIONS, Own, Row, invoice_id, sub_account};

/// Texts of a charge besides its dimensions.
pub const TEXTS: [&str; 17] = [
    "charge_id",
    "charge_category",
    "charge_class",
    "billing_period",
    "currency",
    "provider",
    "service_name",
    "model_id",
    "operation",
    "billing_account",
    "service_tier",
    "region",
    "reason",
    "source",
    "statement_id",
    "corrects",
    "tags",
];

/// One row, as texts and figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Charge {
    texts: [Option<String>; TEXTS.len()],
    dimensions: [Option<String>; DIMENSIONS.len()],
    time: i64,
    period: (i64, i64),
    amount: i128,
}

/// The rows of an answer, in its order.
///
/// # Errors
/// When a column is missing or of another type than the query gives it.
pub fn rows(batch: &RecordBatch) -> Result<Vec<Row>, ArrowError> {
    let columns = Columns(batch);
    let mut charges = vec![Charge::default(); batch.num_rows()];
    for (position, name) in TEXTS.iter().enumerate() {
        let texts = columns.texts(name)?;
        charges.iter_mut().zip(texts).for_each(|(charge, text)| charge.texts[position] = text);
    }
    for (position, (name, _)) in DIMENSIONS.iter().enumerate() {
        let texts = columns.texts(name)?;
        charges.iter_mut().zip(texts).for_each(|(charge, text)| charge.dimensions[position] = text);
    }
    columns.whole("time_micros", |row, value| charges[row].time = value)?;
    columns.whole("start_micros", |row, value| charges[row].period.0 = value)?;
    columns.whole("end_micros", |row, value| charges[row].period.1 = value)?;
    columns.exact("amount", money::SCALE, |row, value| charges[row].amount = value)?;
    Ok(charges.iter().map(row).collect())
}

impl Charge {
    fn text(&self, name: &str) -> Option<&str> {
        let position = TEXTS.iter().position(|known| *known == name)?;
        self.texts[position].as_deref()
    }

    /// The month it counts in by its own word, else that of its time.
    fn billing_period(&self) -> (i64, i64) {
        let month = self.text("billing_period").and_then(|month| Period::of(Some(month), None, None).ok());
        month.map_or_else(
            || month_of(self.time),
            |month| (super::period::at_midnight(month.from()), super::period::at_midnight(month.to())),
        )
    }

    fn description(&self) -> String {
        let (category, source) =
            (self.text("charge_category").unwrap_or_default(), self.text("source").unwrap_or_default());
        match self.text("reason") {
            Some(reason) => format!("{category} by {source}: {reason}"),
            None => format!("{category} by {source}"),
        }
    }
}

/// A charge has one amount: list, contracted, billed and effective cost are the same, but for a purchase.
fn row(charge: &Charge) -> Row {
    let owned = |name: &str| charge.text(name).map(str::to_owned);
    let category = charge.text("charge_category").unwrap_or("Adjustment");
    let source = charge.text("source").unwrap_or("charges");
    let provider = charge.text("provider").unwrap_or(source);
    let (provider_name, service_name) = provider_names(provider);
    let service_name = owned("service_name").unwrap_or(service_name);
    let is_usage = category == "Usage";
    // What is used or bought has a price; money that goes back is a price for less than nothing.
    let is_priced = is_usage || category == "Purchase";
    let quantity = PricingQuantity::one(charge.amount < 0);
    let price = is_priced.then(|| unit_price(charge.amount, quantity));
    let [organization, team, ..] = &charge.dimensions;
    let account = charge.text("billing_account").or(organization.as_deref()).unwrap_or(provider);
    Row {
        billing_account_id: ascii(account),
        invoice_id: invoice_id(provider, account, charge.billing_period()),
        billing_currency: owned("currency").unwrap_or_default(),
        billing_period: charge.billing_period(),
        charge_period: charge.period,
        charge_category: category.to_owned(),
        charge_class: owned("charge_class"),
        charge_description: ascii(&charge.description()),
        charge_frequency: if is_usage { "Usage-Based" } else { "One-Time" },
        billed_cost: charge.amount,
        // What was bought is effective where it is used, as FOCUS has it.
        effective_cost: if category == "Purchase" { 0 } else { charge.amount },
        list_cost: charge.amount,
        contracted_cost: charge.amount,
        list_unit_price: price,
        contracted_unit_price: price,
        consumed: is_usage.then(|| (quantity.consumed(), "Units")),
        pricing: is_priced.then(|| (quantity.units(), "Units")),
        pricing_category: is_priced.then_some("Other"),
        provider: ascii(&provider_name),
        service_name: ascii(&service_name),
        service_subcategory: SUBCATEGORY,
        region: charge.text("region").map(ascii),
        sku_id: is_priced.then(|| ascii(&format!("{provider}/{source}"))),
        sku_meter: is_priced.then(|| "Units".to_owned()),
        sku_price_id: is_priced.then(|| ascii(&format!("{provider}/{source};charge"))),
        sku_price_details: None,
        sub_account: sub_account(organization.as_deref(), team.as_deref()),
        tags: charge.text("tags").filter(|tags| *tags != "{}").map(ascii),
        own: Own {
            price_status: "charge",
            model: owned("model_id"),
            operation: owned("operation"),
            service_tier: owned("service_tier"),
            dimensions: charge.dimensions.clone(),
            charge_id: owned("charge_id"),
            corrects: owned("corrects"),
            reason: owned("reason"),
            source: owned("source"),
            statement_id: owned("statement_id"),
            ..Own::default()
        },
    }
}
