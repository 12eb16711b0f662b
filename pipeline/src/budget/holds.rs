//! What is promised: estimates of allowed calls, held until their event arrives or their time is up. In: event ids, amounts, cells
//! of budgets, times; out: how much of a cell is held. Pure; reads no clock.
//!
//! One hold counts in every cell (budget and values) that it was judged in. Asking again with the same id replaces the hold.
//! Holds are in memory only: after a restart they are gone, and a burst then may go beyond a limit by what they had covered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smallvec::SmallVec;
use spendstream_schemas::money::Amount;
use xxhash_rust::xxh3::xxh3_64;

use super::book::BudgetCell;
use crate::aggregate::awaited::{Awaited, EventKey};

/// Whose call a hold is for: the event's id, told apart by organisation and source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId {
    event: EventKey,
    owner: u64,
}

impl HoldId {
    #[must_use]
    pub fn of(organization: Option<&str>, source: Option<&str>, id: &str) -> Self {
        let mut owner: SmallVec<[u8; 128]> = SmallVec::new();
        for text in [organization, source] {
            owner.extend_from_slice(text.unwrap_or_default().as_bytes());
            owner.push(0xff);
        }
        Self { event: EventKey::of(id), owner: xxh3_64(&owner) }
    }

    /// What the arrival of the event is known by.
    #[must_use]
    pub fn event(self) -> EventKey {
        self.event
    }
}

#[derive(Debug)]
struct Hold {
    amount: Amount,
    /// Microseconds since the epoch.
    expires: i64,
    cells: SmallVec<[BudgetCell; 4]>,
}

/// There is no room for another hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// See the module.
#[derive(Debug)]
pub struct Holds {
    by_id: BTreeMap<HoldId, Hold>,
    by_cell: HashMap<BudgetCell, Amount>,
    by_expiry: BTreeSet<(i64, HoldId)>,
    max: usize,
    awaited: Arc<Awaited>,
}

impl Holds {
    /// At most `max` holds; whoever decodes events learns by `awaited` which ids to report.
    #[must_use]
    pub fn new(max: usize, awaited: Arc<Awaited>) -> Self {
        Self { by_id: BTreeMap::new(), by_cell: HashMap::new(), by_expiry: BTreeSet::new(), max, awaited }
    }

    /// What is held in a cell, without the hold of `own`.
    #[must_use]
    pub fn held(&self, cell: BudgetCell, own: Option<HoldId>) -> Amount {
        let all = self.by_cell.get(&cell).copied().unwrap_or_default();
        match own.and_then(|id| self.by_id.get(&id)) {
            Some(hold) if hold.cells.contains(&cell) => all - hold.amount,
            _ => all,
        }
    }

    /// Holds an amount until `expires` (microseconds since the epoch), in place of what the same id holds.
    ///
    /// # Errors
    /// When there is no room; nothing has changed then.
    pub fn place(
        &mut self,
        id: HoldId,
        amount: Amount,
        cells: SmallVec<[BudgetCell; 4]>,
        expires: i64,
    ) -> Result<(), Full> {
        if !self.by_id.contains_key(&id) && self.by_id.len() >= self.max {
            return Err(Full);
        }
        self.take(id);
        for cell in &cells {
            let sum = self.by_cell.entry(*cell).or_default();
            *sum = *sum + amount;
        }
        self.by_expiry.insert((expires, id));
        self.by_id.insert(id, Hold { amount, expires, cells });
        self.awaited.add(id.event);
        Ok(())
    }

    /// The event has arrived: its sum has the true cost now. Call it after that sum was applied, never before.
    pub fn release(&mut self, event: EventKey) {
        let all = HoldId { event, owner: 0 }..=HoldId { event, owner: u64::MAX };
        let ids: SmallVec<[HoldId; 2]> = self.by_id.range(all).map(|(id, _)| *id).collect();
        for id in ids {
            self.take(id);
        }
        self.awaited.remove(event);
    }

    /// Forgets the hold of one call, as when its answer was withdrawn.
    pub fn withdraw(&mut self, id: HoldId) {
        self.take(id);
        self.forget(id.event);
    }

    /// Forgets what was held until `now` or before (microseconds since the epoch).
    pub fn expire(&mut self, now: i64) {
        while let Some((expires, id)) = self.by_expiry.first().copied().filter(|(expires, _)| *expires <= now) {
            self.by_expiry.remove(&(expires, id));
            self.take(id);
            self.forget(id.event);
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn take(&mut self, id: HoldId) {
        let Some(hold) = self.by_id.remove(&id) else { return };
        self.by_expiry.remove(&(hold.expires, id));
        for cell in hold.cells {
            if let Entry::Occupied(mut sum) = self.by_cell.entry(cell) {
                *sum.get_mut() = *sum.get() - hold.amount;
                // Sums are exact, so nothing is left when the last hold of a cell goes; a free hold of zero may go early.
                if sum.get().is_zero() {
                    sum.remove();
                }
            }
        }
    }

    fn forget(&self, event: EventKey) {
        let all = HoldId { event, owner: 0 }..=HoldId { event, owner: u64::MAX };
        if self.by_id.range(all).next().is_none() {
            self.awaited.remove(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use smallvec::smallvec;
    use spendstream_schemas::money::Amount;

    use super::super::book::BudgetCell;
    use super::{Full, HoldId, Holds};
    use crate::aggregate::awaited::{Awaited, EventKey};

    fn amount(units: i128) -> Amount {
        Amount::from_units(units).unwrap()
    }

    fn holds(max: usize) -> Holds {
        Holds::new(max, Arc::new(Awaited::default()))
    }

    fn id(text: &str) -> HoldId {
        HoldId::of(Some("acme"), None, text)
    }

    #[test]
    fn asking_again_replaces_the_hold() {
        let mut holds = holds(10);
        let (one, two) = (BudgetCell(1), BudgetCell(2));
        holds.place(id("a"), amount(5), smallvec![one, two], 100).unwrap();
        holds.place(id("b"), amount(7), smallvec![one], 100).unwrap();
        assert_eq!((holds.held(one, None), holds.held(two, None)), (amount(12), amount(5)));
        assert_eq!((holds.held(one, Some(id("a"))), holds.held(two, Some(id("b")))), (amount(7), amount(5)));
        holds.place(id("a"), amount(3), smallvec![one], 200).unwrap();
        assert_eq!((holds.held(one, None), holds.held(two, None), holds.len()), (amount(10), amount(0), 2));
    }

    #[test]
    fn a_hold_ends_with_its_event_or_its_time() {
        let mut holds = holds(10);
        for (name, expires) in [("a", 100), ("b", 200)] {
            holds.place(id(name), amount(1), smallvec![BudgetCell(1)], expires).unwrap();
        }
        holds.expire(99);
        assert_eq!(holds.len(), 2);
        holds.expire(100);
        assert_eq!((holds.len(), holds.held(BudgetCell(1), None)), (1, amount(1)));
        holds.release(EventKey::of("b"));
        holds.release(EventKey::of("b"));
        assert!(holds.is_empty() && holds.by_cell.is_empty() && holds.by_expiry.is_empty());
    }

    #[test]
    fn the_same_id_of_two_organisations_is_two_holds_that_end_together() {
        let mut holds = holds(10);
        for organization in ["acme", "bolt"] {
            let id = HoldId::of(Some(organization), None, "1");
            holds.place(id, amount(1), smallvec![BudgetCell(1)], 100).unwrap();
        }
        assert_eq!(holds.held(BudgetCell(1), None), amount(2));
        holds.release(EventKey::of("1"));
        assert_eq!(holds.held(BudgetCell(1), None), amount(0));
    }

    #[test]
    fn there_is_room_for_so_many_and_no_more() {
        let mut holds = holds(1);
        holds.place(id("a"), amount(1), smallvec![BudgetCell(1)], 100).unwrap();
        assert_eq!(holds.place(id("b"), amount(1), smallvec![BudgetCell(1)], 100), Err(Full));
        holds.place(id("a"), amount(2), smallvec![BudgetCell(1)], 100).unwrap();
        assert_eq!(holds.held(BudgetCell(1), None), amount(2));
    }

    proptest! {
        #[test]
        fn the_sum_of_a_cell_is_that_of_its_holds(steps in prop::collection::vec((0u8..4, 0u8..5, 1i64..100, 1i64..50), 1..60)) {
            let mut holds = holds(3);
            for (step, name, units, time) in steps {
                let id = id(&name.to_string());
                match step {
                    0 | 1 => { let _ = holds.place(id, amount(units.into()), smallvec![BudgetCell(u128::from(name % 2)), BudgetCell(9)], time); }
                    2 => holds.release(id.event()),
                    _ => holds.expire(time),
                }
                for cell in [0, 1, 9].map(BudgetCell) {
                    let sum: Amount = holds.by_id.values().filter(|hold| hold.cells.contains(&cell)).map(|hold| hold.amount).sum();
                    prop_assert_eq!(holds.held(cell, None), sum);
                }
                prop_assert_eq!(holds.by_id.len(), holds.by_expiry.len());
            }
        }
    }
}
