//! What is held against a call. In: the holds, and who asks for how much; out: what others hold, what the call adds to what everybody counts,
//! and what it may take of the rest. Pure.
//!
//! A call is a part of a run, or it counts beside. As a part it moves room from the run's hold to its own, so a budget is no fuller for it; it
//! must fit into what the run has left, of which each instance gives its share, as of a budget, and all to a claim.

use smallvec::SmallVec;
use spendstream_schemas::money::Amount;

use super::super::book::BudgetCell;
use super::super::claims::{ASK_AGAIN_MICROS, RIPE_MICROS};
use super::{HoldId, Holds, Kept, LINGER_MICROS, PROPAGATION_MICROS, rest, room_of};

/// What a call may take of what is left in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Right {
    /// A share: the rest is left for what other instances may be granting.
    Share,
    /// What it needs, out of what is held for its run.
    Room,
    /// It has claimed its room, but not everybody may have heard of that; microseconds until they have.
    Young { left: i64 },
    /// All: its room is counted by everybody already.
    Counted,
}

/// Who asks for how much.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Asking<'a> {
    pub own: Option<HoldId>,
    /// The run that it is a part of, should that be held.
    pub run: Option<HoldId>,
    pub amount: Amount,
    /// All that it is judged in.
    pub cells: &'a [BudgetCell],
    /// Instances beside this one.
    pub others: u32,
    pub now: i64,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Against {
    /// By others.
    pub held: Amount,
    /// The same once everybody leaves it what it claims.
    pub alone: Amount,
    /// What counts for it beside: its estimate; of a run that is held less what its calls took.
    pub adds: Amount,
    /// What of that others do not count yet: in the cell, or with [`Right::Room`] in the run's.
    pub news: Amount,
    pub right: Right,
    /// Whose part it is once it is allowed.
    pub run: Option<HoldId>,
    /// What it has to claim, and out of which run.
    pub claims: (Amount, Option<HoldId>),
}

/// What is held for the call that asks, in one cell.
#[derive(Clone, Copy)]
struct Mine<'a> {
    cell: BudgetCell,
    kept: Option<&'a Kept>,
    /// What it claims beside.
    more: Option<&'a Kept>,
    /// It is allowed already, and others do not forget it before they hear of what takes its place.
    granted: Option<&'a Kept>,
    /// What counts for it beside what others hold.
    adds: Amount,
}

type Gone<'a> = SmallVec<[&'a Kept; 8]>;

impl<'a> Mine<'a> {
    fn all(self) -> Gone<'a> {
        self.kept.into_iter().chain(self.more).collect()
    }
}

/// Others do not forget it before they can hear of what takes its place.
fn lasts(kept: &Kept, now: i64) -> bool {
    now <= kept.hold.expires - PROPAGATION_MICROS
}

impl Holds {
    /// What is held in a cell against who asks, and what it may take of the rest.
    pub(in super::super) fn against(&self, cell: BudgetCell, asking: &Asking<'_>) -> Against {
        let mine = self.mine(cell, asking);
        let adds = mine.adds;
        let judged = |right, run, news| {
            let held = self.without(cell, &mine.all(), run, adds);
            Against { held, alone: held, adds, news, right, run, claims: (news, run) }
        };
        if let Some(granted) = mine.granted.filter(|granted| asking.amount <= granted.hold.amount) {
            return judged(Right::Counted, self.run_of(granted, cell), Amount::ZERO);
        }
        if let Some(claimed) = self.by_claim(mine, asking) {
            return claimed;
        }
        let run = self.run_for(mine, asking);
        let room = run.map(|run| (run, self.need(mine, Some(run), asking), self.room(mine, run, &mine.all())));
        let room = room.filter(|(_, need, room)| need <= room);
        if let Some((run, need, room)) = room {
            // Each instance gives its share of it.
            let granting = self.recent.of(room_of(run)).units().saturating_add(need.units());
            let all = granting.saturating_mul(asking.others.into()).saturating_add(need.units());
            if all <= room.units() {
                return judged(Right::Room, Some(run), need);
            }
        }
        let beside = judged(Right::Share, None, self.need(mine, None, asking));
        match room {
            Some((run, need, _)) => {
                let alone = self.without(cell, &mine.all(), Some(run), adds);
                Against { alone, claims: (need, Some(run)), ..beside }
            }
            None => beside,
        }
    }

    /// By what it claims, where that is enough.
    fn by_claim(&self, mine: Mine<'_>, asking: &Asking<'_>) -> Option<Against> {
        let own = asking.own?;
        let claims = [(own, mine.kept.filter(|kept| kept.hold.is_claim())), (own.more(), mine.more)];
        let found = claims.into_iter().find_map(|(id, claim)| {
            let (claim, at) = claim.and_then(|claim| Some((claim, claim.hold.claimed_at?)))?;
            let run = self.run_of(claim, mine.cell);
            let need = self.need(mine, run, asking);
            let rivals = self.claims.after(mine.cell, id).filter(|one| **one != own && **one != own.more());
            let mut beside = mine.all();
            beside.extend(self.rivals(rivals, own));
            // More than the run has left would count beside, unknown to the others.
            let fits = run.is_none_or(|run| need <= self.room(mine, run, &beside));
            (fits && lasts(claim, asking.now) && need <= claim.hold.amount).then_some((at, run, need, beside))
        });
        let (at, run, need, beside) = found?;
        let alone = self.without(mine.cell, &beside, run, mine.adds);
        let left = at.saturating_add(RIPE_MICROS).saturating_sub(asking.now).min(ASK_AGAIN_MICROS);
        // Until then the others' claims may be granted first.
        let (held, right, news) = if left > 0 {
            (self.without(mine.cell, &mine.all(), run, mine.adds), Right::Young { left }, need)
        } else {
            (alone, Right::Counted, Amount::ZERO)
        };
        Some(Against { held, alone, adds: mine.adds, news, right, run, claims: (need, run) })
    }

    /// What is held against who asks when nothing is claimed by others any more, and when that is; `None` while nothing is.
    pub(in super::super) fn after_claims(&self, cell: BudgetCell, asking: &Asking<'_>) -> Option<(Amount, i64)> {
        let mine = self.mine(cell, asking);
        let is_own = |id: HoldId| asking.own.is_some_and(|own| id == own || id == own.more());
        let ids = self.claims.all(cell).filter(|id| !is_own(**id));
        let claims: Gone<'_> = match asking.own {
            Some(own) => self.rivals(ids, own).collect(),
            None => ids.filter_map(|id| self.by_id.get(id)).collect(),
        };
        let until = claims.iter().map(|kept| kept.hold.expires.saturating_add(LINGER_MICROS)).max()?;
        let mut gone = mine.all();
        gone.extend(claims);
        let run = self.run_for(mine, asking);
        let run = run.filter(|run| self.need(mine, Some(*run), asking) <= self.room(mine, *run, &gone));
        Some((self.without(cell, &gone, run, mine.adds), until))
    }

    /// Claims of others; what is claimed of the run that asks is a part of it.
    fn rivals<'a>(&'a self, ids: impl Iterator<Item = &'a HoldId>, own: HoldId) -> impl Iterator<Item = &'a Kept> {
        let kept = ids.filter_map(|id| self.by_id.get(id));
        kept.filter(move |kept| !(kept.is_part && kept.hold.run == Some(own)))
    }

    fn mine(&self, cell: BudgetCell, asking: &Asking<'_>) -> Mine<'_> {
        let kept = asking.own.and_then(|own| self.in_cell(own, cell));
        Mine {
            cell,
            kept,
            more: asking.own.and_then(|own| self.in_cell(own.more(), cell)),
            granted: kept.filter(|kept| !kept.hold.is_claim() && lasts(kept, asking.now)),
            adds: kept.map_or(asking.amount, |kept| rest(asking.amount, kept.carried(asking.cells), kept.spent)),
        }
    }

    /// The run whose part it is, or would be. What counts beside a run goes on to do so.
    fn run_for(&self, mine: Mine<'_>, asking: &Asking<'_>) -> Option<HoldId> {
        if let Some(granted) = mine.granted {
            return self.run_of(granted, mine.cell);
        }
        let run = asking.run.filter(|run| self.is_within(*run, asking.cells))?;
        self.in_cell(run, mine.cell).filter(|kept| lasts(kept, asking.now)).map(|_| run)
    }

    /// Whose part it is in this cell.
    fn run_of(&self, kept: &Kept, cell: BudgetCell) -> Option<HoldId> {
        kept.hold.run.filter(|run| kept.is_part && self.in_cell(*run, cell).is_some())
    }

    /// What it needs beside what it is granted, as a part of that run or of none.
    fn need(&self, mine: Mine<'_>, run: Option<HoldId>, asking: &Asking<'_>) -> Amount {
        let granted = mine.granted.filter(|granted| self.run_of(granted, mine.cell) == run);
        (asking.amount - granted.map_or(Amount::ZERO, |granted| granted.hold.amount)).max(Amount::ZERO)
    }

    /// What a run has left for a call beside what that is granted of it, without those that are gone.
    fn room(&self, mine: Mine<'_>, run: HoldId, gone: &[&Kept]) -> Amount {
        let parts = gone.iter().filter(|kept| self.run_of(kept, mine.cell) == Some(run));
        let freed: Amount = parts.map(|kept| kept.hold.amount).sum();
        let granted = mine.granted.filter(|granted| self.run_of(granted, mine.cell) == Some(run));
        let granted = granted.map_or(Amount::ZERO, |granted| granted.hold.amount);
        self.in_cell(run, mine.cell).map_or(Amount::ZERO, |run| run.rest_with(freed - granted))
    }

    /// What is held in a cell without some holds, beside a call of this amount that would be a part of `run`: what parts held goes back to their
    /// runs.
    fn without(&self, cell: BudgetCell, gone: &[&Kept], run: Option<HoldId>, amount: Amount) -> Amount {
        let mut held = self.by_cell.get(&cell).copied().unwrap_or_default();
        let mut moved: SmallVec<[(HoldId, Amount, Amount); 2]> = SmallVec::new();
        moved.extend(run.map(|run| (run, Amount::ZERO, amount)));
        for kept in gone {
            held = held - kept.rest();
            let Some(run) = self.run_of(kept, cell) else { continue };
            match moved.iter_mut().find(|(one, ..)| *one == run) {
                Some((_, freed, _)) => *freed = *freed + kept.hold.amount,
                None => moved.push((run, kept.hold.amount, Amount::ZERO)),
            }
        }
        for (run, freed, taken) in moved {
            if let Some(kept) = self.in_cell(run, cell) {
                let out = (kept.out - freed).max(Amount::ZERO) + taken;
                held = held + rest(kept.hold.amount, out, kept.spent) - kept.rest();
            }
        }
        held
    }
}
