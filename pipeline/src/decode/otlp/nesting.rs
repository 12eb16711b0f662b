//! Which spans of a message are charged: those whose operation costs, and of several spans around one call the innermost.

use std::collections::{HashMap, HashSet};

use super::super::Ignored;
use super::read::{Billing, billing, response_id};
use super::{Span, Spans, names};

/// What becomes of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Charge,
    Ignore(Ignored),
}

/// One verdict per span, in order.
pub(super) fn verdicts(spans: &Spans<'_>) -> Vec<Verdict> {
    let kinds: Vec<Billing> = spans.spans.iter().map(billing).collect();
    // A span without ids is rejected: it neither has a place nor takes another's.
    let placed = || spans.spans.iter().enumerate().filter(|(_, span)| span.missing.is_none());
    let place: HashMap<(&str, &str), usize> =
        placed().map(|(at, span)| ((span.trace_id.as_str(), span.id.as_str()), at)).collect();
    let mut around_charged = HashSet::new();
    let mut inside_counted = HashSet::new();
    for (at, span) in placed() {
        for ancestor in ancestors(span, spans, &place) {
            if kinds[at] == Billing::Counted {
                around_charged.insert(ancestor);
            }
            if kinds[ancestor] == Billing::Counted {
                inside_counted.insert(at);
            }
        }
    }
    let verdict = |at: usize| match kinds[at] {
        Billing::Free => Verdict::Ignore(Ignored::NotBillable),
        _ if around_charged.contains(&at) => Verdict::Ignore(Ignored::NestedSpan),
        // A failed attempt or a transport span below the one that has the counts.
        Billing::Uncounted if inside_counted.contains(&at) => Verdict::Ignore(Ignored::NoUsage),
        _ => Verdict::Charge,
    };
    let mut verdicts: Vec<Verdict> = (0..spans.spans.len()).map(verdict).collect();
    same_response(spans, &mut verdicts);
    verdicts
}

fn ancestors<'s>(
    span: &'s Span<'_>,
    spans: &'s Spans<'_>,
    place: &'s HashMap<(&str, &str), usize>,
) -> impl Iterator<Item = usize> + 's {
    let mut parent = span.parent_id.as_str();
    // A chain cannot be longer than the message, unless it is a circle.
    std::iter::from_fn(move || {
        let at = *place.get(&(span.trace_id.as_str(), parent))?;
        parent = spans.spans[at].parent_id.as_str();
        Some(at)
    })
    .take(spans.spans.len())
}

/// Two instrumentations may report one response in traces of their own: the innermost of them is charged.
fn same_response(spans: &Spans<'_>, verdicts: &mut [Verdict]) {
    let mut charged: HashMap<&str, usize> = HashMap::new();
    for at in 0..spans.spans.len() {
        if verdicts[at] != Verdict::Charge || spans.spans[at].missing.is_some() {
            continue;
        }
        let Some(id) = response_id(&spans.spans[at]) else { continue };
        let outer = match charged.get(id).copied() {
            None => {
                charged.insert(id, at);
                continue;
            }
            Some(before) if is_inner(&spans.spans[at], &spans.spans[before]) => {
                charged.insert(id, at);
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
