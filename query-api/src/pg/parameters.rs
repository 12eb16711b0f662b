//! Values of parameters. In: the bytes that a client bound, and the type that was agreed on; out: a literal for the plan. Pure and exact: a decimal
//! keeps the digits it was sent with.

use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::ScalarValue;
use rust_decimal::Decimal;

use super::numeric;
use super::types::Format;

const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const UUID: u32 = 2950;
/// Of a decimal here.
const MOST_DIGITS: u8 = 38;

/// The value that a client bound to a parameter of type `kind`, which it knows as `oid`.
///
/// # Errors
/// What it should have been.
pub fn value(bytes: Option<&[u8]>, format: Format, kind: &DataType, oid: u32) -> Result<ScalarValue, String> {
    let Some(bytes) = bytes else {
        return ScalarValue::try_from(kind).map_err(|error| error.to_string());
    };
    match format {
        Format::Text => {
            let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
            from_text(text, kind).ok_or_else(|| format!("'{text}' is no value of type {kind}"))
        }
        Format::Binary if oid == UUID => uuid(bytes).ok_or_else(|| "it has not the 16 bytes of a uuid".to_owned()),
        Format::Binary => {
            from_binary(bytes, kind).ok_or_else(|| format!("{} bytes are no value of type {kind}", bytes.len()))
        }
    }
}

fn from_text(text: &str, kind: &DataType) -> Option<ScalarValue> {
    match kind {
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            decimal(text)
        }
        DataType::Binary => {
            let digits = text.strip_prefix("\\x")?;
            let byte = |at| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
            let bytes = (0..digits.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
            Some(ScalarValue::Binary(Some(bytes)))
        }
        _ => ScalarValue::try_from_string(text.to_owned(), kind).ok(),
    }
}

/// With its own digits after the point.
fn decimal(text: &str) -> Option<ScalarValue> {
    let plain =
        if text.contains(['e', 'E']) { Decimal::from_scientific(text).ok()?.to_string() } else { text.to_owned() };
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let scale = i8::try_from(fraction.len()).ok().filter(|scale| scale.unsigned_abs() <= MOST_DIGITS)?;
    let units: i128 = format!("{whole}{fraction}").parse().ok()?;
    (units.unsigned_abs() < 10_u128.pow(MOST_DIGITS.into())).then_some(ScalarValue::Decimal128(
        Some(units),
        MOST_DIGITS,
        scale,
    ))
}

fn from_binary(bytes: &[u8], kind: &DataType) -> Option<ScalarValue> {
    let i64 = || Some(i64::from_be_bytes(bytes.try_into().ok()?));
    let i32 = || Some(i32::from_be_bytes(bytes.try_into().ok()?));
    Some(match kind {
        DataType::Boolean => ScalarValue::Boolean(Some(bytes.first().filter(|_| bytes.len() == 1).copied()? != 0)),
        DataType::Binary => ScalarValue::Binary(Some(bytes.to_vec())),
        DataType::Float32 => ScalarValue::Float32(Some(f32::from_be_bytes(bytes.try_into().ok()?))),
        DataType::Float64 => ScalarValue::Float64(Some(f64::from_be_bytes(bytes.try_into().ok()?))),
        DataType::Date32 => ScalarValue::Date32(Some(i32()?.checked_add(EPOCH_DAYS)?)),
        DataType::Time64(_) => ScalarValue::Time64Microsecond(Some(i64()?)),
        DataType::Timestamp(_, zone) => {
            ScalarValue::TimestampMicrosecond(Some(i64()?.checked_add(EPOCH_MICROS)?), zone.clone())
        }
        DataType::Interval(_) => {
            let (micros, rest) = bytes.split_first_chunk::<8>()?;
            let (days, months) = rest.split_first_chunk::<4>()?;
            let nanos = i64::from_be_bytes(*micros).checked_mul(1_000)?;
            let months = i32::from_be_bytes(months.try_into().ok()?);
            let value = IntervalMonthDayNano::new(months, i32::from_be_bytes(*days), nanos);
            ScalarValue::IntervalMonthDayNano(Some(value))
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            decimal(&numeric::read(bytes)?)?
        }
        kind if kind.is_integer() => integer(bytes)?.cast_to(kind).ok()?,
        _ => ScalarValue::Utf8(Some(std::str::from_utf8(bytes).ok()?.to_owned())),
    })
}

/// As wide as it was sent.
fn integer(bytes: &[u8]) -> Option<ScalarValue> {
    let number = match bytes.len() {
        2 => i16::from_be_bytes(bytes.try_into().ok()?).into(),
        4 => i32::from_be_bytes(bytes.try_into().ok()?).into(),
        8 => i64::from_be_bytes(bytes.try_into().ok()?),
        _ => return None,
    };
    Some(ScalarValue::Int64(Some(number)))
}

fn uuid(bytes: &[u8]) -> Option<ScalarValue> {
    let hex = spendstream_schemas::hex::hex(bytes);
    let part = |from, to| hex.get(from..to);
    let parts = [part(0, 8)?, part(8, 12)?, part(12, 16)?, part(16, 20)?, part(20, 32)?];
    (bytes.len() == 16).then(|| ScalarValue::Utf8(Some(parts.join("-"))))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, TimeUnit};
    use datafusion::common::ScalarValue;

    use super::{Format, value};

    const MONEY: DataType = DataType::Decimal128(28, 15);

    fn text(text: &str, kind: &DataType) -> Option<ScalarValue> {
        value(Some(text.as_bytes()), Format::Text, kind, 0).ok()
    }

    #[test]
    fn text_is_read_as_the_type_that_was_agreed_on() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let noon = ScalarValue::TimestampMicrosecond(Some(1_793_534_400_000_000), Some("UTC".into()));
        for (sent, kind, expected) in [
            ("0.000000000000000003", MONEY, Some(ScalarValue::Decimal128(Some(3), 38, 18))),
            ("-1E+2", MONEY, Some(ScalarValue::Decimal128(Some(-100), 38, 0))),
            ("NaN", MONEY, None),
            ("2026-11-01", DataType::Date32, Some(ScalarValue::Date32(Some(20_758)))),
            ("2026-11-01 13:00:00+01", utc, Some(noon)),
            ("t", DataType::Boolean, Some(ScalarValue::Boolean(Some(true)))),
            ("12x", DataType::Int64, None),
        ] {
            assert_eq!(text(sent, &kind), expected, "{sent}");
        }
        assert_eq!(value(None, Format::Text, &DataType::Int64, 20), Ok(ScalarValue::Int64(None)));
    }

    #[test]
    fn binary_is_read_with_the_width_it_has() {
        let binary = |bytes: &[u8], kind: &DataType, oid| value(Some(bytes), Format::Binary, kind, oid).ok();
        assert_eq!(binary(&[1, 2], &DataType::Int64, 21), Some(ScalarValue::Int64(Some(258))));
        assert_eq!(binary(&[0, 0, 0, 0], &DataType::Date32, 1082), Some(ScalarValue::Date32(Some(10_957))));
        assert_eq!(binary(&[0; 3], &DataType::Date32, 1082), None);
        let uuid = "00000000-0000-0000-0000-000000000000".to_owned();
        assert_eq!(binary(&[0; 16], &DataType::Utf8, 2950), Some(ScalarValue::Utf8(Some(uuid))));
        let one = [0, 1, 0, 0, 0, 0, 0, 1, 0, 1];
        assert_eq!(binary(&one, &MONEY, 1700), Some(ScalarValue::Decimal128(Some(10), 38, 1)));
    }
}
