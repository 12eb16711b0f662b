//! What was held here so lately that others may not count it yet. In: amounts by cell, with the change that tells of them; that the broker has
//! the changes; time. Out: sums by cell. Pure.

use std::collections::VecDeque;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smallvec::SmallVec;
use spendstream_schemas::money::Amount;

use super::book::BudgetCell;
use super::holds::RECENT_MICROS;

/// Held lately, so that others may not count it yet.
#[derive(Debug)]
struct Recent {
    /// The last change that tells of it.
    change: u64,
    /// Until when; `None` while it is not told.
    until: Option<i64>,
    amounts: SmallVec<[(BudgetCell, Amount); 4]>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recents {
    /// Oldest first.
    all: VecDeque<Recent>,
    by_cell: HashMap<BudgetCell, Amount>,
}

impl Recents {
    /// Together, in a cell.
    pub fn of(&self, cell: BudgetCell) -> Amount {
        self.by_cell.get(&cell).copied().unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// `until`: where it is known already.
    pub fn add(&mut self, change: u64, until: Option<i64>, amounts: SmallVec<[(BudgetCell, Amount); 4]>) {
        for (cell, amount) in &amounts {
            let sum = self.by_cell.entry(*cell).or_default();
            *sum = *sum + *amount;
        }
        self.all.push_back(Recent { change, until, amounts });
    }

    /// The broker has all changes up to this one.
    pub fn told(&mut self, last: u64, now: i64) {
        for recent in self.all.iter_mut().filter(|recent| recent.until.is_none() && recent.change <= last) {
            recent.until = Some(now.saturating_add(RECENT_MICROS));
        }
    }

    /// See [`super::holds::Holds::rename`].
    pub fn rename(&mut self, from: BudgetCell, to: BudgetCell) {
        let cells = self.all.iter_mut().flat_map(|recent| recent.amounts.iter_mut());
        cells.filter(|(cell, _)| *cell == from).for_each(|(cell, _)| *cell = to);
        if let Some(sum) = self.by_cell.remove(&from) {
            let known = self.by_cell.entry(to).or_default();
            *known = *known + sum;
        }
    }

    /// Forgets what everybody counts by now.
    pub fn expire(&mut self, now: i64) {
        let is_over = |recent: &mut Recent| recent.until.is_some_and(|until| until <= now);
        while let Some(Recent { amounts, .. }) = self.all.pop_front_if(is_over) {
            for (cell, amount) in amounts {
                if let Entry::Occupied(mut sum) = self.by_cell.entry(cell) {
                    *sum.get_mut() = *sum.get() - amount;
                    if sum.get().is_zero() {
                        sum.remove();
                    }
                }
            }
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.by_cell.is_empty()
    }
}
