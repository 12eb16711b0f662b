//! May this call run? In: who asks and what it would cost, budgets with their figures, stops, what is promised; out: a [`Verdict`], and
//! the estimate held where it was allowed. Pure and synchronous: no clock, no IO, no words.
//!
//! In order: emergency stops, request rates, models without a price, budgets. Budgets are judged by used + held + the estimate. The
//! caller keeps `Promises` for itself from the first look to the hold, so that two calls never share the same room.

use smallvec::SmallVec;
use spendstream_schemas::budget::{Quarter, is_crossed};
use spendstream_schemas::config::DecideConfig;
use spendstream_schemas::decision::{Priority, Strategy};
use spendstream_schemas::money::Amount;

use super::book::{BudgetCell, Values};
use super::cost::Quote;
use super::holds::{Against, Asking, Full, HoldId, Holds, Right, room_of};
use super::last::LastKnown;
use super::models::Step;
use super::percent;
use super::rate::{Limiter, TooFast};
use super::refuse::{exceeds, refuse, times};
use super::standing::{Ground, NoFigures, Standing};
use super::stops::{Stop, Stops};
use super::subject::Subject;

/// How near a budget is, with the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    Fine,
    /// At or above `decide.cheaper_percent`.
    Cheaper,
    /// At or above `decide.cheapest_percent`.
    Cheapest,
    /// Above the percentage at which its hard limit blocks.
    Over,
}

/// One budget that the call belongs to.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// Position in the book.
    pub entry: usize,
    pub values: Values<'a>,
    pub cell: BudgetCell,
    pub standing: Standing,
    /// By other calls.
    pub held: Amount,
    /// Used + held + the estimate, less what of it is used or held already.
    pub total: Amount,
    /// What is used is what was known last, and not less: its total is being read.
    pub is_recalled: bool,
    /// What other instances may be granting at this moment: room that a hard limit leaves for them.
    pub left_for_others: Amount,
    /// What of the rest the call may take, and what it adds.
    pub(super) against: Against,
    pub grade: Grade,
}

impl Judged<'_> {
    /// Beyond its amount, whether it blocks or not.
    #[must_use]
    pub fn is_violated(&self) -> bool {
        self.grade == Grade::Over || self.total > self.standing.limit
    }
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq)]
pub enum Refused {
    Stopped(Stop),
    TooFast(TooFast),
    Unpriced,
    /// No budget was read yet.
    Unread,
    /// A hard budget without figures; position in [`Verdict::unknown`].
    Unknown(usize),
    /// Position in [`Verdict::judged`].
    OverBudget(usize),
}

/// What became of the estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    None,
    /// Refused for now, its room is claimed: asked again by its id after the time to retry, the call runs.
    Claimed,
    Held,
    /// It would be held, but `decide.max_holds` are.
    NoRoom,
}

/// What was decided, as figures.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    pub strategy: Strategy,
    pub refused: Option<Refused>,
    /// How much cheaper a model to suggest.
    pub step: Option<Step>,
    /// A stop that asks for a cheaper model.
    pub downgrade: Option<Stop>,
    /// Over a hard limit, and allowed because it is critical.
    pub spared: bool,
    /// The tightest first.
    pub judged: SmallVec<[Judged<'a>; 8]>,
    pub unknown: SmallVec<[(usize, NoFigures); 4]>,
    pub retry_after_seconds: Option<i64>,
    pub promise: Promise,
}

impl Verdict<'_> {
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.refused.is_none()
    }
}

/// What a decision looks at.
#[derive(Clone, Copy)]
pub struct World<'a> {
    pub ground: Ground<'a>,
    pub stops: &'a Stops,
    pub config: &'a DecideConfig,
    /// Budgets and stops were read.
    pub is_set: bool,
}

/// What a decision changes.
#[derive(Debug)]
pub struct Promises {
    /// Instances that decide beside this one.
    pub others: u32,
    /// What they hold is known.
    pub is_told: bool,
    pub holds: Holds,
    pub limiter: Limiter,
    pub last: LastKnown,
}

/// Decides, and holds the estimate of an allowed call that has an id.
pub fn decide<'a>(subject: &Subject<'a>, quote: &Quote, world: &World<'_>, promises: &mut Promises) -> Verdict<'a> {
    promises.holds.expire(subject.now.timestamp_micros());
    let own = subject.hold_id();
    let (judged, unknown) = judge(subject, quote.amount, world, promises);
    let mut verdict = Verdict {
        strategy: Strategy::None,
        refused: None,
        step: None,
        downgrade: None,
        spared: false,
        judged,
        unknown,
        retry_after_seconds: None,
        promise: Promise::None,
    };
    refuse(subject, quote, world, promises, &mut verdict);
    if verdict.is_allowed() {
        advise(subject.request.priority, &mut verdict);
    } else {
        verdict.strategy = Strategy::Block;
    }
    // Who answers without a model makes no call.
    let calls = verdict.is_allowed() && verdict.strategy != Strategy::Fallback;
    if (calls || world.config.shadow)
        && let Some(id) = own
    {
        hold(subject, quote.amount, id, world.config, promises, &mut verdict);
    }
    verdict
}

/// Every budget of the call with its figures, the tightest first; and those without figures.
#[expect(clippy::type_complexity, reason = "read once, where it is taken apart")]
fn judge<'a>(
    subject: &Subject<'a>,
    estimate: Amount,
    world: &World<'_>,
    promises: &mut Promises,
) -> (SmallVec<[Judged<'a>; 8]>, SmallVec<[(usize, NoFigures); 4]>) {
    let mut known: SmallVec<[(usize, Values<'a>, Standing, bool); 8]> = SmallVec::new();
    let mut cells: SmallVec<[BudgetCell; 8]> = SmallVec::new();
    let mut unknown: SmallVec<[(usize, NoFigures); 4]> = SmallVec::new();
    let book = world.ground.book;
    let at = Quarter::of(subject.now);
    for set in 0..book.sets().len() {
        let values = book.values(set, |key| subject.value(key));
        for position in book.matches(set, &values, subject.now) {
            let entry = &book.entries()[position];
            let is_deaf = promises.others > 0 && promises.holds.is_deaf(subject.now.timestamp_micros());
            let standing = if promises.is_told {
                world.ground.standing(entry, &values, at)
            } else {
                Err(NoFigures::HeldElsewhere)
            };
            let cell = entry.cell(&values);
            let is_recalled = standing.is_err() || is_deaf;
            let standing = match standing {
                Ok(standing) => {
                    if entry.budget.hard_limit {
                        promises.last.keep(cell, entry, &standing);
                    }
                    if is_deaf {
                        unknown.push((position, NoFigures::HeldElsewhere));
                    }
                    Some(standing)
                }
                Err(why) => {
                    unknown.push((position, why));
                    let span = entry.budget.period.span(at);
                    let used = promises.last.of(cell, entry, span);
                    used.and_then(|used| world.ground.recalled(entry, &values, span, used))
                }
            };
            if let Some(standing) = standing {
                cells.push(cell);
                known.push((position, values.clone(), standing, is_recalled));
            }
        }
    }
    let asking = asking(subject, estimate, promises.others, &cells);
    let judge = |((position, values, standing, is_recalled), cell): ((usize, Values<'a>, Standing, bool), _)| {
        let budget = &book.entries()[position].budget;
        let against = promises.holds.against(cell, &asking);
        let left_for_others = match against.right {
            Right::Counted | Right::Room => Amount::ZERO,
            Right::Share | Right::Young { .. } => share(promises, cell, against.news),
        };
        let total = standing.used + against.held + against.adds;
        let over = budget.hard_limit && exceeds(total, left_for_others, standing.limit, budget.hard_limit_percent);
        let grade = grade(total, standing.limit, over, world.config);
        let held = against.held;
        Judged { entry: position, values, cell, standing, held, total, is_recalled, left_for_others, against, grade }
    };
    let mut judged: SmallVec<[Judged<'a>; 8]> = known.into_iter().zip(cells.iter().copied()).map(judge).collect();
    // What blocks stands before what is only fuller, then by fullness; the book's order decides between equals.
    judged.sort_by_key(|one: &Judged<'_>| {
        std::cmp::Reverse((one.grade == Grade::Over, percent::fullness(one.total, one.standing.limit)))
    });
    (judged, unknown)
}

pub(super) fn asking<'a>(subject: &Subject<'_>, amount: Amount, others: u32, cells: &'a [BudgetCell]) -> Asking<'a> {
    let now = subject.now.timestamp_micros();
    Asking { own: subject.hold_id(), run: subject.run_id(), amount, cells, others, now }
}

/// What other instances may be granting at the same moment: as much as this one does, each. So an instance takes at most its share of what
/// remains, and together they never take more.
fn share(promises: &Promises, cell: BudgetCell, estimate: Amount) -> Amount {
    let granting = Amount::saturating(promises.holds.recent(cell).units().saturating_add(estimate.units()));
    times(granting, promises.others)
}

fn grade(total: Amount, limit: Amount, over: bool, config: &DecideConfig) -> Grade {
    if over {
        Grade::Over
    } else if is_crossed(total, limit, config.cheapest_percent) {
        Grade::Cheapest
    } else if is_crossed(total, limit, config.cheaper_percent) {
        Grade::Cheaper
    } else {
        Grade::Fine
    }
}

/// What an allowed call should do, by the tightest budget and its priority.
fn advise(priority: Priority, verdict: &mut Verdict<'_>) {
    let worst = verdict.judged.iter().map(|one| one.grade).max().unwrap_or(Grade::Fine);
    let low = priority == Priority::Low;
    (verdict.strategy, verdict.step) = match worst {
        Grade::Fine => (Strategy::None, None),
        Grade::Cheaper if low => (Strategy::ReduceRate, None),
        Grade::Cheaper => (Strategy::DowngradeModel, Some(Step::Cheaper)),
        Grade::Cheapest | Grade::Over if low => (Strategy::Fallback, None),
        Grade::Cheapest | Grade::Over => (Strategy::DowngradeModel, Some(Step::Cheapest)),
    };
    if verdict.downgrade.is_some() && verdict.strategy < Strategy::DowngradeModel {
        (verdict.strategy, verdict.step) = (Strategy::DowngradeModel, Some(Step::Cheapest));
    }
}

fn hold(
    subject: &Subject<'_>,
    amount: Amount,
    id: HoldId,
    config: &DecideConfig,
    promises: &mut Promises,
    verdict: &mut Verdict<'_>,
) {
    let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    let longest = micros(config.max_hold_ttl);
    let asked = subject.request.hold_seconds.map(|seconds| seconds.saturating_mul(1_000_000).min(longest));
    let expires = subject.now.timestamp_micros().saturating_add(asked.unwrap_or_else(|| micros(config.hold_ttl)));
    let cells: SmallVec<[BudgetCell; 4]> = verdict.judged.iter().map(|one| one.cell).collect();
    if cells.is_empty() || amount.is_zero() {
        return;
    }
    // Only what was judged as a part of the run's hold is taken out of it.
    let run = verdict.judged.iter().find_map(|one| one.against.run);
    // What is counted already is no news to the others.
    let mut news: SmallVec<[(BudgetCell, Amount); 4]> = SmallVec::new();
    for Judged { cell, against, .. } in &verdict.judged {
        match (against.right, run) {
            (Right::Room, Some(run)) if news.iter().all(|(known, _)| *known != room_of(run)) => {
                news.push((room_of(run), against.news));
            }
            (Right::Share | Right::Young { .. }, _) if !against.news.is_zero() => news.push((*cell, against.news)),
            _ => {}
        }
    }
    let now = subject.now.timestamp_micros();
    match promises.holds.place(id, amount, cells, (now, expires, run)) {
        Ok(()) => {
            verdict.promise = Promise::Held;
            promises.holds.note_recent(now, news);
        }
        Err(Full) => verdict.promise = Promise::NoRoom,
    }
}
