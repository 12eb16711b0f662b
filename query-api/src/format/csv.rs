//! CSV as RFC 4180 has it: in come record batches, out come a header line and one line per row.
//!
//! Null is an empty field and an empty text is `""`, so that both survive. Never writes floats for decimals.

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::{Encode, cell};

/// Writes lines that end with a line feed.
pub struct CsvEncoder {
    header: Option<Vec<u8>>,
}

impl CsvEncoder {
    pub fn new(schema: &SchemaRef) -> Self {
        let mut header = Vec::new();
        for (position, field) in schema.fields().iter().enumerate() {
            separate(position, &mut header);
            write_field(field.name(), &mut header);
        }
        header.push(b'\n');
        Self { header: Some(header) }
    }

    fn write_header(&mut self, out: &mut Vec<u8>) {
        if let Some(header) = self.header.take() {
            out.extend_from_slice(&header);
        }
    }
}

impl Encode for CsvEncoder {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.write_header(out);
        let columns = batch.columns().iter().map(cell::texts).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            for (position, column) in columns.iter().enumerate() {
                separate(position, out);
                if let Some(text) = &column[row] {
                    write_field(text, out);
                }
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.write_header(out);
        Ok(())
    }
}

fn separate(position: usize, out: &mut Vec<u8>) {
    if position > 0 {
        out.push(b',');
    }
}

fn write_field(text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() && !text.contains(['"', ',', '\n', '\r']) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
