//! What is promised: estimates of allowed calls, held until their event arrives or their time is up. In: event ids, amounts, cells
//! of budgets, times; out: how much of a cell is held. Pure; reads no clock.
//!
//! One hold counts in every cell (budget and values) that it was judged in. Asking again with the same id replaces the hold.
//! What is held here is told to other instances, and to this one after a restart, by [`Change`]s; what they tell counts the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use smallvec::SmallVec;
use spendstream_schemas::money::Amount;
use xxhash_rust::xxh3::xxh3_64;

use super::book::BudgetCell;
use super::claims::{Claim, Claims, LASTS_MICROS};
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
    /// It is a claim only, no call runs for it: since when (microseconds since the epoch) it is known here.
    pub claimed_at: Option<i64>,
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

/// How long it takes, at most, until others count what was held here: what was held more recently is counted once for each of them.
pub(super) const PROPAGATION_MICROS: i64 = 1_000_000;
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
    claims: Claims,
    max: usize,
    awaited: Arc<Awaited>,
    /// Held here lately: when, how much, where.
    recent: VecDeque<(i64, Amount, SmallVec<[BudgetCell; 4]>)>,
    recent_by_cell: HashMap<BudgetCell, Amount>,
    changes: Option<VecDeque<Change>>,
    /// How long sums may take that have to be read from the lake.
    settle_micros: i64,
    /// Until when some of another instance's may be missing here.
    behind_until: i64,
}

impl Holds {
    /// At most `max` holds; whoever decodes events learns by `awaited` which ids to report.
    #[must_use]
    pub fn new(max: usize, awaited: Arc<Awaited>) -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_cell: HashMap::new(),
            by_expiry: BTreeSet::new(),
            claims: Claims::default(),
            max,
            awaited,
            recent: VecDeque::new(),
            recent_by_cell: HashMap::new(),
            changes: None,
            settle_micros: 0,
            behind_until: i64::MIN,
        }
    }

    /// Remembers changes for others from now on, the newest [`MOST_CHANGES`]; `settle`: how long sums may take to be read from the lake.
    pub fn share(&mut self, settle: Duration) {
        self.changes.get_or_insert_default();
        let settle = i64::try_from(settle.as_micros()).unwrap_or(i64::MAX);
        self.settle_micros = settle;
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

    /// What is held in a cell, without the ripe claim of `own` and those that go after it.
    pub(super) fn held_before(&self, cell: BudgetCell, own: HoldId) -> Amount {
        let after = self.claims.after(cell, own).filter_map(|id| self.by_id.get(id));
        self.held(cell, Some(own)) - after.map(|(hold, _)| hold.amount).sum()
    }

    /// A call of this id is allowed already.
    pub(super) fn is_granted(&self, id: HoldId) -> bool {
        self.by_id.get(&id).is_some_and(|(hold, _)| hold.claimed_at.is_none())
    }

    /// What a call that is asked again has of its earlier claim in a cell.
    pub(super) fn claim_of(&self, id: HoldId, cell: BudgetCell, amount: Amount, now: i64) -> Claim {
        let hold = self.by_id.get(&id).map(|(hold, _)| hold).filter(|hold| hold.cells.contains(&cell));
        Claim::of(hold, amount, now)
    }

    /// Claims room for a call that is not allowed yet, in place of what the same id claims. What is granted already stays.
    ///
    /// # Errors
    /// When there is no room; nothing has changed then.
    pub(super) fn claim(
        &mut self,
        id: HoldId,
        amount: Amount,
        cells: SmallVec<[BudgetCell; 4]>,
        now: i64,
    ) -> Result<(), Full> {
        let expires = now.saturating_add(LASTS_MICROS);
        self.put(id, Hold { amount, expires, cells, claimed_at: Some(now) }, true)
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
        self.put(id, Hold { amount, expires, cells, claimed_at: None }, true)
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
        let soon = (now + PROPAGATION_MICROS * 2).max(self.behind_until);
        if hold.expires > soon {
            self.by_expiry.remove(&(hold.expires, id));
            hold.expires = soon;
            self.by_expiry.insert((soon, id));
        }
    }

    /// These events were read by another instance, but sums before theirs are missing here: what is held for them counts until the lake
    /// was read.
    pub fn release_behind(&mut self, events: &[EventKey], now: i64) {
        self.behind_until = now.saturating_add(self.settle_micros);
        for event in events {
            let all = HoldId { event: *event, owner: 0 }..=HoldId { event: *event, owner: u64::MAX };
            let ids: SmallVec<[HoldId; 2]> = self.by_id.range(all).map(|(id, _)| *id).collect();
            ids.into_iter().for_each(|id| self.end_soon(id, now, false));
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
        match self.by_id.get(&id) {
            // What was granted is never less for a claim that comes by another way, or later.
            Some((held, _)) if held.claimed_at.is_none() && hold.claimed_at.is_some() => return Ok(()),
            None if self.by_id.len() >= self.max => return Err(Full),
            _ => {}
        }
        self.take(id);
        for cell in &hold.cells {
            let sum = self.by_cell.entry(*cell).or_default();
            *sum = *sum + hold.amount;
        }
        self.by_expiry.insert((hold.expires, id));
        self.claims.add(id, &hold);
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

    /// A part of what is held for a run was spent: no more than the rest is held on, until the run's own event or the end of its time. Each
    /// instance counts by itself; one that starts anew holds the whole again.
    pub fn draw(&mut self, run: EventKey, spent: Amount) {
        let all = HoldId { event: run, owner: 0 }..=HoldId { event: run, owner: u64::MAX };
        for (hold, _) in self.by_id.range_mut(all).map(|(_, hold)| hold) {
            let drawn = hold.amount.min(spent);
            hold.amount = hold.amount - drawn;
            for cell in &hold.cells {
                if let Some(sum) = self.by_cell.get_mut(cell) {
                    *sum = *sum - drawn;
                }
            }
        }
    }

    /// Forgets what was held until `now` or before (microseconds since the epoch).
    pub fn expire(&mut self, now: i64) {
        while let Some((expires, id)) = self.by_expiry.first().copied().filter(|(expires, _)| *expires <= now) {
            self.by_expiry.remove(&(expires, id));
            let is_claim = !self.is_granted(id);
            if self.take(id) {
                self.changed(if is_claim { Change::Unclaimed(id) } else { Change::Gone(id) });
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
        self.claims.remove(id, &hold);
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
#[path = "holds_tests.rs"]
mod tests;
