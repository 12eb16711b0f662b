//! Commits that write rows anew. In: a table, and a [`Change`] that was planned on it. Out: a version that has it, or why there is none.
//!
//! Who rewrites holds a number, the epoch, which stands in every table; whoever takes over writes a larger one. A change is tried only on a
//! version where the epoch is still its own, every file that it removes is there, and every number that it requires is as it was: Delta's
//! own conflict check lets two rewrites of the same files through. A change that finds another epoch ends for good.

use std::collections::BTreeMap;
use std::time::Duration;

use deltalake_core::DeltaTable;
use deltalake_core::kernel::transaction::TransactionError;
use deltalake_core::kernel::{Add, Remove};
use deltalake_core::logstore::CommitOrBytes;
use spendstream_lake::tags::MAINTENANCE_APP;
use spendstream_schemas::config::LakeConfig;
use spendstream_storage::Lake;
use thiserror::Error;
use uuid::Uuid;

use super::actions::{self, FileLine, MetaData, Note, RewriteBody, Txn};
use super::error::LakeError;
use super::log::{Log, one_line};
use super::retry::Backoff;
use super::state::{TableState, is_commit};
use super::table::{self, Kind};

/// How often a write whose outcome nobody knows is tried before the change is given up; the next round finds out.
const ATTEMPTS: u32 = 4;

/// Why a change is not in the table, or not known to be.
#[derive(Debug, Error)]
pub enum RewriteError {
    /// Somebody else maintains the lake now: nothing of the change is in the table.
    #[error(
        "{place} is maintained by another process since epoch {found} (this one had {own}): nothing more is rewritten here"
    )]
    Fenced { place: String, own: i64, found: i64 },
    /// The plan is out of date: nothing of the change is in the table.
    #[error("{place} changed under the plan: {what}; the next round plans anew")]
    Changed { place: String, what: String },
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// What one rewriting commit says.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub operation: &'static str,
    /// For people who read the log: what was done to which day.
    pub parameters: BTreeMap<String, String>,
    pub adds: Vec<Add>,
    /// Paths of files that must be there.
    pub removes: Vec<String>,
    /// Whether the rows differ from those that are removed.
    pub changes_rows: bool,
    /// Numbers that it sets.
    pub sets: Vec<(String, i64)>,
    /// Numbers that must be so, 0 where there is none yet.
    pub requires: Vec<(String, i64)>,
    pub meta: Option<MetaData>,
}

/// One table, as known; see the module.
pub struct Rewriter {
    pub place: Lake,
    pub kind: Kind,
    pub log: Log,
    pub state: TableState,
    /// Active files by path.
    pub files: BTreeMap<String, Add>,
    epoch: i64,
    backoff: Backoff,
}

impl Rewriter {
    /// Opens the table, and makes it if there is none.
    ///
    /// # Errors
    /// When the store fails, or the table is not ours.
    pub async fn open(place: &Lake, kind: Kind, config: &LakeConfig) -> Result<Self, LakeError> {
        table::ensure(place, kind, config).await?;
        let mut this = Self::new(place, kind);
        this.load().await?;
        Ok(this)
    }

    /// The table as it is, to look at; one that is not there is empty, and stays away.
    ///
    /// # Errors
    /// When the store fails, or the table is not ours.
    pub async fn look(place: &Lake, kind: Kind, config: &LakeConfig) -> Result<Self, LakeError> {
        let mut this = Self::new(place, kind);
        this.follow().await?;
        if this.is_there() {
            table::admit(&this.state, place, kind, &config.currency)?;
        }
        Ok(this)
    }

    fn new(place: &Lake, kind: Kind) -> Self {
        Self {
            place: place.clone(),
            kind,
            log: Log::of(place, kind.name()),
            state: TableState::default(),
            files: BTreeMap::new(),
            epoch: 0,
            backoff: Backoff { first: Duration::from_millis(20), longest: Duration::from_secs(2) },
        }
    }

    /// Whether there is a table.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.state.meta.is_some()
    }

    /// Loads state and files of the newest version anew.
    ///
    /// # Errors
    /// When the log cannot be read.
    async fn load(&mut self) -> Result<(), LakeError> {
        let missing = || LakeError::Missing { lake: self.place.to_string() };
        self.state = self.log.load().await?.ok_or_else(missing)?;
        let mut table = DeltaTable::new(self.log.store.clone());
        let failed = |error: deltalake_core::DeltaTableError| self.log.failed("reading its files", &error.to_string());
        table.load_version(self.state.version).await.map_err(failed)?;
        let views = table.snapshot().map_err(failed)?.log_data();
        #[expect(deprecated, reason = "the view has no other way to a file's tags")]
        let adds = views.into_iter().map(|view| view.add_action());
        self.files = adds.map(|add| (add.path.clone(), add)).collect();
        Ok(())
    }

    /// Where it lies, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.place, self.kind.name())
    }

    /// The epoch that the table knows.
    #[must_use]
    pub fn known_epoch(&self) -> i64 {
        self.state.app(MAINTENANCE_APP)
    }

    /// Takes the table over: from now on only changes of this epoch get in.
    ///
    /// # Errors
    /// [`RewriteError::Fenced`] when somebody has this epoch or a later one.
    pub async fn take(&mut self, epoch: i64) -> Result<(), RewriteError> {
        let change =
            Change { operation: "MAINTENANCE", sets: vec![(MAINTENANCE_APP.to_owned(), epoch)], ..Change::default() };
        let admits = |this: &Self| match this.known_epoch() {
            known if known >= epoch => Err(this.fenced(epoch)),
            _ => Ok(()),
        };
        self.commit_if(&change, admits).await?;
        self.epoch = epoch;
        Ok(())
    }

    /// Commits a change that was planned under this epoch.
    ///
    /// # Errors
    /// See [`RewriteError`]; after an error of the store the change may or may not be in the table.
    pub async fn commit(&mut self, mut change: Change) -> Result<u64, RewriteError> {
        change.sets.push((MAINTENANCE_APP.to_owned(), self.epoch));
        let (removes, requires, epoch) = (change.removes.clone(), change.requires.clone(), self.epoch);
        let admits = |this: &Self| {
            if this.known_epoch() != epoch {
                return Err(this.fenced(epoch));
            }
            let changed = |what: String| RewriteError::Changed { place: this.name(), what };
            if let Some(gone) = removes.iter().find(|path| !this.files.contains_key(*path)) {
                return Err(changed(format!("{gone} is no longer part of it")));
            }
            match requires.iter().find(|(app, number)| this.state.app(app) != *number) {
                Some((app, number)) => Err(changed(format!("{app} is {} instead of {number}", this.state.app(app)))),
                None => Ok(()),
            }
        };
        self.commit_if(&change, admits).await
    }

    fn fenced(&self, own: i64) -> RewriteError {
        RewriteError::Fenced { place: self.name(), own, found: self.known_epoch() }
    }

    async fn commit_if(
        &mut self,
        change: &Change,
        admits: impl Fn(&Self) -> Result<(), RewriteError>,
    ) -> Result<u64, RewriteError> {
        let id = Uuid::new_v4();
        self.follow().await?;
        let mut failures = 0;
        loop {
            admits(self)?;
            let version = self.state.version + 1;
            let bytes =
                self.body(change, id).to_bytes().map_err(|error| self.log.broken(version, &error.to_string()))?;
            let write = CommitOrBytes::LogBytes(bytes.into());
            let why = match self.log.store.write_commit_entry(version, write, id).await {
                Ok(()) => None,
                Err(TransactionError::VersionAlreadyExists(_)) => Some("somebody else has the version".to_owned()),
                Err(error) => Some(one_line(&error.to_string())),
            };
            // Whatever was said: the version itself says whose it is.
            match (self.log.bytes(version).await?, why) {
                (Some(bytes), _) => {
                    if self.take_in(version, &bytes, id)? {
                        return Ok(version);
                    }
                }
                (None, why) => {
                    failures += 1;
                    if failures >= ATTEMPTS {
                        let why = why.unwrap_or_else(|| "the store took it and does not have it".to_owned());
                        return Err(self.log.failed("committing what was rewritten", &why).into());
                    }
                    tokio::time::sleep(self.backoff.pause(failures)).await;
                }
            }
        }
    }

    /// Takes over the commits since the version that is known.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn follow(&mut self) -> Result<(), LakeError> {
        if !self.is_there() {
            return match self.load().await {
                Err(LakeError::Missing { .. }) => Ok(()),
                loaded => loaded,
            };
        }
        if !self.log.exists(self.state.version).await? {
            // Cleaned up under a sleeper: "no next version" would mean nothing.
            return self.load().await;
        }
        while let Some(bytes) = self.log.bytes(self.state.version + 1).await? {
            self.take_in(self.state.version + 1, &bytes, Uuid::nil())?;
        }
        Ok(())
    }

    /// Takes over a version; true when it is the commit of that id.
    fn take_in(&mut self, version: u64, bytes: &[u8], id: Uuid) -> Result<bool, LakeError> {
        let broken = |error: serde_json::Error| self.log.broken(version, &error.to_string());
        let (lines, files) = (actions::read(bytes).map_err(broken)?, actions::read_files(bytes).map_err(broken)?);
        let is_own = is_commit(&lines, id);
        for line in lines {
            self.state.apply(line);
        }
        for line in files {
            self.apply(line);
        }
        self.state.version = version;
        Ok(is_own)
    }

    fn apply(&mut self, line: FileLine) {
        if let Some(remove) = line.remove {
            self.files.remove(&remove.path);
        }
        if let Some(add) = line.add {
            self.files.insert(add.path.clone(), add);
        }
    }

    fn body(&self, change: &Change, id: Uuid) -> RewriteBody {
        let now_ms = table::now_ms();
        let added: std::collections::BTreeSet<&str> = change.adds.iter().map(|add| add.path.as_str()).collect();
        let remove = |path: &String| {
            let add = self.files.get(path)?;
            // A file that is added again in the same commit is replaced by that, not removed.
            (!added.contains(path.as_str())).then(|| Remove {
                path: path.clone(),
                data_change: change.changes_rows,
                deletion_timestamp: Some(now_ms),
                extended_file_metadata: Some(true),
                partition_values: Some(add.partition_values.clone()),
                size: Some(add.size),
                ..Remove::default()
            })
        };
        let adds = change.adds.iter().map(|add| Add { data_change: change.changes_rows, ..add.clone() });
        let txn =
            |(app, number): &(String, i64)| Txn { app_id: app.clone(), version: *number, last_updated: Some(now_ms) };
        RewriteBody {
            operation: change.operation,
            parameters: change.parameters.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect(),
            txns: change.sets.iter().map(txn).collect(),
            meta: change.meta.clone(),
            removes: change.removes.iter().filter_map(remove).collect(),
            adds: adds.collect(),
            note: Note { commit: id.to_string(), progress: self.state.progress() },
            now_ms,
        }
    }
}
