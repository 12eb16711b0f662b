//! What was charged over the last N offsets of one partition. In: offset and fingerprint; out: a [`Verdict`].
//!
//! An entry counts only while its offset is within N of the current one, whatever is still in memory: so the decision does
//! not depend on when memory was cleaned, and a horizon rebuilt from the lake decides as the one that was lost. One exception:
//! that a dropped span was seen is not in the lake, so of three spans one inside the other, each in a message of its own,
//! a restart between them forgets the middle one.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::fingerprint::Fingerprint;

/// What an event is, next to what came before it in its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Not seen: to be charged (and remembered).
    New,
    /// The same identity with the same content: counted once.
    Repeat,
    /// The same identity with other content: to be rejected.
    Conflict,
    /// A span around (or inside) one that was charged.
    NestedSpan,
    /// A span whose provider response was charged already, or a call that a span was charged for.
    SameResponse,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    identity: u128,
    content: u64,
    offset: i64,
}

/// Offsets by a 64-bit key: spans, parents of spans, responses.
#[derive(Debug, Default)]
struct Offsets {
    table: HashTable<(u64, i64)>,
    order: VecDeque<(u64, i64)>,
}

impl Offsets {
    fn get(&self, key: u64, oldest: i64) -> bool {
        key != 0 && self.table.find(key, |(other, _)| *other == key).is_some_and(|(_, offset)| *offset >= oldest)
    }

    fn insert(&mut self, key: u64, offset: i64) {
        if key == 0 {
            return;
        }
        match self.table.entry(key, |(other, _)| *other == key, |(other, _)| *other) {
            Entry::Occupied(mut found) => found.get_mut().1 = offset,
            Entry::Vacant(slot) => {
                slot.insert((key, offset));
            }
        }
        self.order.push_back((key, offset));
    }

    fn forget_before(&mut self, oldest: i64) {
        while let Some((key, offset)) = self.order.front().copied()
            && offset < oldest
        {
            self.order.pop_front();
            if let Ok(found) = self.table.find_entry(key, |(other, at)| *other == key && *at == offset) {
                found.remove();
            }
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Horizon {
    span: i64,
    seen: HashTable<Seen>,
    order: VecDeque<(i64, u64)>,
    charged_spans: Offsets,
    parents_of_charged: Offsets,
    span_responses: Offsets,
    call_responses: Offsets,
}

#[expect(clippy::cast_possible_truncation, reason = "the low half of a 128-bit hash is a hash")]
fn key(identity: u128) -> u64 {
    identity as u64
}

impl Horizon {
    /// Watches the last `span` offsets.
    #[must_use]
    pub fn new(span: i64) -> Self {
        Self {
            span,
            seen: HashTable::new(),
            order: VecDeque::new(),
            charged_spans: Offsets::default(),
            parents_of_charged: Offsets::default(),
            span_responses: Offsets::default(),
            call_responses: Offsets::default(),
        }
    }

    /// Judges an event and, when it is new, remembers it. Offsets must not decrease from call to call.
    pub fn judge(&mut self, offset: i64, event: &Fingerprint) -> Verdict {
        let oldest = offset.saturating_sub(self.span);
        self.forget_before(oldest);
        if let Some(seen) = self.seen.find(key(event.identity), |seen| seen.identity == event.identity)
            && seen.offset >= oldest
        {
            return if seen.content == event.content { Verdict::Repeat } else { Verdict::Conflict };
        }
        if event.span != 0
            && (self.parents_of_charged.get(event.span, oldest) || self.charged_spans.get(event.parent, oldest))
        {
            // What hangs above an outer span, or below an inner one, is the same call too.
            self.parents_of_charged.insert(event.parent, offset);
            self.charged_spans.insert(event.span, offset);
            return Verdict::NestedSpan;
        }
        if self.span_responses.get(event.response, oldest)
            || (event.span != 0 && self.call_responses.get(event.response, oldest))
        {
            return Verdict::SameResponse;
        }
        self.remember(offset, event);
        Verdict::New
    }

    /// Remembers an event that was charged: from a judgement, or from the lake in order of offsets.
    pub fn remember(&mut self, offset: i64, event: &Fingerprint) {
        let seen = Seen { identity: event.identity, content: event.content, offset };
        match self.seen.entry(
            key(event.identity),
            |other| other.identity == event.identity,
            |other| key(other.identity),
        ) {
            Entry::Occupied(mut found) => *found.get_mut() = seen,
            Entry::Vacant(slot) => {
                slot.insert(seen);
            }
        }
        self.order.push_back((offset, key(event.identity)));
        if event.span == 0 {
            self.call_responses.insert(event.response, offset);
        } else {
            self.span_responses.insert(event.response, offset);
            self.charged_spans.insert(event.span, offset);
            self.parents_of_charged.insert(event.parent, offset);
        }
    }

    /// How many identities are in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn forget_before(&mut self, oldest: i64) {
        while let Some((offset, hash)) = self.order.front().copied()
            && offset < oldest
        {
            self.order.pop_front();
            if let Ok(found) = self.seen.find_entry(hash, |seen| key(seen.identity) == hash && seen.offset == offset) {
                found.remove();
            }
        }
        for offsets in
            [&mut self.charged_spans, &mut self.parents_of_charged, &mut self.span_responses, &mut self.call_responses]
        {
            offsets.forget_before(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fingerprint, Horizon, Verdict};

    fn call(identity: u128, content: u64) -> Fingerprint {
        Fingerprint { identity, content, span: 0, parent: 0, response: 0 }
    }

    fn span(id: u64, parent: u64, response: u64) -> Fingerprint {
        Fingerprint { identity: u128::from(id), content: id, span: id, parent, response }
    }

    #[test]
    fn an_equal_repeat_is_counted_once_and_another_content_conflicts() {
        let mut horizon = Horizon::new(10);
        assert_eq!(horizon.judge(0, &call(1, 7)), Verdict::New);
        assert_eq!(horizon.judge(1, &call(1, 7)), Verdict::Repeat);
        assert_eq!(horizon.judge(2, &call(1, 8)), Verdict::Conflict);
        assert_eq!(horizon.judge(10, &call(1, 7)), Verdict::Repeat, "10 offsets back is inside");
        assert_eq!(horizon.judge(11, &call(1, 7)), Verdict::New, "repeats do not extend the horizon");
    }

    #[test]
    fn of_nested_spans_one_is_charged() {
        let mut inner_first = Horizon::new(10);
        assert_eq!(inner_first.judge(0, &span(2, 1, 0)), Verdict::New);
        assert_eq!(inner_first.judge(1, &span(1, 0, 0)), Verdict::NestedSpan);
        let mut outer_first = Horizon::new(10);
        assert_eq!(outer_first.judge(0, &span(1, 0, 0)), Verdict::New);
        assert_eq!(outer_first.judge(1, &span(2, 1, 0)), Verdict::NestedSpan);
        let mut siblings = Horizon::new(10);
        assert_eq!(siblings.judge(0, &span(2, 1, 0)), Verdict::New);
        assert_eq!(siblings.judge(1, &span(3, 1, 0)), Verdict::New);
    }

    #[test]
    fn a_response_is_charged_once_when_a_span_is_involved() {
        let with_response = |identity, response| Fingerprint { response, ..call(identity, 0) };
        let mut horizon = Horizon::new(10);
        assert_eq!(horizon.judge(0, &with_response(1, 5)), Verdict::New);
        assert_eq!(horizon.judge(1, &with_response(2, 5)), Verdict::New, "two calls with ids of their own");
        assert_eq!(horizon.judge(2, &span(3, 0, 5)), Verdict::SameResponse);
        assert_eq!(horizon.judge(3, &span(4, 0, 6)), Verdict::New);
        assert_eq!(horizon.judge(4, &with_response(7, 6)), Verdict::SameResponse);
    }

    proptest! {
        /// Whatever was charged within the horizon, a horizon rebuilt from it at any point decides the rest the same.
        #[test]
        fn a_rebuilt_horizon_decides_the_same(
            events in prop::collection::vec((0u128..6, 0u64..2, 1i64..4), 1..60),
            cut in 0usize..60,
            horizon_span in 1i64..20,
        ) {
            let mut offset = 0;
            let events: Vec<_> = events.into_iter().map(|(id, content, step)| {
                offset += step;
                (offset, call(id, content))
            }).collect();
            let cut = cut.min(events.len());
            let mut live = Horizon::new(horizon_span);
            let mut charged = Vec::new();
            for (offset, event) in &events[..cut] {
                if live.judge(*offset, event) == Verdict::New {
                    charged.push((*offset, *event));
                }
            }
            let next = events.get(cut).map_or(offset, |(offset, _)| *offset);
            let mut rebuilt = Horizon::new(horizon_span);
            for (offset, event) in charged.iter().filter(|(offset, _)| *offset >= next - horizon_span) {
                rebuilt.remember(*offset, event);
            }
            for (offset, event) in &events[cut..] {
                prop_assert_eq!(live.judge(*offset, event), rebuilt.judge(*offset, event));
            }
        }
    }
}
