//! The file of a statement's lines. In: lines; out: Parquet whose name is its own SHA-256, so that it is written once and cannot be changed unnoticed.
//! Nothing removes it: it belongs to no table.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;
use sha2::{Digest, Sha256};
use spendstream_schemas::hex::hex;
use spendstream_schemas::lake_path::statement_file;
use spendstream_schemas::statement::{Line, Month, Statement, line};
use spendstream_storage::Lake;

use super::super::layout;
use super::super::maintenance::failed;
use super::StatementError;

/// Rows of a row group.
const ROW_GROUP: usize = 100_000;
const ZSTD_LEVEL: i32 = 6;

/// A statement's file before it is stored.
pub struct Encoded {
    /// Its SHA-256.
    pub id: String,
    pub path: String,
    bytes: Bytes,
}

/// Lines as a file. The same lines give the same file.
///
/// # Errors
/// When Parquet refuses consistent columns, which is a fault of this program.
pub fn encode(month: Month, lines: &[Line]) -> Result<Encoded, StatementError> {
    let broken = |error: parquet::errors::ParquetError| StatementError::Broken {
        id: month.to_string(),
        reason: error.to_string(),
    };
    let properties = layout::plain(ROW_GROUP, ZSTD_LEVEL, &["team", "provider", "model"]);
    let mut writer = ArrowWriter::try_new(Vec::new(), line::schema(), Some(properties)).map_err(broken)?;
    writer.write(&line::batch(lines)?).map_err(broken)?;
    // Months without lines are still files of their own.
    writer.append_key_value_metadata(KeyValue::new("spendstream.month".to_owned(), month.to_string()));
    let bytes = Bytes::from(writer.into_inner().map_err(broken)?);
    let id = hex(&Sha256::digest(&bytes));
    Ok(Encoded { path: statement_file(&month.to_string(), &id), id, bytes })
}

/// Stores a file; one that is there already is the same.
///
/// # Errors
/// When the store fails.
pub async fn store(lake: &Lake, file: &Encoded) -> Result<(), StatementError> {
    let put = lake.store().put(&Path::from(file.path.as_str()), file.bytes.clone().into()).await;
    put.map_err(|error| failed(lake, "storing a statement", &error))?;
    Ok(())
}

/// The lines of a statement.
///
/// # Errors
/// [`StatementError::Broken`] when the file is gone, or is not what was stored.
pub async fn read(lake: &Lake, statement: &Statement) -> Result<Vec<Line>, StatementError> {
    let broken = |reason: String| StatementError::Broken { id: statement.id.clone(), reason };
    let get = async { lake.store().get(&Path::from(statement.path.as_str())).await?.bytes().await };
    let bytes = match get.await {
        Ok(bytes) => bytes,
        Err(object_store::Error::NotFound { .. }) => {
            return Err(broken(format!("its file {} is gone", statement.path)));
        }
        Err(error) => return Err(failed(lake, "reading a statement", &error).into()),
    };
    let found = hex(&Sha256::digest(&bytes));
    if found != statement.id {
        return Err(broken(format!("its file {} was changed: its SHA-256 is {found}", statement.path)));
    }
    let mut lines = Vec::new();
    for batch in batches(bytes, broken)? {
        lines.extend(line::read(&batch)?);
    }
    Ok(lines)
}

/// All rows of a Parquet file that is no statement: a bill.
///
/// # Errors
/// When it is no Parquet file.
pub fn parquet_batches(bytes: Vec<u8>) -> Result<Vec<RecordBatch>, StatementError> {
    batches(Bytes::from(bytes), |reason| StatementError::Broken { id: "of that file".to_owned(), reason })
}

fn batches(bytes: Bytes, broken: impl Fn(String) -> StatementError) -> Result<Vec<RecordBatch>, StatementError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| broken(error.to_string()))?;
    let reader = builder.build().map_err(|error| broken(error.to_string()))?;
    Ok(reader.collect::<Result<_, _>>()?)
}
