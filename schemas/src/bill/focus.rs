//! FOCUS rows. In: columns by name, from CSV or Parquet (their texts). Out: lines of a bill, or whole rows for an import as charges. `NULL` and an empty
//! text are nothing.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{BillLine, Meter, day, decimal};

/// Texts by FOCUS column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(pub BTreeMap<String, String>);

impl Row {
    /// What a column says.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(|text| text.trim()).filter(|text| !text.is_empty() && *text != "NULL")
    }

    /// A column that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn need(&self, column: &str) -> Result<&str, String> {
        self.get(column).ok_or_else(|| format!("a row has no {column}"))
    }

    /// The tags: a JSON object of texts, or none.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, String> {
        let Some(text) = self.get("Tags") else { return BTreeMap::new() };
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
        let value = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        object.into_iter().map(|(name, one)| (name, value(one))).collect()
    }

    /// The cost: what is billed, to the digits of a money column.
    ///
    /// # Errors
    /// When it is no decimal.
    pub fn cost(&self) -> Result<Decimal, String> {
        decimal(self.need("BilledCost")?)
    }
}

/// The rows of a CSV file.
///
/// # Errors
/// When it is none.
pub fn from_csv(text: &str) -> Result<Vec<Row>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| format!("the CSV has no header: {error}"))?.clone();
    let mut rows = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|error| format!("line {}: {error}", number + 2))?;
        rows.push(Row(header
            .iter()
            .zip(record.iter())
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect()));
    }
    Ok(rows)
}

/// Rows as lines of a bill: the model is `x_Model`, else `ResourceName`, `SkuId`; the meter what `x_Meter`, `SkuMeter` or the description says.
pub(super) fn lines(rows: &[Row]) -> Result<Vec<(BillLine, String)>, String> {
    let line = |(number, row): (usize, &Row)| {
        let told = |why: String| format!("row {}: {why}", number + 1);
        let first = |names: &[&str]| names.iter().find_map(|name| row.get(name));
        let line = BillLine {
            date: day(row.need("ChargePeriodStart").map_err(told)?).map_err(told)?,
            model: first(&["x_Model", "x_ModelId", "ResourceName", "SkuId"]).map(str::to_owned),
            meter: first(&["x_Meter", "SkuMeter", "ChargeDescription"]).map(Meter::guess),
            amount: row.cost().map_err(told)?,
            quantity: row.get("ConsumedQuantity").map(decimal).transpose().map_err(told)?,
            category: row.get("ChargeCategory").unwrap_or("Usage").to_owned(),
        };
        Ok((line, row.need("BillingCurrency").map_err(told)?.to_owned()))
    };
    rows.iter().enumerate().map(line).collect()
}
