//! Allocations of `OpenCost` and Kubecost. In: an answer of `/allocation` (or `/model/allocation`), best with a window of a day per step. Out: a charge for each
//! allocation that costs anything. Amounts are read as they are written, never as floats.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Rules, amount, id, time};
use crate::bill::decimal;
use crate::dimension::Text;
use crate::table::charges::{Charge, ChargeCategory};

#[derive(Deserialize)]
struct Answer {
    data: Vec<Option<BTreeMap<String, Allocation>>>,
}

#[derive(Deserialize)]
struct Allocation {
    name: String,
    #[serde(default)]
    properties: Option<Properties>,
    window: Window,
    #[serde(rename = "totalCost")]
    total: Box<RawValue>,
}

#[derive(Default, Deserialize)]
struct Properties {
    cluster: Option<String>,
    namespace: Option<String>,
    controller: Option<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "namespaceLabels")]
    namespace_labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Window {
    start: String,
    end: String,
}

/// Charges of an answer; `tool` is `opencost` or `kubecost`.
///
/// # Errors
/// What cannot be read, in one line.
pub fn read(text: &str, tool: &str, rules: &Rules) -> Result<Vec<Charge>, String> {
    let answer: Answer = serde_json::from_str(text).map_err(|error| {
        format!("the JSON is no answer of an allocation API ({{\"data\": [{{name: allocation}}]}}): {error}")
    })?;
    let mut charges = Vec::new();
    for allocation in answer.data.into_iter().flatten().flat_map(BTreeMap::into_values) {
        let told = |why: String| format!("allocation {}: {why}", allocation.name);
        let charge = charge(&allocation, tool, rules).map_err(told)?;
        if !charge.amount.is_zero() {
            charges.push(charge);
        }
    }
    Ok(charges)
}

fn charge(allocation: &Allocation, tool: &str, rules: &Rules) -> Result<Charge, String> {
    let none = Properties::default();
    let properties = allocation.properties.as_ref().unwrap_or(&none);
    let cluster = properties.cluster.as_deref().unwrap_or_default();
    let parts = [tool, cluster, &allocation.name, &allocation.window.start, &allocation.window.end];
    let mut charge = Charge::blank(id(&parts), ChargeCategory::Usage, &rules.currency, tool);
    charge.amount = amount(decimal(allocation.total.get())?)?;
    let mut labels = properties.namespace_labels.clone().unwrap_or_default();
    labels.extend(properties.labels.clone().unwrap_or_default());
    charge.texts = rules.texts(&labels);
    if let Some(namespace) = &properties.namespace {
        charge.texts.entry(Text::Team).or_insert_with(|| namespace.clone());
    }
    charge.provider = Some("kubernetes".to_owned());
    charge.service_name = properties.controller.clone().or_else(|| Some(allocation.name.clone()));
    charge.tags.extend(properties.cluster.clone().map(|cluster| ("cluster".to_owned(), cluster)));
    charge.tags.extend(properties.namespace.clone().map(|namespace| ("namespace".to_owned(), namespace)));
    charge.reason = Some(allocation.name.clone());
    rules.place(&mut charge, time(&allocation.window.start)?, time(&allocation.window.end)?);
    Ok(charge)
}
