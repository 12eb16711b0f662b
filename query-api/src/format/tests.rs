//! What readers get, to the letter.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray, StringViewArray,
    TimestampMicrosecondArray, UInt64Array,
};
use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Encode, Format, TableEncoder, encoder};

fn sample() -> RecordBatch {
    let money = Decimal128Array::from(vec![Some(2_520_000_000_000), None, Some(-3_000_000_000_000_000)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("team", Arc::new(StringViewArray::from(vec![Some("search, \"x\""), Some(""), None]))),
        ("n", Arc::new(Int64Array::from(vec![9_007_199_254_740_992, -9_007_199_254_740_993, 7]))),
        ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1]))),
        ("cost", Arc::new(money.with_precision_and_scale(28, 15).unwrap())),
        ("ratio", Arc::new(Float64Array::from(vec![0.5, f64::NAN, f64::INFINITY]))),
        ("ok", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
        ("date", Arc::new(Date32Array::from(vec![20_758, 0, -1]))),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from(vec![1_795_000_000_123_456, 0, 1_000_000]).with_timezone("UTC")),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn encode(mut encoder: Box<dyn Encode>, batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = Vec::new();
    for batch in batches {
        encoder.batch(batch, &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    out
}

fn check(format: Format, batches: &[RecordBatch], expected: &str) {
    let out = encode(encoder(format, &sample().schema()).unwrap(), batches);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

const FIRST: &str = r#"{"team":"search, \"x\"","n":9007199254740992,"u":"18446744073709551615","cost":"0.00252","ratio":0.5,"ok":true,"date":"2026-11-01","at":"2026-11-18T11:06:40.123456Z"}"#;
const SECOND: &str = r#"{"team":"","n":"-9007199254740993","u":0,"cost":null,"ratio":null,"ok":false,"date":"1970-01-01","at":"1970-01-01T00:00:00Z"}"#;
const THIRD: &str =
    r#"{"team":null,"n":7,"u":1,"cost":"-3","ratio":null,"ok":null,"date":"1969-12-31","at":"1970-01-01T00:00:01Z"}"#;

#[test]
fn json_is_one_array_over_all_batches() {
    check(Format::Json, &[], "[]\n");
    let batch = sample();
    check(
        Format::Json,
        &[batch.slice(0, 2), batch.slice(0, 0), batch.slice(2, 1)],
        &format!("[{FIRST},\n{SECOND},\n{THIRD}]\n"),
    );
}

#[test]
fn ndjson_is_one_object_per_line() {
    check(Format::NdJson, &[], "");
    check(Format::NdJson, &[sample()], &format!("{FIRST}\n{SECOND}\n{THIRD}\n"));
}

#[test]
fn csv_tells_null_from_empty() {
    check(Format::Csv, &[], "team,n,u,cost,ratio,ok,date,at\n");
    check(
        Format::Csv,
        &[sample()],
        "team,n,u,cost,ratio,ok,date,at\n\
         \"search, \"\"x\"\"\",9007199254740992,18446744073709551615,0.00252,0.5,true,2026-11-01,2026-11-18T11:06:40.123456Z\n\
         \"\",-9007199254740993,0,,NaN,false,1970-01-01,1970-01-01T00:00:00Z\n\
         ,7,1,-3,inf,,1969-12-31,1970-01-01T00:00:01Z\n",
    );
}

#[test]
fn columnar_forms_keep_types_and_values() {
    let batch = sample();
    let arrow = encode(encoder(Format::Arrow, &batch.schema()).unwrap(), &[batch.slice(0, 1), batch.slice(1, 2)]);
    let read = StreamReader::try_new(arrow.as_slice(), None).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(read.len(), 2);
    assert_eq!(read[1].column(3).as_ref(), batch.slice(1, 2).column(3).as_ref());
    assert!(read[0].column(0).as_any().is::<StringArray>());

    let file = encode(encoder(Format::Parquet, &batch.schema()).unwrap(), &[batch.clone(), batch.clone()]);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(file)).unwrap().build().unwrap();
    let read = reader.map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), 6);
    assert_eq!(read[0].column(3).slice(0, 3).as_ref(), batch.column(3).as_ref());
}

#[test]
fn a_table_is_aligned_and_says_how_many() {
    let batch = sample().project(&[0, 3]).unwrap();
    let table = encode(Box::new(TableEncoder::new(&batch.schema())), std::slice::from_ref(&batch));
    let expected = " team        |    cost\n\
                    -------------+---------\n \
                    search, \"x\" | 0.00252\n             \
                    |\n             \
                    |      -3\n\
                    (3 rows)\n";
    assert_eq!(String::from_utf8(table).unwrap(), expected);
    let none = encode(Box::new(TableEncoder::new(&batch.schema())), &[]);
    assert_eq!(String::from_utf8(none).unwrap(), " team | cost\n------+------\n(0 rows)\n");
}

#[test]
fn accept_chooses_the_first_that_can_be_made() {
    for (accept, expected) in [
        ("*/*", Some(Format::Json)),
        ("text/csv", Some(Format::Csv)),
        ("text/html, text/csv;q=0.9", Some(Format::Csv)),
        ("application/vnd.apache.arrow.stream", Some(Format::Arrow)),
        ("image/png", None),
    ] {
        assert_eq!(Format::by_accept(accept), expected, "{accept}");
    }
}
