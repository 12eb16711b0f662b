//! The table `usage`: one row per priced event, partitioned by `date`.
//!
//! The schema here is the table's (logical) one; the files hold the same columns without `date`, and dictionary arrays
//! for interned texts, which Parquet stores as plain strings.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::count::Count;
use crate::dimension::Text;
use crate::money;

/// The partition column: the UTC date of `event_time`.
pub const DATE: &str = "date";

/// Digits of the values of `quantities`: decimal(28,9).
pub const QUANTITY_PRECISION: u8 = 28;
/// Digits after the point of the values of `quantities`.
pub const QUANTITY_SCALE: i8 = 9;
/// Digits of `fx_rate`: decimal(28,12).
pub const RATE_PRECISION: u8 = 28;
/// Digits after the point of `fx_rate`.
pub const RATE_SCALE: i8 = 12;

/// Columns whose values name a person: bloom filters, but no statistics, so that an erasure leaves nothing in the log.
pub const PERSONAL: [&str; 2] = ["user_id", "customer"];

/// Columns that get a bloom filter in Parquet.
pub const BLOOM_FILTERED: [&str; 3] = ["event_id", "user_id", "customer"];

/// `cost`, `list_cost`, … in the order of the schema.
pub const MONEY: [&str; 9] = [
    "cost",
    "list_cost",
    "input_cost",
    "output_cost",
    "cache_read_cost",
    "cache_write_cost",
    "other_cost",
    "cache_savings",
    "reported_cost",
];

/// `decimal(28,15)`.
#[must_use]
pub fn money_type() -> DataType {
    DataType::Decimal128(money::PRECISION, money::SCALE)
}

/// `Timestamp(µs, "UTC")`.
#[must_use]
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A map column's type. Entry names follow Delta (`key_value`, `key`, `value`).
#[must_use]
pub fn map_type(value: DataType) -> DataType {
    let entry = Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry), false)), false)
}

/// A list-of-text column's type. The element's name follows Delta (`element`).
#[must_use]
pub fn text_list_type() -> DataType {
    DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)))
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn required_text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

fn push_texts(fields: &mut Vec<Field>, from: Text, to: Text) {
    fields.extend(
        Text::ALL
            .into_iter()
            .filter(|t| *t >= from && *t <= to)
            .map(|t| if t == Text::EventId { required_text(t.column()) } else { text(t.column()) }),
    );
}

/// Identity, dimensions and call columns.
fn event_fields(fields: &mut Vec<Field>) {
    push_texts(fields, Text::EventId, Text::EventSource);
    fields.push(Field::new("event_time", timestamp_type(), false));
    fields.push(text("provider"));
    push_texts(fields, Text::ProviderSent, Text::Model);
    fields.push(text("model_id"));
    push_texts(fields, Text::Operation, Text::BillingAccount);
    fields.push(Field::new("tags", map_type(DataType::Utf8), false));
    fields.push(Field::new("dimensions_filled", text_list_type(), false));
    push_texts(fields, Text::ServiceTier, Text::ErrorType);
    fields.push(Field::new("latency_ms", DataType::Int64, true));
    push_texts(fields, Text::PromptHash, Text::PromptHash);
    fields.push(Field::new("cache_hit", DataType::Boolean, true));
}

/// Counts, money, price and lineage columns.
fn priced_fields(fields: &mut Vec<Field>) {
    fields.extend(Count::ALL.map(|count| Field::new(count.column(), DataType::Int64, false)));
    fields.push(Field::new("quantities", map_type(DataType::Decimal128(QUANTITY_PRECISION, QUANTITY_SCALE)), false));
    fields.extend(MONEY.map(|name| Field::new(name, money_type(), true)));
    fields.push(required_text("currency"));
    fields.push(text("price_currency"));
    fields.push(Field::new("fx_rate", DataType::Decimal128(RATE_PRECISION, RATE_SCALE), true));
    fields.push(text("price_id"));
    fields.push(required_text("price_book_version"));
    fields.push(Field::new("pricing_inputs", map_type(DataType::Utf8), false));
    fields.push(text("pricing_category"));
    fields.push(required_text("price_status"));
    fields.push(text("unpriced_reason"));
    fields.push(required_text("cost_quality"));
    fields.push(Field::new("price_notes", text_list_type(), false));
    fields.push(required_text("source_cluster"));
    fields.push(required_text("source_topic"));
    fields.push(Field::new("source_partition", DataType::Int32, false));
    fields.push(Field::new("source_offset", DataType::Int64, false));
    fields.push(Field::new("source_index", DataType::Int32, false));
    fields.push(Field::new("ingest_time", timestamp_type(), false));
}

/// The schema of a data file: every column but `date`.
#[must_use]
pub fn file_schema() -> SchemaRef {
    let mut fields = Vec::with_capacity(96);
    event_fields(&mut fields);
    priced_fields(&mut fields);
    Arc::new(Schema::new(fields))
}

/// The schema of the table: the file's columns and, last, the partition column `date`.
#[must_use]
pub fn table_schema() -> SchemaRef {
    let mut fields = file_schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
    fields.push(Field::new(DATE, DataType::Date32, true));
    Arc::new(Schema::new(fields))
}
