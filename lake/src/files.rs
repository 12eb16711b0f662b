//! The active files of a table at one version, as its log describes them. In: a loaded Delta table. Out: [`TableFiles`].

use deltalake_core::kernel::{Add, LogicalFileView};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::{DeltaResult, DeltaTable};

use crate::tags::{EXPIRED, HISTORY_APP, MOVE, MOVES_APP, SEAL, TIER};

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
    /// Whose rows were deleted from it.
    pub expired: Option<String>,
}

impl FileInfo {
    /// From an add action of the log.
    #[must_use]
    pub fn from_add(add: &Add) -> Self {
        let tag = |name: &str| add.tags.as_ref().and_then(|tags| tags.get(name)).cloned().flatten();
        let rows = add.stats.as_deref().and_then(|stats| serde_json::from_str::<Stats>(stats).ok());
        Self {
            path: add.path.clone(),
            date: add.partition_values.get("date").cloned().flatten().unwrap_or_default(),
            bytes: u64::try_from(add.size).unwrap_or(0),
            rows: rows.and_then(|stats| stats.num_records),
            stored_ms: add.modification_time,
            seal: tag(SEAL),
            moving: tag(MOVE).and_then(|number| number.parse().ok()),
            tier: tag(TIER),
            expired: tag(EXPIRED),
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    num_records: Option<u64>,
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
    #[expect(deprecated, reason = "the view has no other way to its tags")]
    let info = |view: LogicalFileView| FileInfo::from_add(&view.add_action());
    Ok(table.snapshot()?.log_data().into_iter().map(info).collect())
}
