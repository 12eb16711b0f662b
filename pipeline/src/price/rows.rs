//! Lays decoded and priced columns out as rows of the table `usage`, split by date. In: vectors; out: record batches whose
//! fields are those of `schemas::table::usage::file_schema` in that order, interned texts as dictionaries.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, Int64Array, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_schemas::count::Count;
use spendstream_schemas::dimension::{Keep, Text};
use spendstream_schemas::money;
use spendstream_schemas::note::{Note, Notes};
use spendstream_schemas::table::usage::{self, MONEY, RATE_PRECISION, RATE_SCALE};

use super::engine::{Engine, Lineage, PricedColumns};
use crate::columns::arrays;
use crate::columns::events::EventColumns;
use crate::columns::owners::Filling;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Price columns that are dictionaries although the event does not send them.
const WORDS: [&str; 12] = [
    "provider",
    "model_id",
    "currency",
    "price_currency",
    "price_id",
    "price_book_version",
    "pricing_category",
    "price_status",
    "unpriced_reason",
    "cost_quality",
    "source_cluster",
    "source_topic",
];

static BATCH_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let words = |name: &str| {
        WORDS.contains(&name) || Text::ALL.iter().any(|text| text.column() == name && text.keep() == Keep::Interned)
    };
    let dictionary = || DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
    let schema = usage::file_schema();
    let fields = schema.fields().iter().map(|field| {
        if words(field.name()) {
            Field::new(field.name(), dictionary(), field.is_nullable())
        } else {
            field.as_ref().clone()
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
});

/// The schema of every batch made here: the file's, with dictionaries.
#[must_use]
pub fn batch_schema() -> SchemaRef {
    Arc::clone(&BATCH_SCHEMA)
}

/// Builds the rows and splits them by the UTC date of their event time.
pub(super) fn build(
    engine: &mut Engine,
    mut columns: EventColumns,
    mut priced: PricedColumns,
    lineage: Lineage<'_>,
) -> Result<Vec<(i32, RecordBatch)>, ArrowError> {
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let schema = batch_schema();
    let mut builder = Builder { engine, columns: &mut columns, priced: &mut priced, lineage };
    let arrays = schema.fields().iter().map(|field| builder.column(field)).collect::<Result<Vec<_>, _>>()?;
    let batch = RecordBatch::try_new(schema, arrays)?;
    by_date(batch, &columns.times)
}

fn by_date(batch: RecordBatch, times: &[i64]) -> Result<Vec<(i32, RecordBatch)>, ArrowError> {
    let date = |time: &i64| i32::try_from(time.div_euclid(MICROS_PER_DAY)).unwrap_or(i32::MAX);
    let first = times.first().map_or(0, date);
    if times.iter().all(|time| date(time) == first) {
        return Ok(vec![(first, batch)]);
    }
    let mut rows: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
    for (row, time) in times.iter().enumerate() {
        rows.entry(date(time)).or_default().push(u32::try_from(row).unwrap_or(u32::MAX));
    }
    rows.into_iter().map(|(date, rows)| Ok((date, take_record_batch(&batch, &UInt32Array::from(rows))?))).collect()
}

struct Builder<'a> {
    engine: &'a mut Engine,
    columns: &'a mut EventColumns,
    priced: &'a mut PricedColumns,
    lineage: Lineage<'a>,
}

impl Builder<'_> {
    fn rows(&self) -> usize {
        self.columns.times.len()
    }

    fn column(&mut self, field: &Field) -> Result<ArrayRef, ArrowError> {
        let name = field.name().as_str();
        if let Some(position) = MONEY.iter().position(|money| *money == name) {
            return decimals(std::mem::take(&mut self.priced.money[position]), money::PRECISION, money::SCALE);
        }
        if let Some(count) = Count::ALL.into_iter().find(|count| count.column() == name) {
            return Ok(Arc::new(Int64Array::from_iter_values(self.columns.count_column(count))));
        }
        if let Some(text) = Text::ALL.into_iter().find(|text| text.column() == name) {
            return self.text(text);
        }
        self.price_column(name, field.data_type())
    }

    fn text(&mut self, text: Text) -> Result<ArrayRef, ArrowError> {
        let Engine { interner, ids, .. } = &mut *self.engine;
        match text {
            Text::ServiceTier => arrays::dictionary(&self.priced.tier, interner, ids),
            Text::Region => arrays::dictionary(&self.priced.region, interner, ids),
            _ if text.keep() == Keep::Plain => arrays::plain(std::mem::take(&mut self.columns.plain[text as usize])),
            _ => arrays::dictionary(&self.columns.symbols[text as usize], interner, ids),
        }
    }

    fn price_column(&mut self, name: &str, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let rows = self.rows();
        let version = self.engine.book().version().to_owned();
        let currency = self.engine.book().currency().to_owned();
        let Engine { interner, ids, .. } = &mut *self.engine;
        let (columns, priced) = (&mut *self.columns, &mut *self.priced);
        match name {
            "event_time" => Ok(timestamps(columns.times.clone())),
            "provider" => arrays::dictionary(&priced.provider, interner, ids),
            "model_id" => arrays::dictionary(&priced.model_id, interner, ids),
            "tags" => arrays::text_map(data_type, &columns.tag_ends, &columns.tags, interner),
            "dimensions_filled" => filled(data_type, &priced.filling, rows),
            "latency_ms" => Ok(arrays::optional_integers(&columns.latencies)),
            "cache_hit" => Ok(arrays::optional_booleans(&columns.cache_hits)),
            "quantities" => arrays::quantity_map(data_type, &columns.quantity_ends, &columns.quantities, interner),
            "currency" => arrays::constant(&currency, rows),
            "price_currency" => arrays::dictionary(&priced.price_currency, interner, ids),
            "fx_rate" => decimals(std::mem::take(&mut priced.fx_rate), RATE_PRECISION, RATE_SCALE),
            "price_id" => arrays::dictionary(&priced.price_id, interner, ids),
            "price_book_version" => arrays::constant(&version, rows),
            "pricing_inputs" => arrays::text_map(data_type, &priced.input_ends, &priced.inputs, interner),
            "pricing_category" => arrays::dictionary(&priced.category, interner, ids),
            "price_status" => arrays::dictionary(&priced.status, interner, ids),
            "unpriced_reason" => arrays::dictionary(&priced.unpriced_reason, interner, ids),
            "cost_quality" => arrays::dictionary(&priced.quality, interner, ids),
            "price_notes" => notes(data_type, &priced.notes),
            "source_cluster" => arrays::constant(&self.lineage.source.cluster, rows),
            "source_topic" => arrays::constant(&self.lineage.source.topic, rows),
            "source_partition" => Ok(Arc::new(Int32Array::from(vec![self.lineage.source.partition; rows]))),
            "source_offset" => Ok(Arc::new(Int64Array::from(std::mem::take(&mut columns.offsets)))),
            "source_index" => Ok(Arc::new(Int32Array::from(std::mem::take(&mut columns.indexes)))),
            "ingest_time" => Ok(timestamps(vec![self.lineage.ingest_micros; rows])),
            other => Err(ArrowError::SchemaError(format!("no source for column {other}"))),
        }
    }
}

fn timestamps(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}

fn decimals(units: Vec<Option<i128>>, precision: u8, scale: i8) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(Decimal128Array::from(units).with_precision_and_scale(precision, scale)?))
}

fn filled(data_type: &DataType, filling: &Filling, rows: usize) -> Result<ArrayRef, ArrowError> {
    let mut end = 0_i32;
    let ends: Vec<i32> = (0..rows)
        .map(|row| {
            end += i32::try_from(filling.names(row).count()).unwrap_or(0);
            end
        })
        .collect();
    arrays::text_list(data_type, &ends, (0..rows).flat_map(|row| filling.names(row)))
}

fn notes(data_type: &DataType, notes: &[Notes]) -> Result<ArrayRef, ArrowError> {
    let mut end = 0_i32;
    let ends: Vec<i32> = notes
        .iter()
        .map(|set| {
            end += i32::try_from(set.len()).unwrap_or(0);
            end
        })
        .collect();
    arrays::text_list(data_type, &ends, notes.iter().flat_map(|set| set.iter()).map(Note::name))
}
