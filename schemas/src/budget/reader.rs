//! Reads the fields of a draft one by one: values as people type them come in, typed ones go out, problems pile up.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::money::Amount;

/// One thing that is wrong with a draft, as one line: the field and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub field: String,
    pub problem: String,
}

impl Problem {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.field, self.problem)
    }
}

pub(super) struct Reader<'a> {
    fields: &'a Map<String, Value>,
    pub problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub fn new(fields: &'a Map<String, Value>) -> Self {
        Self { fields, problems: Vec::new() }
    }

    /// Sets `slot` where the field is given. `null` puts the default back.
    pub fn set<T>(&mut self, field: &str, slot: &mut T, default: T, read: impl Fn(&'a Value) -> Result<T, String>) {
        match self.fields.get(field) {
            None => {}
            Some(Value::Null) => *slot = default,
            Some(value) => match read(value) {
                Ok(value) => *slot = value,
                Err(problem) => self.problem(field, problem),
            },
        }
    }

    /// As [`Reader::set`] for a field without a default; it must be given when `required`.
    pub fn must<T>(
        &mut self,
        field: &str,
        required: bool,
        slot: &mut T,
        read: impl Fn(&'a Value) -> Result<T, String>,
    ) {
        match self.fields.get(field) {
            None if !required => {}
            None | Some(Value::Null) => self.problem(field, "is missing"),
            Some(value) => match read(value) {
                Ok(value) => *slot = value,
                Err(problem) => self.problem(field, problem),
            },
        }
    }

    pub fn has(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|value| !value.is_null())
    }

    pub fn problem(&mut self, field: &str, problem: impl Into<String>) {
        self.problems.push(Problem::new(field, problem));
    }
}

/// How a value looks to the one who typed it.
fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{text}'"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn text(value: &Value) -> Result<String, String> {
    match value.as_str().map(str::trim) {
        None => Err(format!("is {}; write a text", show(value))),
        Some("") => Err("is empty".to_owned()),
        Some(text) if text.len() > 1024 => Err("is longer than 1024 bytes".to_owned()),
        Some(text) => Ok(text.to_owned()),
    }
}

pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    let list = value.as_array().ok_or_else(|| format!("is {}; write a list of texts", show(value)))?;
    if list.len() > 50 {
        return Err(format!("has {} entries; at most 50", list.len()));
    }
    list.iter().map(text).collect()
}

/// Mail addresses, with or without a name before them. Whether somebody reads them shows when they are written to.
pub(super) fn addresses(value: &Value) -> Result<Vec<String>, String> {
    let is_address = |text: &&String| {
        text.trim_end_matches('>')
            .split_once('@')
            .is_some_and(|(name, host)| !name.trim().is_empty() && !host.is_empty() && !host.contains(['@', ' ']))
    };
    let list = texts(value)?;
    match list.iter().find(|text| !is_address(text)) {
        Some(other) => Err(format!("has '{other}', which is no mail address")),
        None => Ok(list),
    }
}

pub(super) fn flag(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("is {}; write true or false", show(value)))
}

/// Digits that a binary floating-point number always gives back as they were typed.
const FLOAT_DIGITS: usize = 15;

/// A decimal, from a string or from a number. A number with a point was read as a binary float on its way here: it counts only
/// where that gave its digits back.
fn decimal(value: &Value) -> Option<Decimal> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if value.is_f64() && digits > FLOAT_DIGITS {
        return None;
    }
    Decimal::from_str_exact(&text).ok().map(|decimal| decimal.normalize())
}

/// More than zero, with at most 15 digits after the point and 13 before it.
pub(super) fn money(value: &Value) -> Result<Decimal, String> {
    let wanted = || format!("is {}; write an amount such as \"100.00\"", show(value));
    let amount = decimal(value).ok_or_else(wanted)?;
    if amount.is_sign_negative() || amount.is_zero() {
        return Err(format!("is {amount}; it must be more than zero (a block stops all spending)"));
    }
    if Amount::from_decimal(amount).is_err() || amount.scale() > 15 {
        return Err(format!("is {amount}; at most 13 digits before and 15 after the point fit"));
    }
    Ok(amount)
}

/// A percentage above 0, at most 1000, with at most four digits after the point.
pub(super) fn percent(value: &Value) -> Result<Decimal, String> {
    let percent = decimal(value).ok_or_else(|| format!("is {}; write a percentage such as 80", show(value)))?;
    if percent.is_sign_negative() || percent.is_zero() || percent > Decimal::ONE_THOUSAND || percent.scale() > 4 {
        return Err(format!(
            "is {percent}; write a percentage above 0 and up to 1000, at most four digits after the point"
        ));
    }
    Ok(percent)
}

/// Percentages, sorted, each once.
pub(super) fn percents(value: &Value) -> Result<Vec<Decimal>, String> {
    let list = value.as_array().ok_or_else(|| format!("is {}; write a list such as [50, 80, 95, 100]", show(value)))?;
    if list.len() > 20 {
        return Err(format!("has {} entries; at most 20", list.len()));
    }
    let mut percents = Vec::with_capacity(list.len());
    for (position, value) in list.iter().enumerate() {
        let percent = percent(value).map_err(|problem| format!("entry {} {problem}", position + 1))?;
        if percents.contains(&percent) {
            return Err(format!("has {percent} twice"));
        }
        percents.push(percent);
    }
    percents.sort_unstable();
    Ok(percents)
}

pub(super) fn time(value: &Value) -> Result<DateTime<Utc>, String> {
    let time = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text.trim()).ok());
    let time = time.ok_or_else(|| format!("is {}; write a time such as 2026-01-31T00:00:00Z", show(value)))?;
    Ok(time.to_utc())
}

pub(super) fn date(value: &Value) -> Result<NaiveDate, String> {
    let date = value.as_str().and_then(|text| NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok());
    date.ok_or_else(|| format!("is {}; write a date such as 2026-04-01", show(value)))
}

/// Three capital letters.
pub(super) fn currency(value: &Value) -> Result<String, String> {
    match value.as_str() {
        Some(code) if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(code.to_owned()),
        _ => Err(format!("is {}; write an ISO 4217 code such as USD", show(value))),
    }
}

pub(super) fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("is {}; write an object", show(value)))
}
