//! An export as CSV. In: batches of [`super::columns::schema`]. Out: a header and a line per row.
//!
//! Unlike the CSV of SQL answers, texts are always in quotes and decimals always have a point (`3.0`), so that readers that guess types from values (as the
//! FOCUS validator does) take an account `0042` for a text and a cost of `0.0` for a decimal. Null is an empty field.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, SecondsFormat};

use super::columns::schema;
use crate::format::{Encode, cell};

/// Writes lines that end with a line feed.
#[derive(Debug, Default)]
pub struct FocusCsv {
    has_header: bool,
}

impl FocusCsv {
    fn header(&mut self, out: &mut Vec<u8>) {
        if !self.has_header {
            let names: Vec<String> = schema().fields().iter().map(|field| field.name().clone()).collect();
            out.extend_from_slice(names.join(",").as_bytes());
            out.push(b'\n');
        }
        self.has_header = true;
    }
}

impl Encode for FocusCsv {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.header(out);
        let columns = batch.columns().iter().map(fields).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            for (position, column) in columns.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(column[row].as_deref().unwrap_or_default().as_bytes());
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.header(out);
        Ok(())
    }
}

/// The fields of a column as they are written; `None` for null.
fn fields(column: &arrow::array::ArrayRef) -> Result<Vec<Option<String>>, ArrowError> {
    if let DataType::Timestamp(..) = column.data_type() {
        let times = column.as_primitive::<TimestampMicrosecondType>();
        return Ok((0..times.len()).map(|row| times.is_valid(row).then(|| time(times.value(row)))).collect());
    }
    let texts = cell::texts(column)?.into_iter();
    Ok(match column.data_type() {
        DataType::Utf8 => texts.map(|text| text.map(quoted)).collect(),
        DataType::Decimal128(..) => texts.map(|text| text.map(pointed)).collect(),
        _ => texts.collect(),
    })
}

fn time(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn quoted(text: String) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn pointed(decimal: String) -> String {
    if decimal.contains('.') { decimal } else { format!("{decimal}.0") }
}
