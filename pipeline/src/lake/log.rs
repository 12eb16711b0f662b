//! Reads the Delta log. In: a lake. Out: the [`TableState`] of the newest version, from the newest checkpoint and the commits
//! after it, in one pass. Reads no data file and no list of files; writes nothing.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, or};
use bytes::Bytes;
use deltalake_core::logstore::LogStoreRef;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use spendstream_schemas::lake_path::USAGE_TABLE;
use spendstream_storage::Lake;

use super::actions::{Line, read};
use super::error::LakeError;
use super::state::TableState;

/// How often loading starts again when commits vanish under it (log clean-up by somebody).
const ATTEMPTS: usize = 3;
/// How many commits before the checkpoint are searched for the books when those after it have none.
const BOOKS_WITHIN: u64 = 1_000;
const LOG: &str = "_delta_log";

/// The log of a table.
#[derive(Clone)]
pub struct Log {
    pub store: LogStoreRef,
    files: Arc<dyn ObjectStore>,
    lake: String,
}

/// What there is to start from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listing {
    /// Newest complete checkpoint and its files.
    checkpoint: Option<(u64, Vec<String>)>,
    /// Newest commit file.
    newest: Option<u64>,
}

impl Log {
    #[must_use]
    pub fn new(lake: &Lake) -> Self {
        Self::of(lake, USAGE_TABLE)
    }

    /// The log of a table by its folder.
    #[must_use]
    pub fn of(lake: &Lake, table: &str) -> Self {
        Self { store: lake.log_store(table), files: lake.table_store(table), lake: lake.to_string() }
    }

    /// The newest version; `None` when there is no table.
    ///
    /// # Errors
    /// When the store fails or the log is not readable.
    pub async fn load(&self) -> Result<Option<TableState>, LakeError> {
        let mut vanished = None;
        for _ in 0..ATTEMPTS {
            let listing = self.list().await?;
            let Some(newest) = listing.newest.or(listing.checkpoint.as_ref().map(|(version, _)| *version)) else {
                return Ok(None);
            };
            match self.replay(&listing, newest).await {
                Err(LakeError::Log { version, reason, lake }) if reason == GONE => {
                    vanished = Some(LakeError::Log { version, reason, lake });
                }
                other => return other.map(Some),
            }
        }
        Err(vanished.unwrap_or_else(|| self.broken(0, GONE)))
    }

    /// The lines of a commit; `None` when that version does not exist.
    ///
    /// # Errors
    /// When the store fails or the commit is not readable.
    pub async fn commit(&self, version: u64) -> Result<Option<Vec<Line>>, LakeError> {
        self.bytes(version)
            .await?
            .map(|bytes| read(&bytes).map_err(|error| self.broken(version, &error.to_string())))
            .transpose()
    }

    /// A commit as it stands in the log; `None` when that version does not exist.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn bytes(&self, version: u64) -> Result<Option<Bytes>, LakeError> {
        self.store.read_commit_entry(version).await.map_err(|error| self.failed("reading a commit", &error.to_string()))
    }

    /// Whether the commit file of that version is still there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn exists(&self, version: u64) -> Result<bool, LakeError> {
        match self.files.head(&Path::from(format!("{LOG}/{version:020}.json"))).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed("looking for a commit", &error.to_string())),
        }
    }

    async fn list(&self) -> Result<Listing, LakeError> {
        if let Some(hint) = self.hint().await {
            let offset = Path::from(format!("{LOG}/{hint:020}"));
            let listing = self.list_from(Some(&offset)).await?;
            if listing.checkpoint.is_some() {
                return Ok(listing);
            }
        }
        self.list_from(None).await
    }

    async fn list_from(&self, offset: Option<&Path>) -> Result<Listing, LakeError> {
        let folder = Path::from(LOG);
        let stream = match offset {
            Some(offset) => self.files.list_with_offset(Some(&folder), offset),
            None => self.files.list(Some(&folder)),
        };
        let names = stream
            .map_ok(|meta| meta.location.filename().unwrap_or_default().to_owned())
            .try_collect::<Vec<_>>()
            .await
            .map_err(|error| self.failed("listing its log", &error.to_string()))?;
        Ok(listing(&names))
    }

    /// The version of the newest checkpoint, if the hint is there and readable; it is only a hint.
    async fn hint(&self) -> Option<u64> {
        let bytes = self.files.get(&Path::from(format!("{LOG}/_last_checkpoint"))).await.ok()?.bytes().await.ok()?;
        serde_json::from_slice::<serde_json::Value>(&bytes).ok()?.get("version")?.as_u64()
    }

    async fn replay(&self, listing: &Listing, newest: u64) -> Result<TableState, LakeError> {
        let mut state = TableState { version: newest, ..TableState::default() };
        let mut next = 0;
        if let Some((version, files)) = &listing.checkpoint {
            for file in files {
                for line in self.checkpoint(*version, file).await? {
                    state.apply(line);
                }
            }
            next = version + 1;
        }
        let first = next;
        for version in next..=newest {
            let lines = self.commit(version).await?.ok_or_else(|| self.broken(version, GONE))?;
            for line in lines {
                state.apply(line);
            }
        }
        if state.books.is_empty() {
            self.find_books(&mut state, first).await?;
        }
        Ok(state)
    }

    /// Looks for the newest books among the commits before `version`: they outlive a checkpoint only in commit files.
    async fn find_books(&self, state: &mut TableState, version: u64) -> Result<(), LakeError> {
        for version in (version.saturating_sub(BOOKS_WITHIN)..version).rev() {
            let Some(lines) = self.commit(version).await? else { return Ok(()) };
            let info = lines.into_iter().find_map(|line| line.commit_info);
            state.committed_ms = state.committed_ms.or(info.as_ref().and_then(|info| info.timestamp));
            if let Some(note) = info.and_then(|info| info.spendstream) {
                state.open_books(note);
                return Ok(());
            }
        }
        Ok(())
    }

    async fn checkpoint(&self, version: u64, file: &str) -> Result<Vec<Line>, LakeError> {
        let failed = |error: &dyn std::fmt::Display| self.broken(version, &format!("its checkpoint: {error}"));
        let path = Path::from(format!("{LOG}/{file}"));
        let get = async { self.files.get(&path).await?.bytes().await };
        let bytes = get.await.map_err(|error| self.failed("reading a checkpoint", &error.to_string()))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| failed(&error))?;
        let columns = ProjectionMask::columns(builder.parquet_schema(), ["txn", "metaData", "protocol"]);
        let mut lines = Vec::new();
        for batch in builder.with_projection(columns).build().map_err(|error| failed(&error))? {
            let batch = batch.map_err(|error| failed(&error))?;
            lines.extend(lines_of(&batch).map_err(|error| failed(&error))?);
        }
        Ok(lines)
    }

    pub(super) fn failed(&self, doing: &'static str, reason: &str) -> LakeError {
        LakeError::Store { lake: self.lake.clone(), doing, reason: one_line(reason) }
    }

    pub(super) fn broken(&self, version: u64, reason: &str) -> LakeError {
        LakeError::Log { lake: self.lake.clone(), version, reason: one_line(reason) }
    }
}

const GONE: &str = "the commit is gone";

/// A library's error text on one line.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows of a checkpoint that say something, as lines of a commit.
fn lines_of(batch: &RecordBatch) -> Result<Vec<Line>, Box<dyn std::error::Error + Send + Sync>> {
    let mut any = BooleanArray::from(vec![false; batch.num_rows()]);
    for column in batch.columns() {
        any = or(&any, &arrow::compute::is_not_null(column.as_ref())?)?;
    }
    let batch = filter_record_batch(batch, &any)?;
    let mut json = arrow::json::LineDelimitedWriter::new(Vec::new());
    json.write(&batch)?;
    json.finish()?;
    Ok(read(&json.into_inner())?)
}

/// Finds the newest complete checkpoint and the newest commit among the names of `_delta_log`.
fn listing(names: &[String]) -> Listing {
    let mut parts = std::collections::BTreeMap::<(u64, Option<u64>), Vec<String>>::new();
    let mut newest = None;
    for name in names {
        let Some((version, rest)) = name.split_once('.') else { continue };
        let Some(version) = version.parse::<u64>().ok().filter(|_| version.len() == 20) else { continue };
        match rest.split('.').collect::<Vec<_>>().as_slice() {
            ["json"] => newest = newest.max(Some(version)),
            ["checkpoint", "parquet"] => parts.entry((version, None)).or_default().push(name.clone()),
            ["checkpoint", _, of, "parquet"] => {
                if let Ok(of) = of.parse() {
                    parts.entry((version, Some(of))).or_default().push(name.clone());
                }
            }
            _ => {}
        }
    }
    let complete = parts.into_iter().rev().find(|((_, of), files)| of.unwrap_or(1) == files.len() as u64);
    let checkpoint = complete.map(|((version, _), files)| (version, files));
    let floor = checkpoint.as_ref().map(|(version, _)| *version);
    Listing { newest: newest.filter(|version| floor.is_none_or(|floor| *version >= floor)), checkpoint }
}

#[cfg(test)]
mod tests {
    use super::{Listing, listing};

    fn check(names: &[&str], checkpoint: Option<(u64, usize)>, newest: Option<u64>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let Listing { checkpoint: found, newest: last } = listing(&names);
        assert_eq!((found.map(|(version, files)| (version, files.len())), last), (checkpoint, newest), "{names:?}");
    }

    #[test]
    fn the_newest_complete_checkpoint_counts() {
        check(&[], None, None);
        check(&["_last_checkpoint", "00000000000000000000.json", "00000000000000000000.json#1"], None, Some(0));
        check(&["00000000000000000001.json", "00000000000000000001.checkpoint.parquet"], Some((1, 1)), Some(1));
        check(&["00000000000000000002.checkpoint.parquet", "00000000000000000001.json"], Some((2, 1)), None);
        let two = "00000000000000000007.checkpoint.0000000001.0000000002.parquet";
        check(&["00000000000000000003.checkpoint.parquet", two, "00000000000000000007.json"], Some((3, 1)), Some(7));
        let second = "00000000000000000007.checkpoint.0000000002.0000000002.parquet";
        check(&[two, second, "00000000000000000007.json"], Some((7, 2)), Some(7));
    }
}
