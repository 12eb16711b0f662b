//! What can go wrong between rows and a version of the table: one line each. Never contains an option's value.

use spendstream_schemas::ids::SourcePartition;
use thiserror::Error;

/// The lake cannot be used, or not now.
#[derive(Debug, Error)]
pub enum LakeError {
    #[error("the lake {lake} does not answer while {doing}: {reason}")]
    Store { lake: String, doing: &'static str, reason: String },
    #[error("version {version} of the table at {lake} is not readable: {reason}")]
    Log { lake: String, version: u64, reason: String },
    #[error("the table at {lake} is not ours to write: {reason}")]
    Foreign { lake: String, reason: String },
    #[error("a part of the lake {lake} is missing: {reason}")]
    Part { lake: String, reason: String },
    #[error("there is no lake at {lake}; start the pipeline, which makes it, or name another one with --lake")]
    Missing { lake: String },
}

/// Why a commit was not made.
#[derive(Debug, Error)]
pub enum CommitError {
    /// Another instance owns the partition, or this one was behind: nothing of the commit is in the table.
    #[error(
        "{partition} stands at {found} in the lake, not at {expected}: another instance committed it; what was pending is dropped and read again from there"
    )]
    Fenced { partition: SourcePartition, expected: i64, found: i64 },
    /// The caller gave up. The commit may or may not be in the table; the offsets in the lake say.
    #[error("the commit was given up before its outcome was known; the offsets in the lake say what is in")]
    Cancelled,
    /// The table became one that is not ours to write.
    #[error(transparent)]
    Refused(#[from] LakeError),
}

/// Rows could not be written as Parquet: a bug, or memory.
#[derive(Debug, Error)]
#[error("rows of day {date} since 1970 cannot be written as Parquet: {reason}")]
pub struct EncodeError {
    pub date: i32,
    pub reason: String,
}
