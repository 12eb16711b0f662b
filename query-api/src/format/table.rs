//! A table for people: in come record batches, out come aligned columns and, last, the number of rows.
//!
//! Widths are settled by the first rows, so that a long answer can be shown while it comes; a later value that is wider
//! moves its line. Cuts nothing.

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::{Encode, cell};

/// Rows that settle the widths.
const SAMPLE_ROWS: usize = 1_000;

type Row = Vec<Option<String>>;

/// Writes a table.
pub struct TableEncoder {
    names: Vec<String>,
    numbers: Vec<bool>,
    widths: Vec<usize>,
    // Rows that wait for the widths; `None` once those are settled.
    sample: Option<Vec<Row>>,
    rows: u64,
}

impl TableEncoder {
    #[must_use]
    pub fn new(schema: &SchemaRef) -> Self {
        let names = schema.fields().iter().map(|field| printable(field.name())).collect::<Vec<_>>();
        Self {
            numbers: schema.fields().iter().map(|field| cell::is_number(field.data_type())).collect(),
            widths: names.iter().map(|name| name.chars().count()).collect(),
            names,
            sample: Some(Vec::new()),
            rows: 0,
        }
    }

    fn settle(&mut self, out: &mut Vec<u8>) {
        let Some(sample) = self.sample.take() else { return };
        for row in &sample {
            for (width, text) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(text.as_deref().unwrap_or("").chars().count());
            }
        }
        let header = self.names.iter().map(|name| Some(name.clone())).collect();
        self.line(&header, out);
        let rule = self.widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+");
        out.extend_from_slice(rule.as_bytes());
        out.push(b'\n');
        for row in &sample {
            self.line(row, out);
        }
    }

    fn line(&self, row: &Row, out: &mut Vec<u8>) {
        let mut line = String::new();
        for (position, text) in row.iter().enumerate() {
            line.push_str(if position == 0 { " " } else { " | " });
            let text = text.as_deref().unwrap_or("");
            let padding = " ".repeat(self.widths[position].saturating_sub(text.chars().count()));
            let (before, after) = if self.numbers[position] { (padding.as_str(), "") } else { ("", padding.as_str()) };
            line.extend([before, text, after]);
        }
        out.extend_from_slice(line.trim_end().as_bytes());
        out.push(b'\n');
    }
}

impl Encode for TableEncoder {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let mut columns = batch.columns().iter().map(cell::texts).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            self.rows += 1;
            let row = columns.iter_mut().map(|column| column[row].take().map(|text| printable(&text))).collect();
            match &mut self.sample {
                Some(sample) => sample.push(row),
                None => self.line(&row, out),
            }
        }
        if self.sample.as_ref().is_some_and(|sample| sample.len() >= SAMPLE_ROWS) {
            self.settle(out);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        self.settle(out);
        let plural = if self.rows == 1 { "" } else { "s" };
        out.extend_from_slice(format!("({} row{plural})\n", self.rows).as_bytes());
        Ok(())
    }
}

/// Control characters of a value must not move the terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
