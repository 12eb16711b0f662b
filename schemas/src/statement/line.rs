//! The lines of a statement, and how they lie in Parquet. In: sums of a month by every dimension that reports group by; out: Arrow columns and back. Pure.
//!
//! No line names a person: users are counted by hashes that only compare within one statement, so that an erasure has nothing to change here.

use std::sync::Arc;

use arrow::array::builder::{ListBuilder, StringBuilder};
use arrow::array::{ArrayRef, AsArray, Decimal128Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::count::Count;
use crate::money::{self, Amount, AmountError};
use crate::table::usage::text_list_type;

/// What lines are told apart by, as the columns of `spend` are called. `model` is the price book's id, else what was sent.
pub const KEYS: [&str; 20] = [
    "charge_category",
    "provider",
    "model",
    "organization",
    "team",
    "department",
    "cost_center",
    "project",
    "app",
    "feature",
    "agent",
    "environment",
    "endpoint",
    "task_type",
    "complexity",
    "metric",
    "operation",
    "billing_account",
    "service_tier",
    "region",
];

/// Sums of money in a line: their columns.
pub const MONEY: [&str; 3] = ["cost", "list_cost", "cache_savings"];
/// Column of the hashes of users.
pub const USERS: &str = "users";

/// The values of [`KEYS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub [Option<String>; KEYS.len()]);

impl Key {
    /// A value by its column.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&str> {
        let at = KEYS.iter().position(|name| *name == column)?;
        self.0[at].as_deref()
    }
}

/// The sums of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub calls: i64,
    /// Of the calls, those without a price.
    pub unpriced_calls: i64,
    /// In the order of [`Count::ALL`].
    pub counts: [i64; Count::ALL.len()],
    /// In the order of [`MONEY`].
    pub money: [Amount; MONEY.len()],
}

impl Figures {
    /// What was spent.
    #[must_use]
    pub fn cost(&self) -> Amount {
        self.money[0]
    }

    /// Nothing that a bill would show.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.calls == 0 && self.counts.iter().all(|count| *count == 0) && self.cost().is_zero()
    }

    /// # Errors
    /// When a sum does not fit a money column.
    pub fn plus(mut self, other: &Self) -> Result<Self, AmountError> {
        self.calls += other.calls;
        self.unpriced_calls += other.unpriced_calls;
        for (own, other) in self.counts.iter_mut().zip(other.counts) {
            *own += other;
        }
        for (own, other) in self.money.iter_mut().zip(other.money) {
            *own = own.checked_add(other)?;
        }
        Ok(self)
    }

    /// The same with every sign turned.
    #[must_use]
    pub fn negative(mut self) -> Self {
        self.calls = -self.calls;
        self.unpriced_calls = -self.unpriced_calls;
        self.counts = self.counts.map(|count| -count);
        self.money = self.money.map(|amount| -amount);
        self
    }
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    pub key: Key,
    pub figures: Figures,
    /// One hash for each user, in their order.
    pub users: Vec<String>,
}

/// The columns of a statement's file. A money column has the digits of a sum.
#[must_use]
pub fn schema() -> SchemaRef {
    let mut fields: Vec<Field> = KEYS.map(|name| Field::new(name, DataType::Utf8, true)).into();
    for name in ["calls", "unpriced_calls"].into_iter().chain(Count::ALL.map(Count::column)) {
        fields.push(Field::new(name, DataType::Int64, false));
    }
    fields.extend(MONEY.map(|name| Field::new(name, DataType::Decimal128(money::PRECISION, money::SCALE), false)));
    fields.push(Field::new(USERS, text_list_type(), false));
    Arc::new(Schema::new(fields))
}

/// Lines as columns of [`schema`].
///
/// # Errors
/// Only when Arrow refuses consistent columns, which is a fault of this program.
pub fn batch(lines: &[Line]) -> Result<RecordBatch, ArrowError> {
    let whole = |value: &dyn Fn(&Figures) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(lines.iter().map(|line| value(&line.figures))))
    };
    let mut columns: Vec<ArrayRef> = Vec::new();
    for at in 0..KEYS.len() {
        columns.push(Arc::new(lines.iter().map(|line| line.key.0[at].as_deref()).collect::<StringArray>()));
    }
    columns.push(whole(&|figures| figures.calls));
    columns.push(whole(&|figures| figures.unpriced_calls));
    columns.extend((0..Count::ALL.len()).map(|at| whole(&|figures| figures.counts[at])));
    for at in 0..MONEY.len() {
        let units = Decimal128Array::from_iter_values(lines.iter().map(|line| line.figures.money[at].units()));
        columns.push(Arc::new(units.with_precision_and_scale(money::PRECISION, money::SCALE)?));
    }
    let element = Field::new("element", DataType::Utf8, true);
    let mut users = ListBuilder::new(StringBuilder::new()).with_field(element);
    for line in lines {
        users.append_value(line.users.iter().map(Some));
    }
    columns.push(Arc::new(users.finish()));
    RecordBatch::try_new(schema(), columns)
}

/// Lines of columns that are called as those of [`schema`]; what is not there is nothing.
///
/// # Errors
/// When a column is no text, number, decimal or list where one is wanted, or a sum does not fit a money column.
pub fn read(batch: &RecordBatch) -> Result<Vec<Line>, ArrowError> {
    let mut lines = vec![Line::default(); batch.num_rows()];
    for (at, name) in KEYS.iter().enumerate() {
        let Some(column) = batch.column_by_name(name) else { continue };
        let texts = cast(column, &DataType::Utf8)?;
        for (line, text) in lines.iter_mut().zip(texts.as_string::<i32>()) {
            line.key.0[at] = text.map(str::to_owned);
        }
    }
    let mut whole = |name: &str, put: &dyn Fn(&mut Figures, i64)| -> Result<(), ArrowError> {
        let Some(column) = batch.column_by_name(name) else { return Ok(()) };
        let numbers = cast(column, &DataType::Int64)?;
        for (line, number) in lines.iter_mut().zip(numbers.as_primitive::<Int64Type>()) {
            put(&mut line.figures, number.unwrap_or(0));
        }
        Ok(())
    };
    whole("calls", &|figures, number| figures.calls = number)?;
    whole("unpriced_calls", &|figures, number| figures.unpriced_calls = number)?;
    for (at, count) in Count::ALL.into_iter().enumerate() {
        whole(count.column(), &|figures, number| figures.counts[at] = number)?;
    }
    for (at, name) in MONEY.iter().enumerate() {
        let Some(column) = batch.column_by_name(name) else { continue };
        let units = cast(column, &DataType::Decimal128(38, money::SCALE))?;
        for (line, units) in lines.iter_mut().zip(units.as_primitive::<Decimal128Type>()) {
            let amount = Amount::from_units(units.unwrap_or(0));
            line.figures.money[at] = amount.map_err(|error| ArrowError::ComputeError(error.to_string()))?;
        }
    }
    users(batch, &mut lines)?;
    Ok(lines)
}

fn users(batch: &RecordBatch, lines: &mut [Line]) -> Result<(), ArrowError> {
    let Some(column) = batch.column_by_name(USERS) else { return Ok(()) };
    let lists = cast(column, &text_list_type())?;
    for (line, users) in lines.iter_mut().zip(lists.as_list::<i32>().iter()) {
        let Some(users) = users else { continue };
        line.users = users.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
        line.users.sort_unstable();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Figures, Key, Line, batch, read};
    use crate::money::Amount;

    #[test]
    fn lines_come_back_as_they_were() {
        let mut key = Key::default();
        key.0[4] = Some("search".to_owned());
        let mut figures = Figures { calls: 3, unpriced_calls: 1, ..Figures::default() };
        figures.counts[0] = 12;
        figures.money[0] = Amount::from_units(-7).unwrap();
        let lines = [Line { key, figures, users: vec!["a".into(), "b".into()] }, Line::default()];
        assert_eq!(read(&batch(&lines).unwrap()).unwrap(), lines);
        assert_eq!(lines[0].key.get("team"), Some("search"));
        assert!(figures.plus(&figures.negative()).unwrap() == Figures::default());
    }
}
