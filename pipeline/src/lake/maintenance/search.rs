//! Proves that an erased person is in no object any more. In: who. Out: each object that still names the person, in its bytes or in a text of its rows.
//! Every object of the lake's places is read, whether a version needs it or not.

use std::collections::BTreeSet;

use arrow::array::{AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;
use spendstream_schemas::pseudonym::Erasure;
use spendstream_storage::Lake;

use super::super::error::LakeError;
use super::maintainer::Maintainer;
use super::read::failed;

/// What was searched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Searched {
    pub objects: usize,
    pub bytes: u64,
    /// Objects that name the person, by their place.
    pub found: Vec<String>,
}

impl Maintainer {
    /// See the module.
    ///
    /// # Errors
    /// When an object cannot be read: then nothing is proven.
    pub async fn search(&self, erasure: &Erasure) -> Result<Searched, LakeError> {
        let mut searched = Searched::default();
        for table in &self.tables {
            search(&table.place, erasure, &mut searched).await?;
        }
        Ok(searched)
    }
}

async fn search(place: &Lake, erasure: &Erasure, searched: &mut Searched) -> Result<(), LakeError> {
    let broken = |error: &dyn std::fmt::Display| failed(place, "searching its objects", error);
    let store = place.store();
    let mut objects = store.list(None);
    while let Some(meta) = objects.try_next().await.map_err(|error| broken(&error))? {
        let bytes = match store.get(&meta.location).await {
            Ok(object) => object.bytes().await.map_err(|error| broken(&error))?,
            // Removed since it was listed.
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(broken(&error)),
        };
        searched.objects += 1;
        searched.bytes += meta.size;
        let named = erasure.clone();
        let location = meta.location.clone();
        let found = tokio::task::spawn_blocking(move || names(&location, bytes, &named)).await;
        if found.map_err(|error| broken(&error))?.map_err(|error| broken(&error))? {
            searched.found.push(format!("{place}/{}", meta.location));
        }
    }
    Ok(())
}

/// Whether an object names the person: in its bytes, or in a text of its rows.
fn names(location: &Path, bytes: Bytes, erasure: &Erasure) -> Result<bool, parquet::errors::ParquetError> {
    if erasure.mentions(location.as_ref()) || erasure.mentions(&String::from_utf8_lossy(&bytes)) {
        return Ok(true);
    }
    if location.extension() != Some("parquet") {
        return Ok(false);
    }
    let mut seen = BTreeSet::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(bytes)?.build()? {
        if in_rows(&batch?, erasure, &mut seen)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn in_rows(
    batch: &RecordBatch,
    erasure: &Erasure,
    seen: &mut BTreeSet<String>,
) -> Result<bool, parquet::errors::ParquetError> {
    for column in batch.columns() {
        for texts in texts(column)? {
            for text in texts.iter().flatten() {
                if !seen.contains(text) {
                    if erasure.mentions(text) {
                        return Ok(true);
                    }
                    seen.insert(text.to_owned());
                }
            }
        }
        // Bounds the memory: ids are all different.
        if seen.len() > 500_000 {
            seen.clear();
        }
    }
    Ok(false)
}

/// The texts of a column, those within lists, maps and structs among them.
fn texts(column: &arrow::array::ArrayRef) -> Result<Vec<StringArray>, arrow::error::ArrowError> {
    Ok(match column.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            vec![cast(column, &DataType::Utf8)?.as_string::<i32>().clone()]
        }
        DataType::Map(..) => {
            let map = column.as_map();
            [texts(map.keys())?, texts(map.values())?].concat()
        }
        DataType::List(_) => texts(column.as_list::<i32>().values())?,
        DataType::Struct(_) => {
            let parts = column.as_struct().columns().iter().map(texts).collect::<Result<Vec<_>, _>>()?;
            parts.concat()
        }
        _ => Vec::new(),
    })
}
