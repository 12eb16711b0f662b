//! A decode thread, a lake in memory and a live thread whose steps the test takes one by one. What is compared with SQL here is read by
//! queries written out by hand, not by those of `load`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use object_store::memory::InMemory;
use parking_lot::Mutex;
use spendstream_schemas::budget::{Period, PeriodRule, Quarter, ScopeKey, Span};
use spendstream_schemas::config::{Config, LakeConfig, LiveConfig};
use spendstream_schemas::ids::{OffsetRange, SourcePartition};
use spendstream_schemas::price_book::PriceBook;
use spendstream_storage::Lake;
use tokio::sync::{mpsc, watch};

use crate::aggregate::group::Groups;
use crate::aggregate::join::Reconciled;
use crate::aggregate::live::Live;
use crate::aggregate::load::{LoadRequest, Loader, load};
use crate::aggregate::plan::{Bucketing, DimensionSet, Request, WatchId};
use crate::aggregate::sums::Sums;
use crate::aggregate::thread::{LiveThread, Observer, ToLive, Wires};
use crate::aggregate::totals::{Totals, Touch};
use crate::batch::{Generation, LakeCommit, PartitionProgress, PricedBatch, RawBatch, RawMeta};
use crate::dedupe::horizon::Horizon;
use crate::lake::view::{LakeView, texts};
use crate::lake::{Committer, FileEncoder};
use crate::metrics::Metrics;
use crate::worker::{ToWorker, ToWriter, Worker};

/// 2026-11-22T18:00:00Z.
pub const NOW: i64 = 1_795_370_400_000_000;
pub const MINUTE: i64 = 60_000_000;
pub const HOUR: i64 = 60 * MINUTE;
const MEMORY: usize = 64 << 20;

pub type Values = Vec<Option<String>>;

pub fn daily() -> Bucketing {
    Bucketing::Calendar(PeriodRule { period: Period::Daily, timezone: chrono_tz::UTC, starts_on: None })
}

pub fn set(keys: &[&str]) -> DimensionSet {
    DimensionSet::new(keys.iter().map(|key| key.parse::<ScopeKey>().unwrap()))
}

/// The day of a time.
pub fn day(micros: i64) -> Span {
    let from = Quarter(Quarter::of_micros(micros).0.div_euclid(96) * 96);
    Span { from, to: from.plus(96) }
}

/// An event; the number makes its values, its counts and its id.
pub fn event(number: u64, micros: i64) -> String {
    let team = ["search", "ads", "o'hara"][usize::try_from(number % 3).unwrap()];
    // The second provider is one that no price book knows.
    let (provider, model) = [("openai", "gpt-5-mini"), ("acme-llm", "home-grown"), ("openai", "gpt-4.1-mini")]
        [usize::try_from(number / 3 % 3).unwrap()];
    let tags = if number.is_multiple_of(2) { r#","tags":{"env":"prod"}"# } else { "" };
    let team = if number % 7 == 6 { String::new() } else { format!(r#""team":"{team}","#) };
    format!(
        r#"{{"id":"e{number}","time":{},"provider":"{provider}","model":"{model}",{team}"user":"u{}","usage":{{"input_tokens":{},"output_tokens":{}}}{tags}}}"#,
        micros / 1_000,
        number % 5,
        100 + number,
        number % 50
    )
}

/// Keeps what it is asked, for the test to do.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<VecDeque<LoadRequest>>>);

impl Loader for Asked {
    fn start(&self, request: LoadRequest) {
        self.0.lock().push_back(request);
    }
}

/// Keeps what it is told.
#[derive(Clone, Default)]
pub struct Told {
    pub reports: Arc<Mutex<Vec<Reconciled>>>,
    pub touched: Arc<Mutex<Vec<(Touch, Values)>>>,
    pub loaded: Arc<Mutex<Vec<WatchId>>>,
}

impl Observer for Told {
    fn touched(&mut self, totals: &Totals, touched: &[Touch]) {
        self.touched.lock().extend(touched.iter().map(|touch| (*touch, totals.values(touch.watch, touch.cell))));
    }

    fn loaded(&mut self, _totals: &Totals, watch: WatchId) {
        self.loaded.lock().push(watch);
    }

    fn reconciled(&mut self, _totals: &Totals, report: &Reconciled) {
        self.reports.lock().push(report.clone());
    }
}

pub struct Rig {
    pub live: Live,
    pub thread: LiveThread,
    pub told: Told,
    pub now: i64,
    pub lake: Lake,
    committer: Committer,
    asked: Asked,
    generation: watch::Sender<Generation>,
    _book: watch::Sender<Arc<PriceBook>>,
    to_worker: mpsc::Sender<ToWorker>,
    priced: mpsc::Receiver<ToWriter>,
    groups: mpsc::Receiver<ToLive>,
    offsets: BTreeMap<i32, i64>,
    pending: Vec<PricedBatch>,
    /// Their sums did not reach the live thread yet, so they do not go to the writer either.
    unheard: Vec<PricedBatch>,
}

pub fn source(partition: i32) -> SourcePartition {
    SourcePartition { cluster: "test".into(), topic: "usage.events".into(), partition }
}

impl Rig {
    pub async fn new(requests: &[Request]) -> Self {
        Self::with(requests, LiveConfig::default()).await
    }

    pub async fn with(requests: &[Request], config: LiveConfig) -> Self {
        let lake = Lake::with_store("s3://bucket/lake".parse().unwrap(), Arc::new(InMemory::new())).unwrap();
        let committer = Committer::open(&lake, &LakeConfig::default()).await.unwrap();
        let (live, asked, told) = (Live::new(&config), Asked::default(), Told::default());
        live.watch(requests);
        let (generation, generations) = watch::channel(Generation(0));
        let metrics = Arc::new(Metrics::new().unwrap());
        let wires = Wires {
            share: None,
            view: live.view(),
            plan: live.plans(),
            generation: generations,
            loader: Box::new(asked.clone()),
            observer: Box::new(told.clone()),
            metrics: Arc::clone(&metrics),
        };
        let thread = LiveThread::new(&config, wires);
        let (live_sender, groups) = mpsc::channel(8);
        let (row_sender, priced) = mpsc::channel(8);
        let (to_worker, inbox) = mpsc::channel(8);
        let (book, books) = watch::channel(PriceBook::builtin().unwrap());
        let worker = Worker::new(
            &Config::default(),
            (books, watch::channel(Arc::default()).1, watch::channel(Arc::default()).1),
            metrics,
            row_sender,
            (live.feed(live_sender), crate::buffers::Buffers::default()),
        );
        std::thread::spawn(move || worker.run(inbox));
        let mut rig = Self {
            live,
            thread,
            told,
            now: NOW,
            lake,
            committer,
            asked,
            generation,
            _book: book,
            to_worker,
            priced,
            groups,
            offsets: BTreeMap::new(),
            pending: Vec::new(),
            unheard: Vec::new(),
        };
        rig.assign().await;
        rig
    }

    /// A new generation: what is not committed is dropped, partitions start where the lake says.
    pub async fn assign(&mut self) {
        let next = Generation(self.generation.borrow().0 + 1);
        self.generation.send_replace(next);
        self.pending.clear();
        self.unheard.clear();
        let sources = [0, 1].map(source);
        let offsets = self.committer.offsets(&sources).await.unwrap();
        for source in &sources {
            self.offsets.insert(source.partition, offsets[source].unwrap_or(0));
            let horizon = Box::new(Horizon::new(0, 1));
            let told = ToWorker::Assign { partition: source.partition, generation: next, horizon };
            self.to_worker.send(told).await.unwrap();
        }
        self.thread.look(self.now);
    }

    /// Reads events of a partition in one batch; its sums are added, its rows wait for a commit.
    pub async fn read(&mut self, partition: i32, events: &[String]) {
        let groups = self.decode(partition, events).await;
        self.hear(groups);
    }

    /// The live thread gets sums that a decode thread made.
    pub fn hear(&mut self, groups: Arc<Groups>) {
        self.thread.handle(ToLive::Groups(groups), self.now);
        self.thread.look(self.now);
        self.pending.append(&mut self.unheard);
    }

    /// As [`Self::read`], but the sums are not added yet.
    pub async fn decode(&mut self, partition: i32, events: &[String]) -> Arc<Groups> {
        let from = self.offsets[&partition];
        let (mut bytes, mut messages) = (Vec::new(), Vec::new());
        for (number, event) in events.iter().enumerate() {
            let start = u32::try_from(bytes.len()).unwrap();
            bytes.extend_from_slice(event.as_bytes());
            messages.push(RawMeta {
                offset: from + i64::try_from(number).unwrap(),
                timestamp_ms: Some(self.now / 1_000),
                payload: Some((start, u32::try_from(bytes.len()).unwrap())),
                key: None,
                headers: None,
            });
        }
        let to = from + i64::try_from(events.len()).unwrap();
        self.offsets.insert(partition, to);
        let range = OffsetRange::new(from, to).unwrap();
        let generation = *self.generation.borrow();
        let raw = RawBatch { source: Arc::new(source(partition)), generation, range, bytes, messages, is_end: false };
        self.to_worker.send(ToWorker::Batch(raw)).await.unwrap();
        let Some(ToLive::Groups(groups)) = self.groups.recv().await else { panic!("no sums came") };
        let Some(ToWriter::Batch(batch)) = self.priced.recv().await else { panic!("no rows came") };
        assert_eq!(batch.tally.rows, events.len() as u64, "an event of the test is not valid");
        self.unheard.push(*batch);
        groups
    }

    /// Commits everything that was read; the live thread hears of it.
    pub async fn commit(&mut self) {
        let told = self.commit_unheard().await;
        self.thread.handle(told, self.now);
        self.thread.look(self.now);
    }

    /// Commits, and leaves it to the caller to tell.
    pub async fn commit_unheard(&mut self) -> ToLive {
        let mut encoder = FileEncoder::new(&LakeConfig::default());
        let mut progress = BTreeMap::<i32, PartitionProgress>::new();
        for batch in std::mem::take(&mut self.pending) {
            for (date, rows) in &batch.rows {
                encoder.push(*date, rows).unwrap();
            }
            let PricedBatch { source, generation, range, tally, .. } = batch;
            let new = PartitionProgress { source, generation, range, tally };
            match progress.entry(new.source.partition) {
                std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(new)),
                std::collections::btree_map::Entry::Occupied(mut found) => {
                    let found = found.get_mut();
                    found.range = found.range.then(new.range).unwrap();
                    found.tally.add(new.tally);
                }
            }
        }
        let progress: Vec<_> = progress.into_values().collect();
        let told = ToLive::committed(&progress);
        let commit = LakeCommit { files: encoder.finish().unwrap(), progress, dead_letters: Vec::new() };
        self.committer.commit(commit).await.unwrap();
        told
    }

    /// Does what the live thread asked of the lake, until it asks no more; how many readings that took.
    pub async fn settle(&mut self) -> usize {
        let mut readings = 0;
        self.thread.look(self.now);
        while self.answer().await {
            readings += 1;
            self.thread.look(self.now);
        }
        readings
    }

    /// Does one reading, if one was asked for.
    pub async fn answer(&mut self) -> bool {
        let Some(messages) = self.query().await else { return false };
        for message in messages {
            self.thread.handle(message, self.now);
        }
        true
    }

    /// Reads the lake for the oldest request, and keeps the answer back.
    pub async fn query(&mut self) -> Option<Vec<ToLive>> {
        let request = self.asked.0.lock().pop_front()?;
        let (out, mut answers) = mpsc::channel(1_024);
        let result = load(&self.lake, MEMORY, &request, &out.downgrade()).await;
        drop(out);
        let mut messages = Vec::new();
        while let Some(message) = answers.recv().await {
            messages.push(message);
        }
        messages.push(ToLive::Loaded { load: request.id, result });
        Some(messages)
    }

    pub fn watch(&self, keys: &[&str], bucketing: &Bucketing) -> WatchId {
        self.live.plan().find(&set(keys), bucketing).unwrap()
    }

    /// What the live totals say of a span, by values.
    pub fn live_sums(&self, watch: WatchId, span: Span) -> BTreeMap<Values, Sums> {
        let totals = self.live.read();
        let cells: Vec<_> = totals.cells_in(watch, span).unwrap().map(|(_, cell)| cell).collect();
        let sums = cells.into_iter().map(|cell| {
            let values = totals.values(watch, cell);
            let given: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
            let sums = totals.sums(watch, &given, span).unwrap();
            assert_eq!(totals.cell_sums(watch, cell, span), Ok(sums));
            (values, sums)
        });
        sums.collect()
    }

    /// What SQL says of a span, by these columns.
    pub async fn lake_sums(&self, columns: &[&str], span: Span) -> BTreeMap<Values, Sums> {
        let view = LakeView::open(&self.lake, MEMORY).await.unwrap();
        let time = |quarter: Quarter| quarter.start().format("%FT%TZ").to_string();
        let mut named = String::new();
        for column in columns {
            named.extend([*column, ", "]);
        }
        let by: Vec<String> = (1..=columns.len()).map(|at| at.to_string()).collect();
        let by = if by.is_empty() { String::new() } else { format!("GROUP BY {}", by.join(", ")) };
        let sql = format!(
            "SELECT {named} sum(cost), count(*), count(*) FILTER (WHERE price_status = 'unpriced') FROM usage \
             WHERE event_time >= '{}' AND event_time < '{}' {by}",
            time(span.from),
            time(span.to)
        );
        let mut sums = BTreeMap::new();
        for batch in view.rows(&sql).await.unwrap() {
            let values: Vec<_> = (0..columns.len()).map(|at| texts(&batch, at)).collect();
            let number = |at: usize, row: usize| {
                let column = cast(batch.column(columns.len() + at), &DataType::Int64).unwrap();
                u64::try_from(column.as_primitive::<Int64Type>().value(row)).unwrap()
            };
            let costs = batch.column(columns.len()).as_primitive::<Decimal128Type>();
            for row in 0..batch.num_rows() {
                let values = values.iter().map(|column| column[row].clone()).collect();
                let cost = costs.iter().nth(row).flatten().unwrap_or(0);
                let all = Sums { cost, requests: number(1, row), unpriced: number(2, row) };
                if all.requests > 0 {
                    sums.insert(values, all);
                }
            }
        }
        sums
    }
}
