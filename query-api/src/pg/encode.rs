//! How values look. In: a column of an answer; out: a writer of each of its values, as PostgreSQL writes that type in text or binary.
//!
//! Decimals keep every digit and lose trailing zeros only; they never pass through a float.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, Float32Type,
    Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::{BufMut, BytesMut};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};

use super::numeric;
use super::types::{Column, Format, Kind};
use crate::format::cell_texts;

/// Days and microseconds between 1970 and 2000, from which PostgreSQL counts.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const MICROS: i64 = 1_000_000;

/// Appends the value of a row; false for NULL, of which nothing may be appended.
pub type Writer = Box<dyn Fn(usize, &mut BytesMut) -> bool + Send>;

/// A writer for each column of a batch.
///
/// # Errors
/// When a value is none of its column's type.
pub fn writers(batch: &RecordBatch, columns: &[Column]) -> Result<Vec<Writer>, ArrowError> {
    batch.columns().iter().zip(columns).map(|(array, column)| writer(array, column.kind, column.format)).collect()
}

fn writer(array: &ArrayRef, kind: Kind, format: Format) -> Result<Writer, ArrowError> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let array = match kind.written_as() {
        Some(wanted) if *array.data_type() != wanted => cast_with_options(array, &wanted, &options)?,
        _ => Arc::clone(array),
    };
    let binary = format == Format::Binary;
    Ok(match kind {
        Kind::Numeric => return numbers(&array, binary),
        Kind::Json => texts(cell_texts(&array)?),
        Kind::Bool => {
            let array = array.as_boolean().clone();
            valid(&array.clone(), move |row, out| match (array.value(row), binary) {
                (value, true) => out.put_u8(u8::from(value)),
                (true, false) => out.put_u8(b't'),
                (false, false) => out.put_u8(b'f'),
            })
        }
        Kind::Text => {
            let array = array.as_string::<i32>().clone();
            valid(&array.clone(), move |row, out| out.put_slice(array.value(row).as_bytes()))
        }
        Kind::Bytea => {
            let array = array.as_binary::<i32>().clone();
            valid(&array.clone(), move |row, out| bytes(array.value(row), binary, out))
        }
        Kind::Int2 => primitive::<Int16Type>(&array, binary, |value, out| out.put_i16(value), show),
        Kind::Int4 => primitive::<Int32Type>(&array, binary, |value, out| out.put_i32(value), show),
        Kind::Int8 => primitive::<Int64Type>(&array, binary, |value, out| out.put_i64(value), show),
        Kind::Float4 => primitive::<Float32Type>(&array, binary, |value, out| out.put_f32(value), float),
        Kind::Float8 => primitive::<Float64Type>(&array, binary, |value, out| out.put_f64(value), float),
        Kind::Date => {
            primitive::<Date32Type>(&array, binary, |days, out| out.put_i32(days.saturating_sub(EPOCH_DAYS)), date)
        }
        Kind::Time => primitive::<Time64MicrosecondType>(&array, binary, |micros, out| out.put_i64(micros), time),
        Kind::Timestamp => primitive::<TimestampMicrosecondType>(&array, binary, since_2000, timestamp),
        Kind::Timestamptz => primitive::<TimestampMicrosecondType>(&array, binary, since_2000, |micros, out| {
            timestamp(micros, out);
            out.put_slice(b"+00");
        }),
        Kind::Interval => primitive::<IntervalMonthDayNanoType>(
            &array,
            binary,
            |value, out| {
                out.put_i64(value.nanoseconds / 1_000);
                out.put_i32(value.days);
                out.put_i32(value.months);
            },
            |value, out| interval(value.months, value.days, value.nanoseconds / 1_000, out),
        ),
    })
}

fn valid(array: &dyn Array, write: impl Fn(usize, &mut BytesMut) + Send + 'static) -> Writer {
    let nulls = array.nulls().cloned();
    Box::new(move |row, out| {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return false;
        }
        write(row, out);
        true
    })
}

fn primitive<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    binary: bool,
    as_binary: impl Fn(T::Native, &mut BytesMut) + Send + 'static,
    as_text: impl Fn(T::Native, &mut BytesMut) + Send + 'static,
) -> Writer {
    let array: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    valid(
        &array.clone(),
        move |row, out| {
            if binary { as_binary(array.value(row), out) } else { as_text(array.value(row), out) }
        },
    )
}

fn texts(texts: Vec<Option<String>>) -> Writer {
    Box::new(move |row, out| match texts.get(row).and_then(Option::as_deref) {
        Some(text) => {
            out.put_slice(text.as_bytes());
            true
        }
        None => false,
    })
}

fn numbers(array: &ArrayRef, binary: bool) -> Result<Writer, ArrowError> {
    Ok(match array.data_type() {
        DataType::Decimal32(..) => decimals::<Decimal32Type>(array, binary),
        DataType::Decimal64(..) => decimals::<Decimal64Type>(array, binary),
        DataType::Decimal128(..) => decimals::<Decimal128Type>(array, binary),
        DataType::Decimal256(..) => decimals::<Decimal256Type>(array, binary),
        _ => {
            let options = CastOptions { safe: false, ..CastOptions::default() };
            decimals::<Decimal128Type>(&cast_with_options(array, &DataType::Decimal128(38, 0), &options)?, binary)
        }
    })
}

fn decimals<T: DecimalType + ArrowPrimitiveType>(array: &ArrayRef, binary: bool) -> Writer {
    let array: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    valid(&array.clone(), move |row, out| {
        let text = array.value_as_string(row);
        let text = crate::format::trim_decimal(&text);
        if binary { numeric::write(text, out) } else { out.put_slice(text.as_bytes()) }
    })
}

fn show(value: impl std::fmt::Display, out: &mut BytesMut) {
    out.put_slice(value.to_string().as_bytes());
}

fn float(value: impl Into<f64> + std::fmt::Display + Copy, out: &mut BytesMut) {
    let wide: f64 = value.into();
    match (wide.is_nan(), wide.is_infinite(), wide.is_sign_positive()) {
        (true, ..) => out.put_slice(b"NaN"),
        (_, true, true) => out.put_slice(b"Infinity"),
        (_, true, false) => out.put_slice(b"-Infinity"),
        _ => show(value, out),
    }
}

fn bytes(value: &[u8], binary: bool, out: &mut BytesMut) {
    if binary {
        out.put_slice(value);
        return;
    }
    out.put_slice(b"\\x");
    out.put_slice(spendstream_schemas::hex::hex(value).as_bytes());
}

fn since_2000(micros: i64, out: &mut BytesMut) {
    out.put_i64(micros.saturating_sub(EPOCH_MICROS));
}

fn date(days: i32, out: &mut BytesMut) {
    let epoch = NaiveDate::default();
    match epoch.checked_add_signed(TimeDelta::days(days.into())) {
        Some(date) => show(date, out),
        None => out.put_slice(if days < 0 { b"-infinity" } else { b"infinity" }),
    }
}

fn time(micros: i64, out: &mut BytesMut) {
    let seconds = u32::try_from(micros.div_euclid(MICROS)).unwrap_or_default();
    let nanos = u32::try_from(micros.rem_euclid(MICROS) * 1_000).unwrap_or_default();
    show(NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos).unwrap_or_default().format("%H:%M:%S%.f"), out);
}

fn timestamp(micros: i64, out: &mut BytesMut) {
    match DateTime::from_timestamp_micros(micros) {
        Some(time) => show(time.format("%Y-%m-%d %H:%M:%S%.f"), out),
        None => out.put_slice(if micros < 0 { b"-infinity" } else { b"infinity" }),
    }
}

/// As `IntervalStyle` postgres has it: `1 mon 2 days 03:04:05.5`.
fn interval(months: i32, days: i32, micros: i64, out: &mut BytesMut) {
    let mut parts = Vec::new();
    if months != 0 {
        parts.push(format!("{months} mons"));
    }
    if days != 0 {
        parts.push(format!("{days} days"));
    }
    if micros != 0 || parts.is_empty() {
        let sign = if micros < 0 { "-" } else { "" };
        let (seconds, fraction) = (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
        let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:06}") };
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        parts.push(format!("{sign}{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60));
    }
    show(parts.join(" "), out);
}

#[cfg(test)]
mod tests;
