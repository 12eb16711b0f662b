//! The types that travel between stages: `RawBatch` → `EventColumns` → `PricedBatch` → `LakeCommit`.
//!
//! A stage takes one type and gives the next; a channel carries nothing else. All of them cover a range of offsets of one
//! source partition (a commit covers several), so that progress is never guessed from rows: a range without rows is normal.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use spendstream_schemas::ids::{OffsetRange, SourcePartition};
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::PriceBook;

/// Counts one assignment of a partition to this process. What was read under an older one is dropped wherever it turns up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u64);

/// Headers of a Kafka message that a decoder may look at.
#[derive(Clone, Debug, Default)]
pub struct Headers(pub Vec<(String, Vec<u8>)>);

impl Headers {
    /// The first header of that name (case-insensitive), if it is UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| std::str::from_utf8(value).ok())
    }
}

/// One Kafka message inside a [`RawBatch`].
#[derive(Clone, Debug)]
pub struct RawMeta {
    pub offset: i64,
    /// The record's timestamp, milliseconds; `None` when the broker keeps none.
    pub timestamp_ms: Option<i64>,
    /// End of the payload in [`RawBatch::bytes`]; `None` for a tombstone.
    pub payload: Option<(u32, u32)>,
    /// Message key, as a range of [`RawBatch::bytes`].
    pub key: Option<(u32, u32)>,
    /// Rare, so boxed.
    pub headers: Option<Box<Headers>>,
}

/// Messages of one partition as they came, bytes copied once.
#[derive(Clone, Debug)]
pub struct RawBatch {
    pub source: Arc<SourcePartition>,
    pub generation: Generation,
    /// From the previous batch's `to` to the offset after the last message here.
    pub range: OffsetRange,
    pub bytes: Vec<u8>,
    pub messages: Vec<RawMeta>,
    /// Says that the topic was re-created while the partition was read; such a batch is empty.
    pub is_end: bool,
}

/// One message as a decoder sees it.
#[derive(Clone, Copy, Debug)]
pub struct RawMessage<'a> {
    pub payload: &'a [u8],
    pub key: Option<&'a [u8]>,
    pub headers: Option<&'a Headers>,
    /// The Kafka record's timestamp, milliseconds: "too far in the future" is judged against it, so that a replay decides the same.
    pub timestamp_ms: Option<i64>,
}

impl RawBatch {
    /// Messages with their offsets; `None` for a tombstone.
    pub fn iter(&self) -> impl Iterator<Item = (i64, Option<RawMessage<'_>>)> {
        let slice = |(from, to): (u32, u32)| &self.bytes[from as usize..to as usize];
        self.messages.iter().map(move |meta| {
            let message = meta.payload.map(|payload| RawMessage {
                payload: slice(payload),
                key: meta.key.map(slice),
                headers: meta.headers.as_deref(),
                timestamp_ms: meta.timestamp_ms,
            });
            (meta.offset, message)
        })
    }
}

/// What became of the messages of a range; the books balance: every message is counted, every decoded item is exactly one of
/// row, rejected, duplicate or ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    pub messages: u64,
    pub rows: u64,
    pub rejected: u64,
    pub duplicates: u64,
    pub ignored: u64,
    /// Kafka's timestamp of the last message, milliseconds: at the next start it tells a re-created topic from the old one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_timestamp_ms: Option<i64>,
    /// The newest event time of its rows, milliseconds: how far the partition has come, for whoever seals days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_event_ms: Option<i64>,
    /// The topic was re-created while the partition was read: what is committed is partly of another topic, and nothing may follow.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_ended: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.messages += other.messages;
        self.rows += other.rows;
        self.rejected += other.rejected;
        self.duplicates += other.duplicates;
        self.ignored += other.ignored;
        self.last_timestamp_ms = other.last_timestamp_ms.or(self.last_timestamp_ms);
        self.newest_event_ms = self.newest_event_ms.max(other.newest_event_ms);
        self.is_ended |= other.is_ended;
    }
}

/// A message (or a part of one) that goes to the dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub offset: i64,
    /// Position within the message.
    pub index: u32,
    /// The message's own key, so that a replay meets the same partition again.
    pub key: Option<Vec<u8>>,
    /// The message's own headers that say how to read it (`content-type`, `ce_*`), so that a replay reads it the same.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What is kept of it: stripped of prompts, completions and keys where it could be parsed.
    pub payload: Vec<u8>,
    /// A word for metrics and the header `spendstream.reason`, e.g. `negative_count`.
    pub reason: &'static str,
    /// One line for people: what, where, why, what to do.
    pub detail: String,
    /// Set when only the first bytes were kept: SHA-256 of the whole, hex.
    pub truncated_sha256: Option<String>,
}

/// Priced rows of a range of one partition, ready for Parquet.
pub struct PricedBatch {
    pub source: Arc<SourcePartition>,
    pub generation: Generation,
    pub range: OffsetRange,
    pub tally: Tally,
    /// Rows by UTC date (days since the epoch); each in the file schema of the table `usage`, interned texts as dictionaries.
    pub rows: Vec<(i32, RecordBatch)>,
    pub dead_letters: Vec<DeadLetter>,
    /// The book that priced the rows; it must lie under the lake before they do.
    pub book: Arc<PriceBook>,
    /// Sum of `cost`.
    pub cost: Amount,
}

/// The progress of one partition inside a commit.
#[derive(Clone, Debug)]
pub struct PartitionProgress {
    pub source: Arc<SourcePartition>,
    pub generation: Generation,
    pub range: OffsetRange,
    pub tally: Tally,
}

/// One encoded data file that waits to be stored.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// Relative to the table, unique for ever.
    pub path: String,
    /// Days since the epoch: the partition value.
    pub date: i32,
    pub rows: u64,
    /// Delta statistics, JSON (`numRecords`, `minValues`, …).
    pub stats: String,
    pub bytes: bytes::Bytes,
}

/// What one Delta commit makes durable: files and, for every partition, how far they reach.
#[derive(Clone, Debug, Default)]
pub struct LakeCommit {
    pub files: Vec<DataFile>,
    pub progress: Vec<PartitionProgress>,
    pub dead_letters: Vec<(Arc<SourcePartition>, DeadLetter)>,
}
