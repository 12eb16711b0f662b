//! What POST, PATCH and a budgets file carry, exactly as typed, and how it becomes a [`Budget`].
//!
//! Every problem is found, not just the first. A field that is absent keeps what the budget had; `null` puts the default
//! back. Fields that the store sets may be repeated unchanged, so that what was read can be sent back.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::definition::{AmountsBy, Budget, Increase};
use super::period::{Period, PeriodRule};
pub use super::reader::Problem;
use super::reader::{Reader, addresses, currency, date, flag, money, object, percent, percents, text, time};
use super::scope::{Scope, nearest};

/// The fields as they came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BudgetDraft(pub Map<String, Value>);

/// What a draft does not say.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The id that the budget has or gets.
    pub id: &'a str,
    /// The lake's currency, for a draft without one.
    pub currency: &'a str,
    pub now: DateTime<Utc>,
}

/// Fields that can be written.
const FIELDS: [&str; 19] = [
    "name",
    "scope",
    "period",
    "timezone",
    "starts_on",
    "amount",
    "currency",
    "thresholds",
    "forecast_thresholds",
    "hard_limit",
    "hard_limit_percent",
    "active",
    "additive",
    "include_missing",
    "amounts_by",
    "valid_from",
    "valid_until",
    "increase",
    "owner",
];
/// Set by the store.
const OWN: [&str; 5] = ["id", "revision", "reset_at", "created_at", "updated_at"];

impl BudgetDraft {
    /// The budget that the draft makes, new or out of `existing`.
    ///
    /// # Errors
    /// Every problem of the draft, one line each.
    pub fn check(&self, existing: Option<&Budget>, context: &Context) -> Result<Budget, Vec<Problem>> {
        let mut budget = existing.cloned().unwrap_or_else(|| blank(context));
        budget.updated_at = context.now;
        let mut reader = Reader::new(&self.0);
        self.names(&budget, &mut reader);
        let new = existing.is_none();
        reader.must("name", new, &mut budget.name, text);
        what(&mut budget, new, &mut reader);
        when(&mut budget, new, &mut reader);
        how_much(&mut budget, new, context, &mut reader);
        rules(&mut budget, &mut reader);
        if reader.problems.is_empty() {
            contradictions(&budget, context, &mut reader);
        }
        if let Some(before) = existing
            && !budget.same_rules(before)
        {
            budget.revision += 1;
        }
        if reader.problems.is_empty() { Ok(budget) } else { Err(reader.problems) }
    }

    /// Field names that are none, and values of the store's own fields that differ from what it has.
    fn names(&self, budget: &Budget, reader: &mut Reader) {
        let kept = serde_json::to_value(budget).unwrap_or_default();
        for (field, value) in &self.0 {
            if OWN.contains(&field.as_str()) {
                // A time may be spelled in several ways; only the id tells budgets apart.
                if field == "id" && kept.get(field) != Some(value) {
                    reader.problem(field, format!("is {value}; this budget's id is '{}'", budget.id));
                }
            } else if !FIELDS.contains(&field.as_str()) && field != "contacts" {
                let near = nearest(field, FIELDS.into_iter().chain(["contacts"]));
                let hint = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
                reader.problem(field, format!("is no field of a budget{hint}"));
            }
        }
    }
}

fn blank(context: &Context) -> Budget {
    Budget {
        id: context.id.to_owned(),
        revision: 1,
        name: String::new(),
        scope: Scope::default(),
        period: PeriodRule { period: Period::Monthly, timezone: Tz::UTC, starts_on: None },
        amount: Decimal::ZERO,
        currency: context.currency.to_owned(),
        thresholds: default_thresholds(),
        forecast_thresholds: Vec::new(),
        hard_limit: false,
        hard_limit_percent: Decimal::ONE_HUNDRED,
        active: true,
        additive: false,
        include_missing: false,
        amounts_by: None,
        valid_from: None,
        valid_until: None,
        increase: None,
        reset_at: None,
        owner: None,
        contacts: Vec::new(),
        created_at: context.now,
        updated_at: context.now,
    }
}

fn default_thresholds() -> Vec<Decimal> {
    [50, 80, 95, 100].map(Decimal::from).to_vec()
}

fn what(budget: &mut Budget, new: bool, reader: &mut Reader) {
    let mut problems = Vec::new();
    let mut pairs = Vec::new();
    let mut given = Value::Null;
    reader.must("scope", new, &mut given, |value| object(value).map(|_| value.clone()));
    if let Value::Object(map) = &given {
        for (name, value) in map {
            match value.as_str() {
                Some(value) => pairs.push((name.as_str(), value)),
                None => problems.push(format!("has {value} for '{name}'; write a text")),
            }
        }
        match Scope::new(pairs) {
            Ok(scope) => budget.scope = scope,
            Err(errors) => problems.extend(errors.iter().map(|error| format!("is wrong: {error}"))),
        }
    }
    for problem in problems {
        reader.problem("scope", problem);
    }
    reader.set("additive", &mut budget.additive, false, flag);
    reader.set("include_missing", &mut budget.include_missing, false, flag);
}

fn when(budget: &mut Budget, new: bool, reader: &mut Reader) {
    reader.must("period", new, &mut budget.period.period, |value| {
        text(value)?.parse::<Period>().map_err(|error| format!("is wrong: {error}"))
    });
    reader.set("timezone", &mut budget.period.timezone, Tz::UTC, |value| zone(&text(value)?));
    reader.set("starts_on", &mut budget.period.starts_on, None, |value| date(value).map(Some));
    reader.set("valid_from", &mut budget.valid_from, None, |value| time(value).map(Some));
    reader.set("valid_until", &mut budget.valid_until, None, |value| time(value).map(Some));
}

fn zone(name: &str) -> Result<Tz, String> {
    if let Ok(zone) = name.parse() {
        return Ok(zone);
    }
    let lower = name.to_lowercase();
    let near = TZ_VARIANTS
        .iter()
        .map(|zone| (strsim::damerau_levenshtein(&lower, &zone.name().to_lowercase()), zone.name()))
        .min_by_key(|(far, _)| *far);
    let hint = match near {
        Some((far, near)) if far <= 3 => format!("did you mean '{near}'?"),
        _ => "write one such as Europe/Berlin".to_owned(),
    };
    Err(format!("is '{name}', which is no IANA time zone; {hint}"))
}

fn how_much(budget: &mut Budget, new: bool, context: &Context, reader: &mut Reader) {
    reader.set("amounts_by", &mut budget.amounts_by, None, |value| amounts_by(value).map(Some));
    let default = budget.amounts_by.as_ref().and_then(|by| by.amounts.get(AmountsBy::DEFAULT)).copied();
    if let Some(default) = default
        && !reader.has("amount")
        && (new || reader.has("amounts_by"))
    {
        budget.amount = default;
    } else {
        reader.must("amount", new, &mut budget.amount, money);
    }
    reader.set("currency", &mut budget.currency, context.currency.to_owned(), currency);
    reader.set("increase", &mut budget.increase, None, |value| increase(value, context.now).map(Some));
}

fn amounts_by(value: &Value) -> Result<AmountsBy, String> {
    let map = object(value)?;
    let attribute = map.get("attribute").ok_or("needs 'attribute': which of the directory's attributes chooses")?;
    let attribute = text(attribute).map_err(|problem| format!("attribute {problem}"))?;
    let amounts = map.iter().filter(|(name, _)| *name != "attribute").map(|(name, value)| {
        money(value).map(|amount| (name.clone(), amount)).map_err(|problem| format!("'{name}' {problem}"))
    });
    let amounts = amounts.collect::<Result<BTreeMap<_, _>, _>>()?;
    if amounts.is_empty() {
        return Err(format!("has no amounts; write one per value of '{attribute}'"));
    }
    Ok(AmountsBy { attribute, amounts })
}

fn increase(value: &Value, now: DateTime<Utc>) -> Result<Increase, String> {
    let map = object(value)?;
    let part = |name: &str| map.get(name).ok_or_else(|| format!("needs '{name}'"));
    let amount = money(part("amount")?).map_err(|problem| format!("amount {problem}"))?;
    let until = time(part("until")?).map_err(|problem| format!("until {problem}"))?;
    if let Some(name) = map.keys().find(|name| !["amount", "until"].contains(&name.as_str())) {
        return Err(format!("has '{name}'; it takes amount and until"));
    }
    if until <= now {
        return Err(format!("until {} is over already", until.to_rfc3339()));
    }
    Ok(Increase { amount, until })
}

fn rules(budget: &mut Budget, reader: &mut Reader) {
    reader.set("thresholds", &mut budget.thresholds, default_thresholds(), percents);
    reader.set("forecast_thresholds", &mut budget.forecast_thresholds, Vec::new(), percents);
    reader.set("hard_limit", &mut budget.hard_limit, false, flag);
    reader.set("hard_limit_percent", &mut budget.hard_limit_percent, Decimal::ONE_HUNDRED, percent);
    reader.set("active", &mut budget.active, true, flag);
    reader.set("owner", &mut budget.owner, None, |value| text(value).map(Some));
    reader.set("contacts", &mut budget.contacts, Vec::new(), addresses);
}

/// What each field may say by itself but not together.
fn contradictions(budget: &Budget, context: &Context, reader: &mut Reader) {
    if let (Some(from), Some(until)) = (budget.valid_from, budget.valid_until)
        && until <= from
    {
        reader.problem("valid_until", format!("is {}, not after valid_from", until.to_rfc3339()));
    }
    if reader.has("valid_until") && budget.valid_until.is_some_and(|until| until <= context.now) && budget.active {
        reader.problem("valid_until", "is over already; set active to false instead");
    }
    if budget.period.starts_on.is_some() && matches!(budget.period.period, Period::Daily | Period::Rolling(_)) {
        let period = budget.period.period;
        reader.problem("starts_on", format!("has no meaning for the period {period}; days begin at midnight"));
    }
    if budget.period.is_rolling() && !budget.forecast_thresholds.is_empty() {
        reader.problem("forecast_thresholds", "have no meaning for a rolling period, which has no end to project to");
    }
    if budget.include_missing && !budget.scope.is_template() {
        reader.problem("include_missing", "has no meaning for a scope without \"*\"");
    }
    if budget.amounts_by.is_some() && budget.scope.is_everything() {
        reader.problem("amounts_by", "needs a scope with a dimension whose value has the attribute");
    }
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
