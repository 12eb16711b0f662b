//! The active files of a table at one version, as its log describes them. In: a loaded Delta table. Out: [`TableFiles`].

use deltalake_core::logstore::LogStoreRef;
use deltalake_core::{DeltaResult, DeltaTable};

use crate::tags::{HISTORY_APP, MOVE, MOVES_APP, SEAL, TIER};

/// An active data file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileInfo {
    /// Relative to the table.
    pub path: String,
    /// The partition value.
    pub date: String,
    pub bytes: u64,
    /// As its statistics count them.
    pub rows: Option<u64>,
    /// When it was stored, milliseconds since the epoch.
    pub stored_ms: i64,
    /// The sealing that wrote it; `None` for rows as they came.
    pub seal: Option<String>,
    /// The move to the next colder table that it is part of.
    pub moving: Option<i64>,
    /// The tier it is packed for.
    pub tier: Option<String>,
}

/// A table at one version, as far as readers need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFiles {
    pub version: u64,
    /// The newest move from the next hotter table that this one has taken in; 0 before the first.
    pub moves: i64,
    /// How often sums of this table were rewritten.
    pub history: i64,
    pub files: Vec<FileInfo>,
}

impl TableFiles {
    /// What a loaded table says. Tables without files or version are empty.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn of(table: &DeltaTable, log: &LogStoreRef) -> DeltaResult<Self> {
        let state = table.snapshot()?;
        Ok(Self {
            version: state.version(),
            moves: state.transaction_version(log.as_ref(), MOVES_APP).await?.unwrap_or(0),
            history: state.transaction_version(log.as_ref(), HISTORY_APP).await?.unwrap_or(0),
            files: files(table)?,
        })
    }
}

/// The active files of a loaded table.
///
/// # Errors
/// When the table is not loaded.
pub fn files(table: &DeltaTable) -> DeltaResult<Vec<FileInfo>> {
    Ok(table.snapshot()?.log_data().into_iter().map(|view| info(&view)).collect())
}

fn info(view: &deltalake_core::kernel::LogicalFileView) -> FileInfo {
    #[expect(deprecated, reason = "the view has no other way to its tags")]
    let tags = view.add_action().tags.unwrap_or_default();
    let tag = |name: &str| tags.get(name).cloned().flatten();
    FileInfo {
        path: view.object_store_path().to_string(),
        date: view.partition_values_map().get("date").cloned().flatten().unwrap_or_default(),
        bytes: u64::try_from(view.size()).unwrap_or(0),
        rows: view.num_records().map(|rows| rows as u64),
        stored_ms: view.modification_time(),
        seal: tag(SEAL),
        moving: tag(MOVE).and_then(|number| number.parse().ok()),
        tier: tag(TIER),
    }
}
