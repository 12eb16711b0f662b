//! Rows of one source partition that were written lately, to watch for repeats again after a restart. In: partition, first offset,
//! columns. Out: batches of those rows. Reads only files whose statistics say that they may have some; never writes.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use bytes::Bytes;
use deltalake_core::kernel::Snapshot;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};
use spendstream_lake::files::{FileInfo, TableFiles};
use spendstream_lake::tags::MOVES_APP;
use spendstream_lake::visible::visible;
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::lake_path::USAGE_TABLE;
use spendstream_storage::Lake;
use tokio::sync::mpsc;

use super::error::LakeError;
use super::log::{Log, one_line};

/// Batches that wait for who reads them.
const WAITING_BATCHES: usize = 4;
const LINEAGE: [&str; 4] = ["source_cluster", "source_topic", "source_partition", "source_offset"];

/// Rows of `source` with an offset of at least `min_offset`, with the named columns in that order, batch by batch; in no order.
/// No more than one file and a few batches are held.
///
/// # Errors
/// When the lake cannot be read. A lake without the table has no rows.
pub async fn recent_rows(
    lake: &Lake,
    source: &SourcePartition,
    min_offset: i64,
    columns: &[&str],
) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
    let wanted = Arc::new(Wanted {
        source: source.clone(),
        min_offset,
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
    });
    let (mut places, mut tables) = (Vec::new(), Vec::new());
    // In this order: what leaves a table while it is read is in the next one by then.
    for place in lake.places() {
        if let Some(table) = files(place, &wanted).await? {
            places.push(place);
            tables.push(table);
        }
    }
    let seen = places.iter().zip(visible(&tables));
    let paths = seen.flat_map(|(place, files)| {
        files.into_iter().map(|file| ((*place).clone(), Path::from(file.path.as_str()))).collect::<Vec<_>>()
    });
    let paths = paths.collect();
    let (sender, batches) = mpsc::channel(WAITING_BATCHES);
    tokio::spawn(read_all(wanted, paths, sender));
    let next = |mut batches: mpsc::Receiver<_>| async move { batches.recv().await.map(|batch| (batch, batches)) };
    Ok(futures::stream::unfold(batches, next).boxed())
}

type Sender = mpsc::Sender<Result<RecordBatch, LakeError>>;

/// Sends the wanted rows of each file; ends when nobody listens any more.
async fn read_all(wanted: Arc<Wanted>, paths: Vec<(Lake, Path)>, sender: Sender) {
    for (lake, path) in paths {
        let store = lake.table_store(USAGE_TABLE);
        let read = read_file(Arc::clone(&store), Arc::clone(&wanted), &path, &sender).await;
        if let Err(reason) = read {
            let reason = format!("{path}: {}", one_line(&reason.to_string()));
            let error = LakeError::Store { lake: lake.to_string(), doing: "reading recent rows", reason };
            // Nobody listens: nobody needs to know.
            let _ = sender.send(Err(error)).await;
            return;
        }
        if sender.is_closed() {
            return;
        }
    }
}

async fn read_file(
    store: Arc<dyn ObjectStore>,
    wanted: Arc<Wanted>,
    path: &Path,
    sender: &Sender,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (bytes, sender) = (store.get(path).await?.bytes().await?, sender.clone());
    // Decoding is work for a thread of its own.
    Ok(tokio::task::spawn_blocking(move || wanted.read(bytes, &sender)).await??)
}

/// Files of a place that may have wanted rows; `None` where there is no table.
async fn files(place: &Lake, wanted: &Wanted) -> Result<Option<TableFiles>, LakeError> {
    let failed = |error: &dyn std::fmt::Display| LakeError::Store {
        lake: place.to_string(),
        doing: "listing its files",
        reason: one_line(&error.to_string()),
    };
    let Some(state) = Log::new(place).load().await? else { return Ok(None) };
    let log = place.log_store(USAGE_TABLE);
    let snapshot = Snapshot::try_new(log.as_ref(), Some(state.version)).await.map_err(|error| failed(&error))?;
    let mut views = snapshot.file_views(log.as_ref(), None);
    let mut files = Vec::new();
    while let Some(view) = views.try_next().await.map_err(|error| failed(&error))? {
        if wanted.may_be_in(view.stats().as_deref()) {
            #[expect(deprecated, reason = "the view has no other way to a file's tags")]
            files.push(FileInfo::from_add(&view.add_action()));
        }
    }
    Ok(Some(TableFiles { version: state.version, moves: state.app(MOVES_APP), history: 0, files }))
}

struct Wanted {
    source: SourcePartition,
    min_offset: i64,
    columns: Vec<String>,
}

impl Wanted {
    /// Whether a file with these statistics may have wanted rows. Unknown statistics rule nothing out.
    fn may_be_in(&self, stats: Option<&str>) -> bool {
        let Some(stats) = stats.and_then(|stats| serde_json::from_str::<serde_json::Value>(stats).ok()) else {
            return true;
        };
        let bound = |which: &str, name: &str| stats.get(which).and_then(|values| values.get(name)).cloned();
        let number = |which, name| bound(which, name).and_then(|value| value.as_i64());
        let outside = |name: &str, text: &str| {
            let (low, high) = (bound("minValues", name), bound("maxValues", name));
            low.as_ref().and_then(|low| low.as_str()).is_some_and(|low| text < low)
                || high.as_ref().and_then(|high| high.as_str()).is_some_and(|high| text > high)
        };
        let partition = i64::from(self.source.partition);
        !(number("maxValues", "source_offset").is_some_and(|high| high < self.min_offset)
            || number("minValues", "source_partition").is_some_and(|low| partition < low)
            || number("maxValues", "source_partition").is_some_and(|high| partition > high)
            || outside("source_topic", &self.source.topic)
            || outside("source_cluster", &self.source.cluster))
    }

    /// Decodes the lineage first and the other columns only of rows that match.
    fn read(self: Arc<Self>, file: Bytes, sender: &Sender) -> Result<(), ArrowError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let lineage = ProjectionMask::columns(builder.parquet_schema(), LINEAGE);
        let wanted = ProjectionMask::columns(builder.parquet_schema(), self.columns.iter().map(String::as_str));
        let this = Arc::clone(&self);
        let matches = ArrowPredicateFn::new(lineage, move |batch| this.matches(&batch));
        let filter = RowFilter::new(vec![Box::new(matches)]);
        for batch in builder.with_projection(wanted).with_row_filter(filter).build()? {
            let batch = batch?;
            let schema = batch.schema();
            let indices = self.columns.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
            if batch.num_rows() > 0 && sender.blocking_send(Ok(batch.project(&indices)?)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn matches(&self, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let column = |name: &str, data_type: &DataType| {
            let column = batch.column_by_name(name);
            cast(column.ok_or_else(|| ArrowError::SchemaError(format!("it has no column {name}")))?, data_type)
        };
        let [clusters, topics] = [column(LINEAGE[0], &DataType::Utf8)?, column(LINEAGE[1], &DataType::Utf8)?];
        let [partitions, offsets] = [column(LINEAGE[2], &DataType::Int64)?, column(LINEAGE[3], &DataType::Int64)?];
        let (clusters, topics) = (clusters.as_string::<i32>(), topics.as_string::<i32>());
        let (partitions, offsets) = (partitions.as_primitive::<Int64Type>(), offsets.as_primitive::<Int64Type>());
        let partition = i64::from(self.source.partition);
        let matches = |row: usize| {
            offsets.value(row) >= self.min_offset
                && partitions.value(row) == partition
                && topics.value(row) == self.source.topic
                && clusters.value(row) == self.source.cluster
        };
        Ok((0..batch.num_rows()).map(|row| Some(matches(row))).collect())
    }
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::ids::SourcePartition;

    use super::Wanted;

    #[test]
    fn a_file_is_left_out_only_when_its_statistics_say_so() {
        let source = SourcePartition { cluster: "main".into(), topic: "usage.events".into(), partition: 3 };
        let wanted = Wanted { source, min_offset: 100, columns: Vec::new() };
        let stats = |low: &str, high: &str| format!(r#"{{"minValues":{{{low}}},"maxValues":{{{high}}}}}"#);
        for (low, high, expected) in [
            ("", "", true),
            (r#""source_offset":5"#, r#""source_offset":99"#, false),
            (r#""source_offset":5"#, r#""source_offset":100"#, true),
            (r#""source_partition":4"#, r#""source_partition":9"#, false),
            (r#""source_partition":0"#, r#""source_partition":2"#, false),
            (r#""source_partition":0"#, r#""source_partition":9"#, true),
            (r#""source_topic":"v""#, r#""source_topic":"w""#, false),
            (r#""source_cluster":"a""#, r#""source_cluster":"b""#, false),
        ] {
            assert_eq!(wanted.may_be_in(Some(&stats(low, high))), expected, "{low} {high}");
        }
        assert!(wanted.may_be_in(None) && wanted.may_be_in(Some("no json")));
    }
}
