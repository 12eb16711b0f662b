//! How answers look: in come record batches, out come bytes of one [`Format`].
//!
//! Exact decimals are written without trailing zeros (`0.00252`), as text in JSON; times are RFC 3339 in UTC. Pure: no IO.

pub(crate) mod cell;
mod columnar;
mod csv;
mod json;
mod table;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

pub use table::TableEncoder;

/// A form of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// An array of objects. Decimals are strings, so are integers beyond ±2⁵³.
    #[default]
    Json,
    /// One object per line, values as in JSON.
    NdJson,
    /// RFC 4180 with a header line; null is empty, an empty text is `""`; maps and lists are JSON.
    Csv,
    /// The Arrow IPC stream.
    Arrow,
    /// One Parquet file; made in memory as it needs its footer.
    Parquet,
}

impl Format {
    pub const ALL: [Format; 5] = [Format::Json, Format::NdJson, Format::Csv, Format::Arrow, Format::Parquet];

    /// The word in `format=`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::NdJson => "ndjson",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// The media type of answers in this form.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::NdJson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The form of that name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name().eq_ignore_ascii_case(name))
    }

    /// The first form that an `Accept` header allows, in the header's order; `None` when it allows none of ours.
    #[must_use]
    pub fn by_accept(accept: &str) -> Option<Self> {
        accept.split(',').find_map(|range| match range.split(';').next().unwrap_or("").trim() {
            "" | "*/*" | "application/*" | "application/json" => Some(Self::Json),
            "application/x-ndjson" | "application/jsonl" => Some(Self::NdJson),
            "text/csv" | "text/*" => Some(Self::Csv),
            "application/vnd.apache.arrow.stream" => Some(Self::Arrow),
            "application/vnd.apache.parquet" => Some(Self::Parquet),
            _ => None,
        })
    }
}

/// Turns batches into bytes. `finish` is called once, last.
pub trait Encode: Send {
    /// Appends the rows of `batch`.
    ///
    /// # Errors
    /// When a value cannot be written in this form.
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError>;

    /// Appends what closes the answer.
    ///
    /// # Errors
    /// When the end cannot be written.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError>;
}

/// An encoder for answers with these columns.
///
/// # Errors
/// When a column's type cannot be written in this form.
pub fn encoder(format: Format, schema: &SchemaRef) -> Result<Box<dyn Encode>, ArrowError> {
    Ok(match format {
        Format::Json => Box::new(json::JsonEncoder::array()),
        Format::NdJson => Box::new(json::JsonEncoder::lines()),
        Format::Csv => Box::new(csv::CsvEncoder::new(schema)),
        Format::Arrow => Box::new(columnar::ArrowEncoder::new(schema)?),
        Format::Parquet => Box::new(columnar::ParquetEncoder::new(schema)?),
    })
}

#[cfg(test)]
mod tests;
