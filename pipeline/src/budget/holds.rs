//! What is promised: estimates of allowed calls, held until their event arrives or their time is up. In: event ids, amounts, cells
//! of budgets, times; out: how much of a cell is held. Pure; reads no clock.
//!
//! One hold counts in every cell (budget and values) that it was judged in. Asking again with the same id replaces the hold.
//! What is held here is told to other instances, and to this one after a restart, by [`Change`]s; what they tell counts the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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

    /// As two numbers, to be told to others.
    #[must_use]
    pub fn parts(self) -> (u64, u64) {
        (self.event.0, self.owner)
    }

    /// From [`HoldId::parts`].
    #[must_use]
    pub fn from_parts(event: u64, owner: u64) -> Self {
        Self { event: EventKey(event), owner }
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
}

/// What others have to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Placed(HoldId, Hold),
    /// Its event has arrived, or its time is up.
    Gone(HoldId),
}

/// How long it takes, at most, until others count what was held here: what was held more recently is counted once for each of them.
const PROPAGATION_MICROS: i64 = 1_000_000;
/// Changes that wait to be told; beyond, the oldest are not.
const MOST_CHANGES: usize = 100_000;

/// There is no room for another hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// See the module.
#[derive(Debug)]
pub struct Holds {
    by_id: BTreeMap<HoldId, (Hold, bool)>,
    by_cell: HashMap<BudgetCell, Amount>,
    by_expiry: BTreeSet<(i64, HoldId)>,
    max: usize,
    awaited: Arc<Awaited>,
    /// Held here lately: when, how much, where.
    recent: VecDeque<(i64, Amount, SmallVec<[BudgetCell; 4]>)>,
    recent_by_cell: HashMap<BudgetCell, Amount>,
    changes: Option<VecDeque<Change>>,
}

impl Holds {
    /// At most `max` holds; whoever decodes events learns by `awaited` which ids to report.
    #[must_use]
    pub fn new(max: usize, awaited: Arc<Awaited>) -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_cell: HashMap::new(),
            by_expiry: BTreeSet::new(),
            max,
            awaited,
            recent: VecDeque::new(),
            recent_by_cell: HashMap::new(),
            changes: None,
        }
    }

    /// Remembers changes for others from now on; who takes them bounds them.
    pub fn share(&mut self) {
        self.changes.get_or_insert_default();
    }

    /// What others have to know since this was asked last.
    pub fn take_changes(&mut self) -> VecDeque<Change> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn changed(&mut self, change: Change) {
        let Some(changes) = &mut self.changes else { return };
        if changes.len() >= MOST_CHANGES {
            changes.pop_front();
        }
        changes.push_back(change);
    }

    /// What was held here so lately that others may not count it yet.
    #[must_use]
    pub fn recent(&self, cell: BudgetCell) -> Amount {
        self.recent_by_cell.get(&cell).copied().unwrap_or_default()
    }

    /// What is held in a cell, without the hold of `own`.
    #[must_use]
    pub fn held(&self, cell: BudgetCell, own: Option<HoldId>) -> Amount {
        let all = self.by_cell.get(&cell).copied().unwrap_or_default();
        match own.and_then(|id| self.by_id.get(&id)) {
            Some((hold, _)) if hold.cells.contains(&cell) => all - hold.amount,
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
        self.put(id, Hold { amount, expires, cells }, true)
    }

    /// Counts what another instance holds, or this one before it started anew.
    ///
    /// # Errors
    /// When there is no room; nothing has changed then.
    pub fn place_foreign(&mut self, id: HoldId, hold: Hold) -> Result<(), Full> {
        self.put(id, hold, false)
    }

    /// A hold is over, but its sums come by another way: until they surely have, both count. `here`: its event was read here, so the others
    /// are told then; else one of them said so.
    pub fn end_soon(&mut self, id: HoldId, now: i64, here: bool) {
        let Some((hold, told_here)) = self.by_id.get_mut(&id) else { return };
        *told_here = here;
        let soon = now + PROPAGATION_MICROS * 2;
        if hold.expires > soon {
            self.by_expiry.remove(&(hold.expires, id));
            hold.expires = soon;
            self.by_expiry.insert((soon, id));
        }
    }

    /// Starts to count as recent what is held for this call.
    pub fn note_recent(&mut self, now: i64, amount: Amount, cells: SmallVec<[BudgetCell; 4]>) {
        for cell in &cells {
            let sum = self.recent_by_cell.entry(*cell).or_default();
            *sum = *sum + amount;
        }
        self.recent.push_back((now, amount, cells));
    }

    fn put(&mut self, id: HoldId, hold: Hold, here: bool) -> Result<(), Full> {
        if !self.by_id.contains_key(&id) && self.by_id.len() >= self.max {
            return Err(Full);
        }
        self.take(id);
        for cell in &hold.cells {
            let sum = self.by_cell.entry(*cell).or_default();
            *sum = *sum + hold.amount;
        }
        self.by_expiry.insert((hold.expires, id));
        if here {
            self.changed(Change::Placed(id, hold.clone()));
        }
        self.by_id.insert(id, (hold, here));
        self.awaited.add(id.event);
        Ok(())
    }

    /// The event has arrived: its sum has the true cost now. Call it after that sum was applied, never before. `here`: this instance read
    /// it, and so tells the others.
    pub fn release(&mut self, event: EventKey, here: bool) {
        let all = HoldId { event, owner: 0 }..=HoldId { event, owner: u64::MAX };
        let ids: SmallVec<[HoldId; 2]> = self.by_id.range(all).map(|(id, _)| *id).collect();
        for id in ids {
            self.take(id);
            if here {
                self.changed(Change::Gone(id));
            }
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
            if self.take(id) {
                self.changed(Change::Gone(id));
            }
            self.forget(id.event);
        }
        while let Some((_, amount, cells)) = self.recent.pop_front_if(|(at, ..)| *at <= now - PROPAGATION_MICROS) {
            for cell in cells {
                if let Entry::Occupied(mut sum) = self.recent_by_cell.entry(cell) {
                    *sum.get_mut() = *sum.get() - amount;
                    if sum.get().is_zero() {
                        sum.remove();
                    }
                }
            }
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

    /// True when it was held here.
    fn take(&mut self, id: HoldId) -> bool {
        let Some((hold, here)) = self.by_id.remove(&id) else { return false };
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
        here
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
    use super::{Change, Full, Hold, HoldId, Holds};
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
        holds.release(EventKey::of("b"), true);
        holds.release(EventKey::of("b"), true);
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
        holds.release(EventKey::of("1"), true);
        assert_eq!(holds.held(BudgetCell(1), None), amount(0));
    }

    #[test]
    fn what_others_hold_counts_and_only_what_is_held_here_is_told() {
        let mut holds = holds(10);
        holds.share();
        let cell = BudgetCell(1);
        holds.place(id("a"), amount(5), smallvec![cell], 100).unwrap();
        let elsewhere = Hold { amount: amount(7), expires: 200, cells: smallvec![cell] };
        holds.place_foreign(id("b"), elsewhere.clone()).unwrap();
        assert_eq!(holds.held(cell, None), amount(12));
        let placed = Change::Placed(id("a"), Hold { amount: amount(5), ..elsewhere.clone() });
        assert_eq!(holds.take_changes(), [Change::Placed(id("a"), Hold { expires: 100, ..hold_of(placed) })]);
        // The event of b arrives here: the others, and its holder among them, have to know.
        holds.release(EventKey::of("b"), true);
        holds.expire(100);
        assert_eq!(holds.take_changes(), [Change::Gone(id("b")), Change::Gone(id("a"))]);
        holds.place_foreign(id("c"), elsewhere).unwrap();
        holds.expire(200);
        assert!(holds.is_empty() && holds.take_changes().is_empty());
    }

    fn hold_of(change: Change) -> Hold {
        match change {
            Change::Placed(_, hold) => hold,
            Change::Gone(_) => panic!("it is gone"),
        }
    }

    #[test]
    fn what_others_say_is_over_counts_until_its_sums_surely_came() {
        let mut holds = holds(10);
        holds.share();
        let cell = BudgetCell(1);
        holds.place(id("a"), amount(5), smallvec![cell], 100_000_000).unwrap();
        let elsewhere = Hold { amount: amount(7), expires: 100_000_000, cells: smallvec![cell] };
        holds.place_foreign(id("b"), elsewhere.clone()).unwrap();
        holds.take_changes();
        holds.end_soon(id("a"), 0, false);
        holds.end_soon(id("b"), 0, false);
        holds.end_soon(id("nobody's"), 0, false);
        holds.expire(1_999_999);
        assert_eq!(holds.held(cell, None), amount(12));
        holds.expire(2_000_000);
        assert!(holds.is_empty() && holds.by_expiry.is_empty());
        assert!(holds.take_changes().is_empty(), "who said so knows");
    }

    #[test]
    fn a_hold_whose_event_came_first_ends_soon_and_is_told() {
        let mut holds = holds(10);
        holds.share();
        let cell = BudgetCell(1);
        let hold = Hold { amount: amount(7), expires: 100_000_000, cells: smallvec![cell] };
        holds.place_foreign(id("b"), hold).unwrap();
        holds.end_soon(id("b"), 0, true);
        assert_eq!(holds.held(cell, None), amount(7));
        holds.expire(2_000_000);
        assert_eq!(holds.take_changes(), [Change::Gone(id("b"))]);
        assert!(holds.is_empty());
    }

    #[test]
    fn what_is_recent_is_forgotten_after_a_second() {
        let mut holds = holds(10);
        let cell = BudgetCell(1);
        holds.note_recent(1_000_000, amount(5), smallvec![cell]);
        holds.note_recent(1_500_000, amount(7), smallvec![cell]);
        holds.expire(1_999_999);
        assert_eq!(holds.recent(cell), amount(12));
        holds.expire(2_000_000);
        assert_eq!(holds.recent(cell), amount(7));
        holds.expire(2_500_000);
        assert!(holds.recent_by_cell.is_empty());
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
                    2 => holds.release(id.event(), true),
                    _ => holds.expire(time),
                }
                for cell in [0, 1, 9].map(BudgetCell) {
                    let sum: Amount = holds.by_id.values().filter(|(hold, _)| hold.cells.contains(&cell)).map(|(hold, _)| hold.amount).sum();
                    prop_assert_eq!(holds.held(cell, None), sum);
                }
                prop_assert_eq!(holds.by_id.len(), holds.by_expiry.len());
            }
        }
    }
}
