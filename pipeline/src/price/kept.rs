//! Rows as they lie in the lake, as questions to a price book. In: batches with the columns of [`columns`]. Out: what each row asks, what it used, what it
//! costs; and what a book says it costs. Pure. A price is a function of a row's counts, its words and `pricing_inputs`, and of nothing else.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, MapArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rust_decimal::Decimal;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::price_book::{Plan, PriceBook, Priced, Question, Unpriced, Usage};
use spendstream_schemas::table::usage::{MONEY, QUANTITY_PRECISION, QUANTITY_SCALE, timestamp_type};
use spendstream_schemas::usage_event::Quantity;

use super::words::{self, MODEL_ANSWERED, REGION_SENT, TIER_SENT, Words};
use crate::decode::is_committed;

/// The texts of a question, of its answer, and what names the row.
const TEXTS: [&str; 12] = [
    "price_book_version",
    "provider_sent",
    "model",
    "service_tier",
    "region",
    "organization",
    "billing_account",
    "operation",
    "pricing_category",
    "price_status",
    "unpriced_reason",
    "event_id",
];
/// What a price decides: `cost`, `list_cost`, … without `reported_cost`.
pub const PRICED: usize = MONEY.len() - 1;
/// Answers that are remembered; then memory starts afresh.
const MOST_ANSWERS: usize = 100_000;

/// The columns of `usage` that are needed.
pub fn columns() -> impl Iterator<Item = &'static str> {
    let others = ["event_time", "cache_hit", "pricing_inputs", "quantities"];
    TEXTS.into_iter().chain(others).chain(Count::ALL.map(Count::column)).chain(MONEY[..PRICED].iter().copied())
}

/// A batch's columns with their types.
pub struct KeptRows {
    texts: Vec<StringArray>,
    times: Int64Array,
    cache_hits: BooleanArray,
    inputs: Entries<StringArray>,
    quantities: Entries<Decimal128Array>,
    counts: Vec<Int64Array>,
    money: Vec<Decimal128Array>,
}

/// A map column: the entries of all rows, and where each row's end.
struct Entries<V> {
    map: MapArray,
    keys: StringArray,
    values: V,
}

impl<V: Array + Clone + 'static> Entries<V> {
    fn new(column: &ArrayRef, values: &DataType) -> Result<Self, ArrowError> {
        let wrong = || ArrowError::SchemaError("a map column of the table is none".to_owned());
        let map = column.as_map_opt().cloned().ok_or_else(wrong)?;
        let keys = cast(map.keys(), &DataType::Utf8)?.as_string::<i32>().clone();
        let values = cast(map.values(), values)?;
        let values = values.as_any().downcast_ref::<V>().cloned().ok_or_else(wrong)?;
        Ok(Self { map, keys, values })
    }

    fn of(&self, row: usize) -> std::ops::Range<usize> {
        let offsets = self.map.value_offsets();
        let place = |offset: i32| usize::try_from(offset).unwrap_or(0);
        place(offsets[row])..place(offsets[row + 1])
    }
}

impl KeptRows {
    /// # Errors
    /// When a column is missing or has another type than the table's.
    pub fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let column = |name: &str| {
            batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("it has no column {name}")))
        };
        let as_type = |name: &str, data_type: &DataType| cast(column(name)?, data_type);
        let integers =
            |name: &str| Ok::<_, ArrowError>(as_type(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone());
        let times = as_type("event_time", &timestamp_type())?;
        let texts = TEXTS.map(|name| Ok::<_, ArrowError>(as_type(name, &DataType::Utf8)?.as_string::<i32>().clone()));
        let money = MONEY[..PRICED].iter().map(|name| {
            let data_type = DataType::Decimal128(28, 15);
            Ok::<_, ArrowError>(as_type(name, &data_type)?.as_primitive::<Decimal128Type>().clone())
        });
        Ok(Self {
            texts: texts.into_iter().collect::<Result<_, _>>()?,
            times: times.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>(),
            cache_hits: column("cache_hit")?.as_boolean().clone(),
            inputs: Entries::new(column("pricing_inputs")?, &DataType::Utf8)?,
            quantities: Entries::new(column("quantities")?, &DataType::Decimal128(QUANTITY_PRECISION, QUANTITY_SCALE))?,
            counts: Count::ALL.map(|count| integers(count.column())).into_iter().collect::<Result<_, _>>()?,
            money: money.collect::<Result<_, _>>()?,
        })
    }

    /// Of one of the texts that pricing knows.
    #[must_use]
    pub fn text(&self, name: &str, row: usize) -> Option<&str> {
        let column = &self.texts[TEXTS.iter().position(|text| *text == name)?];
        column.is_valid(row).then(|| column.value(row))
    }

    /// Which book priced the row.
    #[must_use]
    pub fn version(&self, row: usize) -> &str {
        self.text("price_book_version", row).unwrap_or_default()
    }

    #[must_use]
    pub fn is_priced(&self, row: usize) -> bool {
        self.text("price_status", row) == Some("priced")
    }

    /// Event time, microseconds since the epoch.
    #[must_use]
    pub fn time(&self, row: usize) -> i64 {
        self.times.value(row)
    }

    /// The entries of `pricing_inputs`.
    pub fn inputs(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        let Entries { keys, values, .. } = &self.inputs;
        self.inputs
            .of(row)
            .map(|entry| (keys.value(entry), if values.is_valid(entry) { values.value(entry) } else { "" }))
    }

    fn input(&self, key: &str, row: usize) -> Option<&str> {
        self.inputs(row).find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// What was sent where the column says something else.
    fn sent(&self, name: &str, key: &str, row: usize) -> Option<&str> {
        match self.input(key, row) {
            Some(sent) => Some(sent).filter(|text| !text.is_empty()),
            None => self.text(name, row),
        }
    }

    fn quantities(&self, row: usize) -> Vec<Quantity<'_>> {
        let Entries { keys, values, .. } = &self.quantities;
        let scale = u32::from(QUANTITY_SCALE.unsigned_abs());
        let quantity = |entry: usize| {
            let value = Decimal::try_from_i128_with_scale(values.value(entry), scale).ok()?;
            Some((Cow::Borrowed(keys.value(entry)), value))
        };
        self.quantities.of(row).filter_map(quantity).collect()
    }

    #[must_use]
    pub fn counts(&self, row: usize) -> Counts {
        Counts::from_array(std::array::from_fn(|count| self.counts[count].value(row)))
    }

    /// What the row costs, in the order of `table::usage::MONEY`.
    #[must_use]
    pub fn money(&self, row: usize) -> [Option<i128>; PRICED] {
        std::array::from_fn(|column| {
            let column = &self.money[column];
            column.is_valid(row).then(|| column.value(row))
        })
    }

    fn cache_hit(&self, row: usize) -> bool {
        self.cache_hits.is_valid(row) && self.cache_hits.value(row)
    }

    /// A row that has no price, or that a cache answered, does not say so in its category: then what was sent does.
    fn committed(&self, row: usize) -> bool {
        match self.text("pricing_category", row) {
            Some("committed") => true,
            Some(_) if !self.cache_hit(row) => false,
            _ => is_committed(
                self.text("provider_sent", row),
                self.text("model", row),
                self.sent("service_tier", TIER_SENT, row),
            ),
        }
    }

    fn key(&self, row: usize) -> Key {
        [
            self.text("provider_sent", row),
            self.text("model", row),
            self.sent("service_tier", TIER_SENT, row),
            self.sent("region", REGION_SENT, row),
            self.text("organization", row),
            self.text("billing_account", row),
            self.text("operation", row),
            self.input(MODEL_ANSWERED, row),
        ]
        .map(|text| text.map(str::to_owned))
    }
}

/// What a question is made of.
type Key = [Option<String>; 8];

fn question(key: &Key) -> Question<'_> {
    let [provider, model, service_tier, region, organization, billing_account, operation, model_answered] = key;
    Question {
        provider: provider.as_deref(),
        model: model.as_deref(),
        service_tier: service_tier.as_deref(),
        region: region.as_deref(),
        organization: organization.as_deref(),
        billing_account: billing_account.as_deref(),
        operation: operation.as_deref(),
        model_answered: model_answered.as_deref(),
    }
}

/// A book that is asked again and again, each distinct question once.
pub struct Pricer {
    book: Arc<PriceBook>,
    answers: HashMap<Key, (Result<Plan, Unpriced>, Words)>,
}

impl Pricer {
    #[must_use]
    pub fn new(book: Arc<PriceBook>) -> Self {
        Self { book, answers: HashMap::new() }
    }

    #[must_use]
    pub fn book(&self) -> &PriceBook {
        &self.book
    }

    /// The price of a row by this book, and the words that go with it.
    pub fn price(&mut self, rows: &KeptRows, row: usize) -> (&Words, Result<Priced<'_>, Unpriced>) {
        if self.answers.len() >= MOST_ANSWERS {
            self.answers.clear();
        }
        let book = &self.book;
        let (plan, words) = self.answers.entry(rows.key(row)).or_insert_with_key(|key| {
            let question = question(key);
            let plan = book.resolve(&question);
            let words = words::of(book, &question, &plan);
            (plan, words)
        });
        let (counts, quantities) = (rows.counts(row), rows.quantities(row));
        let usage = Usage {
            counts: &counts,
            quantities: &quantities,
            committed: rows.committed(row),
            cache_hit: rows.cache_hit(row),
        };
        let priced = match plan {
            Ok(plan) => plan.price(rows.time(row), &usage),
            Err(unpriced) => Err(unpriced.clone()),
        };
        (words, priced)
    }
}
