//! Who an event is (identity) and what it says (content), as hashes that a live row and its row in the lake share.
//!
//! In: hashes of the single values; out: a [`Fingerprint`]. What only the way here decides (payload kind, notes, prices,
//! the converted reported cost) is no part of the content.

use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::UsageRow;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

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
    /// Hash of (`trace_id`, `parent_span_id`); 0 without a parent.
    pub parent: u64,
    /// Hash of (`organization`, `response_id`, input and output tokens); 0 without a response id. With the counts, since small
    /// servers give the same id to different answers.
    pub response: u64,
}

impl Fingerprint {
    #[must_use]
    pub fn of(parts: &ContentParts<'_>) -> Self {
        let text = |text: Text| parts.texts[text as usize];
        let both = |one: Text, two: Text| if text(two) == 0 { 0 } else { words_hash(&[text(one), text(two)]) };
        let is_span = text(Text::SpanId) != 0;
        Self {
            identity: identity(text(Text::Organization), text(Text::EventSource), text(Text::EventId)),
            content: content(parts),
            span: both(Text::TraceId, Text::SpanId),
            parent: if is_span { both(Text::TraceId, Text::ParentSpanId) } else { 0 },
            response: response(parts),
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

fn response(parts: &ContentParts<'_>) -> u64 {
    let id = parts.texts[Text::ResponseId as usize];
    let count = |count: Count| parts.counts.get(count).cast_unsigned();
    let organization = parts.texts[Text::Organization as usize];
    if id == 0 { 0 } else { words_hash(&[organization, id, count(Count::Input), count(Count::Output)]) }
}

fn identity(organization: u64, source: u64, id: u64) -> u128 {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&organization.to_le_bytes());
    bytes[8..16].copy_from_slice(&source.to_le_bytes());
    bytes[16..].copy_from_slice(&id.to_le_bytes());
    xxh3_128(&bytes)
}

fn words_hash(words: &[u64]) -> u64 {
    let mut bytes = [0; 8 * 64];
    for (slot, word) in bytes.chunks_exact_mut(8).zip(words) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    xxh3_64(&bytes[..8 * words.len().min(64)])
}

fn content(parts: &ContentParts<'_>) -> u64 {
    let mut words = [0_u64; 64];
    let values = Text::ALL
        .into_iter()
        .map(|text| if NOT_CONTENT.contains(&text) { 0 } else { parts.texts[text as usize] })
        .chain(parts.counts.as_array().iter().map(|count| count.cast_unsigned()))
        .chain([
            parts.tags,
            parts.quantities,
            parts.time_micros.cast_unsigned(),
            parts.latency_ms.map_or(u64::MAX, i64::cast_unsigned),
            parts.cache_hit.map_or(2, u64::from),
        ]);
    for (slot, value) in words.iter_mut().zip(values) {
        *slot = value;
    }
    words_hash(&words)
}

// All values have a place in the 64 words.
const _: () = assert!(Text::COUNT + Count::COUNT + 5 <= 64, "words for every value");
