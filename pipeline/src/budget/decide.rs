//! May this call run? In: who asks and what it would cost, budgets with their figures, stops, what is promised; out: a [`Verdict`], and
//! the estimate held where it was allowed. Pure and synchronous: no clock, no IO, no words.
//!
//! In order: emergency stops, request rates, models without a price, budgets. Budgets are judged by used + held + the estimate. The
//! caller keeps `Promises` for itself from the first look to the hold, so that two calls never share the same room.

use chrono::{DateTime, Utc};
use hashbrown::HashMap;
use rust_decimal::Decimal;
use smallvec::SmallVec;
use spendstream_schemas::budget::{Quarter, Span, is_crossed};
use spendstream_schemas::config::{DecideConfig, UnknownPolicy, UnpricedPolicy};
use spendstream_schemas::decision::{Priority, Strategy};
use spendstream_schemas::money::Amount;

use super::book::{BudgetCell, Entry, Values};
use super::claims::ASK_AGAIN_MICROS;
use super::cost::Quote;
use super::holds::{Full, HoldId, Holds, Right};
use super::models::Step;
use super::percent;
use super::rate::{Limiter, TooFast};
use super::standing::{Ground, NoFigures, Standing};
use super::stops::{Action, Stop, Stops};
use super::subject::Subject;

/// Seconds after which a budget that is not known yet is worth asking for again.
const UNKNOWN_RETRY: i64 = 5;
/// Seconds after which room that was left for other instances may be free.
const OTHERS_RETRY: i64 = 1;

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
    /// Used + held + the estimate.
    pub total: Amount,
    /// What is used is what was known last, and not less: its total is being read.
    pub is_recalled: bool,
    /// What other instances may be granting at this moment: room that a hard limit leaves for them.
    pub left_for_others: Amount,
    /// What of the rest the call may take.
    right: Right,
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

/// What hard budgets had used when they were judged last: where a total is being read anew (another instance came or went, the directory
/// spells a value otherwise), a limit that was reached stays reached. Within a period nothing but a reset takes away.
#[derive(Debug)]
pub struct LastKnown {
    by_cell: HashMap<BudgetCell, (Span, Option<DateTime<Utc>>, Amount)>,
    max: usize,
}

impl LastKnown {
    /// Of at most so many cells; when there are more it begins anew.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { by_cell: HashMap::new(), max }
    }

    fn keep(&mut self, cell: BudgetCell, entry: &Entry, standing: &Standing) {
        if self.by_cell.len() >= self.max && !self.by_cell.contains_key(&cell) {
            self.by_cell.clear();
        }
        self.by_cell.insert(cell, (standing.span, entry.budget.reset_at, standing.used));
    }

    fn of(&self, cell: BudgetCell, entry: &Entry, span: Span) -> Option<Amount> {
        let (known, reset_at, used) = self.by_cell.get(&cell)?;
        (*known == span && *reset_at == entry.budget.reset_at).then_some(*used)
    }
}

/// Decides, and holds the estimate of an allowed call that has an id.
pub fn decide<'a>(subject: &Subject<'a>, quote: &Quote, world: &World<'_>, promises: &mut Promises) -> Verdict<'a> {
    promises.holds.expire(subject.now.timestamp_micros());
    let own = subject.hold_id();
    let (judged, unknown) = judge(subject, quote.amount, own, world, promises);
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
    if (verdict.is_allowed() || world.config.shadow)
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
    own: Option<HoldId>,
    world: &World<'_>,
    promises: &mut Promises,
) -> (SmallVec<[Judged<'a>; 8]>, SmallVec<[(usize, NoFigures); 4]>) {
    let mut judged: SmallVec<[Judged<'a>; 8]> = SmallVec::new();
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
                let now = subject.now.timestamp_micros();
                let (held, right) = promises.holds.against(cell, (own, subject.run_id()), estimate, now);
                let left_for_others =
                    if right == Right::Counted { Amount::ZERO } else { share(promises, cell, estimate) };
                let total = standing.used + held + estimate;
                let over = entry.budget.hard_limit
                    && exceeds(total, left_for_others, standing.limit, entry.budget.hard_limit_percent);
                let grade = grade(total, standing.limit, over, world.config);
                let values = values.clone();
                judged.push(Judged {
                    entry: position,
                    values,
                    cell,
                    standing,
                    held,
                    total,
                    is_recalled,
                    left_for_others,
                    right,
                    grade,
                });
            }
        }
    }
    // What blocks stands before what is only fuller, then by fullness; the book's order decides between equals.
    judged.sort_by_key(|one: &Judged<'_>| {
        std::cmp::Reverse((one.grade == Grade::Over, percent::fullness(one.total, one.standing.limit)))
    });
    (judged, unknown)
}

/// What other instances may be granting at the same moment: as much as this one does, each. So an instance takes at most its share of what
/// remains, and together they never take more.
fn share(promises: &Promises, cell: BudgetCell, estimate: Amount) -> Amount {
    let granting = Amount::saturating(promises.holds.recent(cell).units().saturating_add(estimate.units()));
    times(granting, promises.others)
}

fn times(amount: Amount, others: u32) -> Amount {
    Amount::saturating(amount.units().saturating_mul(others.into()))
}

/// Whether a total and what is left beside it go beyond a percentage of the limit.
fn exceeds(total: Amount, left: Amount, limit: Amount, percent: Decimal) -> bool {
    percent::exceeds(Amount::saturating(total.units().saturating_add(left.units())), limit, percent)
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

/// The first reason to refuse, in the order of the module's head. Critical calls are refused by an emergency stop only.
fn refuse(subject: &Subject<'_>, quote: &Quote, world: &World<'_>, promises: &mut Promises, verdict: &mut Verdict<'_>) {
    let critical = subject.request.priority == Priority::Critical;
    let stop = world.stops.find(subject);
    match stop.map(|stop| stop.action) {
        Some(Action::Block) if !critical || world.config.stop_critical => {
            verdict.retry_after_seconds = stop.map(|stop| seconds(subject, stop.until.timestamp_micros()));
            verdict.refused = stop.cloned().map(Refused::Stopped);
            return;
        }
        Some(_) => verdict.downgrade = stop.cloned(),
        None => {}
    }
    if let Err(wait) = promises.limiter.take(subject, promises.others.saturating_add(1))
        && !critical
    {
        verdict.retry_after_seconds = Some(wait.seconds);
        verdict.refused = Some(Refused::TooFast(wait));
        return;
    }
    if critical {
        verdict.spared = verdict.judged.first().is_some_and(|tightest| tightest.grade == Grade::Over);
        return;
    }
    if quote.unpriced.is_some() && world.config.unpriced == UnpricedPolicy::FailClosed {
        verdict.refused = Some(Refused::Unpriced);
        return;
    }
    if verdict.judged.first().is_some_and(|tightest| tightest.grade == Grade::Over) {
        verdict.retry_after_seconds = over_budget(subject, quote, world, promises, verdict);
        verdict.refused = Some(Refused::OverBudget(0));
        return;
    }
    let hard = |(position, _): &(usize, NoFigures)| world.ground.book.entries()[*position].budget.hard_limit;
    if world.config.unknown == UnknownPolicy::Block
        && let Some(position) = verdict.unknown.iter().position(hard)
    {
        verdict.retry_after_seconds = Some(UNKNOWN_RETRY);
        verdict.refused = Some(Refused::Unknown(position));
    }
}

/// When a call that hard budgets block is worth asking for again, in seconds. Where it would fit if nothing were left for others, its room
/// is claimed.
fn over_budget(
    subject: &Subject<'_>,
    quote: &Quote,
    world: &World<'_>,
    promises: &mut Promises,
    verdict: &mut Verdict<'_>,
) -> Option<i64> {
    // All that block must be free again before the call can run; a rolling one may be at the next quarter-hour, where its span ends.
    let blocking = || verdict.judged.iter().filter(|one| one.grade == Grade::Over);
    let fits_beside = |left: Amount| {
        blocking().all(|one| {
            let percent = world.ground.book.entries()[one.entry].budget.hard_limit_percent;
            !exceeds(one.total, left, one.standing.limit, percent)
        })
    };
    // What others were just told is free again as soon as they have told what they granted; that for a call as large as this one stays.
    if fits_beside(times(quote.amount, promises.others)) {
        return Some(OTHERS_RETRY);
    }
    let now = subject.now.timestamp_micros();
    let own = subject.hold_id();
    let id = own.filter(|id| !promises.holds.is_granted(*id) && !world.config.shadow);
    if let Some(id) = id.filter(|_| fits_beside(Amount::ZERO)) {
        promises.holds.note_repeated(id);
        let young = blocking().map(|one| match one.right {
            Right::Young(left) => Some(left),
            Right::Share | Right::Counted => None,
        });
        let left = if let Some(left) = young.collect::<Option<SmallVec<[i64; 4]>>>() {
            left.into_iter().max()
        } else {
            let cells: SmallVec<[BudgetCell; 4]> = verdict.judged.iter().map(|one| one.cell).collect();
            if let Some(until) = promises.holds.barred(&cells, now) {
                return Some(whole_seconds(until - now));
            }
            promises.holds.claim(id, quote.amount, cells, now).ok().map(|()| ASK_AGAIN_MICROS)
        };
        if let Some(left) = left {
            verdict.promise = Promise::Claimed;
            return Some(whole_seconds(left));
        }
    }
    // Of what others claim nothing may come.
    let unclaimed = |one: &Judged<'_>| {
        let (claimed, until) = promises.holds.claimed(one.cell, own);
        let percent = world.ground.book.entries()[one.entry].budget.hard_limit_percent;
        let total = one.total - claimed.min(one.held);
        // Who has an id may claim then.
        let left = if own.is_some() { Amount::ZERO } else { times(quote.amount, promises.others) };
        (!claimed.is_zero() && !exceeds(total, left, one.standing.limit, percent)).then_some(until)
    };
    let free = blocking().map(unclaimed).collect::<Option<SmallVec<[i64; 4]>>>();
    let until = free.and_then(|until| until.into_iter().max());
    let until = until.or_else(|| blocking().map(|one| one.standing.span.end().timestamp_micros()).max());
    until.map(|until| whole_seconds(until.saturating_sub(now)))
}

/// Whole seconds until a moment, at least one.
fn seconds(subject: &Subject<'_>, until_micros: i64) -> i64 {
    whole_seconds(until_micros.saturating_sub(subject.now.timestamp_micros()))
}

fn whole_seconds(micros: i64) -> i64 {
    (micros.saturating_add(999_999) / 1_000_000).max(1)
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
    // What is counted already is no news to the others.
    let news = |one: &&Judged<'_>| one.right != Right::Counted;
    let unheard = verdict.judged.iter().filter(news).map(|one| one.cell).collect();
    match promises.holds.place(id, amount, cells, (expires, subject.run_id())) {
        Ok(()) => {
            verdict.promise = Promise::Held;
            promises.holds.note_recent(subject.now.timestamp_micros(), amount, unheard);
        }
        Err(Full) => verdict.promise = Promise::NoRoom,
    }
}
