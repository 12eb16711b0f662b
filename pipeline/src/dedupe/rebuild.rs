//! Fingerprints of rows as they lie in the lake, so that a horizon can be filled again. In: record batches with the columns
//! of [`COLUMNS`]; out: (offset, fingerprint). It must agree with what the live side computes; a test compares them.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, MapArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::dimension::Text;

use super::call_facts::model_hash;
use super::fingerprint::{ContentParts, Fingerprint, tier_hash};
use crate::columns::events::{pair_hash, quantity_hash};
use crate::columns::interner::text_hash;
use crate::columns::owners::LABELS;
use crate::price::engine::{REGION_SENT, TIER_SENT};

/// The columns of `usage` that a fingerprint needs, `source_offset` among them.
#[must_use]
pub fn columns() -> Vec<&'static str> {
    let texts = Text::ALL.into_iter().filter(|text| *text != Text::PayloadKind).map(Text::column);
    let counts = Count::ALL.into_iter().map(Count::column);
    let others = [
        "source_offset",
        "source_index",
        "event_time",
        "tags",
        "quantities",
        "pricing_inputs",
        "latency_ms",
        "cache_hit",
    ];
    texts.chain(counts).chain(others).collect()
}

/// Offset, index and fingerprint of every row of a batch.
///
/// # Errors
/// When a column is missing or has another type.
pub fn fingerprints(batch: &RecordBatch) -> Result<Vec<(i64, i32, Fingerprint)>, ArrowError> {
    let rows = Rows::new(batch)?;
    Ok((0..batch.num_rows()).map(|row| rows.fingerprint(row)).collect())
}

struct Rows {
    texts: Vec<Option<StringArray>>,
    counts: Vec<Int64Array>,
    offsets: Int64Array,
    indexes: Int64Array,
    times: Int64Array,
    latencies: Int64Array,
    cache_hits: BooleanArray,
    tags: MapArray,
    quantities: MapArray,
    inputs: MapArray,
}

fn column(batch: &RecordBatch, name: &str) -> Result<ArrayRef, ArrowError> {
    batch
        .column_by_name(name)
        .cloned()
        .ok_or_else(|| ArrowError::SchemaError(format!("the lake's column {name} is missing")))
}

fn integers(batch: &RecordBatch, name: &str) -> Result<Int64Array, ArrowError> {
    Ok(cast(&column(batch, name)?, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn map(batch: &RecordBatch, name: &str) -> Result<MapArray, ArrowError> {
    let column = column(batch, name)?;
    column.as_map_opt().cloned().ok_or_else(|| ArrowError::SchemaError(format!("the lake's column {name} is no map")))
}

impl Rows {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let text = |text: Text| {
            if text == Text::PayloadKind {
                return Ok(None);
            }
            let strings = cast(&column(batch, text.column())?, &DataType::Utf8)?;
            Ok::<_, ArrowError>(Some(strings.as_string::<i32>().clone()))
        };
        Ok(Self {
            texts: Text::ALL.into_iter().map(text).collect::<Result<_, _>>()?,
            counts: Count::ALL.into_iter().map(|count| integers(batch, count.column())).collect::<Result<_, _>>()?,
            offsets: integers(batch, "source_offset")?,
            indexes: integers(batch, "source_index")?,
            times: {
                let times = column(batch, "event_time")?;
                let times = times.as_primitive_opt::<TimestampMicrosecondType>();
                let times = times.ok_or_else(|| ArrowError::SchemaError("event_time is no timestamp in µs".into()))?;
                times.reinterpret_cast::<Int64Type>()
            },
            latencies: integers(batch, "latency_ms")?,
            cache_hits: cast(&column(batch, "cache_hit")?, &DataType::Boolean)?.as_boolean().clone(),
            tags: map(batch, "tags")?,
            quantities: map(batch, "quantities")?,
            inputs: map(batch, "pricing_inputs")?,
        })
    }

    fn text(&self, text: Text, row: usize) -> Option<&str> {
        let values = self.texts[text as usize].as_ref()?;
        values.is_valid(row).then(|| values.value(row))
    }

    fn fingerprint(&self, row: usize) -> (i64, i32, Fingerprint) {
        let mut texts = [0; Text::COUNT];
        for text in Text::ALL {
            texts[text as usize] = self.text(text, row).map_or(0, text_hash);
        }
        let tier = sent(&self.inputs, row, TIER_SENT);
        let tier = tier.as_deref().or_else(|| self.text(Text::ServiceTier, row));
        texts[Text::ServiceTier as usize] = tier_hash(tier.filter(|tier| !tier.is_empty()));
        if let Some(region) = sent(&self.inputs, row, REGION_SENT) {
            texts[Text::Region as usize] = if region.is_empty() { 0 } else { text_hash(&region) };
        }
        for (text, name) in LABELS {
            if let Some(sent) = sent(&self.inputs, row, name) {
                texts[text as usize] = if sent.is_empty() { 0 } else { text_hash(&sent) };
            }
        }
        // No event has one: it is the directory's.
        texts[Text::CostCenter as usize] = 0;
        let mut counts = Counts::default();
        for (count, values) in Count::ALL.into_iter().zip(&self.counts) {
            counts.set(count, values.value(row));
        }
        let print = Fingerprint::of(&ContentParts {
            texts: &texts,
            model: self.text(Text::Model, row).map_or(0, model_hash),
            tags: tags_hash(&self.tags, row),
            quantities: quantities_hash(&self.quantities, row),
            time_micros: self.times.value(row),
            counts: &counts,
            latency_ms: self.latencies.is_valid(row).then(|| self.latencies.value(row)),
            cache_hit: self.cache_hits.is_valid(row).then(|| self.cache_hits.value(row)),
        });
        (self.offsets.value(row), i32::try_from(self.indexes.value(row)).unwrap_or(i32::MAX), print)
    }
}

fn strings(array: &ArrayRef) -> Option<StringArray> {
    Some(cast(array, &DataType::Utf8).ok()?.as_string::<i32>().clone())
}

fn sent(inputs: &MapArray, row: usize, name: &str) -> Option<String> {
    if inputs.value_length(row) == 0 {
        return None;
    }
    let entries = inputs.value(row);
    let (keys, values) = (strings(entries.column(0))?, strings(entries.column(1))?);
    let at = (0..keys.len()).find(|at| keys.value(*at) == name)?;
    // An empty text is null for an interner; the key alone says that nothing was sent.
    Some(if values.is_valid(at) { values.value(at).to_owned() } else { String::new() })
}

fn tags_hash(tags: &MapArray, row: usize) -> u64 {
    if tags.value_length(row) == 0 {
        return 0;
    }
    let entries = tags.value(row);
    let (Some(keys), Some(values)) = (strings(entries.column(0)), strings(entries.column(1))) else { return 0 };
    (0..keys.len())
        .map(|at| pair_hash(text_hash(keys.value(at)), text_hash(values.value(at))))
        .fold(0, u64::wrapping_add)
}

fn quantities_hash(quantities: &MapArray, row: usize) -> u64 {
    if quantities.value_length(row) == 0 {
        return 0;
    }
    let entries = quantities.value(row);
    let Some(keys) = strings(entries.column(0)) else { return 0 };
    let values = entries.column(1).as_primitive::<Decimal128Type>();
    (0..keys.len()).map(|at| quantity_hash(text_hash(keys.value(at)), values.value(at))).fold(0, u64::wrapping_add)
}
