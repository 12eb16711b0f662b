//! What is held for one call, by whom it is told apart, and what others have to know of it. Pure data.

use std::ops::RangeInclusive;

use smallvec::SmallVec;
use spendstream_schemas::money::Amount;

use super::book::BudgetCell;
use crate::aggregate::awaited::{EventKey, Origin};

/// Whose call a hold is for: the event's id, told apart by organisation and source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId {
    pub(super) event: EventKey,
    pub(super) owner: Origin,
}

impl HoldId {
    #[must_use]
    pub fn of(organization: Option<&str>, source: Option<&str>, id: &str) -> Self {
        Self { event: EventKey::of(id), owner: Origin::of(organization, source) }
    }

    /// Of anybody.
    pub(super) fn all(event: EventKey) -> RangeInclusive<Self> {
        Self { event, owner: Origin(0) }..=Self { event, owner: Origin(u64::MAX) }
    }

    /// As two numbers, to be told to others.
    #[must_use]
    pub fn parts(self) -> (u64, u64) {
        (self.event.0, self.owner.0)
    }

    /// From [`HoldId::parts`].
    #[must_use]
    pub fn from_parts(event: u64, owner: u64) -> Self {
        Self { event: EventKey(event), owner: Origin(owner) }
    }

    /// By what a call that is allowed claims what it needs beside that.
    pub(super) fn more(self) -> Self {
        Self { event: EventKey(self.event.0.wrapping_add(0x9e37_79b9_7f4a_7c15)), ..self }
    }

    /// What the arrival of the event is known by.
    #[must_use]
    pub fn event(self) -> EventKey {
        self.event
    }
}

/// An estimate that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub amount: Amount,
    /// Microseconds since the epoch.
    pub expires: i64,
    pub cells: SmallVec<[BudgetCell; 4]>,
    /// It is a claim only, no call runs for it: since when (microseconds since the epoch) it is known here, and told.
    pub claimed_at: Option<i64>,
    /// The run that the call is a part of: what is held for that is less by so much, as long as the call runs.
    pub run: Option<HoldId>,
    /// When it was asked for (microseconds since the epoch): of two for one call, told by two instances, all keep the later.
    pub since: i64,
}

impl Hold {
    pub(super) fn is_claim(&self) -> bool {
        self.claimed_at.is_some()
    }
}

/// What others have to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Placed(HoldId, Hold),
    /// Its event has arrived, or its time is up.
    Gone(HoldId),
    /// Nobody asked again for what was claimed. Others know when it ends; what one of them granted meanwhile goes on.
    Unclaimed(HoldId),
}

/// There is no room for another hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;
