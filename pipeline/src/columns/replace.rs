//! Batches with other values in some rows. In: a batch of the table `usage`, a column and what its rows say now. Out: the batch with that column, in its
//! own type; every other row and column as it was. Pure.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::arrays;
use super::texts::{TextList, TextMap};

/// A batch in the making.
pub struct Replaced {
    batch: RecordBatch,
    columns: Vec<ArrayRef>,
}

impl Replaced {
    #[must_use]
    pub fn new(batch: &RecordBatch) -> Self {
        Self { batch: batch.clone(), columns: batch.columns().to_vec() }
    }

    /// # Errors
    /// When a column came out of another length or type.
    pub fn finish(self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(self.batch.schema(), self.columns)
    }

    fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn place(&self, name: &str) -> Result<usize, ArrowError> {
        self.batch.schema_ref().index_of(name)
    }

    /// Texts; `with` gives a row's new value (`Some(None)`: null), `None` where it stays.
    ///
    /// # Errors
    /// When there is no such column of texts.
    pub fn texts<'a>(&mut self, name: &str, with: impl Fn(usize) -> Option<Option<&'a str>>) -> Result<(), ArrowError> {
        let at = self.place(name)?;
        let before = cast(&self.columns[at], &DataType::Utf8)?.as_string::<i32>().clone();
        let value = |row: usize| match with(row) {
            Some(new) => new.map(str::to_owned),
            None => before.is_valid(row).then(|| before.value(row).to_owned()),
        };
        let values: StringArray = (0..self.rows()).map(value).collect();
        self.columns[at] = cast(&(Arc::new(values) as ArrayRef), self.columns[at].data_type())?;
        Ok(())
    }

    /// Decimals in units of the column's scale, as [`Self::texts`].
    ///
    /// # Errors
    /// When there is no such column of decimals.
    pub fn decimals(&mut self, name: &str, with: impl Fn(usize) -> Option<Option<i128>>) -> Result<(), ArrowError> {
        let at = self.place(name)?;
        let wrong = || ArrowError::SchemaError(format!("{name} is no column of decimals"));
        let before = self.columns[at].as_primitive_opt::<Decimal128Type>().ok_or_else(wrong)?;
        let value = |row: usize| with(row).unwrap_or_else(|| before.is_valid(row).then(|| before.value(row)));
        let values: Decimal128Array = (0..self.rows()).map(value).collect();
        self.columns[at] = Arc::new(values.with_data_type(before.data_type().clone()));
        Ok(())
    }

    /// A map of texts; `None` where a row's entries stay.
    ///
    /// # Errors
    /// When there is no such map.
    pub fn map<'a>(
        &mut self,
        name: &str,
        with: impl Fn(usize) -> Option<&'a [(String, String)]>,
    ) -> Result<(), ArrowError> {
        let (at, before) = (self.place(name)?, TextMap::new(&self.batch, name)?);
        let (mut keys, mut values, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..self.rows() {
            let mut add = |(key, value): (&str, &str)| {
                keys.push(key.to_owned());
                values.push(value.to_owned());
            };
            match with(row) {
                Some(new) => new.iter().for_each(|(key, value)| add((key, value))),
                None => before.entries(row).for_each(&mut add),
            }
            ends.push(i32::try_from(keys.len()).unwrap_or(i32::MAX));
        }
        let wrong = || ArrowError::SchemaError(format!("{name} is no map of texts"));
        let data_type = self.columns[at].data_type().clone();
        let DataType::Map(entry, _) = &data_type else { return Err(wrong()) };
        let DataType::Struct(parts) = entry.data_type() else { return Err(wrong()) };
        let [keys, values] = [keys, values].map(|texts| Arc::new(StringArray::from(texts)) as ArrayRef);
        let (keys, values) = (cast(&keys, parts[0].data_type())?, cast(&values, parts[1].data_type())?);
        self.columns[at] = arrays::map(&data_type, &ends, keys, values)?;
        Ok(())
    }

    /// A list of texts; `None` where a row's stays.
    ///
    /// # Errors
    /// When there is no such list.
    pub fn list<'a>(&mut self, name: &str, with: impl Fn(usize) -> Option<Vec<&'a str>>) -> Result<(), ArrowError> {
        let (at, before) = (self.place(name)?, TextList::new(&self.batch, name)?);
        let (mut all, mut ends) = (Vec::new(), Vec::new());
        for row in 0..self.rows() {
            match with(row) {
                Some(new) => all.extend(new.into_iter().map(str::to_owned)),
                None => all.extend(before.of(row).map(str::to_owned)),
            }
            ends.push(i32::try_from(all.len()).unwrap_or(i32::MAX));
        }
        self.columns[at] = arrays::text_list(self.columns[at].data_type(), &ends, all.iter().map(String::as_str))?;
        Ok(())
    }
}
