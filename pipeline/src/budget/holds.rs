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

use super::book::BudgetCell;
use super::claims::{ASK_AGAIN_MICROS, Claims, LASTS_MICROS, RIPE_MICROS};
pub use super::hold::{Change, Full, Hold, HoldId};
use super::recent::Recents;
use crate::aggregate::awaited::{Arrival, Awaited, EventKey};

/// A hold as it is kept.
#[derive(Clone, Debug)]
struct Kept {
    hold: Hold,
    /// It was placed here, so the others are told of its end.
    here: bool,
    /// What it took of its run's hold.
    moved: Amount,
}

/// What a call may take of what is left in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    /// A share: the rest is left for what other instances may be granting.
    Share,
    /// It has claimed its room, but not everybody may have heard of that; microseconds until they have, and what claims hold that go after it.
    Young { left: i64, rivals: Amount },
    /// All: its room is counted by everybody already.
    Counted,
}

/// How long it takes, at most, until others count what they were told: what was told more recently is counted once for each of them.
pub(super) const PROPAGATION_MICROS: i64 = 1_000_000;
/// More than the time between two words of one's own that come back: what was told meanwhile comes a moment after the first of them.
const SILENCE_MICROS: i64 = 3 * PROPAGATION_MICROS;
/// How long a claim counts beyond its end: a silence that is not noticed as one, and the moment after it.
const LINGER_MICROS: i64 = SILENCE_MICROS + PROPAGATION_MICROS;
/// Others count one that they do not hear of as gone after ten seconds, and give its share away.
const DEAF_MICROS: i64 = 8 * PROPAGATION_MICROS;
/// Changes that wait to be told, at most; beyond, nothing is held any more until they are.
const MOST_CHANGES: usize = 100_000;

/// The room of a run's hold, as a cell of its own.
pub(super) fn room_of(run: HoldId) -> BudgetCell {
    let (event, owner) = run.parts();
    BudgetCell(u128::from(event) << 64 | u128::from(owner))
}

/// See the module.
#[derive(Debug)]
pub struct Holds {
    by_id: BTreeMap<HoldId, Kept>,
    by_cell: HashMap<BudgetCell, Amount>,
    by_expiry: BTreeSet<(i64, HoldId)>,
    claims: Claims,
    max: usize,
    awaited: Arc<Awaited>,
    recent: Recents,
    changes: Option<VecDeque<Change>>,
    /// How many changes there were.
    number: u64,
    /// Claims that are not told yet, with the number of the change that does.
    untold: VecDeque<(u64, HoldId)>,
    /// How long sums may take that have to be read from the lake.
    settle_micros: i64,
    /// Until when some of another instance's may be missing here.
    behind_until: i64,
    /// When what others tell was heard last, up to then.
    heard: i64,
    /// When something was heard again after a silence.
    resumed: i64,
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
            recent: Recents::default(),
            changes: None,
            number: 0,
            untold: VecDeque::new(),
            settle_micros: 0,
            behind_until: i64::MIN,
            heard: i64::MAX,
            resumed: i64::MIN,
        }
    }

    /// Remembers changes for others from now on; `settle`: how long sums may take to be read from the lake.
    pub fn share(&mut self, settle: Duration) {
        self.changes.get_or_insert_default();
        let settle = i64::try_from(settle.as_micros()).unwrap_or(i64::MAX);
        self.settle_micros = settle;
    }

    /// A budget's values are spelled otherwise from now on: what was held in the one cell is held in the other.
    pub fn rename(&mut self, from: BudgetCell, to: BudgetCell) {
        let cells = self.by_id.values_mut().flat_map(|kept| kept.hold.cells.iter_mut());
        cells.filter(|cell| **cell == from).for_each(|cell| *cell = to);
        if let Some(sum) = self.by_cell.remove(&from) {
            let known = self.by_cell.entry(to).or_default();
            *known = *known + sum;
        }
        self.recent.rename(from, to);
        self.claims.rename(from, to);
    }

    /// What others told until `now` is heard.
    pub fn heard(&mut self, now: i64) {
        if now.saturating_sub(self.heard) > SILENCE_MICROS {
            self.resumed = now;
        }
        self.heard = now;
    }

    /// Nothing was heard for so long that others may count on this instance no more.
    #[must_use]
    pub fn is_deaf(&self, now: i64) -> bool {
        now.saturating_sub(self.heard) > DEAF_MICROS
    }

    /// What others have to know since this was asked last. Say [`Holds::told`] when they can.
    pub fn take_changes(&mut self) -> VecDeque<Change> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The broker has all that was taken so far, since `now`.
    pub fn told(&mut self, now: i64) {
        // What was not taken yet comes after these.
        let waiting = self.changes.as_ref().map_or(0, VecDeque::len) as u64;
        let last = self.number.saturating_sub(waiting);
        self.recent.told(last, now);
        while let Some((_, id)) = self.untold.pop_front_if(|(change, _)| *change <= last) {
            if let Some(claimed_at) = self.by_id.get_mut(&id).and_then(|kept| kept.hold.claimed_at.as_mut()) {
                *claimed_at = now.min(*claimed_at);
            }
        }
    }

    /// The broker did not take what was told of these: how it is now is told again.
    pub fn tell_again(&mut self, ids: impl IntoIterator<Item = HoldId>) {
        for id in ids {
            let kept = self.by_id.get(&id).filter(|kept| kept.here).map(|kept| kept.hold.clone());
            self.changed(kept.map_or(Change::Gone(id), |hold| Change::Placed(id, hold)));
        }
    }

    fn changed(&mut self, change: Change) {
        let Some(changes) = &mut self.changes else { return };
        changes.push_back(change);
        self.number += 1;
    }

    fn is_behind(&self) -> bool {
        self.changes.as_ref().is_some_and(|changes| changes.len() >= MOST_CHANGES) || self.recent.len() >= MOST_CHANGES
    }

    /// What was held here so lately that others may not count it yet.
    #[must_use]
    pub fn recent(&self, cell: BudgetCell) -> Amount {
        self.recent.of(cell)
    }

    /// What is held in a cell, without the hold of `own`.
    #[must_use]
    pub fn held(&self, cell: BudgetCell, own: Option<HoldId>) -> Amount {
        let all = self.by_cell.get(&cell).copied().unwrap_or_default();
        match own.and_then(|id| self.in_cell(id, cell)) {
            Some(hold) => all - hold.amount,
            None => all,
        }
    }

    fn in_cell(&self, id: HoldId, cell: BudgetCell) -> Option<&Hold> {
        self.by_id.get(&id).map(|kept| &kept.hold).filter(|hold| hold.cells.contains(&cell))
    }

    /// What is held in a cell against a call with this id, which may be a part of that run, and what it may take of the rest; `others`: instances
    /// beside this one.
    pub(super) fn against(
        &self,
        cell: BudgetCell,
        (own, run, others): (Option<HoldId>, Option<HoldId>, u32),
        amount: Amount,
        now: i64,
    ) -> (Amount, Right) {
        // Whoever counts it has to hear of the call before that ends.
        let counted = |id: HoldId| {
            self.in_cell(id, cell).filter(|hold| amount <= hold.amount && now <= hold.expires - PROPAGATION_MICROS)
        };
        let held = self.held(cell, own);
        if let Some((id, hold)) = own.and_then(|id| Some((id, counted(id)?))) {
            let Some(at) = hold.claimed_at else { return (held, Right::Counted) };
            let after = self.claims.after(cell, id).filter_map(|id| self.by_id.get(id));
            let rivals: Amount = after.map(|kept| kept.hold.amount).sum();
            let left = at.saturating_add(RIPE_MICROS).saturating_sub(now).min(ASK_AGAIN_MICROS);
            // Until then the others' claims may be granted first.
            return if left > 0 { (held, Right::Young { left, rivals }) } else { (held - rivals, Right::Counted) };
        }
        // Of what is held for a run each instance gives its share, as of a budget.
        let is_there = |run: HoldId, hold: &Hold| {
            let granting = self.recent.of(room_of(run)) + amount;
            let all = granting.units().saturating_mul(others.into()).saturating_add(amount.units());
            hold.claimed_at.is_none() && all <= hold.amount.units()
        };
        match run.and_then(|run| Some((run, counted(run)?))) {
            Some((run, hold)) if is_there(run, hold) => (held - amount, Right::Counted),
            _ => (held, Right::Share),
        }
    }

    /// A call of this id is allowed already.
    pub(super) fn is_granted(&self, id: HoldId) -> bool {
        self.by_id.get(&id).is_some_and(|kept| kept.hold.claimed_at.is_none())
    }

    /// What others claim in a cell, and until when.
    pub(super) fn claimed(&self, cell: BudgetCell, own: Option<HoldId>) -> (Amount, i64) {
        let others = self.claims.all(cell).filter(|id| Some(**id) != own).filter_map(|id| self.by_id.get(id));
        others.fold((Amount::ZERO, i64::MIN), |(sum, until), kept| {
            (sum + kept.hold.amount, until.max(kept.hold.expires.saturating_add(LINGER_MICROS)))
        })
    }

    /// Until when nothing is claimed in one of these cells, if so.
    pub(super) fn barred(&self, cells: &[BudgetCell], now: i64) -> Option<i64> {
        cells.iter().filter_map(|cell| self.claims.barred(*cell, now)).max()
    }

    /// The call that claims asks again.
    pub(super) fn note_repeated(&mut self, id: HoldId) {
        if self.by_id.get(&id).is_some_and(|kept| kept.hold.claimed_at.is_some()) {
            self.claims.note_repeated(id);
        }
    }

    /// Claims room for a call that is not allowed yet, in place of what the same id claims. What is granted already stays.
    ///
    /// # Errors
    /// When there is no room, or none is claimed in one of the cells for now; nothing has changed then.
    pub(super) fn claim(
        &mut self,
        id: HoldId,
        amount: Amount,
        cells: SmallVec<[BudgetCell; 4]>,
        now: i64,
    ) -> Result<(), Full> {
        if self.barred(&cells, now).is_some() {
            return Err(Full);
        }
        let expires = now.saturating_add(LASTS_MICROS);
        self.put(id, Hold { amount, expires, cells, claimed_at: Some(i64::MAX), run: None }, true)?;
        self.untold.push_back((self.number, id));
        Ok(())
    }

    /// Holds an amount until `expires` (microseconds since the epoch), in place of what the same id holds; as a part of what is held for `run`.
    ///
    /// # Errors
    /// When there is no room; nothing has changed then.
    pub fn place(
        &mut self,
        id: HoldId,
        amount: Amount,
        cells: SmallVec<[BudgetCell; 4]>,
        (expires, run): (i64, Option<HoldId>),
    ) -> Result<(), Full> {
        self.put(id, Hold { amount, expires, cells, claimed_at: None, run }, true)
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
        let Some(Kept { hold, here: told_here, .. }) = self.by_id.get_mut(&id) else { return };
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
    pub fn release_behind(&mut self, events: &[Arrival], now: i64) {
        self.behind_until = now.saturating_add(self.settle_micros);
        for event in events {
            self.of(*event).into_iter().for_each(|id| self.end_soon(id, now, false));
        }
    }

    /// The holds that an event, or an event of a run, can be for.
    fn of(&self, event: Arrival) -> SmallVec<[HoldId; 2]> {
        let ids = self.by_id.range(HoldId::all(event.key)).map(|(id, _)| *id);
        ids.filter(|id| id.owner.meets(event.origin)).collect()
    }

    /// Starts to count as recent what is held for this call.
    pub fn note_recent(&mut self, now: i64, amount: Amount, cells: SmallVec<[BudgetCell; 4]>) {
        // Where nothing is told nobody else holds.
        let until = self.changes.is_none().then_some(now.saturating_add(PROPAGATION_MICROS));
        self.recent.add(self.number, until, amount, cells);
    }

    fn put(&mut self, id: HoldId, hold: Hold, here: bool) -> Result<(), Full> {
        match self.by_id.get(&id) {
            // What was granted is never less for a claim that comes by another way, or later.
            Some(kept) if kept.hold.claimed_at.is_none() && hold.claimed_at.is_some() => return Ok(()),
            None if self.by_id.len() >= self.max || (here && self.is_behind()) => return Err(Full),
            _ => {}
        }
        self.take(id);
        let room = hold.run.filter(|run| *run != id).and_then(|run| self.by_id.get(&run));
        // A call that some of the run's budgets know nothing of takes nothing out of it.
        let is_within = |run: &&Kept| run.hold.cells.iter().all(|cell| hold.cells.contains(cell));
        let room = room.filter(|run| run.hold.claimed_at.is_none()).filter(is_within).map(|run| run.hold.amount);
        let moved = room.map_or(Amount::ZERO, |room| room.min(hold.amount));
        if let Some(run) = hold.run {
            self.shift(run, Amount::ZERO - moved);
        }
        for cell in &hold.cells {
            let sum = self.by_cell.entry(*cell).or_default();
            *sum = *sum + hold.amount;
        }
        self.by_expiry.insert((hold.expires, id));
        self.claims.add(id, &hold);
        if here {
            self.changed(Change::Placed(id, hold.clone()));
        }
        self.by_id.insert(id, Kept { hold, here, moved });
        self.awaited.add(id.event);
        Ok(())
    }

    /// Makes what is held for a run more, or less.
    fn shift(&mut self, run: HoldId, by: Amount) {
        if by.is_zero() {
            return;
        }
        let Some(kept) = self.by_id.get_mut(&run) else { return };
        kept.hold.amount = kept.hold.amount + by;
        for cell in &kept.hold.cells {
            let sum = self.by_cell.entry(*cell).or_default();
            *sum = *sum + by;
        }
    }

    /// The event has arrived: its sum has the true cost now. Call it after that sum was applied, never before. `here`: this instance read
    /// it, and so tells the others.
    pub fn release(&mut self, event: Arrival, here: bool) {
        for id in self.of(event) {
            self.take(id);
            if here {
                self.changed(Change::Gone(id));
            }
        }
        self.forget(event.key);
    }

    /// A part of what is held for a run was spent: no more than the rest is held on, until the run's own event or the end of its time. Each
    /// instance counts by itself; one that starts anew holds the whole again.
    pub fn draw(&mut self, run: Arrival, spent: Amount) {
        for id in self.of(run) {
            let drawn = self.by_id.get(&id).map_or(Amount::ZERO, |kept| kept.hold.amount.min(spent));
            self.shift(id, Amount::ZERO - drawn);
        }
    }

    /// Forgets what was held until `now` or before (microseconds since the epoch).
    pub fn expire(&mut self, now: i64) {
        let mut kept = SmallVec::<[(i64, HoldId); 4]>::new();
        while let Some((expires, id)) = self.by_expiry.pop_first() {
            if expires > now {
                kept.push((expires, id));
                break;
            }
            let claim = self.by_id.get(&id).filter(|kept| kept.hold.claimed_at.is_some()).cloned();
            // It may be granted elsewhere: that would have been heard by now, if anything is.
            let is_heard = self.heard >= expires.saturating_add(LINGER_MICROS)
                && now >= self.resumed.saturating_add(PROPAGATION_MICROS);
            if claim.is_some() && !is_heard {
                kept.push((expires, id));
                continue;
            }
            if let Some(Kept { hold, here: true, .. }) = &claim {
                self.claims.bar(id, hold, now);
            }
            if self.take(id) {
                self.changed(if claim.is_some() { Change::Unclaimed(id) } else { Change::Gone(id) });
            }
            self.forget(id.event);
        }
        self.by_expiry.extend(kept);
        self.recent.expire(now);
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
        let Some(Kept { hold, here, moved }) = self.by_id.remove(&id) else { return false };
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
        if let Some(run) = hold.run {
            self.shift(run, moved);
        }
        here
    }

    fn forget(&self, event: EventKey) {
        if self.by_id.range(HoldId::all(event)).next().is_none() {
            self.awaited.remove(event);
        }
    }
}

#[cfg(test)]
#[path = "holds_tests.rs"]
mod tests;
