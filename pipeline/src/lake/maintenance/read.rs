//! Reads data files that are to be written anew. In: a place and paths. Out: batches in the order of the files, or a table to ask SQL of. Holds no
//! more than a few batches of one file.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use object_store::ObjectStoreExt;
use object_store::buffered::BufReader;
use object_store::path::Path;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use spendstream_schemas::lake_path::USAGE_TABLE;
use spendstream_schemas::table::usage;
use spendstream_storage::Lake;
use url::Url;

use super::super::error::LakeError;
use super::super::log::one_line;
use super::super::table::Kind;
use super::super::view::runtime;

const BATCH_ROWS: usize = 8_192;
/// Bytes that are asked of a store at a time.
const READ_BYTES: usize = 4 << 20;
/// Sorts side by side: each has its share of the memory.
const SIDE_BY_SIDE: usize = 2;

/// What went wrong while rows were read or written anew.
pub fn failed(lake: &Lake, doing: &'static str, error: &dyn std::fmt::Display) -> LakeError {
    LakeError::Store { lake: lake.to_string(), doing, reason: one_line(&error.to_string()) }
}

/// Columns by name; `None`: all.
pub type Columns = Option<Vec<&'static str>>;

/// The rows of a file, as it has them.
async fn rows(
    (place, table): (&Lake, Kind),
    path: &str,
    columns: Columns,
) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
    let (store, folder) = place.table_root(table.name());
    let (lake, path) = (place.clone(), Path::from(format!("{folder}/{path}")));
    let meta = store.head(&path).await.map_err(|error| failed(place, "reading a file", &error))?;
    let broken = move |error: parquet::errors::ParquetError| failed(&lake, "reading a file", &error);
    let reader = BufReader::with_capacity(store, &meta, READ_BYTES);
    let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(&broken)?;
    let mask = match columns {
        Some(names) => ProjectionMask::columns(builder.parquet_schema(), names),
        None => ProjectionMask::all(),
    };
    let stream = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(&broken)?;
    Ok(stream.map_err(broken).boxed())
}

/// The rows of several files of a table, one after the other.
pub fn all_rows(
    (place, table): (&Lake, Kind),
    paths: Vec<String>,
    columns: Columns,
) -> impl Stream<Item = Result<RecordBatch, LakeError>> + use<> {
    let place = place.clone();
    let opened = futures::stream::iter(paths).then(move |path| {
        let (place, columns) = (place.clone(), columns.clone());
        async move { rows((&place, table), &path, columns).await }
    });
    opened.try_flatten()
}

/// A session whose queries together take at most `memory_bytes` and spill beyond.
pub fn session(lake: &Lake, memory_bytes: usize) -> Result<SessionContext, LakeError> {
    let runtime = runtime(lake, memory_bytes)?;
    let config = SessionConfig::new().with_batch_size(BATCH_ROWS).with_target_partitions(SIDE_BY_SIDE);
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

/// Makes files of `usage` in a place a table of the session; of no files, an empty one.
pub fn register(context: &SessionContext, name: &str, place: &Lake, paths: &[String]) -> Result<(), LakeError> {
    let broken = |error: &dyn std::fmt::Display| failed(place, "reading files", error);
    // A name of its own: two places may lie in buckets of one name.
    let root = Url::parse(&format!("rows://{name}/")).map_err(|error| broken(&error))?;
    let (store, folder) = place.table_root(USAGE_TABLE);
    let schema = usage::file_schema();
    context.register_object_store(&root, store);
    let url = |path: &String| ListingTableUrl::parse(format!("{root}{folder}/{path}"));
    let urls = paths.iter().map(url).collect::<Result<Vec<_>, _>>().map_err(|error| broken(&error))?;
    let table: Arc<dyn datafusion::catalog::TableProvider> = if urls.is_empty() {
        let empty = datafusion::datasource::MemTable::try_new(Arc::clone(&schema), vec![Vec::new()]);
        Arc::new(empty.map_err(|error| broken(&error))?)
    } else {
        let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
        let config = ListingTableConfig::new_with_multi_paths(urls)
            .with_listing_options(options)
            .with_schema(Arc::clone(&schema));
        Arc::new(ListingTable::try_new(config).map_err(|error| broken(&error))?)
    };
    context.register_table(name, table).map_err(|error| broken(&error))?;
    Ok(())
}
