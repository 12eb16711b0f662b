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
use super::claims::{Claims, LASTS_MICROS};
pub use super::hold::{Change, Full, Hold, HoldId};
use super::recent::Recents;
use crate::aggregate::awaited::{Arrival, Awaited, EventKey};

#[path = "holds_against.rs"]
mod against;
pub(super) use against::{Against, Asking, Right};

/// A hold as it is kept.
#[derive(Clone, Debug)]
struct Kept {
    hold: Hold,
    /// It was placed here, so the others are told of its end.
    here: bool,
    /// Its room is taken out of its run's hold.
    is_part: bool,
    /// What its own parts hold of it.
    out: Amount,
    /// What events have drawn of it.
    spent: Amount,
}

impl Kept {
    /// What is held for it yet, beside its parts.
    fn rest(&self) -> Amount {
        self.rest_with(Amount::ZERO)
    }

    /// The same if parts of so much ended.
    fn rest_with(&self, ended: Amount) -> Amount {
        rest(self.hold.amount, (self.out - ended).max(Amount::ZERO), self.spent)
    }

    /// What its parts hold, should it be held in these cells: parts are held where it was, so in new cells nothing is said of them.
    fn carried(&self, cells: &[BudgetCell]) -> Amount {
        if cells.iter().all(|cell| self.hold.cells.contains(cell)) { self.out } else { Amount::ZERO }
    }
}

fn rest(amount: Amount, out: Amount, spent: Amount) -> Amount {
    let units = amount.units().saturating_sub(out.units()).saturating_sub(spent.units());
    Amount::saturating(units.max(0))
}

/// How long it takes, at most, until others count what they were told: what was told more recently is counted once for each of them.
pub(super) const PROPAGATION_MICROS: i64 = 1_000_000;
/// How long what was held here is recent: while what another granted without knowing of it may still be unheard here.
pub(super) const RECENT_MICROS: i64 = 2 * PROPAGATION_MICROS;
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
    /// The calls of a run, whether that is held or not.
    by_run: HashMap<HoldId, BTreeSet<HoldId>>,
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
            by_run: HashMap::new(),
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
            Some(kept) => all - kept.rest(),
            None => all,
        }
    }

    fn in_cell(&self, id: HoldId, cell: BudgetCell) -> Option<&Kept> {
        self.by_id.get(&id).filter(|kept| kept.hold.cells.contains(&cell))
    }

    /// A call of this id is allowed already.
    pub(super) fn is_granted(&self, id: HoldId) -> bool {
        self.by_id.get(&id).is_some_and(|kept| !kept.hold.is_claim())
    }

    /// Until when nothing is claimed in one of these cells, if so.
    pub(super) fn barred(&self, cells: &[BudgetCell], now: i64) -> Option<i64> {
        cells.iter().filter_map(|cell| self.claims.barred(*cell, now)).max()
    }

    /// The call that claims asks again.
    pub(super) fn note_repeated(&mut self, id: HoldId) {
        for id in [id, id.more()] {
            if self.by_id.get(&id).is_some_and(|kept| kept.hold.is_claim()) {
                self.claims.note_repeated(id);
            }
        }
    }

    /// Claims room for a call that is not allowed yet, out of what is held for `run` where that has it, in place of what the same id claims.
    /// What is granted already stays.
    ///
    /// # Errors
    /// When there is no room, or none is claimed in one of the cells for now; nothing has changed then.
    pub(super) fn claim(
        &mut self,
        id: HoldId,
        amount: Amount,
        cells: SmallVec<[BudgetCell; 4]>,
        (now, run): (i64, Option<HoldId>),
    ) -> Result<(), Full> {
        if self.barred(&cells, now).is_some() {
            return Err(Full);
        }
        let expires = now.saturating_add(LASTS_MICROS);
        let since = self.since(id, amount, now);
        self.put(id, Hold { amount, expires, cells, claimed_at: Some(i64::MAX), run, since }, true)?;
        self.untold.push_back((self.number, id));
        Ok(())
    }

    /// Holds an amount from now until `expires` (microseconds since the epoch), in place of what the same id holds; as a part of what is held
    /// for `run`. Of a run its amount less what its calls took.
    ///
    /// # Errors
    /// When there is no room; nothing has changed then.
    pub fn place(
        &mut self,
        id: HoldId,
        amount: Amount,
        cells: SmallVec<[BudgetCell; 4]>,
        (now, expires, run): (i64, i64, Option<HoldId>),
    ) -> Result<(), Full> {
        let is_more = self.by_id.get(&id).is_none_or(|kept| kept.hold.is_claim() || kept.hold.amount < amount);
        let since = self.since(id, amount, now);
        self.put(id, Hold { amount, expires, cells, claimed_at: None, run, since }, true)?;
        // What it claimed beside is held for it now. Others count both until they have surely heard of this.
        if is_more {
            self.end(id.more(), true);
        }
        Ok(())
    }

    /// Not before what is held for this call, whatever another instance's clock says; of two at the same moment the larger counts.
    fn since(&self, id: HoldId, amount: Amount, now: i64) -> i64 {
        self.by_id
            .get(&id)
            .map_or(now, |Kept { hold, .. }| now.max(hold.since.saturating_add(i64::from(amount < hold.amount))))
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
        for id in [id, id.more()] {
            self.shorten(id, now, here);
        }
    }

    fn shorten(&mut self, id: HoldId, now: i64, here: bool) {
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

    /// Starts to count as recent what is held for this call, by cell.
    pub fn note_recent(&mut self, now: i64, amounts: SmallVec<[(BudgetCell, Amount); 4]>) {
        // Where nothing is told nobody else holds.
        let until = self.changes.is_none().then_some(now.saturating_add(RECENT_MICROS));
        if !amounts.is_empty() {
            self.recent.add(self.number, until, amounts);
        }
    }

    fn put(&mut self, id: HoldId, hold: Hold, here: bool) -> Result<(), Full> {
        let known = self.by_id.get(&id).map(|kept| (&kept.hold, kept.here));
        match known {
            // What was granted is never less for a claim that comes by another way, or later.
            Some((kept, _)) if !kept.is_claim() && hold.is_claim() => return Ok(()),
            Some((kept, is_own)) if !here && kept.is_claim() == hold.is_claim() && is_later(kept, &hold) => {
                // It is what is heard last, too.
                if is_own {
                    self.changed(Change::Placed(id, kept.clone()));
                }
                return Ok(());
            }
            None if self.by_id.len() >= self.max || (here && self.is_behind()) => return Err(Full),
            _ => {}
        }
        let spent = self.by_id.get(&id).map_or(Amount::ZERO, |kept| kept.spent);
        self.take(id);
        let out = self.adopt(id, &hold);
        let is_part = hold.run.filter(|run| *run != id).is_some_and(|run| self.is_within(run, &hold.cells));
        if let Some(run) = hold.run.filter(|run| *run != id) {
            self.by_run.entry(run).or_default().insert(id);
        }
        if let Some(run) = hold.run.filter(|_| is_part) {
            self.adjust(run, |run| run.out = run.out + hold.amount);
        }
        self.by_expiry.insert((hold.expires, id));
        self.claims.add(id, &hold);
        if here {
            self.changed(Change::Placed(id, hold.clone()));
        }
        let kept = Kept { hold, here, is_part, out, spent };
        for cell in &kept.hold.cells {
            let sum = self.by_cell.entry(*cell).or_default();
            *sum = *sum + kept.rest();
        }
        self.by_id.insert(id, kept);
        self.awaited.add(id.event);
        Ok(())
    }

    /// Makes the calls of a run that were heard of before it, or before it is held anew, its parts; what they hold.
    fn adopt(&mut self, run: HoldId, hold: &Hold) -> Amount {
        let mut out = Amount::ZERO;
        for id in self.by_run.get(&run).into_iter().flatten() {
            if let Some(part) = self.by_id.get_mut(id) {
                part.is_part = !hold.is_claim() && hold.cells.iter().all(|cell| part.hold.cells.contains(cell));
                out = if part.is_part { out + part.hold.amount } else { out };
            }
        }
        out
    }

    /// A call of some cells takes its room out of a run that is held in no others: else some of the run's budgets know nothing of the call.
    fn is_within(&self, run: HoldId, cells: &[BudgetCell]) -> bool {
        let run = self.by_id.get(&run).filter(|run| !run.hold.is_claim());
        run.is_some_and(|run| run.hold.cells.iter().all(|cell| cells.contains(cell)))
    }

    /// Changes what is left of what is held for a run.
    fn adjust(&mut self, run: HoldId, change: impl FnOnce(&mut Kept)) {
        let Some(kept) = self.by_id.get_mut(&run) else { return };
        let before = kept.rest();
        change(kept);
        let more = kept.rest() - before;
        if !more.is_zero() {
            for cell in &kept.hold.cells {
                let sum = self.by_cell.entry(*cell).or_default();
                *sum = *sum + more;
            }
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
            self.end(id.more(), here);
        }
        self.forget(event.key);
    }

    /// Ends what a call claims beside what it holds, if anything.
    fn end(&mut self, more: HoldId, here: bool) {
        if self.by_id.contains_key(&more) {
            self.take(more);
            self.forget(more.event);
            if here {
                self.changed(Change::Gone(more));
            }
        }
    }

    /// A part of what is held for a run was spent: no more than the rest is held on, until the run's own event or the end of its time. Each
    /// instance counts by itself; one that starts anew holds the whole again.
    pub fn draw(&mut self, run: Arrival, spent: Amount) {
        for id in self.of(run) {
            self.adjust(id, |run| run.spent = Amount::saturating(run.spent.units().saturating_add(spent.units())));
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
        let Some(kept) = self.by_id.remove(&id) else { return false };
        let rest = kept.rest();
        let Kept { hold, here, is_part, .. } = kept;
        self.by_expiry.remove(&(hold.expires, id));
        self.claims.remove(id, &hold);
        for cell in hold.cells {
            if let Entry::Occupied(mut sum) = self.by_cell.entry(cell) {
                *sum.get_mut() = *sum.get() - rest;
                // Sums are exact, so nothing is left when the last hold of a cell goes; a free hold of zero may go early.
                if sum.get().is_zero() {
                    sum.remove();
                }
            }
        }
        if let Some(run) = hold.run
            && let Entry::Occupied(mut calls) = self.by_run.entry(run)
        {
            calls.get_mut().remove(&id);
            if calls.get().is_empty() {
                calls.remove();
            }
        }
        if let Some(run) = hold.run.filter(|_| is_part) {
            self.adjust(run, |run| run.out = (run.out - hold.amount).max(Amount::ZERO));
        }
        here
    }

    fn forget(&self, event: EventKey) {
        if self.by_id.range(HoldId::all(event)).next().is_none() {
            self.awaited.remove(event);
        }
    }
}

/// Whether the one of two holds for a call was asked for later; of two at the same moment the larger counts.
fn is_later(one: &Hold, other: &Hold) -> bool {
    (one.since, one.amount) > (other.since, other.amount)
}

#[cfg(test)]
#[path = "holds_tests.rs"]
mod tests;
