//! Room that is claimed: where several instances decide, each leaves the others their share of what remains of a hard budget, so that a call
//! which needs more than an N-th fits nowhere. Such a call claims its room first. All count a claim like a hold; once every
//! instance has heard of it, and it of what they granted before, nothing need be left for them: asked again, the call has its room. Pure.
//!
//! A call of a run that needs more than a share of what the run has left claims it there: what it claims is the run's no longer. A call that is
//! allowed already claims what it needs beside, by an id of its own.
//!
//! Of two claims that do not fit both, the one with the lower id goes first, on every instance.

use std::collections::BTreeSet;

use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};

use super::book::BudgetCell;
use super::holds::{Hold, HoldId, PROPAGATION_MICROS};

/// From when a claim is told to its right: the others hear of it within [`PROPAGATION_MICROS`], and what they granted until then is heard here
/// within as much again.
pub(super) const RIPE_MICROS: i64 = 2 * PROPAGATION_MICROS;
/// When to ask again, unless it takes longer to be told.
pub(super) const ASK_AGAIN_MICROS: i64 = RIPE_MICROS + PROPAGATION_MICROS;
/// How long a claim lasts when nobody asks again.
pub(super) const LASTS_MICROS: i64 = 8 * PROPAGATION_MICROS;
/// How long nothing is claimed in a cell in which something was for nothing: a caller that takes a new id for every try must not keep
/// others out.
const BARRED_MICROS: i64 = 60 * PROPAGATION_MICROS;

/// Which holds are claims only.
#[derive(Debug, Default)]
pub(super) struct Claims {
    by_cell: HashMap<BudgetCell, BTreeSet<HoldId>>,
    /// Those whose call asked again.
    repeated: HashSet<HoldId>,
    /// Until when nothing is claimed there.
    barred: HashMap<BudgetCell, i64>,
}

impl Claims {
    pub fn add(&mut self, id: HoldId, hold: &Hold) {
        if hold.claimed_at.is_some() {
            for cell in &hold.cells {
                self.by_cell.entry(*cell).or_default().insert(id);
            }
        }
    }

    pub fn remove(&mut self, id: HoldId, hold: &Hold) {
        if hold.claimed_at.is_some() {
            self.repeated.remove(&id);
            for cell in &hold.cells {
                if let Entry::Occupied(mut ids) = self.by_cell.entry(*cell) {
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
        let ids = self.by_cell.get(&cell);
        ids.into_iter().flat_map(move |ids| ids.range(id..)).filter(move |one| **one != id)
    }

    /// The claims of a cell.
    pub fn all(&self, cell: BudgetCell) -> impl Iterator<Item = &HoldId> {
        self.by_cell.get(&cell).into_iter().flatten()
    }

    pub fn rename(&mut self, from: BudgetCell, to: BudgetCell) {
        if let Some(ids) = self.by_cell.remove(&from) {
            self.by_cell.entry(to).or_default().extend(ids);
        }
    }

    pub fn note_repeated(&mut self, id: HoldId) {
        self.repeated.insert(id);
    }

    /// A claim ends by its time.
    pub fn bar(&mut self, id: HoldId, hold: &Hold, now: i64) {
        self.barred.retain(|_, until| *until > now);
        if !self.repeated.contains(&id) {
            let until = now.saturating_add(BARRED_MICROS);
            self.barred.extend(hold.cells.iter().map(|cell| (*cell, until)));
        }
    }

    /// Until when nothing is claimed there, if so.
    pub fn barred(&self, cell: BudgetCell, now: i64) -> Option<i64> {
        self.barred.get(&cell).copied().filter(|until| *until > now)
    }
}
