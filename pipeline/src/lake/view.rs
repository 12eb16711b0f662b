//! One version of a lake's tables, as one table to ask SQL of. In: a lake. Out: rows, and what the log knows at that very version. Never writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::prelude::{SessionConfig, SessionContext, col};
use deltalake_core::DeltaTable;
use spendstream_lake::files::{self, FileInfo, TableFiles};
use spendstream_lake::latency;
use spendstream_lake::named;
use spendstream_lake::tags::{BEGUN_APP, EXPIRED_APP, HISTORY_APP, MOVES_APP, REMOVED_APP, TIERS_PROPERTY};
use spendstream_lake::tiered::{self, Tiered};
use spendstream_lake::visible::{fits, visible};
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::lake_path::USAGE_TABLE;
use spendstream_storage::Lake;

use super::error::LakeError;
use super::log::{Log, one_line};
use super::state::TableState;

/// Sorts and aggregates may spill this many times the memory to the temporary directory.
const SPILL_FACTOR: u64 = 64;

/// How often tables are read until they fit together: a day would have to move each time, within the time of a reading.
pub(super) const READINGS: usize = 20;
/// What is said when they never did.
pub(super) const UNFIT: &str = "days moved between its tables each time they were read; try again";

/// A table of events in one of the lake's places.
pub struct PlaceView {
    pub place: Lake,
    /// What its log says.
    pub facts: TableFiles,
    /// The files that count: none that the next colder table has taken in.
    pub files: Vec<FileInfo>,
    /// Numbers of our own in its log.
    pub apps: BTreeMap<String, i64>,
    table: DeltaTable,
}

/// See the module.
pub struct LakeView {
    pub lake: Lake,
    /// Of the hot table: offsets and books.
    pub state: TableState,
    /// Hot first.
    pub places: Vec<PlaceView>,
    context: SessionContext,
}

impl LakeView {
    /// The newest version of every table; queries together take at most `memory_bytes` and spill beyond.
    ///
    /// # Errors
    /// When there is no table, or one cannot be read.
    pub async fn open(lake: &Lake, memory_bytes: usize) -> Result<Self, LakeError> {
        let failed = |error: &dyn std::fmt::Display| failed(lake, error);
        let (state, mut places, facts) = Self::read(lake).await?;
        for (place, files) in places.iter_mut().zip(visible(&facts)) {
            place.files = files.into_iter().cloned().collect();
        }
        let runtime = runtime(lake, memory_bytes)?;
        let mut context = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
        latency::register(&mut context).map_err(|error| failed(&error))?;
        let parts = places.iter().map(|place| place.scan(&context)).collect::<Result<Vec<_>, _>>();
        let table = parts.and_then(Tiered::new).map_err(|error| failed(&error))?;
        context.register_table(USAGE_TABLE, Arc::new(table)).map_err(|error| failed(&error))?;
        Ok(Self { lake: lake.clone(), state, places, context })
    }

    /// The session that answers, with the functions of sketches: for further tables beside `usage`.
    pub(super) fn session(&self) -> SessionContext {
        self.context.clone()
    }

    /// The files that count, of all tables.
    pub fn files(&self) -> impl Iterator<Item = &FileInfo> {
        self.places.iter().flat_map(|place| &place.files)
    }

    /// The sum of `cost` of some files of a table, a decimal.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn cost_of(&self, table: usize, files: &[&FileInfo]) -> Result<String, LakeError> {
        let Some(place) = self.places.get(table) else { return Ok("0".to_owned()) };
        let failed = |error: &dyn std::fmt::Display| failed(&place.place, error);
        let paths = files.iter().map(|file| file.path.clone()).collect();
        let scan = place.scan_of(&self.context, Some(paths)).map_err(|error| failed(&error))?;
        let frame = self.context.read_table(scan).map_err(|error| failed(&error))?;
        let sum = frame.aggregate(vec![], vec![sum(col("cost"))]).map_err(|error| failed(&error))?;
        let batches = sum.collect().await.map_err(|error| failed(&error))?;
        let sums: Vec<String> = batches.iter().flat_map(|batch| texts(batch, 0)).flatten().collect();
        Ok(sums.into_iter().next().unwrap_or_else(|| "0".to_owned()))
    }

    /// How often sums of the lake were rewritten: two readings with the same number differ by what came since only.
    #[must_use]
    pub fn history(&self) -> i64 {
        self.places.iter().map(|place| place.facts.history).sum()
    }

    /// Rows of a partition that are gone, by the numbers in the logs: as repeats, and because they were over.
    #[must_use]
    pub fn gone(&self, source: &SourcePartition) -> [i64; 2] {
        let sum = |app: &str| {
            let id = format!("{app}/{}", source.app_id());
            self.places.iter().filter_map(|place| place.apps.get(&id)).sum()
        };
        [sum(REMOVED_APP), sum(EXPIRED_APP)]
    }

    /// All tables, so that they fit together.
    async fn read(lake: &Lake) -> Result<(TableState, Vec<PlaceView>, Vec<TableFiles>), LakeError> {
        for _ in 0..READINGS {
            let missing = || LakeError::Missing { lake: lake.to_string() };
            let state = Log::new(lake).load().await?.ok_or_else(missing)?;
            named_places(lake, &state)?;
            let mut places = vec![PlaceView::open(lake, &state).await?];
            // In this order: what leaves a table while it is read is in the next one by then.
            for place in lake.places().skip(1) {
                if let Some(state) = Log::new(place).load().await? {
                    places.push(PlaceView::open(place, &state).await?);
                }
            }
            let facts: Vec<TableFiles> = places.iter().map(|place| place.facts.clone()).collect();
            if fits(&facts) {
                return Ok((state, places, facts));
            }
        }
        Err(failed(lake, &UNFIT))
    }

    /// All rows of a small answer.
    ///
    /// # Errors
    /// When the query fails.
    pub async fn rows(&self, sql: &str) -> Result<Vec<RecordBatch>, LakeError> {
        let frame = self.context.sql(sql).await.map_err(|error| failed(&self.lake, &error))?;
        frame.collect().await.map_err(|error| failed(&self.lake, &error))
    }

    /// The rows of a large answer, as they come.
    ///
    /// # Errors
    /// When the query cannot be planned.
    pub async fn stream(&self, sql: &str) -> Result<SendableRecordBatchStream, LakeError> {
        let frame = self.context.sql(sql).await.map_err(|error| failed(&self.lake, &error))?;
        frame.execute_stream().await.map_err(|error| failed(&self.lake, &error))
    }

    /// The integers of a one-row answer, in its order; null is 0.
    ///
    /// # Errors
    /// When the query fails, or is not of that shape.
    pub async fn integers(&self, sql: &str) -> Result<Vec<i64>, LakeError> {
        let batches = self.rows(sql).await?;
        let Some(batch) = batches.iter().find(|batch| batch.num_rows() > 0) else { return Ok(Vec::new()) };
        let columns = batch.columns().iter().map(|column| {
            let column = cast(column, &DataType::Int64).map_err(|error| failed(&self.lake, &error))?;
            Ok(if column.is_null(0) { 0 } else { column.as_primitive::<Int64Type>().value(0) })
        });
        columns.collect()
    }

    /// Rows and bytes by date.
    #[must_use]
    pub fn dates(&self) -> BTreeMap<String, (u64, u64)> {
        let mut dates = BTreeMap::<String, (u64, u64)>::new();
        for file in self.files() {
            let date = dates.entry(file.date.clone()).or_default();
            date.0 += file.rows.unwrap_or(0);
            date.1 += file.bytes;
        }
        dates
    }
}

impl PlaceView {
    async fn open(place: &Lake, state: &TableState) -> Result<Self, LakeError> {
        let failed = |error: &dyn std::fmt::Display| failed(place, error);
        let mut table = DeltaTable::new(place.log_store(USAGE_TABLE));
        table.load_version(state.version).await.map_err(|error| failed(&error))?;
        let facts = TableFiles {
            version: state.version,
            moves: state.app(MOVES_APP),
            begun: state.app(BEGUN_APP),
            history: state.app(HISTORY_APP),
            files: files::files(&table).map_err(|error| failed(&error))?,
        };
        Ok(Self { place: place.clone(), facts, files: Vec::new(), apps: state.apps.clone(), table })
    }

    fn scan(&self, context: &SessionContext) -> datafusion::common::Result<Arc<dyn TableProvider>> {
        let is_whole = self.files.len() == self.facts.files.len();
        let chosen = (!is_whole).then(|| self.files.iter().map(|file| file.path.clone()).collect());
        self.scan_of(context, chosen)
    }

    /// The rows of some of its files, or of all that are active.
    pub(super) fn scan_of(
        &self,
        context: &SessionContext,
        chosen: Option<Vec<String>>,
    ) -> datafusion::common::Result<Arc<dyn TableProvider>> {
        tiered::scan(&self.table, &context.state(), chosen)
    }
}

/// Refuses a lake of which a tier has a place that is not open here: a part is not the whole.
///
/// # Errors
/// [`LakeError::Part`], which says which key to set.
pub fn named_places(lake: &Lake, state: &TableState) -> Result<(), LakeError> {
    let property = state.meta.as_ref().and_then(|meta| meta.configuration.get(TIERS_PROPERTY));
    let urls: Vec<_> = lake.places().map(Lake::url).collect();
    let order = named::reading_order(property.map(String::as_str), &urls);
    order.map(drop).map_err(|why| LakeError::Part { lake: lake.to_string(), reason: why.to_string() })
}

/// Room for queries that together take at most `memory_bytes` and spill beyond.
///
/// # Errors
/// When there is no temporary directory.
pub fn runtime(lake: &Lake, memory_bytes: usize) -> Result<Arc<RuntimeEnv>, LakeError> {
    let spill = (memory_bytes as u64).saturating_mul(SPILL_FACTOR);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_max_temp_directory_size(spill))
        .build_arc()
        .map_err(|error| failed(lake, &error))
}

/// A failed query, on one line.
pub fn failed(lake: &Lake, error: &dyn std::fmt::Display) -> LakeError {
    LakeError::Store { lake: lake.to_string(), doing: "reading its table", reason: one_line(&error.to_string()) }
}

/// A text as an SQL literal.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The texts of a column; `None` where null, or where there is no such column.
#[must_use]
pub fn texts(batch: &RecordBatch, column: usize) -> Vec<Option<String>> {
    let Some(column) = batch.columns().get(column).and_then(|column| cast(column, &DataType::Utf8).ok()) else {
        return vec![None; batch.num_rows()];
    };
    column.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}
