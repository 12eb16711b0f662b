//! A hold as bytes on the topic of holds, keyed by its call; no payload says that it is gone. Pure.

use prost::Message;
use smallvec::SmallVec;
use spendstream_schemas::money::Amount;

use crate::budget::book::BudgetCell;
use crate::budget::holds::{Hold, HoldId};

/// See the module.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Held {
    /// Units of 10⁻¹⁵, little-endian, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub amount: Vec<u8>,
    /// Microseconds since the epoch.
    #[prost(sfixed64, tag = "2")]
    pub expires: i64,
    /// 16 bytes each, little-endian.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub cells: Vec<Vec<u8>>,
    /// Who holds it: its own words are not heard again while it runs.
    #[prost(fixed64, tag = "4")]
    pub instance: u64,
    /// Room that is claimed; the call is not allowed yet.
    #[prost(bool, tag = "5")]
    pub claim: bool,
    /// The run that it is a part of: its key.
    #[prost(string, tag = "6")]
    pub run: String,
    /// When it was asked for, microseconds since the epoch.
    #[prost(sfixed64, tag = "7")]
    pub since: i64,
}

impl Held {
    /// What an instance tells of a hold of its own.
    pub fn new(hold: &Hold, instance: u64) -> Self {
        Self {
            amount: hold.amount.units().to_le_bytes().to_vec(),
            expires: hold.expires,
            cells: hold.cells.iter().map(|cell| cell.0.to_le_bytes().to_vec()).collect(),
            instance,
            claim: hold.claimed_at.is_some(),
            run: hold.run.map(key).unwrap_or_default(),
            since: hold.since,
        }
    }
}

pub(super) fn key(id: HoldId) -> String {
    let (event, owner) = id.parts();
    format!("{event:016x}{owner:016x}")
}

pub(super) fn hold_id(key: &str) -> Option<HoldId> {
    let (event, owner) = key.split_at_checked(16)?;
    Some(HoldId::from_parts(u64::from_str_radix(event, 16).ok()?, u64::from_str_radix(owner, 16).ok()?))
}

/// `now`: when it is heard, microseconds since the epoch.
pub(super) fn hold(held: &Held, now: i64) -> Option<Hold> {
    let units = i128::from_le_bytes(held.amount.as_slice().try_into().ok()?);
    let cell = |bytes: &Vec<u8>| Some(BudgetCell(u128::from_le_bytes(bytes.as_slice().try_into().ok()?)));
    Some(Hold {
        amount: Amount::from_units(units).ok()?,
        expires: held.expires,
        cells: held.cells.iter().map(cell).collect::<Option<SmallVec<_>>>()?,
        claimed_at: held.claim.then_some(now),
        run: hold_id(&held.run),
        since: held.since,
    })
}

#[cfg(test)]
mod tests {
    use crate::budget::holds::HoldId;

    use super::{hold_id, key};

    #[test]
    fn a_key_reads_back() {
        let id = HoldId::of(Some("acme"), None, "call-1");
        assert_eq!(hold_id(&key(id)), Some(id));
        assert_eq!((hold_id("x"), hold_id("ßßßßßßßß")), (None, None));
    }
}
