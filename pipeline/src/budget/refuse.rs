//! Whether a judged call is refused, why, and when to ask again. In: a verdict without an answer; out: the first reason to refuse it, and its room
//! claimed where that is what it lacks. Pure.

use rust_decimal::Decimal;
use smallvec::SmallVec;
use spendstream_schemas::config::{UnknownPolicy, UnpricedPolicy};
use spendstream_schemas::decision::Priority;
use spendstream_schemas::money::Amount;

use super::book::BudgetCell;
use super::claims::ASK_AGAIN_MICROS;
use super::cost::Quote;
use super::decide::{Grade, Judged, Promise, Promises, Refused, Verdict, World, asking};
use super::holds::Right;
use super::percent;
use super::standing::NoFigures;
use super::stops::Action;
use super::subject::Subject;

/// Seconds after which a budget that is not known yet is worth asking for again.
const UNKNOWN_RETRY: i64 = 5;
/// Seconds after which room that was left for other instances may be free.
const OTHERS_RETRY: i64 = 1;

/// The first reason to refuse, in the order of the module's head. Critical calls are refused by an emergency stop only.
pub(super) fn refuse(
    subject: &Subject<'_>,
    quote: &Quote,
    world: &World<'_>,
    promises: &mut Promises,
    verdict: &mut Verdict<'_>,
) {
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
    if world.config.unknown == UnknownPolicy::Block && !world.is_set {
        verdict.retry_after_seconds = Some(UNKNOWN_RETRY);
        verdict.refused = Some(Refused::Unread);
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
    let fits_beside = blocking().all(|one| {
        let percent = world.ground.book.entries()[one.entry].budget.hard_limit_percent;
        !exceeds(one.total, times(one.against.news, promises.others), one.standing.limit, percent)
    });
    // What others were just told is free again as soon as they have told what they granted; that for a call as large as this one stays.
    if fits_beside {
        return Some(OTHERS_RETRY);
    }
    let now = subject.now.timestamp_micros();
    let own = subject.hold_id();
    let fits_alone = blocking().all(|one| {
        let percent = world.ground.book.entries()[one.entry].budget.hard_limit_percent;
        !exceeds(one.total - one.held + one.against.alone, Amount::ZERO, one.standing.limit, percent)
    });
    let cells: SmallVec<[BudgetCell; 4]> = verdict.judged.iter().map(|one| one.cell).collect();
    if let Some(id) = own.filter(|_| fits_alone && !world.config.shadow) {
        promises.holds.note_repeated(id);
        let young = blocking().map(|one| match one.against.right {
            Right::Young { left } => Some(left),
            Right::Share | Right::Room | Right::Counted => None,
        });
        let left = if let Some(left) = young.collect::<Option<SmallVec<[i64; 4]>>>() {
            left.into_iter().max()
        } else {
            if let Some(until) = promises.holds.barred(&cells, now) {
                return Some(whole_seconds(until - now));
            }
            // Of a call that is allowed already, only what it needs beside.
            let id = if promises.holds.is_granted(id) { id.more() } else { id };
            let amount = verdict.judged.iter().map(|one| one.against.claims.0).max().unwrap_or(quote.amount);
            let run = verdict.judged.iter().find_map(|one| one.against.claims.1);
            promises.holds.claim(id, amount, cells.clone(), (now, run)).ok().map(|()| ASK_AGAIN_MICROS)
        };
        if let Some(left) = left {
            verdict.promise = Promise::Claimed;
            return Some(whole_seconds(left));
        }
    }
    // By an id it could claim its room: what to do is in the words of the refusal, and need not wait.
    if own.is_none() && fits_alone {
        return Some(OTHERS_RETRY);
    }
    // Of what others claim nothing may come.
    let asking = asking(subject, quote.amount, promises.others, &cells);
    let unclaimed = |one: &Judged<'_>| {
        let (held, until) = promises.holds.after_claims(one.cell, &asking)?;
        let percent = world.ground.book.entries()[one.entry].budget.hard_limit_percent;
        // Who has an id may claim then.
        let left = if own.is_some() { Amount::ZERO } else { times(one.against.news, promises.others) };
        (!exceeds(one.total - one.held + held, left, one.standing.limit, percent)).then_some(until)
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

pub(super) fn times(amount: Amount, others: u32) -> Amount {
    Amount::saturating(amount.units().saturating_mul(others.into()))
}

/// Whether a total and what is left beside it go beyond a percentage of the limit.
pub(super) fn exceeds(total: Amount, left: Amount, limit: Amount, percent: Decimal) -> bool {
    percent::exceeds(Amount::saturating(total.units().saturating_add(left.units())), limit, percent)
}
