//! What calls of one kind cost in one period, as the lake sums it up. In: rows of the answer of [`super::query`]. Out: [`Group`]s. Pure: no IO.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::money;
use spendstream_schemas::table::usage::QUANTITY_SCALE;

use crate::format::cell;

/// Texts that calls of a group have in common; what stands in SQL for each is in [`super::query`].
pub const TEXTS: [&str; 29] = [
    "billing_account",
    "organization",
    "team",
    "department",
    "cost_center",
    "project",
    "app",
    "feature",
    "agent",
    "environment",
    "task_type",
    "provider",
    "provider_sent",
    "model_id",
    "model",
    "model_answered",
    "operation",
    "service_tier",
    "service_tier_sent",
    "region",
    "region_sent",
    "price_id",
    "price_currency",
    "price_book_version",
    "pricing_category",
    "price_status",
    "unpriced_reason",
    "cost_quality",
    "currency",
];

/// The five parts of a cost, in the order of [`Group::parts`].
pub const PARTS: [&str; 5] = ["input_cost", "output_cost", "cache_read_cost", "cache_write_cost", "other_cost"];

/// See the module. Money in units of 10⁻¹⁵ of the lake's currency, quantities in units of 10⁻⁹.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Microseconds since the epoch, UTC: the day or hour.
    pub start: i64,
    /// As [`TEXTS`].
    pub texts: [Option<String>; TEXTS.len()],
    /// What the events carried, as JSON; `None` where they carried nothing.
    pub tags: Option<String>,
    pub cache_hit: bool,
    /// Whether the prices of thinking calls applied.
    pub thinks: bool,
    pub calls: i64,
    /// Calls that say nothing of how many requests they are, and did not search: where there is a price by the call, they are one each.
    pub implied_requests: i64,
    pub counts: Counts,
    /// By name, as in `quantities`; none is zero.
    pub quantities: Vec<(String, i128)>,
    /// As [`PARTS`].
    pub parts: [i128; PARTS.len()],
    pub list_cost: i128,
    /// Of the first call, microseconds since the epoch.
    pub first_call: i64,
    /// Input tokens of the smallest call.
    pub least_input: i64,
}

impl Group {
    /// The value of one of [`TEXTS`].
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let position = TEXTS.iter().position(|known| *known == name)?;
        self.texts[position].as_deref()
    }

    #[must_use]
    pub fn is_priced(&self) -> bool {
        self.text("price_status") == Some("priced")
    }
}

/// The groups of an answer; `quantities` are the names behind its columns `q0`, `q1`, ….
///
/// # Errors
/// When a column is missing or of another type than the query gives it.
pub fn groups(batch: &RecordBatch, quantities: &[String]) -> Result<Vec<Group>, ArrowError> {
    let columns = Columns(batch);
    let mut groups = vec![Group::default(); batch.num_rows()];
    for (position, name) in TEXTS.iter().enumerate() {
        let texts = columns.texts(name)?;
        groups.iter_mut().zip(texts).for_each(|(group, text)| group.texts[position] = text);
    }
    let tags = columns.texts("tags")?;
    groups.iter_mut().zip(tags).for_each(|(group, tags)| group.tags = tags.filter(|tags| tags != "{}"));
    columns.whole("start_micros", |row, value| groups[row].start = value)?;
    columns.whole("cache_hit", |row, value| groups[row].cache_hit = value != 0)?;
    columns.whole("thinks", |row, value| groups[row].thinks = value != 0)?;
    columns.whole("calls", |row, value| groups[row].calls = value)?;
    columns.whole("implied_requests", |row, value| groups[row].implied_requests = value)?;
    columns.whole("first_call", |row, value| groups[row].first_call = value)?;
    columns.whole("least_input", |row, value| groups[row].least_input = value)?;
    for count in Count::ALL {
        columns.whole(count.column(), |row, value| groups[row].counts.set(count, value))?;
    }
    for (position, name) in quantities.iter().enumerate() {
        columns.exact(&format!("q{position}"), QUANTITY_SCALE, |row, value| {
            if value != 0 {
                groups[row].quantities.push((name.clone(), value));
            }
        })?;
    }
    for (position, name) in PARTS.iter().enumerate() {
        columns.exact(name, money::SCALE, |row, value| groups[row].parts[position] = value)?;
    }
    columns.exact("list_cost", money::SCALE, |row, value| groups[row].list_cost = value)?;
    Ok(groups)
}

/// Columns of an answer by name, as values.
pub(super) struct Columns<'b>(pub &'b RecordBatch);

impl Columns<'_> {
    fn column(&self, name: &str) -> Result<&arrow::array::ArrayRef, ArrowError> {
        self.0.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("the answer has no column {name}")))
    }

    /// Values as text; an empty one is none.
    pub fn texts(&self, name: &str) -> Result<Vec<Option<String>>, ArrowError> {
        let texts = cell::texts(self.column(name)?)?;
        Ok(texts.into_iter().map(|text| text.filter(|text| !text.is_empty())).collect())
    }

    /// Whole numbers; null is 0.
    pub fn whole(&self, name: &str, mut take: impl FnMut(usize, i64)) -> Result<(), ArrowError> {
        let column = cast(self.column(name)?, &DataType::Int64)?;
        let values = column.as_primitive::<Int64Type>();
        (0..values.len()).for_each(|row| take(row, if values.is_valid(row) { values.value(row) } else { 0 }));
        Ok(())
    }

    /// Decimals in units of their last digit; null is 0.
    pub fn exact(&self, name: &str, scale: i8, mut take: impl FnMut(usize, i128)) -> Result<(), ArrowError> {
        let column = cast(self.column(name)?, &DataType::Decimal128(money_digits(), scale))?;
        let values = column.as_primitive::<Decimal128Type>();
        (0..values.len()).for_each(|row| take(row, if values.is_valid(row) { values.value(row) } else { 0 }));
        Ok(())
    }
}

const fn money_digits() -> u8 {
    spendstream_schemas::table::rollup::SUM_PRECISION
}
