//! A lake of three places in memory, and beside it a simple model of what must be in it: which rows there are, where each lies, what a step does
//! to them. Stores fail on command, as those of a process that dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use chrono::{Datelike, NaiveDate};
use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use spendstream_pipeline::batch::{Generation, LakeCommit, PartitionProgress, Tally};
use spendstream_pipeline::lake::maintenance::{Maintainer, Step};
use spendstream_pipeline::lake::view::LakeView;
use spendstream_pipeline::lake::{Committer, FileEncoder};
use spendstream_schemas::config::{LakeConfig, MaintenanceConfig, RetentionConfig, TierConfig};
use spendstream_schemas::ids::OffsetRange;
use spendstream_schemas::table::usage::timestamp_type;
use spendstream_storage::Lake;

use crate::faulty::{Fault, Faulty};
use crate::persons::Names;
use crate::support::{cost, open, rows, source};

pub const DAY_MS: i64 = 86_400_000;
pub const PARTITIONS: i32 = 3;
pub const TIMES: (Duration, Duration) = (Duration::from_hours(1), Duration::from_hours(240));

/// One row as the model knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub date: NaiveDate,
    pub id: u64,
    pub organization: &'static str,
    /// As they stand in the lake.
    pub names: Names,
    /// When it was read.
    pub read_ms: i64,
    pub place: usize,
    pub is_sealed: bool,
}

/// Rows by partition and offset: what every reader must see.
pub type Model = BTreeMap<(i32, i64), Row>;

pub fn config() -> LakeConfig {
    let tier =
        |after_days, uri: &str| TierConfig { after_days, uri: uri.to_owned(), zstd_level: 1, ..TierConfig::default() };
    LakeConfig {
        checkpoint_every: 7,
        row_group_rows: 100,
        tiers: BTreeMap::from([
            ("warm".to_owned(), tier(0, "s3://warm/lake")),
            ("cold".to_owned(), tier(3, "s3://cold/lake")),
        ]),
        maintenance: MaintenanceConfig {
            compact_files: 3,
            memory_bytes: 256 << 20,
            row_group_rows: 100,
            ..MaintenanceConfig::default()
        },
        retention: RetentionConfig {
            days: 9,
            organizations: BTreeMap::from([("brief".to_owned(), 6), ("long".to_owned(), 12)]),
        },
        ..LakeConfig::default()
    }
}

/// Three stores, each reached through one that may fail.
pub struct Places {
    stores: [Arc<InMemory>; 3],
}

/// Operations that a process may still do; less than none: as many as it likes.
type Fuse = Arc<AtomicI64>;

impl Places {
    pub fn new() -> Self {
        Self { stores: std::array::from_fn(|_| Arc::new(InMemory::new())) }
    }

    /// The lake through stores that ask `wrap` for theirs.
    fn lake(&self, wrap: impl Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Lake {
        let place =
            |at: usize, url: &str| Lake::with_store(url.parse().unwrap(), wrap(self.stores[at].clone())).unwrap();
        place(0, "s3://hot/lake")
            .with_colder(vec![place(1, "s3://warm/lake").of_tier("warm"), place(2, "s3://cold/lake").of_tier("cold")])
    }

    pub fn whole(&self) -> Lake {
        self.lake(|store| store)
    }

    /// A process that dies at its `after`-th operation, which is done or not, and does nothing afterwards.
    pub fn mortal(&self, after: i64, is_done: bool) -> (Lake, Fuse) {
        let fuse: Fuse = Arc::new(AtomicI64::new(after));
        let burning = Arc::clone(&fuse);
        let lake = self.lake(move |store| {
            let fuse = Arc::clone(&burning);
            let last = if is_done { Fault::After } else { Fault::Before };
            Faulty::new(store, move |_| match fuse.fetch_sub(1, Ordering::SeqCst) {
                left if left > 1 => None,
                1 => Some(last),
                _ => Some(Fault::Before),
            })
        });
        (lake, fuse)
    }

    /// A reader to whom something happens before its `at`-th operation.
    pub fn interrupted(&self, at: usize, what: BoxFuture<'static, ()>) -> Lake {
        let (count, what) = (Arc::new(Mutex::new(0_usize)), Arc::new(tokio::sync::Mutex::new(Some(what))));
        self.lake(move |store| {
            let (count, what) = (Arc::clone(&count), Arc::clone(&what));
            Faulty::hooked(store, move || {
                let due = {
                    let mut count = count.lock().unwrap();
                    *count += 1;
                    *count == at
                };
                let what = Arc::clone(&what);
                Box::pin(async move {
                    if due && let Some(what) = what.lock().await.take() {
                        what.await;
                    }
                })
            })
        })
    }
}

/// A commit of rows; their offsets follow one another.
pub fn commit(partition: i32, from: i64, new: &[Row], now_ms: i64) -> LakeCommit {
    let mut encoder = FileEncoder::new(&config());
    let source = source(partition);
    let dates: BTreeSet<NaiveDate> = new.iter().map(|row| row.date).collect();
    for date in dates {
        let days = date.num_days_from_ce() - 719_163;
        let own: Vec<(i64, &Row)> = (from..).zip(new).filter(|(_, row)| row.date == date).collect();
        let offsets: Vec<i64> = own.iter().map(|(offset, _)| *offset).collect();
        encoder.push(days, &shaped(&rows(&source, &offsets, days), &own, now_ms)).unwrap();
    }
    let count = new.len() as u64;
    let tally = Tally {
        messages: count,
        rows: count,
        last_timestamp_ms: Some(now_ms),
        newest_event_ms: Some(now_ms),
        ..Tally::default()
    };
    let range = OffsetRange::new(from, from + i64::try_from(count).unwrap()).unwrap();
    let progress = PartitionProgress { source: Arc::new(source), generation: Generation(1), range, tally };
    LakeCommit { files: encoder.finish().unwrap(), progress: vec![progress], dead_letters: Vec::new() }
}

/// The rows with the model's ids, organizations, persons and time of reading.
fn shaped(batch: &RecordBatch, own: &[(i64, &Row)], now_ms: i64) -> RecordBatch {
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut columns = batch.columns().to_vec();
    let mut replace = |name: &str, column: ArrayRef| {
        let at = batch.schema().index_of(name).unwrap();
        fields[at] = fields[at].clone().with_data_type(column.data_type().clone());
        columns[at] = column;
    };
    replace("event_id", Arc::new(StringArray::from_iter_values(own.iter().map(|(_, row)| format!("id-{}", row.id)))));
    replace("organization", Arc::new(StringArray::from_iter_values(own.iter().map(|(_, row)| row.organization))));
    let names = || own.iter().map(|(_, row)| (row.id, row.names));
    replace("user_id", Arc::new(StringArray::from_iter_values(names().map(|(_, names)| names.user))));
    replace("customer", Arc::new(names().map(|(_, names)| names.customer).collect::<StringArray>()));
    // Mentions the user, whoever else is erased.
    let sessions = names().map(|(id, names)| format!("of/{}/{id}", names.user));
    replace("session_id", Arc::new(StringArray::from_iter_values(sessions)));
    let times = vec![now_ms * 1_000; own.len()];
    replace("ingest_time", Arc::new(TimestampMicrosecondArray::from(times).with_data_type(timestamp_type())));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

pub async fn writer(lake: &Lake) -> Committer {
    open(lake).await
}

/// What every reader must see: each row once, and the sum.
pub fn expected(model: &Model) -> (Vec<(i32, i64)>, i128) {
    (model.keys().copied().collect(), model.keys().map(|(_, offset)| cost(*offset)).sum())
}

/// What SQL over all tiers sees.
pub async fn seen(lake: &Lake) -> (Vec<(i32, i64)>, i128) {
    let view = LakeView::open(lake, 256 << 20).await.unwrap();
    let sql = "SELECT source_partition, source_offset FROM usage ORDER BY 1, 2";
    let mut places = Vec::new();
    for batch in view.rows(sql).await.unwrap() {
        let column = |at: usize| {
            let column = arrow::compute::cast(batch.column(at), &DataType::Int64).unwrap();
            column.as_primitive::<Int64Type>().values().to_vec()
        };
        places.extend(column(0).into_iter().map(|partition| i32::try_from(partition).unwrap()).zip(column(1)));
    }
    let sums = view.rows("SELECT sum(cost) FROM usage").await.unwrap();
    let sum = sums[0].column(0).as_primitive::<Decimal128Type>();
    (places, if arrow::array::Array::is_null(sum, 0) { 0 } else { sum.value(0) })
}

/// The model after a step that got through.
pub fn after(model: &Model, step: &Step) -> Model {
    let mut model = model.clone();
    match step {
        Step::Seal { day, .. } => {
            let of_day = |row: &Row| row.date == day.date;
            let fixed: BTreeSet<(u64, &str)> = model
                .values()
                .filter(|row| of_day(row) && row.place != day.place && row.is_sealed)
                .map(|row| (row.id, row.organization))
                .collect();
            let mut kept = fixed.clone();
            // The first that was read stays.
            let mut own: Vec<(i64, (i32, i64))> = model
                .iter()
                .filter(|(_, row)| of_day(row) && row.place == day.place)
                .map(|(at, row)| (row.read_ms, *at))
                .collect();
            own.sort_unstable();
            let own = own.into_iter().map(|(_, at)| at);
            let gone: Vec<(i32, i64)> = own.filter(|at| !kept.insert((model[at].id, model[at].organization))).collect();
            for at in gone {
                model.remove(&at);
            }
            let sealed = model.values_mut().filter(|row| row.date == day.date && row.place == day.place);
            sealed.for_each(|row| row.is_sealed = true);
        }
        Step::Move { day, .. } => {
            let moved =
                model.values_mut().filter(|row| row.date == day.date && row.place == day.place && row.is_sealed);
            moved.for_each(|row| row.place += 1);
        }
        Step::Expire { place, days } => {
            let dates: BTreeSet<NaiveDate> = days.iter().map(|day| day.date).collect();
            model.retain(|_, row| row.place != *place || !dates.contains(&row.date));
        }
        Step::ExpireRows { day, whose } => model.retain(|_, row| {
            let is_over = whose.organizations.contains(row.organization) != whose.rest;
            row.place != day.place || row.date != day.date || !is_over
        }),
        Step::FinishMove { .. } | Step::Repack { .. } | Step::Compact { .. } => {}
    }
    model
}

/// A maintainer who has just taken over.
pub async fn maintainer(lake: &Lake) -> Maintainer {
    Maintainer::take(lake, &config(), TIMES).await.unwrap()
}
