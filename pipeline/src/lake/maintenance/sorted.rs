//! Puts rows in the order of a sealed day while they come. In: a stream of batches. Out: the rows in a writer. Memory is bounded: what is beyond spills.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{Stream, TryStreamExt};
use parking_lot::Mutex;
use spendstream_schemas::table::usage;
use spendstream_storage::Lake;
use tokio::sync::mpsc;

use super::super::error::LakeError;
use super::read::{failed, session};
use super::seal::ORDER;
use super::write::{DayWriter, shaped};

const DOING: &str = "sorting rows";
/// Batches between who makes them and who sorts them.
const AHEAD: usize = 2;

/// Rows that are read once.
#[derive(Debug)]
struct Once {
    schema: SchemaRef,
    rows: Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl PartitionStream for Once {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().take();
        let rows = futures::stream::unfold(rows, |rows| async {
            let mut rows = rows?;
            let batch = rows.recv().await?;
            Some((Ok(batch), Some(rows)))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

/// Writes the rows in order.
///
/// # Errors
/// Those of the rows, and when the store fails; then nothing of the writer may be used.
pub async fn sorted(
    place: &Lake,
    memory_bytes: usize,
    rows: impl Stream<Item = Result<RecordBatch, LakeError>>,
    writer: &mut DayWriter<'_>,
) -> Result<(), LakeError> {
    let broken = |error: &dyn std::fmt::Display| failed(place, DOING, error);
    let schema = usage::file_schema();
    let (sender, receiver) = mpsc::channel(AHEAD);
    let once = Once { schema: Arc::clone(&schema), rows: Mutex::new(Some(receiver)) };
    let context = session(place, memory_bytes)?;
    let table = StreamingTable::try_new(Arc::clone(&schema), vec![Arc::new(once)]).map_err(|error| broken(&error))?;
    context.register_table("rows", Arc::new(table)).map_err(|error| broken(&error))?;
    let frame = context.sql(&format!("SELECT * FROM rows ORDER BY {ORDER}")).await.map_err(|error| broken(&error))?;
    let mut ordered = frame.execute_stream().await.map_err(|error| broken(&error))?;
    let give = async move {
        let mut rows = std::pin::pin!(rows);
        while let Some(batch) = rows.try_next().await? {
            // Who sorts says why it stopped.
            if sender.send(shaped(place, &schema, &batch)?).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let take = async {
        while let Some(batch) = ordered.try_next().await.map_err(|error| broken(&error))? {
            writer.push(&batch).await?;
        }
        Ok(())
    };
    // An error of the first ends both: rows are never taken for all of them.
    tokio::try_join!(give, take).map(|_| ())
}
