//! One row of the export, in the words of FOCUS 1.2, and how a line of a group becomes one. Pure.

use chrono::DateTime;

use super::divide::Line;
use super::group::Group;
use super::names::{SUBCATEGORY, ascii, meter_title, provider_names, unit};
use super::period::month_of;
use super::price::{PricingQuantity, unit_price};

/// Microseconds since the epoch, UTC.
pub type Micros = i64;

/// See the module. Decimals in units of 10⁻¹⁵; `None` is null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub billing_account_id: String,
    /// Of [`invoice_id`].
    pub invoice_id: String,
    pub billing_currency: String,
    pub billing_period: (Micros, Micros),
    pub charge_period: (Micros, Micros),
    pub charge_category: String,
    pub charge_class: Option<String>,
    pub charge_description: String,
    pub charge_frequency: &'static str,
    pub billed_cost: i128,
    pub effective_cost: i128,
    pub list_cost: i128,
    pub contracted_cost: i128,
    pub list_unit_price: Option<i128>,
    pub contracted_unit_price: Option<i128>,
    pub consumed: Option<(i128, &'static str)>,
    pub pricing: Option<(i128, &'static str)>,
    pub pricing_category: Option<&'static str>,
    pub provider: String,
    pub service_name: String,
    pub service_subcategory: &'static str,
    pub region: Option<String>,
    pub sku_id: Option<String>,
    pub sku_meter: Option<String>,
    pub sku_price_id: Option<String>,
    pub sku_price_details: Option<String>,
    pub sub_account: Option<SubAccount>,
    pub tags: Option<String>,
    pub own: Own,
}

/// Who within the billing account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAccount {
    pub id: String,
    pub name: String,
    pub kind: &'static str,
}

/// The columns with `x_`: what FOCUS has no home for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// `priced`, `unpriced`, or `charge` for what is no call.
    pub price_status: &'static str,
    pub unpriced_reason: Option<String>,
    pub cost_quality: Option<String>,
    /// On the first line of a group, so that a sum counts each call once.
    pub calls: Option<i64>,
    pub meter: Option<String>,
    pub meter_split: Option<&'static str>,
    pub model: Option<String>,
    pub operation: Option<String>,
    pub service_tier: Option<String>,
    pub cache_hit: bool,
    /// As [`DIMENSIONS`].
    pub dimensions: [Option<String>; DIMENSIONS.len()],
    pub price_id: Option<String>,
    pub price_currency: Option<String>,
    pub price_book_version: Option<String>,
    pub charge_id: Option<String>,
    pub corrects: Option<String>,
    pub reason: Option<String>,
    pub source: Option<String>,
    pub statement_id: Option<String>,
}

/// Columns of the lake and of the export that say whose a charge is.
pub const DIMENSIONS: [(&str, &str); 10] = [
    ("organization", "x_Organization"),
    ("team", "x_Team"),
    ("department", "x_Department"),
    ("cost_center", "x_CostCenter"),
    ("project", "x_Project"),
    ("app", "x_App"),
    ("feature", "x_Feature"),
    ("agent", "x_Agent"),
    ("environment", "x_Environment"),
    ("task_type", "x_TaskType"),
];

/// The id of the provisional invoice that a charge is on: one per provider, billing account and month. No lake knows the provider's own ids.
#[must_use]
pub fn invoice_id(provider: &str, billing_account: &str, billing_period: (Micros, Micros)) -> String {
    let month = DateTime::from_timestamp_micros(billing_period.0).unwrap_or_default().format("%Y-%m");
    ascii(&format!("provisional/{provider}/{billing_account}/{month}"))
}

/// The team within its organization, or the organization alone.
#[must_use]
pub fn sub_account(organization: Option<&str>, team: Option<&str>) -> Option<SubAccount> {
    let (id, name, kind) = match (organization, team) {
        (Some(organization), Some(team)) => (format!("{organization}/{team}"), team, "Team"),
        (None, Some(team)) => (team.to_owned(), team, "Team"),
        (Some(organization), None) => (organization.to_owned(), organization, "Organization"),
        (None, None) => return None,
    };
    Some(SubAccount { id: ascii(&id), name: ascii(name), kind })
}

/// The row of a line; `period` is the length of the charge's period, `is_first` of the group's lines.
#[must_use]
pub fn usage_row(group: &Group, line: &Line, period: i64, is_first: bool) -> Row {
    let (provider, model) = (provider(group), model(group));
    let meter = line.meter.name.as_str();
    let unit = unit(meter);
    let quantity = PricingQuantity::of(line.meter.quantity, unit.per);
    let is_committed = group.text("pricing_category") == Some("committed");
    // What capacity that was paid for otherwise would have cost: the lake has no other figure for such calls.
    let contracted_cost = if is_committed { line.list_cost } else { line.cost };
    Row {
        charge_period: (group.start, group.start + period),
        charge_description: ascii(&description(group, meter, model)),
        billed_cost: line.cost,
        effective_cost: line.cost,
        list_cost: line.list_cost,
        contracted_cost,
        list_unit_price: Some(unit_price(line.list_cost, quantity)),
        contracted_unit_price: Some(unit_price(contracted_cost, quantity)),
        consumed: Some((quantity.consumed(), unit.consumed)),
        pricing: Some((quantity.units(), unit.pricing)),
        pricing_category: Some(match (group.is_priced(), is_committed) {
            (false, _) => "Other",
            (true, true) => "Committed",
            (true, false) => "Standard",
        }),
        sku_id: Some(ascii(&format!("{provider}/{model}/{meter}"))),
        sku_meter: Some(ascii(&meter_title(meter))),
        sku_price_id: Some(ascii(&price_id(group, provider, model, meter))),
        sku_price_details: details(group),
        own: own(group, line, is_first),
        ..whose(group, provider)
    }
}

/// What all lines of a group have in common: who bills whom for what.
fn whose(group: &Group, provider: &str) -> Row {
    let text = |name: &str| group.text(name);
    let account = text("billing_account").or(text("organization")).unwrap_or(provider);
    let (provider_name, service_name) = provider_names(provider);
    let billing_period = month_of(group.start);
    Row {
        billing_account_id: ascii(account),
        invoice_id: invoice_id(provider, account, billing_period),
        billing_currency: text("currency").unwrap_or_default().to_owned(),
        billing_period,
        charge_category: "Usage".to_owned(),
        charge_frequency: "Usage-Based",
        provider: ascii(&provider_name),
        service_name: ascii(&service_name),
        service_subcategory: SUBCATEGORY,
        region: text("region").map(ascii),
        sub_account: sub_account(text("organization"), text("team")),
        tags: group.tags.as_deref().map(ascii),
        ..Row::default()
    }
}

fn provider(group: &Group) -> &str {
    group.text("provider").or(group.text("provider_sent")).unwrap_or("unknown")
}

fn model(group: &Group) -> &str {
    group.text("model_id").or(group.text("model")).unwrap_or("unknown")
}

/// Loud about what has no price: its cost of zero is none.
fn description(group: &Group, meter: &str, model: &str) -> String {
    let title = meter_title(meter);
    let hit = if group.cache_hit { ", answered from a cache" } else { "" };
    if group.is_priced() {
        return format!("{title}, {model}{hit}");
    }
    let reason = group.text("unpriced_reason").unwrap_or("unknown");
    format!("UNPRICED ({reason}): {title}, {model}; its cost is not known and not in any sum")
}

/// The list price in the book, whoever pays it: overrides are in `x_PriceId`.
fn price_id(group: &Group, provider: &str, model: &str, meter: &str) -> String {
    let listed = group.text("price_id").map(|id| id.split_once(";override=").map_or(id, |(listed, _)| listed));
    match listed {
        Some(listed) => format!("{listed};meter={meter}"),
        None => format!("{provider}/{model};unpriced;meter={meter}"),
    }
}

fn details(group: &Group) -> Option<String> {
    let named = [("x_ServiceTier", group.text("service_tier")), ("x_Operation", group.text("operation"))];
    let details: serde_json::Map<String, serde_json::Value> =
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), ascii(value?).into()))).collect();
    (!details.is_empty()).then(|| serde_json::Value::Object(details).to_string())
}

fn own(group: &Group, line: &Line, is_first: bool) -> Own {
    let owned = |name: &str| group.text(name).map(str::to_owned);
    Own {
        price_status: if group.is_priced() { "priced" } else { "unpriced" },
        unpriced_reason: owned("unpriced_reason"),
        cost_quality: owned("cost_quality"),
        calls: is_first.then_some(group.calls),
        meter: Some(line.meter.name.clone()),
        meter_split: group.is_priced().then(|| line.manner.word()),
        model: owned("model_id").or_else(|| owned("model")),
        operation: owned("operation"),
        service_tier: owned("service_tier"),
        cache_hit: group.cache_hit,
        dimensions: DIMENSIONS.map(|(name, _)| owned(name)),
        price_id: owned("price_id"),
        price_currency: owned("price_currency"),
        price_book_version: owned("price_book_version"),
        ..Own::default()
    }
}
