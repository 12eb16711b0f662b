//! The committer: files and offsets become one version of the table, or nothing does. In: a [`LakeCommit`]. Out: its version, or why
//! there is none. One conditional write per commit; no list of files is ever loaded.
//!
//! Every failure is an unknown outcome: the version that was tried is read until it says whose it is. Until then nothing else is
//! tried, so the same rows cannot get in twice. Files of a commit are never removed here and never encoded again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use deltalake_core::kernel::transaction::TransactionError;
use deltalake_core::logstore::CommitOrBytes;
use object_store::ObjectStore;
use spendstream_schemas::config::LakeConfig;
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::lake_path::USAGE_TABLE;
use spendstream_storage::Lake;
use uuid::Uuid;

use super::actions::{self, Line};
use super::checkpoint::{Checkpointer, Counters};
use super::error::{CommitError, LakeError};
use super::log::{Log, one_line};
use super::retry::{Backoff, Stop};
use super::state::{TableState, is_commit};
use super::table::{self, Kind};
use super::upload;
use crate::batch::{DataFile, LakeCommit, Tally};

/// A commit that is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub version: u64,
    pub files: usize,
    pub rows: u64,
    pub bytes: u64,
}

/// Whose a version is.
enum Outcome {
    Ours,
    Theirs(Vec<Line>),
    /// It does not exist, so far.
    Nobodys(String),
}

/// Writes versions of the table `usage`. One per process.
pub struct Committer {
    lake: Lake,
    log: Log,
    files: Arc<dyn ObjectStore>,
    currency: String,
    state: TableState,
    checkpointer: Checkpointer,
    checkpoint: Option<tokio::task::JoinHandle<()>>,
    counters: Arc<Counters>,
    backoff: Backoff,
    stop: Stop,
}

impl Committer {
    /// Opens the table, and makes it if there is none.
    ///
    /// # Errors
    /// When the store fails for long, or the table is not ours to write.
    pub async fn open(lake: &Lake, config: &LakeConfig) -> Result<Self, LakeError> {
        let state = table::ensure(lake, Kind::Usage, config).await?;
        let log = Log::new(lake);
        let counters = Arc::<Counters>::default();
        Ok(Self {
            lake: lake.clone(),
            files: lake.table_store(USAGE_TABLE),
            currency: config.currency.clone(),
            checkpointer: Checkpointer::new(Arc::clone(&log.store), config.checkpoint_every, Arc::clone(&counters)),
            checkpoint: None,
            log,
            state,
            counters,
            backoff: Backoff::default(),
            stop: Stop::never(),
        })
    }

    /// Gives up whatever it does when the flag becomes true.
    #[must_use]
    pub fn stopped_by(self, flag: tokio::sync::watch::Receiver<bool>) -> Self {
        Self { stop: Stop::new(flag), ..self }
    }

    /// Other pauses between attempts.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// The newest version that is known.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state.version
    }

    /// The next offset of each partition at the newest version; `None` for one that the table does not know.
    ///
    /// # Errors
    /// When stopped, or the table is no longer ours.
    pub async fn offsets(
        &mut self,
        partitions: &[SourcePartition],
    ) -> Result<HashMap<SourcePartition, Option<i64>>, CommitError> {
        self.refresh().await?;
        Ok(partitions.iter().map(|source| (source.clone(), self.state.offsets.get(source).copied())).collect())
    }

    /// Cumulative counts of a partition, as of the version that is known.
    #[must_use]
    pub fn tally(&self, partition: &SourcePartition) -> Tally {
        self.state.books.get(partition).map(|book| book.tally).unwrap_or_default()
    }

    /// Stores the files and writes the version. A lasting fault of the store is retried until the stop.
    ///
    /// # Errors
    /// [`CommitError::Fenced`]: nothing of it is in the table. [`CommitError::Cancelled`]: unknown. [`CommitError::Refused`]:
    /// the table is no longer ours, nothing is in it.
    pub async fn commit(&mut self, commit: LakeCommit) -> Result<Committed, CommitError> {
        self.refresh().await?;
        self.state.admits(&commit.progress)?;
        self.store(&commit.files).await?;
        let id = Uuid::new_v4();
        let version = loop {
            self.state.admits(&commit.progress)?;
            if let Some(version) = self.attempt(&commit, id).await? {
                break version;
            }
        };
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        if let Some(task) = self.checkpointer.after(version) {
            self.checkpoint = Some(task);
        }
        Ok(Committed {
            version,
            files: commit.files.len(),
            rows: commit.files.iter().map(|file| file.rows).sum(),
            bytes: commit.files.iter().map(|file| file.bytes.len() as u64).sum(),
        })
    }

    /// Waits for a checkpoint that is being written.
    pub async fn settle(&mut self) {
        if let Some(task) = self.checkpoint.take() {
            // A checkpoint that failed said so itself.
            let _ = task.await;
        }
    }

    /// Tries the next version. `None` when somebody else has it: the state is then the one after theirs.
    async fn attempt(&mut self, commit: &LakeCommit, id: Uuid) -> Result<Option<u64>, CommitError> {
        let version = self.state.version + 1;
        let broken = |reason: serde_json::Error| LakeError::Log {
            lake: self.lake.to_string(),
            version,
            reason: reason.to_string(),
        };
        let bytes: Bytes = self.state.next(commit, id, table::now_ms()).to_bytes().map_err(broken)?.into();
        // Understood here as everybody else will understand it, before it is written.
        let lines = actions::read(&bytes).map_err(broken)?;
        let mut failures = 0;
        loop {
            match self.write(version, bytes.clone(), id).await? {
                Outcome::Ours => {
                    self.advance(version, lines);
                    return Ok(Some(version));
                }
                Outcome::Theirs(theirs) => {
                    self.counters.conflicts.fetch_add(1, Ordering::Relaxed);
                    self.follow(version, theirs)?;
                    return Ok(None);
                }
                Outcome::Nobodys(why) => {
                    failures += 1;
                    self.pause(failures, &why).await?;
                }
            }
        }
    }

    /// Writes a version once, and finds out whose it is then.
    async fn write(&mut self, version: u64, bytes: Bytes, id: Uuid) -> Result<Outcome, CommitError> {
        let log = self.log.clone();
        let write = log.store.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), id);
        let mut why = "the store did not take the commit".to_owned();
        match self.stop.unless(write).await.ok_or(CommitError::Cancelled)? {
            Ok(()) => return Ok(Outcome::Ours),
            Err(TransactionError::VersionAlreadyExists(_)) => {}
            Err(error) => {
                let error = one_line(&error.to_string());
                tracing::warn!(version, error, "outcome of a commit unknown, reading it back");
                why = format!("{why}: {error}");
            }
        }
        // "Already exists" may be our own write, sent twice by the store's client.
        match self.read(version).await? {
            Some(lines) if is_commit(&lines, id) => {
                self.counters.recognised.fetch_add(1, Ordering::Relaxed);
                Ok(Outcome::Ours)
            }
            Some(lines) => Ok(Outcome::Theirs(lines)),
            None => Ok(Outcome::Nobodys(why)),
        }
    }

    /// Reads a version until the store says whether it is there.
    async fn read(&mut self, version: u64) -> Result<Option<Vec<Line>>, CommitError> {
        let mut failures = 0;
        loop {
            let log = self.log.clone();
            match self.stop.unless(log.commit(version)).await.ok_or(CommitError::Cancelled)? {
                Ok(lines) => return Ok(lines),
                Err(error @ LakeError::Store { .. }) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "trying again");
                    self.pause(failures, &one_line(&error.to_string())).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Follows the log to its newest version.
    async fn refresh(&mut self) -> Result<(), CommitError> {
        while let Some(lines) = self.read(self.state.version + 1).await? {
            self.follow(self.state.version + 1, lines)?;
        }
        // After a very long sleep the versions that follow may have been cleaned up: "no next version" then means nothing,
        // and writing it would put rows where nobody reads.
        let mut failures = 0;
        loop {
            let log = self.log.clone();
            let version = self.state.version;
            match self.stop.unless(log.exists(version)).await.ok_or(CommitError::Cancelled)? {
                Ok(true) => return Ok(()),
                Ok(false) => return self.reload().await,
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "trying again");
                    self.pause(failures, &one_line(&error.to_string())).await?;
                }
            }
        }
    }

    async fn reload(&mut self) -> Result<(), CommitError> {
        tracing::info!(version = self.state.version, "the known version of the lake is gone, loading it anew");
        let mut failures = 0;
        loop {
            let log = self.log.clone();
            let reason = match self.stop.unless(log.load()).await.ok_or(CommitError::Cancelled)? {
                Ok(Some(state)) => {
                    table::admit(&state, &self.lake, Kind::Usage, &self.currency)?;
                    let id = |state: &TableState| state.meta.as_ref().map(|meta| meta.id.clone());
                    if id(&state) != id(&self.state) {
                        return Err(self.foreign("it was replaced by another table while this program ran").into());
                    }
                    self.state = state;
                    return Ok(());
                }
                Ok(None) => return Err(LakeError::Missing { lake: self.lake.to_string() }.into()),
                Err(error @ LakeError::Store { .. }) => error,
                Err(error) => return Err(error.into()),
            };
            failures += 1;
            tracing::warn!(error = %reason, failures, "trying again");
            self.pause(failures, &one_line(&reason.to_string())).await?;
        }
    }

    /// Takes over somebody else's version, unless it changes what the table is.
    fn follow(&mut self, version: u64, lines: Vec<Line>) -> Result<(), CommitError> {
        let changed = lines.iter().any(|line| line.meta_data.is_some() || line.protocol.is_some());
        let before = changed.then(|| self.state.clone());
        self.advance(version, lines);
        if let Some(before) = before {
            let id = |state: &TableState| state.meta.as_ref().map(|meta| meta.id.clone());
            table::admit(&self.state, &self.lake, Kind::Usage, &self.currency)?;
            if id(&before) != id(&self.state) {
                return Err(self.foreign("it was replaced by another table while this program ran").into());
            }
        }
        Ok(())
    }

    fn advance(&mut self, version: u64, lines: Vec<Line>) {
        self.state.version = version;
        for line in lines {
            self.state.apply(line);
        }
    }

    /// Stores all files of a commit, each until it is stored.
    async fn store(&mut self, files: &[DataFile]) -> Result<(), CommitError> {
        let mut pending = files.to_vec();
        let mut failures = 0;
        while !pending.is_empty() {
            let puts = upload::put_all(Arc::clone(&self.files), pending);
            let failed = self.stop.unless(puts).await.ok_or(CommitError::Cancelled)?;
            if let Some((file, error)) = failed.first() {
                failures += 1;
                let error = one_line(&error.to_string());
                tracing::warn!(
                    path = file.path,
                    failed = failed.len(),
                    failures,
                    error,
                    "files not stored, trying again"
                );
                self.pause(failures, &error).await?;
            }
            pending = failed.into_iter().map(|(file, _)| file).collect();
        }
        Ok(())
    }

    async fn pause(&mut self, failures: u32, why: &str) -> Result<(), CommitError> {
        why.clone_into(&mut self.counters.last_failure.lock());
        self.counters.retries.fetch_add(1, Ordering::Relaxed);
        let pause = tokio::time::sleep(self.backoff.pause(failures));
        self.stop.unless(pause).await.ok_or(CommitError::Cancelled)
    }

    fn foreign(&self, reason: &str) -> LakeError {
        LakeError::Foreign { lake: self.lake.to_string(), reason: reason.to_owned() }
    }
}
