//! Prices every row again, from what the row says and the book that is kept under its version. In: a view of one version. Out: how many came
//! out differently. Streams: no more than a batch of rows is held.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use spendstream_schemas::money::Amount;
use spendstream_schemas::table::usage::MONEY;

use super::figures::{EXAMPLES, Repricing};
use crate::lake::error::LakeError;
use crate::lake::view::{LakeView, failed};
use crate::price::archive;
use crate::price::kept::{KeptRows, PRICED, Pricer, columns};

/// Where a row comes from, for the examples.
const PLACE: [&str; 2] = ["source_partition", "source_offset"];

/// Prices every row of the view again.
///
/// # Errors
/// When the lake cannot be read. A book that is missing or damaged is a figure, not an error.
pub async fn reprice(view: &LakeView) -> Result<Repricing, LakeError> {
    let mut again = Again::default();
    let mut rows = view.stream(&query()).await?;
    while let Some(batch) = rows.try_next().await.map_err(|error| failed(&view.lake, &error))? {
        let columns = Columns::new(&batch).map_err(|error| failed(&view.lake, &error))?;
        again.load(view, &columns.rows, batch.num_rows()).await;
        for row in 0..batch.num_rows() {
            again.row(&columns, row);
        }
    }
    Ok(again.finish())
}

fn query() -> String {
    let columns: Vec<&str> = columns().chain(PLACE).collect();
    format!("SELECT {} FROM usage", columns.join(", "))
}

struct Columns {
    rows: KeptRows,
    /// As [`PLACE`].
    places: [Int64Array; 2],
}

impl Columns {
    fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        let integers = |name: &str| {
            let column = batch.column_by_name(name);
            let column = column.ok_or_else(|| ArrowError::SchemaError(format!("it has no column {name}")))?;
            Ok::<_, ArrowError>(cast(column, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        };
        let [partitions, offsets] = PLACE.map(integers);
        Ok(Self { rows: KeptRows::new(batch)?, places: [partitions?, offsets?] })
    }
}

#[derive(Default)]
struct Again {
    books: HashMap<String, Option<Pricer>>,
    missing: HashMap<String, (String, u64)>,
    rows: u64,
    different: u64,
    examples: Vec<String>,
}

impl Again {
    /// Loads the books of a batch that were not met before.
    async fn load(&mut self, view: &LakeView, rows: &KeptRows, count: usize) {
        let mut last = None;
        for version in (0..count).map(|row| rows.version(row)).filter(|version| !version.is_empty()) {
            if last == Some(version) || self.books.contains_key(version) {
                continue;
            }
            last = Some(version);
            let book = archive::load(&view.lake, version).await;
            if let Err(error) = &book {
                self.missing.insert(version.to_owned(), (error.to_string(), 0));
            }
            self.books.insert(version.to_owned(), book.ok().map(|book| Pricer::new(Arc::new(book))));
        }
    }

    fn row(&mut self, columns: &Columns, row: usize) {
        let rows = &columns.rows;
        let version = rows.version(row);
        let Some(Some(pricer)) = self.books.get_mut(version) else {
            if let Some((_, rows)) = self.missing.get_mut(version) {
                *rows += 1;
            }
            return;
        };
        self.rows += 1;
        let difference = match pricer.price(rows, row).1 {
            Ok(priced) => difference(rows, row, &priced.amounts().map(|amount| Some(amount.units()))),
            Err(unpriced) if rows.text("unpriced_reason", row) == Some(unpriced.reason().as_ref()) => None,
            Err(unpriced) => Some(format!("is unpriced now ({unpriced})")),
        };
        if let Some(difference) = difference {
            self.different += 1;
            if self.examples.len() < EXAMPLES {
                let [partition, offset] = columns.places.each_ref().map(|column| column.value(row));
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

fn difference(rows: &KeptRows, row: usize, amounts: &[Option<i128>; PRICED]) -> Option<String> {
    let kept = rows.money(row);
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
