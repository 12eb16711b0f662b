//! A report as one table: in comes a document, out come the bytes of its first part, each row with what the report says of itself.
//!
//! In CSV a text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a tab or a line break) gets a `'` before it: teams and
//! tags are what producers sent. Figures are left as they are.

use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::format::{Encode, Format, TableEncoder, encoder};
use crate::reports::document::{Cell, Document, Kind, Part, fact};

/// Digits of a decimal column.
const PRECISION: u8 = 38;

pub fn rows(document: &Document, format: Format) -> Result<Vec<u8>, ArrowError> {
    let batch = batch(document.parts.first(), &document.facts, format == Format::Csv)?;
    let mut encoder = encoder(format, &batch.schema())?;
    written(encoder.as_mut(), &batch)
}

pub fn print(document: &Document) -> Result<Vec<u8>, ArrowError> {
    let mut out = format!("{}\n", document.title).into_bytes();
    for (name, value) in document.facts.iter().map(|(name, value)| (name, fact(value))) {
        if !value.is_empty() {
            out.extend_from_slice(format!("  {name}: {value}\n").as_bytes());
        }
    }
    for part in &document.parts {
        out.extend_from_slice(format!("\n{}\n", part.name).as_bytes());
        let batch = batch(Some(part), &[], false)?;
        out.extend(written(&mut TableEncoder::new(&batch.schema()), &batch)?);
        if let Some(sql) = &part.sql {
            out.extend_from_slice(format!("{sql}\n").as_bytes());
        }
    }
    Ok(out)
}

fn written(encoder: &mut dyn Encode, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut out = Vec::new();
    encoder.batch(batch, &mut out)?;
    encoder.finish(&mut out)?;
    Ok(out)
}

fn batch(
    part: Option<&Part>,
    facts: &[(&'static str, serde_json::Value)],
    guard: bool,
) -> Result<RecordBatch, ArrowError> {
    let nothing = Part::default();
    let part = part.unwrap_or(&nothing);
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (at, column) in part.columns.iter().enumerate() {
        let array = array(part, at, column.kind, guard)?;
        fields.push(Field::new(&column.name, array.data_type().clone(), true));
        columns.push(array);
    }
    for (name, value) in facts.iter().filter(|(name, _)| part.columns.iter().all(|column| column.name != *name)) {
        let text = fact(value);
        let text = if guard { guarded(&text) } else { text };
        let texts: ArrayRef = Arc::new(part.rows.iter().map(|_| Some(text.as_str())).collect::<StringArray>());
        fields.push(Field::new(*name, DataType::Utf8, true));
        columns.push(texts);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(part.rows.len()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

fn array(part: &Part, at: usize, kind: Kind, guard: bool) -> Result<ArrayRef, ArrowError> {
    let cells = part.rows.iter().map(|row| row.get(at).unwrap_or(&Cell::Null));
    Ok(match kind {
        Kind::Text => {
            let texts = cells.map(|cell| cell.shown().map(|text| if guard { guarded(&text) } else { text }));
            Arc::new(texts.collect::<StringArray>())
        }
        Kind::Whole => Arc::new(
            cells.map(|cell| if let Cell::Whole(number) = cell { Some(*number) } else { None }).collect::<Int64Array>(),
        ),
        Kind::Number => Arc::new(
            cells
                .map(|cell| if let Cell::Number(number) = cell { Some(*number) } else { None })
                .collect::<Float64Array>(),
        ),
        Kind::Decimal(scale) => {
            let units = cells.map(|cell| if let Cell::Decimal(units, _) = cell { Some(*units) } else { None });
            Arc::new(units.collect::<Decimal128Array>().with_precision_and_scale(PRECISION, scale)?)
        }
    })
}

/// What no spreadsheet takes for a formula; a share below zero is one that it may.
fn guarded(text: &str) -> String {
    let is_number = text.parse::<rust_decimal::Decimal>().is_ok();
    if !is_number && text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
