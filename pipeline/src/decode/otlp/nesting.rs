//! Which spans of a message are charged: those whose operation costs, and of several spans around one call the innermost of
//! those that count what the call used. Spans inside each other that tell of other calls are charged each.
//!
//! In: spans with what was read of them; out: a verdict for each, and which of the ignored ones link others.

use std::collections::{HashMap, HashSet};

use spendstream_schemas::dimension::Text;

use super::super::Ignored;
use super::read::Billing;
use super::{Read, Span, Spans, names};
use crate::columns::interner::text_hash;
use crate::dedupe::fingerprint::response_key;

/// How many spans above one are looked at.
const MOST_STEPS: usize = 256;

/// What becomes of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Charge,
    Ignore(Ignored),
}

/// What [`judge`] found.
pub(super) struct Nesting {
    /// One per span, in order.
    pub verdicts: Vec<Verdict>,
    /// Spans that are ignored, but cost or are around one that does.
    pub links: Vec<usize>,
}

/// Decides which spans are charged.
pub(super) fn judge(spans: &Spans<'_>, reads: &[Read<'_>]) -> Nesting {
    let parents = parents(spans);
    let costs = |at: usize| reads[at].billing != Billing::Free;
    // Outer and inner, both of operations that cost.
    let (mut pairs, mut around) = (Vec::new(), HashSet::new());
    for at in (0..reads.len()).filter(|at| costs(*at)) {
        let above = std::iter::successors(parents[at], |above| parents[*above]).take(MOST_STEPS);
        for ancestor in above {
            around.insert(ancestor);
            if costs(ancestor) {
                pairs.push((ancestor, at));
            }
        }
    }
    let mut verdicts = of_pairs(&pairs, reads);
    same_response(spans, reads, &mut verdicts);
    let is_link = |at: &usize| verdicts[*at] != Verdict::Charge && (costs(*at) || around.contains(at));
    let links = (0..reads.len()).filter(is_link).filter(|at| spans.spans[*at].missing.is_none()).collect();
    Nesting { verdicts, links }
}

/// Each span's parent in this message. A circle is cut above the span that began first.
fn parents(spans: &Spans<'_>) -> Vec<Option<usize>> {
    // A span without ids is rejected: it neither has a place nor takes another's.
    let placed = || spans.spans.iter().enumerate().filter(|(_, span)| span.missing.is_none());
    let place: HashMap<(&str, &str), usize> =
        placed().map(|(at, span)| ((span.trace_id.as_str(), span.id.as_str()), at)).collect();
    let mut parents = vec![None; spans.spans.len()];
    for (at, span) in placed() {
        parents[at] = place.get(&(span.trace_id.as_str(), span.parent_id.as_str())).copied();
    }
    let mut seen_from = vec![None; parents.len()];
    for start in 0..parents.len() {
        let mut next = Some(start);
        while let Some(at) = next {
            if seen_from[at] == Some(start) {
                cut(&mut parents, spans, at);
            }
            if seen_from[at].is_some() {
                break;
            }
            seen_from[at] = Some(start);
            next = parents[at];
        }
    }
    parents
}

fn cut(parents: &mut [Option<usize>], spans: &Spans<'_>, on_it: usize) {
    let circle = std::iter::successors(parents[on_it], |at| parents[*at].filter(|_| *at != on_it));
    let first = circle.min_by_key(|at| (spans.spans[*at].start_nanos, spans.spans[*at].id.as_str()));
    if let Some(first) = first {
        parents[first] = None;
    }
}

/// By outer and inner spans: of one call, the outer one goes when an inner one counts all that it counts; an inner one goes
/// when an outer one, which stays, counts more. What counts nothing goes beside any that does.
fn of_pairs(pairs: &[(usize, usize)], reads: &[Read<'_>]) -> Vec<Verdict> {
    let charge = |read: &Read<'_>| match read.billing {
        Billing::Free => Verdict::Ignore(Ignored::NotBillable),
        Billing::Uncounted | Billing::Counted => Verdict::Charge,
    };
    let mut verdicts: Vec<Verdict> = reads.iter().map(charge).collect();
    // A transport span or a wrapper: it neither failed nor says what was used.
    let silent = |at: usize| reads[at].billing == Billing::Uncounted && reads[at].row.is_err();
    let counted = |at: usize| reads[at].billing == Billing::Counted && reads[at].row.is_ok();
    let same_call = |one: usize, other: usize| reads[one].facts.same_call(&reads[other].facts);
    let covers = |one: usize, other: usize| reads[one].row.is_ok() && reads[one].facts.covers(&reads[other].facts);
    for &(outer, inner) in pairs {
        if (same_call(outer, inner) && covers(inner, outer)) || (silent(outer) && counted(inner)) {
            verdicts[outer] = Verdict::Ignore(Ignored::NestedSpan);
        }
    }
    let replaced = verdicts.clone();
    for &(outer, inner) in pairs {
        let counts = reads[inner].facts.counts_something();
        let more = covers(outer, inner) && !reads[inner].facts.covers(&reads[outer].facts);
        let stays = replaced[outer] == Verdict::Charge || !counts;
        let covered = reads[inner].row.is_ok() && same_call(outer, inner) && more && stays;
        if verdicts[inner] == Verdict::Charge && (covered || (silent(inner) && counted(outer))) {
            verdicts[inner] = Verdict::Ignore(if counts { Ignored::NestedSpan } else { Ignored::NoUsage });
        }
    }
    verdicts
}

/// Two instrumentations may report one response in traces of their own: the innermost of them is charged. The same response
/// is what the horizon takes for it when they come in messages of their own.
fn same_response(spans: &Spans<'_>, reads: &[Read<'_>], verdicts: &mut [Verdict]) {
    let mut charged: HashMap<u64, usize> = HashMap::new();
    for at in 0..reads.len() {
        let Ok(row) = &reads[at].row else { continue };
        let organization = row.texts.get(Text::Organization).map_or(0, text_hash);
        let key = response_key(organization, &reads[at].facts);
        if verdicts[at] != Verdict::Charge || key == 0 {
            continue;
        }
        let outer = match charged.get(&key).copied() {
            None => {
                charged.insert(key, at);
                continue;
            }
            Some(before) if is_inner(&spans.spans[at], &spans.spans[before]) => {
                charged.insert(key, at);
                before
            }
            Some(_) => at,
        };
        verdicts[outer] = Verdict::Ignore(Ignored::NestedSpan);
    }
}

/// By time; of equals, the one that tells the lifetimes of cache writes.
fn is_inner(one: &Span<'_>, other: &Span<'_>) -> bool {
    let within = |inner: &Span<'_>, outer: &Span<'_>| {
        inner.start_nanos >= outer.start_nanos && inner.end_nanos <= outer.end_nanos
    };
    match (within(one, other), within(other, one)) {
        (true, false) => true,
        (false, true) => false,
        _ => tells_lifetimes(one) && !tells_lifetimes(other),
    }
}

fn tells_lifetimes(span: &Span<'_>) -> bool {
    span.attributes.iter().any(|(name, _)| names::CACHE_WRITE_1H.contains(name))
}
