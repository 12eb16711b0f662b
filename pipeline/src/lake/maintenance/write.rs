//! Writes files of one day while their rows come. In: batches. Out: add actions of files that are stored, cut at a size. Holds one row group; a
//! file that is not finished is in no table, and is found and removed later.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use chrono::NaiveDate;
use deltalake_core::kernel::Add;
use futures::{Stream, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::WriterProperties;
use spendstream_lake::tags::TIER;
use spendstream_schemas::lake_path;
use spendstream_schemas::table::usage::DATE;
use spendstream_storage::Lake;
use uuid::Uuid;

use super::super::error::LakeError;
use super::super::table::{self, Kind};
use super::super::{layout, stats};
use super::read::failed;

const DOING: &str = "writing rows anew";

/// How files are written.
#[derive(Clone, Debug)]
pub struct Form {
    pub tier: String,
    pub zstd_level: i32,
    pub row_group_rows: usize,
    pub target_bytes: usize,
    /// Further tags of each file.
    pub tags: Vec<(&'static str, String)>,
}

/// Files of one day in the making.
pub struct DayWriter<'a> {
    place: &'a Lake,
    kind: Kind,
    date: NaiveDate,
    form: Form,
    schema: SchemaRef,
    properties: WriterProperties,
    open: Option<(String, AsyncArrowWriter<BufWriter>)>,
    done: Vec<Add>,
}

impl<'a> DayWriter<'a> {
    pub fn new(place: &'a Lake, kind: Kind, date: NaiveDate, form: Form) -> Self {
        let properties = match kind {
            Kind::Usage => layout::properties(form.row_group_rows, form.zstd_level),
            Kind::Rollup | Kind::Decisions => layout::plain(form.row_group_rows, form.zstd_level, kind.statistics()),
        };
        Self { place, kind, date, form, schema: kind.file_schema(), properties, open: None, done: Vec::new() }
    }

    /// The table that it writes files of.
    pub fn table(&self) -> (&'a Lake, Kind) {
        (self.place, self.kind)
    }

    /// Takes rows; columns may come in any order, and the day's own column is left out.
    pub async fn push(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let rows = shaped(self.place, &self.schema, rows)?;
        let broken = |error: parquet::errors::ParquetError| failed(self.place, DOING, &error);
        let (_, writer) = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(open(self.place, self.kind, self.date, &self.schema, &self.properties)?),
        };
        writer.write(&rows).await.map_err(broken)?;
        if writer.bytes_written() + writer.in_progress_size() >= self.form.target_bytes {
            self.end().await?;
        }
        Ok(())
    }

    /// Takes all rows of a stream.
    pub async fn push_all(
        &mut self,
        rows: impl Stream<Item = Result<RecordBatch, LakeError>>,
    ) -> Result<(), LakeError> {
        let mut rows = std::pin::pin!(rows);
        while let Some(batch) = rows.try_next().await? {
            self.push(&batch).await?;
        }
        Ok(())
    }

    /// The files, all stored.
    pub async fn finish(mut self) -> Result<Vec<Add>, LakeError> {
        self.end().await?;
        Ok(self.done)
    }

    async fn end(&mut self) -> Result<(), LakeError> {
        let Some((path, mut writer)) = self.open.take() else { return Ok(()) };
        let meta = writer.finish().await.map_err(|error| failed(self.place, DOING, &error))?;
        let tags = [(TIER, self.form.tier.clone())].into_iter().chain(self.form.tags.iter().cloned());
        self.done.push(Add {
            path,
            partition_values: HashMap::from([(DATE.to_owned(), Some(self.date.to_string()))]),
            size: i64::try_from(writer.bytes_written()).unwrap_or(i64::MAX),
            modification_time: table::now_ms(),
            data_change: false,
            stats: Some(stats::delta(&meta, &self.schema, self.kind.statistics())),
            tags: Some(tags.map(|(name, value)| (name.to_owned(), Some(value))).collect()),
            ..Add::default()
        });
        Ok(())
    }
}

/// A batch with the columns of a schema, in their order and types.
///
/// # Errors
/// When one is missing or of a type that is none of the column's.
pub fn shaped(place: &Lake, schema: &SchemaRef, rows: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let wrong = |error: &dyn std::fmt::Display| failed(place, DOING, error);
    let column = |field: &arrow::datatypes::FieldRef| {
        let column =
            rows.column_by_name(field.name()).ok_or_else(|| wrong(&format!("there is no column {}", field.name())))?;
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        cast(column, field.data_type()).map_err(|error| wrong(&error))
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, LakeError>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| wrong(&error))
}

fn open(
    place: &Lake,
    kind: Kind,
    date: NaiveDate,
    schema: &SchemaRef,
    properties: &WriterProperties,
) -> Result<(String, AsyncArrowWriter<BufWriter>), LakeError> {
    let path = lake_path::data_file(date, &Uuid::new_v4().to_string());
    let object = BufWriter::new(place.table_store(kind.name()), Path::from(path.as_str()));
    // Without Arrow's own schema in the file, every reader sees plain texts.
    let options = ArrowWriterOptions::new().with_properties(properties.clone()).with_skip_arrow_metadata(true);
    let writer = AsyncArrowWriter::try_new_with_options(object, Arc::clone(schema), options);
    Ok((path, writer.map_err(|error| failed(place, DOING, &error))?))
}
