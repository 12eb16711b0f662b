//! Values as PostgreSQL writes them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray,
    StringArray, StringViewArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Int32Type, IntervalMonthDayNano};
use bytes::BytesMut;

use super::writer;
use crate::pg::types::{Format, Kind};

fn written(array: ArrayRef, format: Format) -> Vec<Option<Vec<u8>>> {
    let write = writer(&array, Kind::of(array.data_type()), format).unwrap();
    let value = |row| {
        let mut out = BytesMut::new();
        write(row, &mut out).then(|| out.to_vec())
    };
    (0..array.len()).map(value).collect()
}

fn text(array: ArrayRef) -> String {
    written(array, Format::Text).remove(0).map_or("NULL".into(), |bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn values_in_text() {
    let money = Decimal128Array::from(vec![-100_000_000_000_003]).with_data_type(DataType::Decimal128(28, 15));
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
    let intervals =
        arrow::array::IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, -3_500_000_000)]);
    let time = 1_793_534_400_000_000;
    let cases: Vec<(ArrayRef, &str)> = vec![
        (Arc::new(BooleanArray::from(vec![true])), "t"),
        (Arc::new(Int64Array::from(vec![i64::MIN])), "-9223372036854775808"),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), "18446744073709551615"),
        (Arc::new(Float64Array::from(vec![0.1])), "0.1"),
        (Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])), "-Infinity"),
        (Arc::new(money), "-0.100000000000003"),
        (Arc::new(StringViewArray::from(vec!["a"])), "a"),
        (Arc::new(StringArray::from(vec![None::<&str>])), "NULL"),
        (Arc::new(BinaryArray::from(vec![&[0_u8, 255][..]])), "\\x00ff"),
        (Arc::new(Date32Array::from(vec![20_758])), "2026-11-01"),
        (Arc::new(TimestampMicrosecondArray::from(vec![time])), "2026-11-01 12:00:00"),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![time + 1]).with_timezone("UTC")),
            "2026-11-01 12:00:00.000001+00",
        ),
        (Arc::new(lists), "[1,null]"),
        (Arc::new(intervals), "1 mons 2 days -00:00:03.500000"),
    ];
    for (array, expected) in cases {
        assert_eq!(text(array), expected);
    }
}

#[test]
fn values_in_binary_count_from_2000() {
    let time = TimestampMicrosecondArray::from(vec![946_684_800_000_001]).with_timezone("UTC");
    let cases: Vec<(ArrayRef, Vec<u8>)> = vec![
        (Arc::new(BooleanArray::from(vec![true])), vec![1]),
        (Arc::new(Int64Array::from(vec![258])), vec![0, 0, 0, 0, 0, 0, 1, 2]),
        (Arc::new(Date32Array::from(vec![10_956])), vec![255, 255, 255, 255]),
        (Arc::new(time), vec![0, 0, 0, 0, 0, 0, 0, 1]),
        (Arc::new(Float64Array::from(vec![1.0])), 1.0_f64.to_be_bytes().to_vec()),
        (Arc::new(UInt64Array::from(vec![10_000])), vec![0, 1, 0, 1, 0, 0, 0, 0, 0, 1]),
    ];
    for (array, expected) in cases {
        assert_eq!(written(array, Format::Binary), [Some(expected)]);
    }
}
