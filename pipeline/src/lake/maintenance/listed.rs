//! Finds erased persons whom rows still name. In: the list of the erased, which has hashes and no names; files that were written since a time. Out: an
//! erasure for each name that rows have of them. Reads one column per dimension; never writes.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, AsArray};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::pseudonym::{Dimension, ErasedList, Erasure};

use super::super::error::LakeError;
use super::super::rewriter::Rewriter;
use super::anonymous::{entries, strings};
use super::maintainer::Maintainer;
use super::read::{all_rows, failed};

/// Distinct values that are remembered; then memory starts afresh.
const REMEMBERED: usize = 500_000;

impl Maintainer {
    /// See the module; `since_ms` is the wall clock, milliseconds since the epoch.
    ///
    /// # Errors
    /// When a store fails.
    pub async fn still_named(&mut self, list: &ErasedList, since_ms: i64) -> Result<Vec<Erasure>, LakeError> {
        self.look().await?;
        let mut found = BTreeMap::new();
        for table in self.tables.iter().chain([&self.decisions]) {
            for dimension in list.dimensions() {
                named_in(table, (dimension, list), since_ms, &mut found).await?;
            }
        }
        Ok(found.into_values().collect())
    }
}

/// By dimension and name: a person can be named in clear here and by pseudonym there.
type Found = BTreeMap<(Dimension, String), Erasure>;

async fn named_in(
    table: &Rewriter,
    (dimension, list): (&Dimension, &ErasedList),
    since_ms: i64,
    found: &mut Found,
) -> Result<(), LakeError> {
    let column = dimension.column().map_or("tags", Text::column);
    if table.kind.file_schema().column_with_name(column).is_none() {
        return Ok(());
    }
    let is_new = |add: &&deltalake_core::kernel::Add| add.modification_time >= since_ms;
    let paths = table.files.values().filter(is_new).map(|add| add.path.clone()).collect();
    let mut seen = HashSet::new();
    let mut rows = std::pin::pin!(all_rows((&table.place, table.kind), paths, Some(vec![column])));
    while let Some(batch) = rows.try_next().await? {
        let values = values(&batch, column, dimension);
        for value in values.map_err(|error| failed(&table.place, "looking for erased persons", &error))? {
            if seen.contains(&value) {
                continue;
            }
            if let Some(erasure) = list.erasure(dimension, &value) {
                found.insert((dimension.clone(), dimension.normal(&value).into_owned()), erasure);
            }
            seen.insert(value);
        }
        if seen.len() > REMEMBERED {
            seen.clear();
        }
    }
    Ok(())
}

/// The values of a dimension.
fn values(batch: &RecordBatch, column: &str, dimension: &Dimension) -> Result<Vec<String>, ArrowError> {
    let missing = || ArrowError::SchemaError(format!("there is no column {column}"));
    let column = batch.column_by_name(column).ok_or_else(missing)?;
    let Some(name) = dimension.tag() else {
        return Ok(strings(column)?.iter().flatten().map(str::to_owned).collect());
    };
    let tags = column.as_map_opt().ok_or_else(missing)?;
    let (keys, texts) = (strings(tags.keys())?, strings(tags.values())?);
    let places = (0..tags.len()).flat_map(|row| entries(tags, row));
    let own = places.filter(|at| keys.value(*at) == name && texts.is_valid(*at));
    Ok(own.map(|at| texts.value(at).to_owned()).collect())
}
