//! What a report says, whatever form it is written in: facts about the whole, and tables. Decimals are whole numbers of their last digit, so that
//! nothing is lost on the way to any form. Pure.

use arrow::array::types::{Decimal128Type, DecimalType};
use serde_json::Value;
use spendstream_schemas::money::{Amount, SCALE, div_half_even};

use crate::format::cell::trim_decimal;

/// A report.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The report's name: `chargeback`.
    pub report: &'static str,
    pub title: String,
    /// Over what it was made: texts, numbers and lists of texts.
    pub facts: Vec<(&'static str, Value)>,
    /// The first is what forms of one table have.
    pub parts: Vec<Part>,
    /// Where the next page begins.
    pub next: Option<usize>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub name: &'static str,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
    /// The statement that its figures come from.
    pub sql: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

impl Column {
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind }
    }
}

/// Of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Whole,
    /// With so many digits after the point.
    Decimal(i8),
    /// Milliseconds of a latency; never money.
    Number,
}

impl Kind {
    /// Of amounts.
    pub const MONEY: Kind = Kind::Decimal(SCALE);
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cell {
    #[default]
    Null,
    Text(String),
    Whole(i64),
    /// So many of the last digit, and which digit after the point that is.
    Decimal(i128, i8),
    Number(f64),
}

impl Cell {
    #[must_use]
    pub fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.to_owned()))
    }

    #[must_use]
    pub fn money(amount: Amount) -> Self {
        Self::Decimal(amount.units(), SCALE)
    }

    /// A share as text, rounded half-even to four digits after the point; null where there is nothing to be a part of.
    #[must_use]
    pub fn percent(part: Amount, whole: Amount) -> Self {
        let (part, whole) = if whole < Amount::ZERO { (-part, -whole) } else { (part, whole) };
        if whole.is_zero() {
            return Self::Null;
        }
        // Of 28 digits six more are left in 38.
        let units = div_half_even(part.units() * 1_000_000, whole.units());
        Self::Text(decimal(units, 4))
    }

    /// As forms without types have it; `None` for null.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone()),
            Self::Whole(number) => Some(number.to_string()),
            Self::Decimal(units, scale) => Some(decimal(*units, *scale)),
            Self::Number(number) => Some(number.to_string()),
        }
    }

    /// The amount of a money cell; nothing of any other.
    #[must_use]
    pub fn amount(&self) -> Amount {
        match self {
            Self::Decimal(units, SCALE) => Amount::saturating(*units),
            _ => Amount::ZERO,
        }
    }

    /// The number of a cell of whole numbers; 0 of any other.
    #[must_use]
    pub fn whole(&self) -> i64 {
        match self {
            Self::Whole(number) => *number,
            _ => 0,
        }
    }
}

/// Without trailing zeros.
fn decimal(units: i128, scale: i8) -> String {
    let text = Decimal128Type::format_decimal(units, 38, scale);
    trim_decimal(&text).to_owned()
}

/// A fact as forms without lists have it.
#[must_use]
pub fn fact(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(fact).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::money::Amount;

    use super::Cell;

    #[test]
    fn shares_are_texts_of_four_digits() {
        let amount = |text: &str| Amount::from_decimal(text.parse().unwrap()).unwrap();
        let check = |part: &str, whole: &str, expected: Option<&str>| {
            assert_eq!(Cell::percent(amount(part), amount(whole)).shown().as_deref(), expected, "{part} of {whole}");
        };
        check("1", "3", Some("33.3333"));
        check("-1", "4", Some("-25"));
        check("1", "-4", Some("-25"));
        check("9999999999999", "9999999999999", Some("100"));
        check("1", "0", None);
    }

    #[test]
    fn decimals_keep_every_digit() {
        assert_eq!(Cell::Decimal(-1, 15).shown().unwrap(), "-0.000000000000001");
        assert_eq!(Cell::Decimal(1_234_500, 4).shown().unwrap(), "123.45");
        assert_eq!(Cell::Null.shown(), None);
    }
}
