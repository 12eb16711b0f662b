//! A file of budgets: TOML with the fields of the API comes in, drafts go out, in the order of the file.
//!
//! ```toml
//! [[budgets]]
//! name = "search team"
//! scope = { team = "search" }
//! period = "monthly"
//! amount = "100.00"
//! ```

use serde_json::{Map, Number, Value};
use spendstream_schemas::budget::BudgetDraft;

use crate::error::{Error, Result};

/// Reads the drafts. `file` names it in errors.
///
/// # Errors
/// [`Error::Invalid`]: where the TOML is wrong, or what stands beside `[[budgets]]`.
pub fn read(text: &str, file: &str) -> Result<Vec<BudgetDraft>> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Error::Invalid(vec![format!("{file}:{line}: {}", error.message().replace('\n', " "))])
    })?;
    let mut problems = Vec::new();
    let mut drafts = Vec::new();
    for (name, value) in table {
        match value {
            toml::Value::Array(list) if name == "budgets" => {
                for (position, budget) in list.into_iter().enumerate() {
                    match json(budget) {
                        Value::Object(fields) => drafts.push(BudgetDraft(fields)),
                        _ => problems.push(format!("{file}: budget {} is no table", position + 1)),
                    }
                }
            }
            _ => problems.push(format!("{file}: '{name}' is not read; write budgets as [[budgets]]")),
        }
    }
    if problems.is_empty() { Ok(drafts) } else { Err(Error::Invalid(problems)) }
}

/// TOML as JSON; a date or time becomes its text.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::Number(number.into()),
        toml::Value::Float(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(time) => Value::String(time.to_string()),
        toml::Value::Array(list) => Value::Array(list.into_iter().map(json).collect()),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| (name, json(value))).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;

    #[test]
    fn the_fields_are_those_of_the_api() {
        let drafts = read(
            "[[budgets]]\nname = \"a\"\nscope = { \"tags.env\" = \"prod\" }\namount = 0.1\nthresholds = [50, 99.5]\n\
             starts_on = 2026-04-01\nvalid_from = 2026-04-01T00:00:00Z\n[[budgets]]\nname = \"b\"\n",
            "budgets.toml",
        )
        .unwrap();
        assert_eq!(
            serde_json::to_value(&drafts).unwrap(),
            json!([
                {"name": "a", "scope": {"tags.env": "prod"}, "amount": 0.1, "thresholds": [50, 99.5],
                 "starts_on": "2026-04-01", "valid_from": "2026-04-01T00:00:00Z"},
                {"name": "b"}
            ])
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let error = read("[[budgets]]\nname = \n", "b.toml").unwrap_err().to_string();
        assert!(error.starts_with("b.toml:2: "), "{error}");
        let error = read("[[budget]]\nname = \"a\"\n", "b.toml").unwrap_err().to_string();
        assert_eq!(error, "b.toml: 'budget' is not read; write budgets as [[budgets]]");
    }
}
