//! Who an event is (identity) and what it says (content), as hashes that a live row and its row in the lake share.
//!
//! In: hashes of the single values; out: a [`Fingerprint`]. What only the way here decides (payload kind, notes, prices,
//! the converted reported cost) is no part of the content.

use spendstream_schemas::count::Counts;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::UsageRow;
use xxhash_rust::xxh3::xxh3_128;

use super::call_facts::{CallFacts, model_hash};
use crate::columns::events::Staged;
use crate::columns::interner::text_hash;
use crate::price::engine::STANDARD_TIER;

/// Columns that say nothing about whether two events are the same.
const NOT_CONTENT: [Text; 2] = [Text::EventId, Text::PayloadKind];

/// The hashes of one event's values, `0` where a value is absent.
#[derive(Clone, Copy, Debug)]
pub struct ContentParts<'a> {
    /// By `Text as usize`; service tier and region as sent.
    pub texts: &'a [u64; Text::COUNT],
    /// Of the model's base name.
    pub model: u64,
    pub tags: u64,
    pub quantities: u64,
    pub time_micros: i64,
    pub counts: &'a Counts,
    pub latency_ms: Option<i64>,
    pub cache_hit: Option<bool>,
}

/// See the module. Span fields are zero for what is no span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash of (`organization`, `event_source`, `event_id`).
    pub identity: u128,
    pub content: u64,
    /// Hash of (`trace_id`, `span_id`); 0 for what is no span.
    pub span: u64,
    /// Hash of (`trace_id`, `parent_span_id`); 0 without a parent, or when a span says that it is its own.
    pub parent: u64,
    /// Hash of (`organization`, `response_id`, base name of the model, input and output tokens); 0 without a response id. With
    /// model and counts, since small servers give the same id to different answers.
    pub response: u64,
    /// What a span says about its call.
    pub facts: CallFacts,
}

impl Fingerprint {
    #[must_use]
    pub fn of(parts: &ContentParts<'_>) -> Self {
        let text = |text: Text| parts.texts[text as usize];
        let both = |one: Text, two: Text| {
            if text(one) == 0 || text(two) == 0 { 0 } else { words_hash(&[text(one), text(two)]) }
        };
        let span = both(Text::TraceId, Text::SpanId);
        let parent = both(Text::TraceId, Text::ParentSpanId);
        let facts = CallFacts::new(parts.model, text(Text::Operation), text(Text::ResponseId), parts.counts);
        Self {
            identity: identity(text(Text::Organization), text(Text::EventSource), text(Text::EventId)),
            content: content(parts),
            span,
            parent: if span == 0 || parent == span { 0 } else { parent },
            response: response_key(text(Text::Organization), &facts),
            facts,
        }
    }
}

impl Fingerprint {
    /// Of a live row; [`super::rebuild`] computes the same from its row in the lake.
    #[must_use]
    pub fn live(row: &UsageRow<'_>, staged: &Staged) -> Self {
        let mut texts = staged.hashes;
        texts[Text::ServiceTier as usize] = tier_hash(row.texts.get(Text::ServiceTier));
        Self::of(&ContentParts {
            texts: &texts,
            model: row.texts.get(Text::Model).map_or(0, model_hash),
            tags: staged.tags_hash,
            quantities: staged.quantities_hash,
            time_micros: row.time_micros,
            counts: &row.counts,
            latency_ms: row.latency_ms,
            cache_hit: row.cache_hit,
        })
    }
}

/// The service tier as it counts for content: saying nothing and saying standard are the same.
#[must_use]
pub fn tier_hash(sent: Option<&str>) -> u64 {
    sent.filter(|tier| *tier != STANDARD_TIER).map_or(0, text_hash)
}

/// The key of a span among those of its partition, as [`Fingerprint::span`] has it; 0 when either id is missing.
#[must_use]
pub fn span_key(trace_id: &str, span_id: &str) -> u64 {
    if trace_id.is_empty() || span_id.is_empty() { 0 } else { words_hash(&[text_hash(trace_id), text_hash(span_id)]) }
}

/// See [`Fingerprint::response`]; `organization` is a hash.
#[must_use]
pub fn response_key(organization: u64, facts: &CallFacts) -> u64 {
    if facts.response == 0 {
        return 0;
    }
    let (input, output) = (facts.input.cast_unsigned(), facts.output.cast_unsigned());
    words_hash(&[organization, facts.response, facts.model, input, output])
}

fn identity(organization: u64, source: u64, id: u64) -> u128 {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&organization.to_le_bytes());
    bytes[8..16].copy_from_slice(&source.to_le_bytes());
    bytes[16..].copy_from_slice(&id.to_le_bytes());
    xxh3_128(&bytes)
}

fn words_hash(words: &[u64]) -> u64 {
    let mut hash = Words::default();
    for word in words {
        hash.add(*word);
    }
    hash.finish()
}

fn content(parts: &ContentParts<'_>) -> u64 {
    let mut hash = Words::default();
    for text in Text::ALL {
        hash.add(if NOT_CONTENT.contains(&text) { 0 } else { parts.texts[text as usize] });
    }
    for count in parts.counts.as_array() {
        hash.add(count.cast_unsigned());
    }
    hash.add(parts.tags);
    hash.add(parts.quantities);
    hash.add(parts.time_micros.cast_unsigned());
    hash.add(parts.latency_ms.map_or(u64::MAX, i64::cast_unsigned));
    hash.add(parts.cache_hit.map_or(2, u64::from));
    hash.finish()
}

/// A hash of numbered words, taken one by one: most are 0, and those cost next to nothing. Each word that is not is mixed in with
/// the number of its place, so that neither an exchange nor a move goes unseen.
struct Words {
    state: u64,
    place: u64,
}

impl Default for Words {
    fn default() -> Self {
        // The first digits of π.
        Self { state: 0x243f_6a88_85a3_08d3, place: 0 }
    }
}

impl Words {
    fn add(&mut self, word: u64) {
        // Steps of the golden ratio: places are far apart in all bits.
        self.place = self.place.wrapping_add(0x9e37_79b9_7f4a_7c15);
        if word != 0 {
            self.state = fold(self.state ^ word, self.place | 1).rotate_left(23);
        }
    }

    fn finish(self) -> u64 {
        fold(self.state, 0x1319_8a2e_0370_7345)
    }
}

/// Both halves of the product as one: every bit of either side reaches every bit.
#[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
fn fold(one: u64, two: u64) -> u64 {
    let product = u128::from(one) * u128::from(two);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use spendstream_schemas::count::{Count, Counts};

    use super::*;

    fn nothing(counts: &Counts) -> ContentParts<'_> {
        ContentParts {
            texts: &[0; Text::COUNT],
            model: 0,
            tags: 0,
            quantities: 0,
            time_micros: 0,
            counts,
            latency_ms: None,
            cache_hit: None,
        }
    }

    #[test]
    fn every_value_in_every_place_is_another_content() {
        let zero = Counts::default();
        let mut seen = HashSet::from([content(&nothing(&zero))]);
        let mut told = |parts: &ContentParts<'_>| assert!(seen.insert(content(parts)), "{parts:?}");
        for value in [1, 2, 1_200, u64::MAX] {
            for text in Text::ALL.into_iter().filter(|text| !NOT_CONTENT.contains(text)) {
                let mut texts = [0; Text::COUNT];
                texts[text as usize] = value;
                told(&ContentParts { texts: &texts, ..nothing(&zero) });
            }
            for count in Count::ALL {
                let mut counts = Counts::default();
                counts.set(count, value.cast_signed());
                told(&ContentParts { counts: &counts, ..nothing(&zero) });
            }
            told(&ContentParts { tags: value, ..nothing(&zero) });
            told(&ContentParts { quantities: value, ..nothing(&zero) });
            told(&ContentParts { time_micros: value.cast_signed(), ..nothing(&zero) });
        }
        for latency in [0, 1, 2] {
            told(&ContentParts { latency_ms: Some(latency), ..nothing(&zero) });
        }
        for hit in [false, true] {
            told(&ContentParts { cache_hit: Some(hit), ..nothing(&zero) });
        }
    }

    #[test]
    fn exchanged_words_are_another_hash() {
        assert_ne!(words_hash(&[1, 2]), words_hash(&[2, 1]));
        assert_ne!(words_hash(&[1, 0]), words_hash(&[0, 1]));
        assert_ne!(words_hash(&[1]), words_hash(&[1, 1]));
    }

    #[test]
    fn an_id_and_the_kind_of_payload_are_no_content() {
        for text in NOT_CONTENT {
            let (zero, mut texts) = (Counts::default(), [0; Text::COUNT]);
            texts[text as usize] = 7;
            let parts = ContentParts { texts: &texts, ..nothing(&zero) };
            assert_eq!(content(&parts), content(&nothing(&zero)), "{text:?}");
        }
    }
}
