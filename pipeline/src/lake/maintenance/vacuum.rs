//! Removes files that no version needs any more, those of tries that failed among them, and old versions of the log; writes checkpoints of the tables that
//! nobody else writes any for. In: a table, how long things are kept. Out: what was removed. A file that a version needs, or that is younger than
//! the time it is kept, is never touched.

use std::time::Duration;

use deltalake_core::operations::vacuum::VacuumMode;
use deltalake_core::protocol::checkpoints::{cleanup_expired_logs_for, create_checkpoint};
use deltalake_core::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use futures::{StreamExt, stream};
use object_store::path::Path;

use super::super::error::LakeError;
use super::super::rewriter::Rewriter;
use super::read::failed;

/// What was removed from a table, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Vacuumed {
    pub files: usize,
    pub log_files: usize,
}

/// Files that no version within `kept` needs.
///
/// # Errors
/// When the store fails.
pub async fn unneeded(table: &Rewriter, kept: Duration) -> Result<Vec<String>, LakeError> {
    let broken = |error: DeltaTableError| failed(&table.place, "looking for files that nobody needs", &error);
    let mut delta = DeltaTable::new(table.log.store.clone());
    delta.load().await.map_err(broken)?;
    let kept = chrono::Duration::from_std(kept).unwrap_or(chrono::Duration::MAX);
    let looked = delta
        .vacuum()
        .with_mode(VacuumMode::Full)
        .with_retention_period(kept)
        .with_enforce_retention_duration(false)
        .with_dry_run(true)
        .await;
    Ok(looked.map_err(broken)?.1.files_deleted)
}

/// Removes them.
///
/// # Errors
/// When the store fails; what is left is found again.
pub async fn vacuum(table: &Rewriter, kept: Duration) -> Result<usize, LakeError> {
    let paths: Vec<Path> = unneeded(table, kept).await?.into_iter().map(Path::from).collect();
    let store = table.place.table_store(table.kind.name());
    let gone = store.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
    let missing = |error: &object_store::Error| matches!(error, object_store::Error::NotFound { .. });
    let gone = gone.filter_map(|gone| async move {
        match gone {
            Err(error) if missing(&error) => None,
            other => Some(other),
        }
    });
    let gone: Vec<Path> = gone.try_collect().await.map_err(|error| failed(&table.place, "removing files", &error))?;
    Ok(gone.len())
}

/// Writes a checkpoint of the newest version.
///
/// # Errors
/// When the store fails.
pub async fn checkpoint(table: &Rewriter) -> Result<(), LakeError> {
    let broken = |error: DeltaTableError| failed(&table.place, "writing a checkpoint", &error);
    let mut delta = DeltaTable::new(table.log.store.clone());
    delta.load_version(table.state.version).await.map_err(broken)?;
    create_checkpoint(&delta, None).await.map_err(broken)
}

/// Removes versions of the log that are older than a time, as far as a checkpoint covers them. Returns how many files.
///
/// # Errors
/// When the store fails.
pub async fn clean_log(table: &Rewriter, before_ms: i64) -> Result<usize, LakeError> {
    let broken = |error: DeltaTableError| failed(&table.place, "cleaning up its log", &error);
    cleanup_expired_logs_for(table.state.version, table.log.store.as_ref(), before_ms, None).await.map_err(broken)
}
