//! Reads data files that are to be written anew. In: a place and paths. Out: batches in the order of the files, or a table to ask SQL of. Holds no
//! more than a few batches of one file.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use object_store::buffered::BufReader;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use spendstream_storage::Lake;
use url::Url;

use super::super::error::LakeError;
use super::super::log::one_line;
use super::super::table::Kind;

/// Sorts may spill this many times the memory to the temporary directory.
const SPILL_FACTOR: u64 = 256;
const BATCH_ROWS: usize = 8_192;
/// Bytes that are asked of a store at a time.
const READ_BYTES: usize = 4 << 20;
/// Sorts side by side: each has its share of the memory.
const SIDE_BY_SIDE: usize = 2;

/// What went wrong while rows were read or written anew.
pub fn failed(lake: &Lake, doing: &'static str, error: &dyn std::fmt::Display) -> LakeError {
    LakeError::Store { lake: lake.to_string(), doing, reason: one_line(&error.to_string()) }
}

/// The rows of a file, as it has them.
pub async fn rows(
    place: &Lake,
    kind: Kind,
    path: &str,
) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
    let (lake, store, path) = (place.clone(), place.table_store(kind.name()), Path::from(path));
    let meta = store.head(&path).await.map_err(|error| failed(place, "reading a file", &error))?;
    let broken = move |error: parquet::errors::ParquetError| failed(&lake, "reading a file", &error);
    let reader = BufReader::with_capacity(store, &meta, READ_BYTES);
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(&broken)?;
    let stream = builder.with_batch_size(BATCH_ROWS).build().map_err(&broken)?;
    Ok(stream.map_err(broken).boxed())
}

/// The rows of several files, one after the other.
pub fn all_rows(
    place: &Lake,
    kind: Kind,
    paths: Vec<String>,
) -> impl Stream<Item = Result<RecordBatch, LakeError>> + use<> {
    let place = place.clone();
    let opened = futures::stream::iter(paths).then(move |path| {
        let place = place.clone();
        async move { rows(&place, kind, &path).await }
    });
    opened.try_flatten()
}

/// A session whose queries together take at most `memory_bytes` and spill beyond.
pub fn session(lake: &Lake, memory_bytes: usize) -> Result<SessionContext, LakeError> {
    let spill = (memory_bytes as u64).saturating_mul(SPILL_FACTOR);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory_bytes)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_max_temp_directory_size(spill))
        .build_arc()
        .map_err(|error| failed(lake, "making room for a sort", &error))?;
    let config = SessionConfig::new().with_batch_size(BATCH_ROWS).with_target_partitions(SIDE_BY_SIDE);
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

/// Makes files of a place a table of the session; of no files, an empty one.
pub fn register(
    context: &SessionContext,
    name: &str,
    (place, kind): (&Lake, Kind),
    paths: &[String],
    schema: &SchemaRef,
) -> Result<(), LakeError> {
    let broken = |error: &dyn std::fmt::Display| failed(place, "reading files", error);
    // A name of its own: two places may lie in buckets of one name.
    let root = Url::parse(&format!("rows://{name}/")).map_err(|error| broken(&error))?;
    context.register_object_store(&root, place.table_store(kind.name()) as Arc<dyn ObjectStore>);
    let url = |path: &String| ListingTableUrl::parse(format!("{root}{path}"));
    let urls = paths.iter().map(url).collect::<Result<Vec<_>, _>>().map_err(|error| broken(&error))?;
    let table: Arc<dyn datafusion::catalog::TableProvider> = if urls.is_empty() {
        let empty = datafusion::datasource::MemTable::try_new(Arc::clone(schema), vec![Vec::new()]);
        Arc::new(empty.map_err(|error| broken(&error))?)
    } else {
        let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
        let config = ListingTableConfig::new_with_multi_paths(urls)
            .with_listing_options(options)
            .with_schema(Arc::clone(schema));
        Arc::new(ListingTable::try_new(config).map_err(|error| broken(&error))?)
    };
    context.register_table(name, table).map_err(|error| broken(&error))?;
    Ok(())
}
