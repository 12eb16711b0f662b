//! What was charged over the last N offsets of one partition. In: offset and fingerprint; out: a [`Verdict`].
//!
//! An entry counts only while its offset is within N of the current one, whatever is still in memory: so the decision does
//! not depend on when memory was cleaned, and a horizon rebuilt from the lake decides as the one that was lost. The same holds
//! for the bound of memory: of the newest offsets as many count as gave at most K rows together, which the lake's rows tell
//! again. One exception: spans that were not charged are not in the lake, so a restart forgets that one of them stood between two
//! others.
//!
//! A row in the lake stays. So where spans of one call come one by one, a span that counts more kinds of tokens than what was
//! charged before is charged beside it: nothing is added to a failed attempt without tokens, and what an inner span had
//! counted of one kind only is in the ledger twice. In one message the decoder chooses, and nothing is.

use std::collections::VecDeque;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::family::Family;
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
    /// A span around (or inside) one that was charged for the same call.
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

/// Offsets by a 64-bit key: responses.
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
    /// The most rows that count, and the first offset that still does for it.
    most: usize,
    floor: i64,
    seen: HashTable<Seen>,
    order: VecDeque<(i64, u64)>,
    spans: Family,
    span_responses: Offsets,
    call_responses: Offsets,
}

#[expect(clippy::cast_possible_truncation, reason = "the low half of a 128-bit hash is a hash")]
fn key(identity: u128) -> u64 {
    identity as u64
}

impl Horizon {
    /// Watches the last `span` offsets, of these the newest that gave at most `most` rows together.
    #[must_use]
    pub fn new(span: i64, most: usize) -> Self {
        Self {
            span,
            most,
            floor: i64::MIN,
            seen: HashTable::new(),
            order: VecDeque::new(),
            spans: Family::new(most),
            span_responses: Offsets::default(),
            call_responses: Offsets::default(),
        }
    }

    /// Judges an event and, when it is new, remembers it. Offsets must not decrease from call to call.
    pub fn judge(&mut self, offset: i64, event: &Fingerprint) -> Verdict {
        let oldest = self.oldest(offset);
        self.forget_before(oldest);
        if let Some(seen) = self.seen.find(key(event.identity), |seen| seen.identity == event.identity)
            && seen.offset >= oldest
        {
            return if seen.content == event.content { Verdict::Repeat } else { Verdict::Conflict };
        }
        if event.span != 0 && self.spans.charged(event.span, event.parent, &event.facts, oldest) {
            // What hangs above an outer span, or below an inner one, may be the same call too.
            self.spans.link(event.span, event.parent, offset, oldest);
            return Verdict::NestedSpan;
        }
        if self.span_responses.get(event.response, oldest)
            || (event.span != 0 && self.call_responses.get(event.response, oldest))
        {
            self.spans.link(event.span, event.parent, offset, oldest);
            return Verdict::SameResponse;
        }
        self.remember(offset, event);
        Verdict::New
    }

    /// Whether exactly this event was charged within what counts at an offset. Remembers nothing.
    #[must_use]
    pub fn has(&self, offset: i64, event: &Fingerprint) -> bool {
        let seen = self.seen.find(key(event.identity), |seen| seen.identity == event.identity);
        seen.is_some_and(|seen| seen.offset >= self.oldest(offset) && seen.content == event.content)
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
            self.spans.charge(event.span, event.parent, offset, event.facts);
        }
        // Whole offsets: which rows of a message count must not depend on how many came since.
        while self.order.len() > self.most
            && let Some((first, _)) = self.order.front().copied()
        {
            self.floor = first.saturating_add(1);
            self.forget_before(self.floor);
        }
    }

    fn oldest(&self, offset: i64) -> i64 {
        offset.saturating_sub(self.span).max(self.floor)
    }

    /// How many of the newest rows of the lake a horizon needs to be as the one that was lost: one more than count, so that a
    /// message of which only a part would count does not.
    #[must_use]
    pub fn rows_to_rebuild(&self) -> usize {
        self.most.saturating_add(1)
    }

    /// A span that the decoder did not charge, with its parent (see [`super::fingerprint::span_key`]): others may be told by it
    /// to be one inside the other.
    pub fn link(&mut self, offset: i64, span: u64, parent: u64) {
        let parent = if parent == span { 0 } else { parent };
        self.spans.link(span, parent, offset, self.oldest(offset));
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
        self.spans.forget_before(oldest);
        self.span_responses.forget_before(oldest);
        self.call_responses.forget_before(oldest);
    }
}

#[cfg(test)]
mod tests;
