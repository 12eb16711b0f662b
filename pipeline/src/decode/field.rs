//! Reads single values from a JSON tree: counts, decimals and texts in, typed values out, every refusal naming its field.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use spendstream_schemas::money::Amount;

use super::json::Node;
use super::reject::{Fault, Reason};

/// Decimal places of `quantities`.
const QUANTITY_PLACES: u32 = 9;

/// A whole number that counts something, `10.0` too, as some kits write it; `name` is for the message only.
///
/// # Errors
/// [`Reason::WrongType`] for anything but a whole number that fits, [`Reason::NegativeCount`] below zero.
pub(super) fn count(node: &Node<'_>, name: &str) -> Result<i64, Fault> {
    let Node::Number(text) = node else { return Err(Fault::wrong_type(name, node.kind(), "a whole number")) };
    let Some(value) = text.parse().ok().or_else(|| whole(text)) else {
        return Err(Fault::wrong_type(name, node.kind(), "a whole number below 2^63"));
    };
    if value < 0 {
        return Err(Fault::new(Reason::NegativeCount, format!("'{name}' is {value}; a count is never negative")));
    }
    Ok(value)
}

/// A fraction of zero is none.
fn whole(text: &str) -> Option<i64> {
    decimal(text).filter(|value| value.fract().is_zero()).and_then(|value| value.to_i64())
}

/// The count under `key`, if it is there and not null.
pub(super) fn count_of(node: &Node<'_>, key: &str) -> Result<Option<i64>, Fault> {
    node.get(key).map(|value| count(value, key)).transpose()
}

/// The count under the first of `keys` that is there and not 0: who writes every name that he knows fills the others with 0.
pub(super) fn first_count(node: &Node<'_>, keys: &[&str]) -> Result<Option<i64>, Fault> {
    let mut found = None;
    for key in keys {
        match count_of(node, key)? {
            Some(0) => found = Some(0),
            None => {}
            counted => return Ok(counted),
        }
    }
    Ok(found)
}

/// The object under `key`, if it is there and not null.
pub(super) fn object_of<'n, 'j>(node: &'n Node<'j>, key: &str) -> Result<Option<&'n Node<'j>>, Fault> {
    match node.get(key) {
        Some(other) if !other.is_object() => Err(Fault::wrong_type(key, other.kind(), "an object")),
        found => Ok(found),
    }
}

/// The count under `key` of the object under `outer`.
pub(super) fn inner_count(node: &Node<'_>, outer: &str, key: &str) -> Result<Option<i64>, Fault> {
    match object_of(node, outer)?.and_then(|details| details.get(key)) {
        Some(value) => count(value, &format!("{outer}.{key}")).map(Some),
        None => Ok(None),
    }
}

/// An exact decimal from the text of a JSON number (`6e-06` too); `None` when it does not fit 28 digits.
#[must_use]
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) { Decimal::from_scientific(text).ok() } else { text.parse().ok() }
}

/// A quantity that need not be whole: a number above or equal to zero, kept to nine places.
pub(super) fn quantity(node: &Node<'_>, name: &str) -> Result<Decimal, Fault> {
    let Node::Number(text) = node else { return Err(Fault::wrong_type(name, node.kind(), "a number")) };
    let value = decimal(text).ok_or_else(|| Fault::wrong_type(name, "out of range", "a number below 10^19"))?;
    if value.is_sign_negative() && !value.is_zero() {
        return Err(Fault::new(Reason::NegativeCount, format!("'{name}' is {value}; a quantity is never negative")));
    }
    if value >= Decimal::from(10_000_000_000_000_000_000_u64) {
        return Err(Fault::wrong_type(name, "out of range", "a number below 10^19"));
    }
    Ok(value.round_dp(QUANTITY_PLACES).normalize())
}

/// A money amount as a number or as its text.
pub(super) fn amount(node: &Node<'_>) -> Option<Decimal> {
    match node {
        Node::Number(text) => decimal(text),
        Node::Text(text) => decimal(text.trim()),
        _ => None,
    }
}

/// What a call is said to have cost; `None` for what is no amount, such as the -1 of an emitter that does not know.
pub(super) fn cost_of(node: &Node<'_>) -> Option<Decimal> {
    amount(node).filter(|cost| *cost >= Decimal::ZERO && Amount::from_decimal(*cost).is_ok())
}

/// The text under `key`; anything but a text there is refused.
pub(super) fn text_of<'n>(node: &'n Node<'_>, key: &str) -> Result<Option<&'n str>, Fault> {
    match node.get(key) {
        None => Ok(None),
        Some(Node::Text(text)) => Ok(Some(text)),
        Some(other) => Err(Fault::wrong_type(key, other.kind(), "a text")),
    }
}

/// A text that foreign emitters also send as a number.
pub(super) fn loose_text<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match node {
        Node::Text(text) => Some(text),
        Node::Number(text) => Some(text),
        Node::Bool(true) => Some("true"),
        Node::Bool(false) => Some("false"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_come_from_the_text() {
        for (text, expected) in [
            ("0.0025200000000000005", "0.0025200000000000005"),
            ("6e-06", "0.000006"),
            ("1E2", "100"),
            ("0.1", "0.1"),
            ("12", "12"),
        ] {
            assert_eq!(decimal(text).unwrap().to_string(), expected);
        }
        assert_eq!(decimal("1e99"), None);
    }

    #[test]
    fn counts_are_whole_and_not_negative() {
        let check = |text: &str, expected: Result<i64, (Reason, &str)>| {
            let found = count(&Node::parse(text).unwrap(), "n").map_err(|fault| (fault.reason, fault.detail));
            assert_eq!(found, expected.map_err(|(reason, detail)| (reason, detail.to_owned())));
        };
        check("12", Ok(12));
        check("-0", Ok(0));
        check("-1", Err((Reason::NegativeCount, "'n' is -1; a count is never negative")));
        check("12.0", Ok(12));
        check("1.2e1", Ok(12));
        check("-1.0", Err((Reason::NegativeCount, "'n' is -1; a count is never negative")));
        check("12.5", Err((Reason::WrongType, "'n' is a fractional number; send a whole number below 2^63")));
        check("\"12\"", Err((Reason::WrongType, "'n' is a text; send a whole number")));
        check("99999999999999999999", Err((Reason::WrongType, "'n' is a number; send a whole number below 2^63")));
    }
}
