//! One version of the table, to ask SQL of. In: a lake. Out: rows, and what the log knows at that very version. Never writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake_core::DeltaTable;
use spendstream_schemas::lake_path::USAGE_TABLE;
use spendstream_storage::Lake;

use super::error::LakeError;
use super::log::{Log, one_line};
use super::state::TableState;

/// Sorts and aggregates may spill this many times the memory to the temporary directory.
const SPILL_FACTOR: u64 = 64;

/// An active data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveFile {
    /// Relative to the table.
    pub path: String,
    pub bytes: u64,
    /// As its statistics count them.
    pub rows: Option<u64>,
    /// The partition value.
    pub date: Option<String>,
}

/// See the module.
pub struct LakeView {
    pub lake: Lake,
    pub state: TableState,
    pub files: Vec<ActiveFile>,
    context: SessionContext,
}

impl LakeView {
    /// The newest version; queries together take at most `memory_bytes` and spill beyond.
    ///
    /// # Errors
    /// When there is no table, or it cannot be read.
    pub async fn open(lake: &Lake, memory_bytes: usize) -> Result<Self, LakeError> {
        let missing = || LakeError::Missing { lake: lake.to_string() };
        let state = Log::new(lake).load().await?.ok_or_else(missing)?;
        let failed = |error: &dyn std::fmt::Display| failed(lake, error);
        let mut table = DeltaTable::new(lake.log_store(USAGE_TABLE));
        table.load_version(state.version).await.map_err(|error| failed(&error))?;
        let files = active(&table).map_err(|error| failed(&error))?;
        let spill = (memory_bytes as u64).saturating_mul(SPILL_FACTOR);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes)))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_max_temp_directory_size(spill))
            .build_arc()
            .map_err(|error| failed(&error))?;
        let context = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
        table.update_datafusion_session(&context.state()).map_err(|error| failed(&error))?;
        let provider = table.table_provider().await.map_err(|error| failed(&error))?;
        context.register_table(USAGE_TABLE, provider).map_err(|error| failed(&error))?;
        Ok(Self { lake: lake.clone(), state, files, context })
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
        for file in &self.files {
            let date = dates.entry(file.date.clone().unwrap_or_default()).or_default();
            date.0 += file.rows.unwrap_or(0);
            date.1 += file.bytes;
        }
        dates
    }
}

fn active(table: &DeltaTable) -> Result<Vec<ActiveFile>, deltalake_core::DeltaTableError> {
    let state = table.snapshot()?;
    let files = state.log_data().into_iter().map(|view| ActiveFile {
        path: view.object_store_path().to_string(),
        bytes: u64::try_from(view.size()).unwrap_or(0),
        rows: view.num_records().map(|rows| rows as u64),
        date: view.partition_values_map().get("date").cloned().flatten(),
    });
    Ok(files.collect())
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
