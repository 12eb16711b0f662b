//! Rows to Parquet files, one per date. In: record batches of dated rows. Out: [`DataFile`]s with their Delta statistics.
//! Pure but for the random part of a file's name: no store, no clock.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::WriterProperties;
use spendstream_schemas::config::LakeConfig;
use spendstream_schemas::lake_path;

use super::actions::date;
use super::error::EncodeError;
use super::{layout, stats};
use crate::batch::DataFile;

/// Files of one commit in the making.
pub struct FileEncoder {
    properties: WriterProperties,
    open: BTreeMap<i32, OpenFile>,
}

struct OpenFile {
    writer: ArrowWriter<Vec<u8>>,
    rows: u64,
}

impl FileEncoder {
    #[must_use]
    pub fn new(config: &LakeConfig) -> Self {
        Self { properties: layout::properties(config.row_group_rows, config.zstd_level), open: BTreeMap::new() }
    }

    /// Adds rows of one date (days since the epoch), in the file schema of the table `usage`; texts may be dictionaries.
    ///
    /// # Errors
    /// When the batch has another schema than the file's earlier ones.
    pub fn push(&mut self, date: i32, rows: &RecordBatch) -> Result<(), EncodeError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let failed = |error: parquet::errors::ParquetError| EncodeError { date, reason: error.to_string() };
        let file = match self.open.entry(date) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                // Without Arrow's own schema in the file, every reader sees plain texts instead of dictionaries.
                let options =
                    ArrowWriterOptions::new().with_properties(self.properties.clone()).with_skip_arrow_metadata(true);
                let writer = ArrowWriter::try_new_with_options(Vec::new(), rows.schema(), options).map_err(failed)?;
                entry.insert(OpenFile { writer, rows: 0 })
            }
        };
        file.writer.write(rows).map_err(failed)?;
        file.rows += rows.num_rows() as u64;
        Ok(())
    }

    /// Rows added since the last [`FileEncoder::finish`].
    pub fn rows(&self) -> u64 {
        self.open.values().map(|file| file.rows).sum()
    }

    /// About how large the files are by now.
    pub fn bytes(&self) -> usize {
        self.open.values().map(|file| file.writer.bytes_written() + file.writer.in_progress_size()).sum()
    }

    /// How many files are open.
    pub fn open_dates(&self) -> usize {
        self.open.len()
    }

    /// Ends the files and starts afresh.
    ///
    /// # Errors
    /// When a file cannot be ended; its rows are lost to this encoder and must be read again.
    pub fn finish(&mut self) -> Result<Vec<DataFile>, EncodeError> {
        std::mem::take(&mut self.open).into_iter().map(|(date, file)| end(date, file)).collect()
    }
}

fn end(days: i32, mut file: OpenFile) -> Result<DataFile, EncodeError> {
    let failed = |error: parquet::errors::ParquetError| EncodeError { date: days, reason: error.to_string() };
    let meta = file.writer.finish().map_err(failed)?;
    let bytes = std::mem::take(file.writer.inner_mut());
    let path = lake_path::data_file(date(days), &uuid::Uuid::new_v4().to_string());
    let schema = spendstream_schemas::table::usage::file_schema();
    let stats = stats::delta(&meta, &schema, &layout::STATISTICS);
    Ok(DataFile { path, date: days, rows: file.rows, stats, bytes: bytes.into() })
}
