//! Reads a Delta log the way any stranger would: the folder of a table in, rows, bytes and commits out.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

/// What the commits of a table added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub commits: u64,
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

/// Sums up all commits of the table in that folder.
///
/// # Errors
/// When the log cannot be read, or a file is not as large as the log says.
pub fn written(table: &Path) -> anyhow::Result<Written> {
    let mut sum = Written::default();
    let log = table.join("_delta_log");
    for entry in std::fs::read_dir(&log).with_context(|| log.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        sum.commits += 1;
        for line in std::fs::read_to_string(&path)?.lines() {
            let action: Value = serde_json::from_str(line).with_context(|| path.display().to_string())?;
            if let Some(add) = action.get("add") {
                file(table, add, &mut sum)?;
            }
        }
    }
    Ok(sum)
}

fn file(table: &Path, add: &Value, sum: &mut Written) -> anyhow::Result<()> {
    let path = add["path"].as_str().context("an add without a path")?;
    let size = add["size"].as_u64().context("an add without a size")?;
    let found = std::fs::metadata(table.join(path)).with_context(|| path.to_owned())?.len();
    ensure!(found == size, "{path} has {found} bytes, its log {size}");
    let statistics: Value = serde_json::from_str(add["stats"].as_str().context("an add without statistics")?)?;
    sum.files += 1;
    sum.bytes += size;
    sum.rows += statistics["numRecords"].as_u64().context("statistics without numRecords")?;
    Ok(())
}
