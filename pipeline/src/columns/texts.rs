//! Text columns and tags of a batch as it lies in the lake, by name. In: a batch and the names that are asked for. Out: values, row by row. Pure.

use arrow::array::{Array, AsArray, ListArray, MapArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

/// See the module.
pub struct Texts {
    columns: Vec<(&'static str, StringArray)>,
}

impl Texts {
    /// # Errors
    /// When a column is missing or holds no texts.
    pub fn new(batch: &RecordBatch, names: impl IntoIterator<Item = &'static str>) -> Result<Self, ArrowError> {
        let column = |name: &'static str| {
            let column = batch.column_by_name(name);
            let column = column.ok_or_else(|| ArrowError::SchemaError(format!("it has no column {name}")))?;
            Ok::<_, ArrowError>((name, cast(column, &DataType::Utf8)?.as_string::<i32>().clone()))
        };
        Ok(Self { columns: names.into_iter().map(column).collect::<Result<_, _>>()? })
    }

    /// The value of a column that was asked for; `None` where null.
    #[must_use]
    pub fn get(&self, name: &str, row: usize) -> Option<&str> {
        let (_, column) = self.columns.iter().find(|(known, _)| *known == name)?;
        column.is_valid(row).then(|| column.value(row))
    }
}

/// A map column of texts, such as `tags` and `pricing_inputs`.
pub struct TextMap {
    map: MapArray,
    keys: StringArray,
    values: StringArray,
}

impl TextMap {
    /// # Errors
    /// When the column is missing or no map of texts.
    pub fn new(batch: &RecordBatch, name: &str) -> Result<Self, ArrowError> {
        let map = batch.column_by_name(name).and_then(|column| column.as_map_opt()).cloned();
        let map = map.ok_or_else(|| ArrowError::SchemaError(format!("it has no map {name}")))?;
        let texts = |column| Ok::<_, ArrowError>(cast(column, &DataType::Utf8)?.as_string::<i32>().clone());
        Ok(Self { keys: texts(map.keys())?, values: texts(map.values())?, map })
    }

    /// The entries of a row; a null value is an empty text.
    pub fn entries(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        let place = |at: usize| usize::try_from(self.map.value_offsets()[at]).unwrap_or(0);
        let value = |at| if self.values.is_valid(at) { self.values.value(at) } else { "" };
        (place(row)..place(row + 1)).map(move |at| (self.keys.value(at), value(at)))
    }

    #[must_use]
    pub fn get(&self, row: usize, name: &str) -> Option<&str> {
        self.entries(row).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// A list column of texts, such as `price_notes` and `dimensions_filled`.
pub struct TextList {
    list: ListArray,
    values: StringArray,
}

impl TextList {
    /// # Errors
    /// When the column is missing or no list of texts.
    pub fn new(batch: &RecordBatch, name: &str) -> Result<Self, ArrowError> {
        let list = batch.column_by_name(name).and_then(|column| column.as_list_opt::<i32>()).cloned();
        let list = list.ok_or_else(|| ArrowError::SchemaError(format!("it has no list {name}")))?;
        let values = cast(list.values(), &DataType::Utf8)?.as_string::<i32>().clone();
        Ok(Self { list, values })
    }

    pub fn of(&self, row: usize) -> impl Iterator<Item = &str> {
        let place = |at: usize| usize::try_from(self.list.value_offsets()[at]).unwrap_or(0);
        (place(row)..place(row + 1)).filter(|at| self.values.is_valid(*at)).map(|at| self.values.value(at))
    }
}
