//! Arrow's IPC stream and Parquet: in come record batches, out come the bytes of a stream or a file.
//!
//! Text views become plain text, which every reader of these formats knows. Types are otherwise kept, decimals exact.

use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Encode;

/// Writes an Arrow IPC stream.
pub struct ArrowEncoder {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowEncoder {
    pub fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let schema = plain(schema);
        Ok(Self { writer: StreamWriter::try_new(Vec::new(), &schema)?, schema })
    }
}

impl Encode for ArrowEncoder {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.writer.write(&conform(batch, &self.schema)?)?;
        out.append(self.writer.get_mut());
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.writer.finish()?;
        out.append(self.writer.get_mut());
        Ok(())
    }
}

/// Writes one Parquet file, zstd-compressed.
pub struct ParquetEncoder {
    schema: SchemaRef,
    writer: Option<ArrowWriter<Vec<u8>>>,
}

impl ParquetEncoder {
    pub fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let schema = plain(schema);
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        Ok(Self { writer: Some(ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))?), schema })
    }
}

impl Encode for ParquetEncoder {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        if let Some(writer) = &mut self.writer {
            writer.write(&conform(batch, &self.schema)?)?;
            // Offsets in the footer count from the start of the file, not of what is left in this buffer, so taking is safe.
            out.append(writer.inner_mut());
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        if let Some(writer) = self.writer.take() {
            out.append(&mut writer.into_inner()?);
        }
        Ok(())
    }
}

/// The same columns with plain text and binary types.
fn plain(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8View => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        DataType::BinaryView => Arc::new(field.as_ref().clone().with_data_type(DataType::Binary)),
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new(fields.collect::<Vec<Arc<Field>>>()))
}

fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type())).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}
