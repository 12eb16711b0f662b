//! One decode thread: takes raw batches of its partitions, gives priced ones. In: [`ToWorker`]; out: [`ToWriter`], and sums for the live totals.
//!
//! It decodes, covers who is not to be named, drops repeats, fills in owners, prices, sums up and builds Arrow rows; it never does IO. Order within a partition is kept, because a
//! partition belongs to one worker.

mod kept;
mod letter;
mod privacy;

pub use privacy::CurrentCover;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::error::ArrowError;
use hashbrown::HashMap;
use spendstream_schemas::config::Config;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::Directory;
use spendstream_schemas::usage_event::UsageRow;
use tokio::sync::{mpsc, watch};

use crate::aggregate::group::Groups;
use crate::aggregate::live::Feed;
use crate::aggregate::thread::ToLive;
use crate::batch::{DeadLetter, Generation, PricedBatch, RawBatch, RawMessage, Tally};
use crate::buffers::Buffers;
use crate::columns::events::{EventColumns, Staged};
use crate::dead_letter::event_json;
use crate::decode::reject::{Reason, Reject};
use crate::decode::{Decoder, Ignored, Sink};
use crate::dedupe::fingerprint::{Fingerprint, span_key};
use crate::dedupe::horizon::{Horizon, Verdict};
use crate::flush::FlushToken;
use crate::metrics::Metrics;
use crate::price::engine::{Engine, Lineage, Watching};
use crate::price::reload::CurrentBook;
use privacy::Privacy;

/// What a worker is told.
pub enum ToWorker {
    /// A partition is this worker's from now on, with what it charged lately.
    Assign {
        partition: i32,
        generation: Generation,
        horizon: Box<Horizon>,
    },
    Batch(RawBatch),
    /// All partitions were given back.
    Release,
    /// Pass it on after everything before it.
    Flush(Arc<FlushToken>),
}

/// What the writer is told.
pub enum ToWriter {
    Batch(Box<PricedBatch>),
    Flush(Arc<FlushToken>),
}

/// See the module.
pub struct Worker {
    decoder: Decoder,
    engine: Engine,
    book: CurrentBook,
    directory: watch::Receiver<Arc<Directory>>,
    privacy: Privacy,
    horizons: HashMap<i32, (Generation, Horizon)>,
    metrics: Arc<Metrics>,
    out: mpsc::Sender<ToWriter>,
    live: Feed,
    buffers: Buffers,
}

impl Worker {
    #[must_use]
    pub fn new(
        config: &Config,
        (book, directory, cover): (CurrentBook, watch::Receiver<Arc<Directory>>, CurrentCover),
        metrics: Arc<Metrics>,
        out: mpsc::Sender<ToWriter>,
        (live, buffers): (Feed, Buffers),
    ) -> Self {
        let engine =
            Engine::new(Arc::clone(&book.borrow()), config.pipeline.interner_values, config.pipeline.interner_bytes);
        Self {
            decoder: Decoder::new(&config.decode),
            engine,
            book,
            directory,
            privacy: Privacy::new(cover, &config.decode.mappings),
            horizons: HashMap::new(),
            metrics,
            out,
            live,
            buffers,
        }
    }

    /// Works until the channel before or behind it closes.
    pub fn run(mut self, mut inbox: mpsc::Receiver<ToWorker>) {
        while let Some(message) = inbox.blocking_recv() {
            let passed = match message {
                ToWorker::Assign { partition, generation, horizon } => {
                    // Every assignment names all partitions anew: what is of an older one was given back.
                    self.horizons.retain(|_, (of, _)| *of == generation);
                    self.horizons.insert(partition, (generation, *horizon));
                    Ok(())
                }
                ToWorker::Release => {
                    self.horizons.clear();
                    Ok(())
                }
                ToWorker::Flush(token) => self.out.blocking_send(ToWriter::Flush(token)),
                ToWorker::Batch(raw) => match self.process_and_recycle(raw) {
                    Ok(Some((priced, groups))) => {
                        // The sums first: their commit must not be heard of before them.
                        if self.live.out.blocking_send(ToLive::Groups(Arc::new(groups))).is_err() {
                            tracing::error!("the live totals ended; the pipeline ends");
                            return;
                        }
                        self.out.blocking_send(ToWriter::Batch(Box::new(priced)))
                    }
                    Ok(None) => Ok(()),
                    Err(error) => {
                        // Consistent columns are never refused. If they are, ending is safe: nothing after them is committed.
                        tracing::error!(%error, "rows could not be built; the pipeline ends");
                        return;
                    }
                },
            };
            if passed.is_err() {
                return;
            }
        }
    }

    fn process_and_recycle(&mut self, raw: RawBatch) -> Result<Option<(PricedBatch, Groups)>, ArrowError> {
        let processed = self.process(&raw);
        self.buffers.give_back(raw);
        processed
    }

    /// Decodes and prices one batch; `None` when its partition was assigned anew since it was read.
    fn process(&mut self, raw: &RawBatch) -> Result<Option<(PricedBatch, Groups)>, ArrowError> {
        let Some((generation, horizon)) = self.horizons.get_mut(&raw.source.partition) else { return Ok(None) };
        if *generation != raw.generation {
            return Ok(None);
        }
        self.engine.refresh(&self.book.borrow());
        self.engine.set_directory(&self.directory.borrow());
        self.privacy.refresh();
        let mut collect = Collect {
            engine: &mut self.engine,
            privacy: &mut self.privacy,
            horizon,
            metrics: &self.metrics,
            columns: EventColumns::with_capacity(raw.messages.len()),
            tally: Tally::default(),
            dead_letters: Vec::new(),
            offset: 0,
            message: None,
        };
        for (offset, message) in raw.iter() {
            collect.tally.messages += 1;
            collect.offset = offset;
            collect.message = message;
            match &message {
                Some(message) => self.decoder.decode(message, &mut collect),
                None => collect.ignore(0, Ignored::Tombstone),
            }
        }
        let Collect { columns, tally, dead_letters, .. } = collect;
        self.metrics.bytes.inc_by(raw.bytes.len() as u64);
        self.metrics
            .watched
            .with_label_values(&[&raw.source.partition.to_string()])
            .set(i64::try_from(horizon.len()).unwrap_or(i64::MAX));
        let mut tally = tally;
        tally.is_ended = raw.is_end;
        tally.last_timestamp_ms = raw.messages.last().and_then(|message| message.timestamp_ms);
        let lineage = Lineage { source: &raw.source, ingest_micros: now_micros() };
        let plan = Arc::clone(&self.live.plan.borrow());
        let watching = Watching { plan: &plan, awaited: &self.live.awaited };
        let (rows, summary, watched) = self.engine.price_watched(columns, lineage, watching)?;
        tally.newest_event_ms = watched.newest_micros.map(|micros| micros.div_euclid(1_000));
        self.metrics.count_batch(&tally, &summary);
        let groups = Groups {
            source: Arc::clone(&raw.source),
            generation: raw.generation,
            range: raw.range,
            plan,
            rows: tally.rows,
            newest_micros: watched.newest_micros,
            sets: watched.sets,
            arrived: watched.arrived,
            runs: watched.runs,
        };
        let priced = PricedBatch {
            source: Arc::clone(&raw.source),
            generation: raw.generation,
            range: raw.range,
            tally,
            rows,
            dead_letters,
            book: Arc::clone(self.engine.book()),
            cost: summary.cost,
        };
        Ok(Some((priced, groups)))
    }
}

#[expect(clippy::disallowed_methods, reason = "the column ingest_time is the wall clock; nothing is decided by it")]
fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Takes what the decoder finds in one message after the other.
struct Collect<'a, 'm> {
    engine: &'a mut Engine,
    privacy: &'a mut Privacy,
    horizon: &'a mut Horizon,
    metrics: &'a Metrics,
    columns: EventColumns,
    tally: Tally,
    dead_letters: Vec<DeadLetter>,
    offset: i64,
    message: Option<RawMessage<'m>>,
}

impl Collect<'_, '_> {
    /// Charges a row as it is kept; `sent` is the row as it came, where that is another.
    fn take(&mut self, index: u32, row: &UsageRow<'_>, sent: Option<&UsageRow<'_>>) {
        let staged = match Staged::stage(row, &mut self.engine.interner) {
            Ok(staged) => staged,
            Err(meter) => return self.reject(index, too_large_quantity(&meter, row)),
        };
        match self.horizon.judge(self.offset, &Fingerprint::live(row, &staged)) {
            Verdict::New => {
                self.tally.rows += 1;
                self.columns.push(self.offset, index, row, &staged, &mut self.engine.interner);
            }
            Verdict::Repeat => self.duplicate("repeat"),
            Verdict::NestedSpan => self.duplicate("nested_span"),
            Verdict::SameResponse => self.duplicate("same_response"),
            Verdict::Conflict if sent.is_some_and(|sent| self.was_kept(sent)) => self.duplicate("repeat"),
            Verdict::Conflict => self.reject(
                index,
                Reject {
                    reason: Reason::IdConflict,
                    detail: "id: the same (organization, source, id) came before with other content; give every call its own id"
                        .to_owned(),
                    payload: Some(event_json(row)),
                    truncated_sha256: None,
                },
            ),
        }
    }

    /// Whether the same was charged before its person was to be covered, or when a pseudonym was enough.
    fn was_kept(&mut self, sent: &UsageRow<'_>) -> bool {
        self.has(sent) || self.privacy.before_erasure(sent).is_some_and(|before| self.has(&before))
    }

    fn has(&mut self, row: &UsageRow<'_>) -> bool {
        let staged = Staged::stage(row, &mut self.engine.interner);
        staged.is_ok_and(|staged| self.horizon.has(self.offset, &Fingerprint::live(row, &staged)))
    }

    fn duplicate(&mut self, kind: &str) {
        self.tally.duplicates += 1;
        self.metrics.duplicates.with_label_values(&[kind]).inc();
    }
}

impl Sink for Collect<'_, '_> {
    fn row(&mut self, index: u32, row: &UsageRow<'_>) {
        // First of all: repeats, owners and prices go by what is kept, as after a restart, when it is read from the lake.
        match self.privacy.row(row) {
            Some(covered) if is_another(row, &covered) && self.was_kept(row) => self.duplicate("repeat"),
            Some(covered) => self.take(index, &covered, Some(row)),
            None => self.take(index, row, None),
        }
    }

    fn reject(&mut self, index: u32, reject: Reject) {
        self.tally.rejected += 1;
        self.metrics.rejected.with_label_values(&[reject.reason.as_str()]).inc();
        let message = self.message;
        let key = message.and_then(|message| message.key).map(|key| kept::key(key, reject.payload.as_deref()));
        let letter = DeadLetter {
            offset: self.offset,
            index,
            key,
            headers: message.and_then(|message| message.headers).map(kept::headers).unwrap_or_default(),
            payload: reject
                .payload
                .unwrap_or_else(|| message.map(|message| message.payload.to_vec()).unwrap_or_default()),
            reason: reject.reason.as_str(),
            detail: reject.detail,
            truncated_sha256: reject.truncated_sha256,
        };
        let message = message.map(|message| message.payload).unwrap_or_default();
        self.dead_letters.push(self.privacy.letter(letter, message));
    }

    fn ignore(&mut self, _index: u32, why: Ignored) {
        let kind = match why {
            Ignored::Tombstone => "tombstone",
            Ignored::NotBillable => "not_billable",
            Ignored::NoUsage => "no_usage",
            Ignored::StreamPart => "stream_part",
            // Of nested spans the innermost was charged: the same decision as across messages.
            Ignored::NestedSpan => return self.duplicate("nested_span"),
        };
        self.tally.ignored += 1;
        self.metrics.ignored.with_label_values(&[kind]).inc();
    }

    fn link(&mut self, trace_id: &str, span_id: &str, parent_id: &str) {
        self.horizon.link(self.offset, span_key(trace_id, span_id), span_key(trace_id, parent_id));
    }
}

/// Whether a row is known by another identity than it came with.
fn is_another(sent: &UsageRow<'_>, kept: &UsageRow<'_>) -> bool {
    [Text::Organization, Text::EventSource, Text::EventId].iter().any(|id| sent.texts.get(*id) != kept.texts.get(*id))
}

fn too_large_quantity(meter: &str, row: &UsageRow<'_>) -> Reject {
    Reject {
        reason: Reason::WrongType,
        detail: format!("{meter}: the quantity does not fit 19 digits before and 9 after the point"),
        payload: Some(event_json(row)),
        truncated_sha256: None,
    }
}

#[cfg(test)]
mod privacy_tests;
