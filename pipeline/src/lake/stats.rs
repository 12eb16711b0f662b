//! A file's statistics for the Delta log. In: the metadata of a finished Parquet file. Out: the JSON of an `add` action. Pure.
//!
//! Values are exact or absent: query engines answer `MIN` and `MAX` from them.

use std::fmt::Write;

use arrow::datatypes::{DataType, Schema};
use parquet::data_type::ByteArray;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;

/// A longer text is left out of the log, with its counterpart.
const LONGEST_TEXT: usize = 128;

/// `{"numRecords":…,"minValues":{…},"maxValues":{…},"nullCount":{…}}`.
#[must_use]
pub fn delta(meta: &ParquetMetaData, schema: &Schema, columns: &[&str]) -> String {
    let (mut least, mut most, mut nulls) = (String::new(), String::new(), String::new());
    for name in columns {
        let Ok(field) = schema.field_with_name(name) else { continue };
        let Some(column) = column(meta, name, logical(field.data_type())) else { continue };
        entry(&mut nulls, name, &column.nulls.to_string());
        if let Some((low, high)) = column.range {
            entry(&mut least, name, &low);
            entry(&mut most, name, &high);
        }
    }
    let rows = meta.file_metadata().num_rows();
    format!("{{\"numRecords\":{rows},\"minValues\":{{{least}}},\"maxValues\":{{{most}}},\"nullCount\":{{{nulls}}}}}")
}

/// An interned text is a text.
fn logical(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}

struct Column {
    nulls: u64,
    /// As JSON; `None` when there is no value, or one that is not known exactly.
    range: Option<(String, String)>,
}

/// Values in an order that is that of the column.
#[derive(Clone, PartialEq, PartialOrd)]
enum Value {
    Number(i128),
    Text(String),
}

fn column(meta: &ParquetMetaData, name: &str, data_type: &DataType) -> Option<Column> {
    let mut nulls = 0;
    let mut range: Option<(Value, Value)> = None;
    let mut known = true;
    for group in meta.row_groups() {
        let chunk = group.columns().iter().find(|chunk| chunk.column_path().string() == name)?;
        let statistics = chunk.statistics()?;
        let absent = statistics.null_count_opt()?;
        nulls += absent;
        if absent == u64::try_from(group.num_rows()).ok()? {
            continue;
        }
        match values(statistics) {
            Some((low, high)) => {
                range = Some(match range.take() {
                    Some((least, most)) => {
                        (if low < least { low } else { least }, if high > most { high } else { most })
                    }
                    None => (low, high),
                });
            }
            None => known = false,
        }
    }
    let range = range.filter(|_| known).and_then(|(low, high)| Some((json(&low, data_type)?, json(&high, data_type)?)));
    Some(Column { nulls, range })
}

fn values(statistics: &Statistics) -> Option<(Value, Value)> {
    if !statistics.min_is_exact() || !statistics.max_is_exact() {
        return None;
    }
    let number = |value: i128| Value::Number(value);
    Some(match statistics {
        Statistics::Int32(range) => (number((*range.min_opt()?).into()), number((*range.max_opt()?).into())),
        Statistics::Int64(range) => (number((*range.min_opt()?).into()), number((*range.max_opt()?).into())),
        Statistics::ByteArray(range) => (text(range.min_opt()?)?, text(range.max_opt()?)?),
        Statistics::FixedLenByteArray(range) => {
            (number(big_endian(range.min_opt()?.data())), number(big_endian(range.max_opt()?.data())))
        }
        _ => return None,
    })
}

fn text(bytes: &ByteArray) -> Option<Value> {
    let text = std::str::from_utf8(bytes.data()).ok()?;
    (text.len() <= LONGEST_TEXT).then(|| Value::Text(text.to_owned()))
}

/// A decimal's unscaled value.
fn big_endian(bytes: &[u8]) -> i128 {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |value, byte| (value << 8) | i128::from(*byte))
}

fn json(value: &Value, data_type: &DataType) -> Option<String> {
    match (value, data_type) {
        (Value::Text(text), _) => serde_json::to_string(text).ok(),
        (Value::Number(units), DataType::Decimal128(_, scale)) => Some(decimal(*units, u8::try_from(*scale).ok()?)),
        (Value::Number(micros), DataType::Timestamp(..)) => {
            let time = chrono::DateTime::from_timestamp_micros(i64::try_from(*micros).ok()?)?;
            Some(time.format("\"%Y-%m-%dT%H:%M:%S%.6fZ\"").to_string())
        }
        (Value::Number(number), _) => Some(number.to_string()),
    }
}

fn decimal(units: i128, scale: u8) -> String {
    let one = 10_i128.pow(u32::from(scale));
    let sign = if units < 0 { "-" } else { "" };
    let (whole, rest) = (units.unsigned_abs() / one.unsigned_abs(), units.unsigned_abs() % one.unsigned_abs());
    if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{rest:0width$}", width = usize::from(scale))
    }
}

fn entry(out: &mut String, name: &str, value: &str) {
    let comma = if out.is_empty() { "" } else { "," };
    // Writing to a String cannot fail.
    let _ = write!(out, "{comma}\"{name}\":{value}");
}

#[cfg(test)]
mod tests {
    use super::{big_endian, decimal};

    #[test]
    fn decimals_are_written_exactly() {
        for (units, scale, expected) in
            [(0, 15, "0.000000000000000"), (-1, 2, "-0.01"), (1_234_500, 3, "1234.500"), (7, 0, "7")]
        {
            assert_eq!(decimal(units, scale), expected);
        }
        for value in [0_i128, 1, -1, 255, -256, 1 << 70, -(1 << 70)] {
            assert_eq!(big_endian(&value.to_be_bytes()[4..]), value);
        }
    }
}
