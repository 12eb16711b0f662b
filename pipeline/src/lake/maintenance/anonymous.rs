//! Rows without an erased person. In: rows as they lie in the lake, and who is erased. Out: the same rows, one by one, with other texts where they named or
//! mentioned the person; counts, money, times and lineage as they were. Pure. The texts are those that intake gives later arrivals.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StringArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::pseudonym::{ERASED, Erasure};

use crate::columns::owners;

/// Of what a row was priced by, the labels that were sent; the rest (tier, region, …) prices it again, and names nobody.
const LABELS: [&str; owners::LABELS.len()] = sent();

const fn sent() -> [&'static str; owners::LABELS.len()] {
    let mut names = [""; owners::LABELS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = owners::LABELS[at].1;
        at += 1;
    }
    names
}

/// Columns of `decisions` with words of ours that may mention the person. Ids become what the control store makes of them.
const WORDS: [(&str, Words); 3] = [("budget_id", Words::Id), ("budget_scope", Words::Prose), ("reason", Words::Prose)];

/// How a text of ours mentions a person.
#[derive(Clone, Copy)]
enum Words {
    Id,
    Prose,
}

/// See the module. Remembers what became of a text, so that each distinct one is looked at once.
pub struct Anonymous<'a> {
    erasure: &'a Erasure,
    persons: HashMap<String, bool>,
    known: HashMap<(Text, bool, String), Option<String>>,
}

/// Distinct texts that are remembered; then memory starts afresh.
const REMEMBERED: usize = 200_000;

impl<'a> Anonymous<'a> {
    pub fn new(erasure: &'a Erasure) -> Self {
        Self { erasure, persons: HashMap::new(), known: HashMap::new() }
    }

    /// The rows, and how many of them are others now.
    ///
    /// # Errors
    /// When a column has another type than the table's.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<(RecordBatch, u64), ArrowError> {
        if self.known.len() > REMEMBERED {
            self.known.clear();
        }
        let is_person = self.persons(batch)?;
        let mut changed = vec![false; batch.num_rows()];
        let mut columns = batch.columns().to_vec();
        for text in Text::ALL {
            let Some((at, _)) = batch.schema_ref().column_with_name(text.column()) else { continue };
            if let Some(column) = self.text(text, &columns[at], &is_person, &mut changed)? {
                columns[at] = column;
            }
        }
        for (name, words) in WORDS {
            let Some((at, _)) = batch.schema_ref().column_with_name(name) else { continue };
            let stays = |value: &str| match words {
                Words::Id => self.erasure.text(value).into_owned(),
                Words::Prose => self.erasure.prose(value).into_owned(),
            };
            if let Some(column) = replaced(&columns[at], &mut changed, |_, value| Some(stays(value)))? {
                columns[at] = column;
            }
        }
        for (name, only) in [("tags", None), ("pricing_inputs", Some(&LABELS[..]))] {
            let Some((at, _)) = batch.schema_ref().column_with_name(name) else { continue };
            if let Some(column) = self.map((&columns[at], only), &is_person, &mut changed)? {
                columns[at] = column;
            }
        }
        let rows = changed.iter().filter(|changed| **changed).count() as u64;
        Ok((RecordBatch::try_new(batch.schema(), columns)?, rows))
    }

    /// For each row whether it is one of the person's own.
    fn persons(&mut self, batch: &RecordBatch) -> Result<Vec<bool>, ArrowError> {
        let dimension = self.erasure.dimension();
        let mut is = |value: &str| {
            if let Some(is) = self.persons.get(value) {
                *is
            } else {
                let is = self.erasure.is(value);
                self.persons.insert(value.to_owned(), is);
                is
            }
        };
        let none = || vec![false; batch.num_rows()];
        if let Some(text) = dimension.column() {
            let Some(column) = batch.column_by_name(text.column()) else { return Ok(none()) };
            let texts = strings(column)?;
            return Ok((0..texts.len()).map(|row| texts.is_valid(row) && is(texts.value(row))).collect());
        }
        let (Some(name), Some(tags)) = (dimension.tag(), batch.column_by_name("tags")) else { return Ok(none()) };
        let Some(tags) = tags.as_map_opt() else { return Ok(none()) };
        let (keys, values) = (strings(tags.keys())?, strings(tags.values())?);
        let row = |row: usize| {
            entries(tags, row).any(|at| keys.value(at) == name && values.is_valid(at) && is(values.value(at)))
        };
        Ok((0..batch.num_rows()).map(row).collect())
    }

    /// The column with other texts; `None`: it is as it was.
    fn text(
        &mut self,
        text: Text,
        column: &ArrayRef,
        is_person: &[bool],
        changed: &mut [bool],
    ) -> Result<Option<ArrayRef>, ArrowError> {
        replaced(column, changed, |row, value| self.stays(text, is_person[row], value))
    }

    fn stays(&mut self, text: Text, is_person: bool, value: &str) -> Option<String> {
        let key = (text, is_person, value.to_owned());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let stays = if is_person {
            self.erasure.column(text, value).map(std::borrow::Cow::into_owned)
        } else {
            Some(self.erasure.mentioned(text, value).into_owned())
        };
        self.known.insert(key, stays.clone());
        stays
    }

    /// A map with other texts, in all its entries or in those of some names; `None`: it is as it was.
    fn map(
        &self,
        (column, only): (&ArrayRef, Option<&[&str]>),
        is_person: &[bool],
        changed: &mut [bool],
    ) -> Result<Option<ArrayRef>, ArrowError> {
        let wrong = || ArrowError::SchemaError("a map column of the table is none".to_owned());
        let map: &MapArray = column.as_map_opt().ok_or_else(wrong)?;
        let (keys, values) = (strings(map.keys())?, strings(map.values())?);
        let mut names: Vec<Option<String>> = keys.iter().map(|key| key.map(str::to_owned)).collect();
        let mut texts: Vec<Option<String>> = values.iter().map(|value| value.map(str::to_owned)).collect();
        let mut any = false;
        for row in 0..map.len() {
            for at in entries(map, row) {
                if only.is_some_and(|only| names[at].as_deref().is_none_or(|name| !only.contains(&name))) {
                    continue;
                }
                let own = is_person[row] && self.erasure.dimension().tag() == names[at].as_deref();
                let text = texts[at].as_deref().map(|text| if own { ERASED.into() } else { self.erasure.text(text) });
                let text = text.map(std::borrow::Cow::into_owned);
                let name = names[at].as_deref().map(|name| self.erasure.id(name).into_owned());
                if text != texts[at] || name != names[at] {
                    (texts[at], names[at], changed[row], any) = (text, name, true, true);
                }
            }
        }
        if !any {
            return Ok(None);
        }
        let DataType::Map(entry, ordered) = map.data_type() else { return Err(wrong()) };
        let DataType::Struct(parts) = entry.data_type() else { return Err(wrong()) };
        let names = cast(&(Arc::new(StringArray::from(names)) as ArrayRef), parts[0].data_type())?;
        let texts = cast(&(Arc::new(StringArray::from(texts)) as ArrayRef), parts[1].data_type())?;
        let inner = StructArray::try_new(parts.clone(), vec![names, texts], None)?;
        let rebuilt =
            MapArray::try_new(Arc::clone(entry), map.offsets().clone(), inner, map.nulls().cloned(), *ordered)?;
        Ok(Some(Arc::new(rebuilt)))
    }
}

/// The column with other texts, by row and text; `None`: it is as it was.
fn replaced(
    column: &ArrayRef,
    changed: &mut [bool],
    mut stays: impl FnMut(usize, &str) -> Option<String>,
) -> Result<Option<ArrayRef>, ArrowError> {
    let texts = strings(column)?;
    let mut any = false;
    let values = (0..texts.len()).map(|row| {
        let value = texts.is_valid(row).then(|| texts.value(row))?;
        let stays = stays(row, value);
        if stays.as_deref() != Some(value) {
            changed[row] = true;
            any = true;
        }
        stays
    });
    let values: StringArray = values.collect();
    any.then(|| Arc::new(values) as ArrayRef).map(|values| cast(&values, column.data_type())).transpose()
}

pub fn strings(column: &ArrayRef) -> Result<StringArray, ArrowError> {
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

pub fn entries(map: &MapArray, row: usize) -> std::ops::Range<usize> {
    let place = |at: usize| usize::try_from(map.value_offsets()[at]).unwrap_or(0);
    place(row)..place(row + 1)
}
