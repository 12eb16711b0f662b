//! Prices every row again, from what the row says and the book that is kept under its version. In: a view of one version. Out: how many came
//! out differently. Streams: no more than a batch of rows is held.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, MapArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use rust_decimal::Decimal;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::{Plan, PriceBook, Question, Unpriced, Usage};
use spendstream_schemas::table::usage::{MONEY, QUANTITY_PRECISION, QUANTITY_SCALE, timestamp_type};
use spendstream_schemas::usage_event::Quantity;

use super::figures::{EXAMPLES, Repricing};
use crate::lake::error::LakeError;
use crate::lake::view::{LakeView, failed};
use crate::price::archive;
use crate::price::engine::{MODEL_ANSWERED, REGION_SENT, TIER_SENT};

/// The texts of the answer, in its order.
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
const PRICED: usize = MONEY.len() - 1;
/// Plans that are remembered; then memory starts afresh.
const MAX_PLANS: usize = 100_000;

/// Prices every row of the view again.
///
/// # Errors
/// When the lake cannot be read. A book that is missing or damaged is a figure, not an error.
pub async fn reprice(view: &LakeView) -> Result<Repricing, LakeError> {
    let mut again = Again::default();
    let mut rows = view.stream(&query()).await?;
    while let Some(batch) = rows.try_next().await.map_err(|error| failed(&view.lake, &error))? {
        let columns = Columns::new(&batch).map_err(|error| failed(&view.lake, &error))?;
        again.load(view, &columns).await;
        for row in 0..batch.num_rows() {
            again.row(&columns, row);
        }
    }
    Ok(again.finish())
}

fn query() -> String {
    let counts = Count::ALL.map(Count::column).join(", ");
    format!(
        "SELECT {}, event_time, cache_hit, pricing_inputs, quantities, source_partition, source_offset, {counts}, {} FROM usage",
        TEXTS.join(", "),
        MONEY[..PRICED].join(", ")
    )
}

/// A batch's columns with their types.
struct Columns {
    texts: Vec<StringArray>,
    times: Int64Array,
    cache_hits: BooleanArray,
    inputs: Entries<StringArray>,
    quantities: Entries<Decimal128Array>,
    partitions: Int64Array,
    offsets: Int64Array,
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

impl Columns {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
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
            partitions: integers("source_partition")?,
            offsets: integers("source_offset")?,
            counts: Count::ALL.map(|count| integers(count.column())).into_iter().collect::<Result<_, _>>()?,
            money: money.collect::<Result<_, _>>()?,
        })
    }

    fn text(&self, name: &str, row: usize) -> Option<&str> {
        let column = &self.texts[TEXTS.iter().position(|text| *text == name)?];
        column.is_valid(row).then(|| column.value(row))
    }

    /// What was sent where the column says something else.
    fn sent(&self, name: &str, key: &str, row: usize) -> Option<String> {
        match self.input(key, row) {
            Some(sent) => Some(sent).filter(|text| !text.is_empty()),
            None => self.text(name, row).map(str::to_owned),
        }
    }

    /// An entry of `pricing_inputs`.
    fn input(&self, key: &str, row: usize) -> Option<String> {
        let Entries { keys, values, .. } = &self.inputs;
        self.inputs.of(row).find(|&entry| keys.value(entry) == key).map(|entry| values.value(entry).to_owned())
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

    fn money(&self, row: usize) -> [Option<i128>; PRICED] {
        std::array::from_fn(|column| {
            let column = &self.money[column];
            column.is_valid(row).then(|| column.value(row))
        })
    }
}

/// What a question is made of, and the book it is asked of.
type Key = [Option<String>; 9];

#[derive(Default)]
struct Again {
    books: HashMap<String, Option<PriceBook>>,
    missing: HashMap<String, (String, u64)>,
    plans: HashMap<Key, Result<Plan, Unpriced>>,
    rows: u64,
    different: u64,
    examples: Vec<String>,
}

impl Again {
    /// Loads the books of a batch that were not met before.
    async fn load(&mut self, view: &LakeView, columns: &Columns) {
        let mut last = None;
        for version in columns.texts[0].iter().flatten() {
            if last == Some(version) || self.books.contains_key(version) {
                continue;
            }
            last = Some(version);
            let book = archive::load(&view.lake, version).await;
            if let Err(error) = &book {
                self.missing.insert(version.to_owned(), (error.to_string(), 0));
            }
            self.books.insert(version.to_owned(), book.ok());
        }
    }

    fn row(&mut self, columns: &Columns, row: usize) {
        let version = columns.text("price_book_version", row).unwrap_or_default();
        let Some(Some(book)) = self.books.get(version) else {
            if let Some((_, rows)) = self.missing.get_mut(version) {
                *rows += 1;
            }
            return;
        };
        self.rows += 1;
        if self.plans.len() >= MAX_PLANS {
            self.plans.clear();
        }
        let key = key(columns, row);
        let plan = self.plans.entry(key).or_insert_with_key(|key| book.resolve(&question(key)));
        let quantities = columns.quantities(row);
        let counts = Counts::from_array(std::array::from_fn(|count| columns.counts[count].value(row)));
        let usage = Usage {
            counts: &counts,
            quantities: &quantities,
            committed: columns.text("pricing_category", row) == Some("committed"),
            cache_hit: columns.cache_hits.is_valid(row) && columns.cache_hits.value(row),
        };
        let result = match plan {
            Ok(plan) => plan.price(columns.times.value(row), &usage).map(|priced| {
                [
                    priced.cost,
                    priced.list_cost,
                    priced.input_cost,
                    priced.output_cost,
                    priced.cache_read_cost,
                    priced.cache_write_cost,
                    priced.other_cost,
                    priced.cache_savings,
                ]
                .map(|amount| Some(amount.units()))
            }),
            Err(unpriced) => Err(unpriced.clone()),
        };
        let difference = match result {
            Ok(amounts) => difference(columns, row, &amounts),
            Err(unpriced) if columns.text("unpriced_reason", row) == Some(unpriced.reason().as_ref()) => None,
            Err(unpriced) => Some(format!("is unpriced now ({unpriced})")),
        };
        if let Some(difference) = difference {
            self.different += 1;
            if self.examples.len() < EXAMPLES {
                let (partition, offset) = (columns.partitions.value(row), columns.offsets.value(row));
                self.examples.push(format!("the row at offset {offset} of partition {partition} {difference}"));
            }
        }
    }

    fn finish(self) -> Repricing {
        Repricing {
            rows: self.rows,
            different: self.different,
            examples: self.examples,
            books: self.books.values().flatten().count(),
            missing: self.missing.into_values().collect(),
        }
    }
}

fn difference(columns: &Columns, row: usize, amounts: &[Option<i128>; PRICED]) -> Option<String> {
    let kept = columns.money(row);
    let place = (0..PRICED).find(|&column| kept[column] != amounts[column])?;
    Some(format!("has {} {}, priced again {}", MONEY[place], shown(kept[place]), shown(amounts[place])))
}

/// Units of a money column as the decimal that a query of the column shows.
fn shown(units: Option<i128>) -> String {
    match units.map(Amount::from_units) {
        None => "null".to_owned(),
        Some(Ok(amount)) => amount.to_string(),
        Some(Err(error)) => format!("a figure that is none ({error})"),
    }
}

fn key(columns: &Columns, row: usize) -> Key {
    let text = |name: &str| columns.text(name, row).map(str::to_owned);
    [
        text("price_book_version"),
        text("provider_sent"),
        text("model"),
        columns.sent("service_tier", TIER_SENT, row),
        columns.sent("region", REGION_SENT, row),
        text("organization"),
        text("billing_account"),
        text("operation"),
        columns.input(MODEL_ANSWERED, row),
    ]
}

fn question(key: &Key) -> Question<'_> {
    let [_, provider, model, service_tier, region, organization, billing_account, operation, model_answered] = key;
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

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn costs_are_decimals() {
        for (units, expected) in [
            (None, "null"),
            (Some(0), "0"),
            (Some(2_520_000_000_000), "0.00252"),
            (Some(-3), "-0.000000000000003"),
            (Some(12_000_000_000_000_000), "12"),
        ] {
            assert_eq!(shown(units), expected);
        }
        assert!(shown(Some(i128::MAX)).starts_with("a figure that is none"));
    }
}
