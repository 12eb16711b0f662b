//! The stages of the pipeline one by one, fed with generated events: what the Criterion benches run.

use std::sync::Arc;

use anyhow::Context;
use spendstream_pipeline::batch::{Generation, RawBatch, RawMeta};
use spendstream_pipeline::columns::events::{EventColumns, Staged};
use spendstream_pipeline::decode::reject::Reject;
use spendstream_pipeline::decode::{Decoder, Ignored, Sink};
use spendstream_pipeline::price::engine::Engine;
use spendstream_schemas::ids::{OffsetRange, SourcePartition};
use spendstream_schemas::price_book::PriceBook;
use spendstream_schemas::usage_event::UsageRow;

use crate::loadgen;

/// Events per batch: the default of `pipeline.batch_messages`.
pub const BATCH: u32 = 8_192;
/// When the generated events begin: 2026-11-18, a moment that the built-in price book knows.
pub const START_MS: i64 = 1_795_000_000_000;

/// Where the events claim to come from.
pub fn source() -> SourcePartition {
    SourcePartition { cluster: "bench".into(), topic: "usage.events".into(), partition: 0 }
}

/// [`BATCH`] messages with these payloads, from offset 0.
///
/// # Errors
/// When the payloads are too many bytes for one batch.
pub fn batch(payload: impl Fn(u64) -> Vec<u8>) -> anyhow::Result<RawBatch> {
    let range = OffsetRange::new(0, BATCH.into())?;
    batch_at(&Arc::new(source()), range, START_MS + i64::from(BATCH), payload)
}

/// A message for each offset, counted from 0 for its payload, all of one moment (Kafka's timestamp, milliseconds since the epoch).
///
/// # Errors
/// When the payloads are too many bytes for one batch.
pub fn batch_at(
    source: &Arc<SourcePartition>,
    range: OffsetRange,
    timestamp_ms: i64,
    payload: impl Fn(u64) -> Vec<u8>,
) -> anyhow::Result<RawBatch> {
    let (mut bytes, mut messages) = (Vec::new(), Vec::new());
    for (number, offset) in (0..).zip(range.from()..range.to()) {
        let from = u32::try_from(bytes.len()).context("batch")?;
        bytes.extend_from_slice(&payload(number));
        let to = u32::try_from(bytes.len()).context("batch")?;
        let timestamp_ms = Some(timestamp_ms);
        messages.push(RawMeta { offset, timestamp_ms, payload: Some((from, to)), key: None, headers: None });
    }
    let source = Arc::clone(source);
    Ok(RawBatch { source, generation: Generation(1), range, bytes, messages, is_end: false })
}

/// The event of the load generator of that number.
pub fn event(number: u64) -> Vec<u8> {
    let mut text = String::new();
    loadgen::event(number, START_MS, &mut text);
    text.into_bytes()
}

/// An engine with the built-in price book.
///
/// # Errors
/// When the book does not load.
pub fn engine() -> anyhow::Result<Engine> {
    Ok(Engine::new(PriceBook::builtin()?, 1_000_000, 64 << 20))
}

/// Counts what a decoder finds and keeps nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counting {
    pub rows: u64,
    pub other: u64,
}

impl Sink for Counting {
    fn row(&mut self, _index: u32, _row: &UsageRow<'_>) {
        self.rows += 1;
    }

    fn reject(&mut self, _index: u32, _reject: Reject) {
        self.other += 1;
    }

    fn ignore(&mut self, _index: u32, _why: Ignored) {
        self.other += 1;
    }
}

/// Decodes a batch and keeps nothing.
pub fn decode(decoder: &mut Decoder, batch: &RawBatch) -> Counting {
    let mut counting = Counting::default();
    for (_, message) in batch.iter() {
        if let Some(message) = message {
            decoder.decode(&message, &mut counting);
        }
    }
    counting
}

/// Takes rows into columns, as a worker does, but looks for no repeats.
struct Columns<'a> {
    engine: &'a mut Engine,
    taken: EventColumns,
    offset: i64,
}

impl Sink for Columns<'_> {
    fn row(&mut self, index: u32, row: &UsageRow<'_>) {
        if let Ok(staged) = Staged::stage(row, &mut self.engine.interner) {
            self.taken.push(self.offset, index, row, &staged, &mut self.engine.interner);
        }
    }

    fn reject(&mut self, _index: u32, _reject: Reject) {}

    fn ignore(&mut self, _index: u32, _why: Ignored) {}
}

/// Decodes a batch into columns.
pub fn columns(decoder: &mut Decoder, batch: &RawBatch, engine: &mut Engine) -> EventColumns {
    let mut sink = Columns { engine, taken: EventColumns::with_capacity(batch.messages.len()), offset: 0 };
    for (offset, message) in batch.iter() {
        sink.offset = offset;
        if let Some(message) = message {
            decoder.decode(&message, &mut sink);
        }
    }
    sink.taken
}

#[cfg(test)]
mod tests {
    use spendstream_pipeline::decode::Decoder;
    use spendstream_pipeline::price::engine::Lineage;
    use spendstream_schemas::config::DecodeConfig;

    use super::{BATCH, columns, decode, engine, event, source};

    #[test]
    fn every_generated_event_is_read_and_priced() {
        let batch = super::batch(event).unwrap();
        let mut decoder = Decoder::new(&DecodeConfig::default());
        let counted = decode(&mut decoder, &batch);
        assert_eq!((counted.rows, counted.other), (u64::from(BATCH), 0));
        let mut engine = engine().unwrap();
        let columns = columns(&mut decoder, &batch, &mut engine);
        let (rows, summary) = engine.price(columns, Lineage { source: &source(), ingest_micros: 0 }).unwrap();
        assert_eq!(rows.iter().map(|(_, rows)| rows.num_rows()).sum::<usize>(), BATCH as usize);
        assert_eq!(summary.unpriced, []);
        assert!(!summary.cost.is_zero());
    }
}
