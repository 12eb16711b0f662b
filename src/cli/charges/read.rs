//! Files of costs and bills. In: a path; out: its bytes, what they are called by (SHA-256), and their rows. Reads nothing else.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use sha2::{Digest, Sha256};
use spendstream_pipeline::lake::parquet_batches;
use spendstream_schemas::bill::focus::{Row, from_csv};
use spendstream_schemas::bill::{self, Format, Read};
use spendstream_schemas::hex::hex;

/// How Parquet files begin.
const PARQUET: &[u8] = b"PAR1";

/// A file that was read.
pub struct File {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl File {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(Self { path: path.to_owned(), bytes })
    }

    pub fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }

    /// Without its folder.
    pub fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub fn text(&self) -> anyhow::Result<&str> {
        std::str::from_utf8(&self.bytes).context("it is no text in UTF-8")
    }
}

/// A bill in whatever form.
pub fn read_bill(file: &File, format: Option<Format>) -> anyhow::Result<Read> {
    let read = if file.bytes.starts_with(PARQUET) {
        bill::read_focus(&focus_rows(file)?)
    } else {
        bill::read(file.text()?, format)
    };
    read.map_err(|why| anyhow!(why))
}

/// FOCUS rows of CSV or Parquet; decimals are read as they are written.
pub fn focus_rows(file: &File) -> anyhow::Result<Vec<Row>> {
    if !file.bytes.starts_with(PARQUET) {
        return from_csv(file.text()?).map_err(|why| anyhow!(why));
    }
    let mut rows = Vec::new();
    for batch in parquet_batches(file.bytes.clone())? {
        let first = rows.len();
        rows.resize(first + batch.num_rows(), Row::default());
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            // Maps and lists have no place in what is read here, but for tags, which FOCUS files keep as JSON texts.
            let Ok(texts) = cast(column, &DataType::Utf8) else { continue };
            for (row, text) in rows[first..].iter_mut().zip(texts.as_string::<i32>()) {
                row.0.extend(text.map(|text| (field.name().clone(), text.to_owned())));
            }
        }
    }
    Ok(rows)
}
