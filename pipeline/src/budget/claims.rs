//! Room that is claimed: where several instances decide, each leaves the others their share of what remains of a hard budget, so that a call
//! which needs more than an N-th fits nowhere. Such a call claims its room first. All count a claim like a hold; once every
//! instance has heard of it, and it of what they granted before, nothing need be left for them: asked again, the call has its room. Pure.
//!
//! Of two claims that do not fit both, the one with the lower id goes first, on every instance.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::book::BudgetCell;
use super::holds::{Hold, HoldId, PROPAGATION_MICROS};

/// From the claim to its right: the others hear of it within [`PROPAGATION_MICROS`], and what they granted until then is heard here within as much
/// again.
pub(super) const RIPE_MICROS: i64 = 2 * PROPAGATION_MICROS;
/// How long a claim lasts when nobody asks again.
pub(super) const LASTS_MICROS: i64 = 6 * PROPAGATION_MICROS;

/// Which holds are claims only, by cell.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<BudgetCell, BTreeSet<HoldId>>);

impl Claims {
    pub fn add(&mut self, id: HoldId, hold: &Hold) {
        if hold.claimed_at.is_some() {
            for cell in &hold.cells {
                self.0.entry(*cell).or_default().insert(id);
            }
        }
    }

    pub fn remove(&mut self, id: HoldId, hold: &Hold) {
        if hold.claimed_at.is_some() {
            for cell in &hold.cells {
                if let Entry::Occupied(mut ids) = self.0.entry(*cell) {
                    ids.get_mut().remove(&id);
                    if ids.get().is_empty() {
                        ids.remove();
                    }
                }
            }
        }
    }

    /// The claims of a cell that go after this call.
    pub fn after(&self, cell: BudgetCell, id: HoldId) -> impl Iterator<Item = &HoldId> {
        let ids = self.0.get(&cell);
        ids.into_iter().flat_map(move |ids| ids.range(id..)).filter(move |one| **one != id)
    }
}

/// What a call that is asked again has of its earlier claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    None,
    /// Not everybody may have heard of it; microseconds until they have.
    Young(i64),
    /// Nothing need be left for others.
    Ripe,
}

impl Claim {
    pub fn of(hold: Option<&Hold>, amount: spendstream_schemas::money::Amount, now: i64) -> Self {
        match hold.and_then(|hold| Some((hold.claimed_at?, hold.amount, hold.expires - PROPAGATION_MICROS))) {
            // Whoever counts the claim has to hear of the call before it ends.
            Some((at, claimed, until)) if amount <= claimed && now <= until => {
                let left = at.saturating_add(RIPE_MICROS).saturating_sub(now);
                if left > 0 { Self::Young(left) } else { Self::Ripe }
            }
            _ => Self::None,
        }
    }
}
