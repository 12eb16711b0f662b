//! From the vectors of a batch to Arrow arrays. In: symbols, ends, values; out: arrays of the types in `schemas::table::usage`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Int64Array, ListArray, MapArray, StringArray,
    StructArray, UInt32Array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, UInt32Type};
use arrow::error::ArrowError;

use super::events::PlainColumn;
use super::interner::{Interner, Symbol};

/// Numbers the distinct symbols of a column from 0, reused from column to column without clearing.
#[derive(Debug, Default)]
pub struct LocalIds {
    /// By symbol: (round, local id).
    ids: Vec<(u32, u32)>,
    round: u32,
    /// The symbols of this round, in order of their local ids.
    distinct: Vec<Symbol>,
}

impl LocalIds {
    fn start(&mut self, symbols: usize) {
        if self.round == u32::MAX {
            self.ids.clear();
            self.round = 0;
        }
        self.round += 1;
        self.distinct.clear();
        if self.ids.len() < symbols {
            self.ids.resize(symbols, (0, 0));
        }
    }

    fn local(&mut self, symbol: Symbol) -> u32 {
        let slot = &mut self.ids[symbol.index()];
        if slot.0 != self.round {
            *slot = (self.round, u32::try_from(self.distinct.len()).unwrap_or(u32::MAX));
            self.distinct.push(symbol);
        }
        slot.1
    }
}

/// A dictionary array with just the values that occur.
///
/// # Errors
/// Never for symbols of this interner; Arrow's checks are passed on.
pub fn dictionary(symbols: &[Symbol], interner: &Interner, ids: &mut LocalIds) -> Result<ArrayRef, ArrowError> {
    if symbols.iter().all(|symbol| symbol.is_none()) {
        // Most events leave most dimensions out.
        let values = Arc::new(StringArray::new_null(0));
        return Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(UInt32Array::new_null(symbols.len()), values)?));
    }
    ids.start(interner.len());
    let mut nulls = 0_usize;
    let keys: Vec<u32> = symbols
        .iter()
        .map(|symbol| {
            if symbol.is_none() {
                nulls += 1;
                0
            } else {
                ids.local(*symbol)
            }
        })
        .collect();
    let valid = (nulls > 0).then(|| symbols.iter().map(|symbol| !symbol.is_none()).collect::<NullBuffer>());
    let values: StringArray = ids.distinct.iter().map(|symbol| interner.text(*symbol)).collect();
    let keys = UInt32Array::try_new(ScalarBuffer::from(keys), valid)?;
    Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, Arc::new(values))?))
}

/// The same value in every row, as a dictionary array.
///
/// # Errors
/// Never; Arrow's checks are passed on.
pub fn constant(value: &str, rows: usize) -> Result<ArrayRef, ArrowError> {
    let keys = UInt32Array::from(vec![0; rows]);
    Ok(Arc::new(DictionaryArray::<UInt32Type>::try_new(keys, Arc::new(StringArray::from(vec![value])))?))
}

/// Takes a plain column's bytes over.
///
/// # Errors
/// Never for texts; Arrow checks UTF-8 again.
pub fn plain(column: PlainColumn) -> Result<ArrayRef, ArrowError> {
    let offsets = offsets(&column.ends);
    let nulls = column.valid.contains(&false).then(|| NullBuffer::from(column.valid));
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(column.bytes), nulls)?))
}

/// A map of text to text.
///
/// # Errors
/// Never for symbols of this interner; Arrow's checks are passed on.
pub fn text_map(
    data_type: &DataType,
    ends: &[i32],
    entries: &[(Symbol, Symbol)],
    interner: &Interner,
) -> Result<ArrayRef, ArrowError> {
    let keys = StringArray::from_iter_values(entries.iter().map(|(key, _)| interner.text(*key).unwrap_or_default()));
    let values =
        StringArray::from_iter_values(entries.iter().map(|(_, value)| interner.text(*value).unwrap_or_default()));
    map(data_type, ends, Arc::new(keys), Arc::new(values))
}

/// A map of text to decimal(28,9).
///
/// # Errors
/// Never for symbols of this interner; Arrow's checks are passed on.
pub fn quantity_map(
    data_type: &DataType,
    ends: &[i32],
    entries: &[(Symbol, i128)],
    interner: &Interner,
) -> Result<ArrayRef, ArrowError> {
    use spendstream_schemas::table::usage::{QUANTITY_PRECISION, QUANTITY_SCALE};
    let keys = StringArray::from_iter_values(entries.iter().map(|(key, _)| interner.text(*key).unwrap_or_default()));
    let values = Decimal128Array::from_iter_values(entries.iter().map(|(_, units)| *units))
        .with_precision_and_scale(QUANTITY_PRECISION, QUANTITY_SCALE)?;
    map(data_type, ends, Arc::new(keys), Arc::new(values))
}

/// A map of these keys and values, which must be of its types; `ends` says where each row's end.
///
/// # Errors
/// When the type is no map, or not of these.
pub fn map(data_type: &DataType, ends: &[i32], keys: ArrayRef, values: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let DataType::Map(entry, ordered) = data_type else {
        return Err(ArrowError::SchemaError(format!("{data_type} is no map")));
    };
    let DataType::Struct(fields) = entry.data_type() else {
        return Err(ArrowError::SchemaError(format!("{data_type} has no entries")));
    };
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(Arc::clone(entry), offsets(ends), entries, None, *ordered)?))
}

/// A list of texts; `ends` says where each row's end.
///
/// # Errors
/// Never for consistent input; Arrow's checks are passed on.
pub fn text_list<'a>(
    data_type: &DataType,
    ends: &[i32],
    values: impl Iterator<Item = &'a str>,
) -> Result<ArrayRef, ArrowError> {
    let DataType::List(element) = data_type else {
        return Err(ArrowError::SchemaError(format!("{data_type} is no list")));
    };
    let values: StringArray = values.map(Some).collect();
    Ok(Arc::new(ListArray::try_new(Arc::clone(element), offsets(ends), Arc::new(values), None)?))
}

/// Nullable whole numbers.
#[must_use]
pub fn optional_integers(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<Int64Array>())
}

/// Nullable booleans.
#[must_use]
pub fn optional_booleans(values: &[Option<bool>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<BooleanArray>())
}

fn offsets(ends: &[i32]) -> OffsetBuffer<i32> {
    let mut all = Vec::with_capacity(ends.len() + 1);
    all.push(0);
    all.extend_from_slice(ends);
    OffsetBuffer::new(ScalarBuffer::from(all))
}
