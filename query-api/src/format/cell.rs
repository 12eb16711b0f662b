//! One value as text, for CSV and for tables: in comes a column, out comes the text of each of its values.
//!
//! Decimals lose their trailing zeros and nothing else; maps, lists and structs are JSON.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::sync::Arc;

use super::json;

const FORMAT: FormatOptions<'static> = FormatOptions::new();

/// The text of every value of a column; `None` for null.
///
/// # Errors
/// When the type cannot be shown.
pub fn texts(array: &ArrayRef) -> Result<Vec<Option<String>>, ArrowError> {
    let rows = 0..array.len();
    let array_type = array.data_type();
    Ok(match array_type {
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>();
            rows.map(|row| values.is_valid(row).then(|| trim_decimal(&values.value_as_string(row)).to_owned()))
                .collect()
        }
        DataType::Decimal256(..) => {
            let values = array.as_primitive::<Decimal256Type>();
            rows.map(|row| values.is_valid(row).then(|| trim_decimal(&values.value_as_string(row)).to_owned()))
                .collect()
        }
        _ if array_type.is_nested() => {
            let field = Arc::new(Field::new("value", array_type.clone(), true));
            let options = json::options();
            let mut encoder = arrow::json::writer::make_encoder(&field, array, &options)?;
            rows.map(|row| {
                array.is_valid(row).then(|| {
                    let mut out = Vec::new();
                    encoder.encode(row, &mut out);
                    String::from_utf8_lossy(&out).into_owned()
                })
            })
            .collect()
        }
        _ => {
            let format = ArrayFormatter::try_new(array, &FORMAT)?;
            rows.map(|row| array.is_valid(row).then(|| format.value(row).try_to_string()).transpose())
                .collect::<Result<_, _>>()?
        }
    })
}

/// Whether values of this type read best aligned to the right.
#[must_use]
pub fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// `0.002520000` → `0.00252`, `3.000` → `3`; text without a point stays as it is.
#[must_use]
pub fn trim_decimal(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
