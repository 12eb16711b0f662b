//! Costs of others beside calls. In: the text of an allocation export or a FOCUS bill; out: charges, with the ids that the same costs always have. Pure.
//!
//! Whose they are: a dimension takes the label (or tag) of its own name, or the one it is mapped to; a team without one is the namespace.

pub mod allocation;
pub mod focus;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use crate::dimension::Text;
use crate::hex::hex;
use crate::money::Amount;
use crate::statement::Month;
use crate::statement::carry::Open;
use crate::table::charges::{Charge, TEXTS};

/// How costs become charges.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Dimension → the label that says it; without an entry the label of the dimension's own name.
    pub labels: BTreeMap<Text, String>,
    /// Dimensions that all have.
    pub fixed: BTreeMap<Text, String>,
    /// The lake's currency, which all must be in.
    pub currency: String,
    pub zone: Tz,
    /// The first month that takes charges; costs of months before count in it.
    pub open: Option<Open>,
    pub now: DateTime<Utc>,
}

/// Dimensions that a label may say. None that names a person.
#[must_use]
pub fn dimensions() -> Vec<Text> {
    let no =
        [Text::Model, Text::Operation, Text::UserId, Text::Customer, Text::SessionId, Text::ItemId, Text::ApiKeyId];
    TEXTS.into_iter().filter(|text| !no.contains(text)).collect()
}

/// A dimension by its column's name.
///
/// # Errors
/// When there is none, or it names a person.
pub fn dimension(name: &str) -> Result<Text, String> {
    let found = dimensions().into_iter().find(|text| text.column() == name);
    found.ok_or_else(|| {
        let names: Vec<_> = dimensions().iter().map(|text| text.column()).collect();
        format!("'{name}' is no dimension of a charge; write one of {}", names.join(", "))
    })
}

impl Rules {
    /// The dimensions that labels say, and those that all have. Label names are compared without regard to case, `-`, `.`, `/` and `_`.
    fn texts(&self, labels: &BTreeMap<String, String>) -> BTreeMap<Text, String> {
        let plain = |name: &str| name.to_ascii_lowercase().replace(['-', '.', '/'], "_");
        let found = |text: Text| {
            let wanted = plain(self.labels.get(&text).map_or(text.column(), String::as_str));
            labels
                .iter()
                .find(|(name, value)| plain(name) == wanted && !value.is_empty())
                .map(|(_, value)| value.clone())
        };
        let mut texts: BTreeMap<Text, String> =
            dimensions().into_iter().filter_map(|text| Some((text, found(text)?))).collect();
        texts.extend(self.fixed.clone());
        texts
    }

    /// Puts a charge into the month of its beginning, or the first open one.
    fn place(&self, charge: &mut Charge, start: DateTime<Utc>, end: DateTime<Utc>) {
        charge.period = (start.timestamp_micros(), end.timestamp_micros());
        charge.time = charge.period.0;
        charge.billing_period = Month::of(start, self.zone).to_string();
        if let Some(open) = self.open.filter(|open| start < open.start) {
            charge.time = open.moment(self.now);
            charge.billing_period = open.month.to_string();
        }
        charge.recorded_at = self.now.timestamp_micros();
    }
}

/// Money of a cost, to the digits of a money column.
fn amount(cost: Decimal) -> Result<Amount, String> {
    Amount::from_decimal(cost).map_err(|error| error.to_string())
}

/// The id of what has these parts.
fn id(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..16])
}

/// `2026-10-01T00:00:00Z`, or `2026-10-01 00:00:00` as FOCUS files have it, in UTC.
fn time(text: &str) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let naive = || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map(|time| time.and_utc());
    let date = || text.parse::<chrono::NaiveDate>().map(|date| date.and_time(chrono::NaiveTime::MIN).and_utc());
    let read = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).or_else(|_| naive()).or_else(|_| date());
    read.map_err(|_| format!("'{text}' is no time; write 2026-10-01T00:00:00Z"))
}

#[cfg(test)]
mod tests;
