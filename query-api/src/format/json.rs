//! JSON: in come record batches, out come objects, as one array or one per line. Every object has every column.
//!
//! Decimals are strings without trailing zeros and integers beyond ±2⁵³ are strings, because readers keep numbers as floats;
//! not-a-number and infinity are null.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Decimal128Array, Decimal256Array};
use arrow::datatypes::{DataType, FieldRef, Int64Type, UInt64Type};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder, make_encoder};
use arrow::record_batch::RecordBatch;

use super::Encode;
use super::cell::trim_decimal;

/// The largest integer that every JSON reader keeps.
const SAFE_INTEGER: u64 = 1 << 53;

/// Writes objects.
pub struct JsonEncoder {
    lines: bool,
    rows: u64,
}

impl JsonEncoder {
    pub fn array() -> Self {
        Self { lines: false, rows: 0 }
    }

    pub fn lines() -> Self {
        Self { lines: true, rows: 0 }
    }
}

impl Encode for JsonEncoder {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        let options = options();
        let schema = batch.schema();
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let mut name = Vec::new();
            write_string(field.name(), &mut name);
            name.push(b':');
            columns.push((name, make_encoder(field, array, &options)?));
        }
        for row in 0..batch.num_rows() {
            if !self.lines {
                out.extend_from_slice(if self.rows == 0 { b"[" } else { b",\n" });
            }
            self.rows += 1;
            out.push(b'{');
            for (position, (name, encoder)) in columns.iter_mut().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(name);
                encode(encoder, row, out);
            }
            out.push(b'}');
            if self.lines {
                out.push(b'\n');
            }
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), ArrowError> {
        if !self.lines {
            out.extend_from_slice(if self.rows == 0 { b"[]\n" } else { b"]\n" });
        }
        Ok(())
    }
}

/// How values of nested columns are written too.
pub fn options() -> EncoderOptions {
    EncoderOptions::default().with_explicit_nulls(true).with_encoder_factory(Arc::new(Exact))
}

fn encode(encoder: &mut NullableEncoder<'_>, row: usize, out: &mut Vec<u8>) {
    if encoder.is_null(row) {
        out.extend_from_slice(b"null");
    } else {
        encoder.encode(row, out);
    }
}

/// A JSON string with its quotes.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing a string into a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// Overrides the number types whose digits a JSON reader could lose.
#[derive(Debug)]
struct Exact;

impl EncoderFactory for Exact {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Decimal128(..) => Box::new(Decimal128(array.as_primitive())),
            DataType::Decimal256(..) => Box::new(Decimal256(array.as_primitive())),
            DataType::Int64 => {
                let values = array.as_primitive::<Int64Type>().values();
                Box::new(Integers(move |row: usize| (values[row].unsigned_abs(), values[row] < 0)))
            }
            DataType::UInt64 => {
                let values = array.as_primitive::<UInt64Type>().values();
                Box::new(Integers(move |row: usize| (values[row], false)))
            }
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct Decimal128<'a>(&'a Decimal128Array);

impl Encoder for Decimal128<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        quote(trim_decimal(&self.0.value_as_string(row)), out);
    }
}

struct Decimal256<'a>(&'a Decimal256Array);

impl Encoder for Decimal256<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        quote(trim_decimal(&self.0.value_as_string(row)), out);
    }
}

/// Integers by magnitude and sign.
struct Integers<F>(F);

impl<F: Fn(usize) -> (u64, bool)> Encoder for Integers<F> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let (magnitude, negative) = (self.0)(row);
        let text = format!("{}{magnitude}", if negative { "-" } else { "" });
        if magnitude <= SAFE_INTEGER { out.extend_from_slice(text.as_bytes()) } else { quote(&text, out) }
    }
}

fn quote(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}
