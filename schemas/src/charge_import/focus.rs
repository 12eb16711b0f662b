//! Rows of FOCUS bills as charges. In: rows; out: a charge for each that costs anything, with what is billed (`BilledCost`). The same row has the same id in
//! whatever file it comes; equal rows of one file are told apart by their number.

use std::collections::BTreeMap;

use super::{Rules, amount, id, time};
use crate::bill::focus::Row;
use crate::dimension::Text;
use crate::table::charges::{Charge, ChargeCategory};

/// # Errors
/// What cannot be read, in which row.
pub fn read(rows: &[Row], rules: &Rules) -> Result<Vec<Charge>, String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let mut charges = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let told = |why: String| format!("row {}: {why}", number + 1);
        let text: Vec<String> = row.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = text.join(
            "
",
        );
        let times = seen.entry(text.clone()).or_default();
        *times += 1;
        let id = id(&["focus", &text, &times.to_string()]);
        let charge = charge(row, id, rules).map_err(told)?;
        if !charge.amount.is_zero() {
            charges.push(charge);
        }
    }
    Ok(charges)
}

fn charge(row: &Row, id: String, rules: &Rules) -> Result<Charge, String> {
    let currency = row.need("BillingCurrency")?;
    if !currency.eq_ignore_ascii_case(&rules.currency) {
        return Err(format!(
            "it is in {currency}, the lake in {}; import it into a lake of its currency",
            rules.currency
        ));
    }
    let category: ChargeCategory = row.need("ChargeCategory")?.parse()?;
    let mut charge = Charge::blank(id, category, &rules.currency, "focus");
    let own = |column: &str| row.get(column).map(str::to_owned);
    charge.amount = amount(row.cost()?)?;
    charge.correction = row.get("ChargeClass") == Some("Correction");
    charge.provider = own("ProviderName");
    charge.service_name = own("ServiceName");
    charge.tags = row.tags();
    charge.texts = rules.texts(&charge.tags);
    for (text, columns) in
        [(Text::BillingAccount, ["BillingAccountId", "SubAccountId"]), (Text::Region, ["RegionId", "RegionName"])]
    {
        if let Some(value) = columns.iter().find_map(|column| own(column)) {
            charge.texts.entry(text).or_insert(value);
        }
    }
    charge.reason = own("ChargeDescription");
    rules.place(&mut charge, time(row.need("ChargePeriodStart")?)?, time(row.need("ChargePeriodEnd")?)?);
    Ok(charge)
}
