//! Objects of the fast path beside the usage: labels, and a cost that was told. Everything unexpected is declined.

use std::borrow::Cow;

use smallvec::SmallVec;
use spendstream_schemas::usage_event::ReportedCost;

use super::super::field::decimal;
use super::cursor::Cursor;

/// More tags than this are left to the slow path, which counts them.
const MAX_TAGS: usize = 32;

/// Labels without repetition.
pub(super) type Tags<'a> = SmallVec<[(Cow<'a, str>, Cow<'a, str>); 4]>;

pub(super) fn tags<'a>(cursor: &mut Cursor<'a>) -> Option<Tags<'a>> {
    let mut tags = Tags::new();
    cursor.object(|cursor, key| {
        // A null label may hide or be hidden by a repeated one.
        let value = cursor.word()?;
        let more = tags.len() >= MAX_TAGS || tags.iter().any(|(name, _)| *name == key);
        tags.push((key, value));
        (!more).then_some(())
    })?;
    Some(tags)
}

/// `{"amount": "0.0123", "currency": "USD"}` and nothing else.
pub(super) fn cost<'a>(cursor: &mut Cursor<'a>) -> Option<ReportedCost<'a>> {
    let (mut amount, mut currency) = (None, None);
    cursor.object(|cursor, key| match &*key {
        "amount" => cursor.put(&mut amount, Cursor::word),
        "currency" => cursor.put(&mut currency, Cursor::word),
        _ => None,
    })?;
    let amount = decimal(amount?.trim())?;
    let currency: Cow<'a, str> = currency.unwrap_or(Cow::Borrowed("USD"));
    let known = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    known.then_some(ReportedCost { amount, currency })
}
