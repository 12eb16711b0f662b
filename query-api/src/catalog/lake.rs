//! The tables `usage` and `decisions` as the query engine sees them: in come the Delta logs, out comes a [`Snapshot`] of the newest versions.
//!
//! Every query asks for the newest version; only commits since the last query are read. What was built for a version is
//! kept until there is a newer one. Never loads rows and never writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::datasource::{MemTable, TableProvider, ViewTable};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionContext;
use deltalake_core::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::{DeltaTable, DeltaTableError};
use object_store::{ObjectMeta, ObjectStoreExt};
use spendstream_schemas::lake_path;
use spendstream_schemas::table::decisions;
use spendstream_storage::brief;

use super::checked::Checked;
use super::control::Tables;
use super::views::VIEWS;
use crate::error::QueryError;

/// The lake at one version, ready to plan on.
#[derive(Clone)]
pub struct Snapshot {
    /// The version of the Delta table `usage`.
    pub version: u64,
    /// Ascending: a table that was made anew may have the same version, but never the same number.
    pub number: u64,
    pub state: SessionState,
}

/// What `/v1/status` tells about the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeStatus {
    pub version: u64,
    /// Milliseconds since the epoch of the newest commit, when the log still has it.
    pub committed_at: Option<i64>,
    pub files: u64,
    /// Rows as the files' statistics count them; `None` when a file has none.
    pub rows: Option<u64>,
    /// Bytes of all active files.
    pub bytes: u64,
}

/// Whether the file that was there is still that file.
fn is_same(known: &ObjectMeta, found: Option<&ObjectMeta>) -> bool {
    found.is_some_and(|found| {
        (known.size, known.last_modified, &known.e_tag) == (found.size, found.last_modified, &found.e_tag)
    })
}

/// Keeps the newest known version of the lake.
pub struct Catalog {
    uri: String,
    log_store: LogStoreRef,
    base: SessionState,
    newest: tokio::sync::Mutex<Newest>,
    built: AtomicU64,
    /// Of the table `decisions`, which is empty until there is one.
    decisions: Option<LogStoreRef>,
    beside: Tables,
}

#[derive(Default)]
struct Newest {
    table: Option<DeltaTable>,
    /// The file of the table's version, as it was when that was loaded.
    commit: Option<ObjectMeta>,
    snapshot: Option<Snapshot>,
    decisions: Option<DeltaTable>,
    /// The version of `decisions` that the snapshot was built on.
    built_on: Option<u64>,
}

impl Catalog {
    /// `base` has the functions, options and memory pool; `uri` is for messages.
    pub fn new(uri: String, log_store: LogStoreRef, base: SessionState) -> Self {
        Self {
            uri,
            log_store,
            base,
            newest: tokio::sync::Mutex::default(),
            built: AtomicU64::new(0),
            decisions: None,
            beside: Vec::new(),
        }
    }

    /// The table of logged decisions, which may not be there yet.
    #[must_use]
    pub fn with_decisions(self, log_store: LogStoreRef) -> Self {
        Self { decisions: Some(log_store), ..self }
    }

    /// Tables that are not of the lake, beside its own.
    #[must_use]
    pub fn with_tables(self, beside: Tables) -> Self {
        Self { beside, ..self }
    }

    /// Where the lake is, as configured.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The newest version of the lake.
    ///
    /// # Errors
    /// [`QueryError::NoLake`] when there is no table, [`QueryError::Lake`] when the store fails.
    pub async fn newest(&self) -> Result<Snapshot, QueryError> {
        let mut newest = self.newest.lock().await;
        let known = newest.decisions.take();
        let (refreshed, decisions) = tokio::join!(self.refresh(&mut newest), self.refresh_decisions(known));
        newest.decisions = decisions;
        refreshed?;
        let table = newest.table.as_ref().ok_or_else(|| self.missing())?;
        let version = table.version().ok_or_else(|| self.missing())?;
        let beside = newest.decisions.as_ref().and_then(DeltaTable::version);
        match &newest.snapshot {
            Some(snapshot) if snapshot.version == version && newest.built_on == beside => Ok(snapshot.clone()),
            _ => {
                let snapshot = self.build((table, newest.decisions.as_ref()), version).await?;
                (newest.snapshot, newest.built_on) = (Some(snapshot.clone()), beside);
                Ok(snapshot)
            }
        }
    }

    /// The newest decisions; those that are known where the store fails, for they are no money: `usage` answers all the same.
    async fn refresh_decisions(&self, known: Option<DeltaTable>) -> Option<DeltaTable> {
        let log_store = self.decisions.as_ref()?;
        if let Some(mut table) = known {
            if let Err(error) = table.update_state().await {
                tracing::warn!(%error, "the decisions could not be read on from the known version");
            }
            return Some(table);
        }
        let mut table = DeltaTable::new(Arc::clone(log_store));
        let loaded = match table.verify_deltatable_existence().await {
            Ok(true) => table.load().await,
            Ok(false) | Err(DeltaTableError::NotATable(_)) => return None,
            Err(error) => Err(error),
        };
        if let Err(error) = loaded {
            tracing::warn!(%error, "the decisions could not be read; queries see none");
            return None;
        }
        Some(table)
    }

    /// Size and age of the newest version.
    ///
    /// # Errors
    /// As [`Catalog::newest`].
    pub async fn status(&self) -> Result<LakeStatus, QueryError> {
        let mut newest = self.newest.lock().await;
        self.refresh(&mut newest).await?;
        let table = newest.table.as_ref().ok_or_else(|| self.missing())?;
        let state = table.snapshot().map_err(|error| self.failed(&error))?;
        let mut status = LakeStatus {
            version: state.version(),
            committed_at: state.version_timestamp(state.version()),
            files: 0,
            rows: Some(0),
            bytes: 0,
        };
        for file in state.log_data() {
            status.files += 1;
            status.bytes += u64::try_from(file.size()).unwrap_or(0);
            status.rows = status.rows.zip(file.num_records()).map(|(sum, rows)| sum + rows as u64);
        }
        Ok(status)
    }

    /// Reads the commits since the last call; a table that was made anew is loaded anew.
    async fn refresh(&self, newest: &mut Newest) -> Result<(), QueryError> {
        if let (Some(table), Some(known)) = (newest.table.as_mut(), &newest.commit) {
            let version = table.version();
            // Without this look a folder that was removed, or filled anew, would look like a table without news.
            if is_same(known, self.commit(version).await?.as_ref()) {
                match table.update_state().await {
                    Ok(()) if table.version() == version => return Ok(()),
                    Ok(()) => {
                        newest.commit = self.commit(table.version()).await?;
                        return Ok(());
                    }
                    Err(error) => tracing::warn!(%error, "the lake could not be read on from the known version"),
                }
            }
            tracing::info!(uri = self.uri, "the known version of the lake is gone, loading it anew");
        }
        *newest = Newest { decisions: newest.decisions.take(), ..Newest::default() };
        let mut table = DeltaTable::new(Arc::clone(&self.log_store));
        match table.verify_deltatable_existence().await {
            Ok(true) => table.load().await.map_err(|error| self.failed(&error))?,
            Ok(false) => return Err(self.missing()),
            Err(error) => return Err(self.failed(&error)),
        }
        newest.commit = self.commit(table.version()).await?;
        newest.table = Some(table);
        Ok(())
    }

    /// The file of a version; `None` when it is not there (any more).
    async fn commit(&self, version: Option<u64>) -> Result<Option<ObjectMeta>, QueryError> {
        let Some(version) = version else { return Ok(None) };
        let path = format!("_delta_log/{version:020}.json").into();
        match self.log_store.object_store(None).head(&path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&error.into())),
        }
    }

    fn scan(&self, table: &DeltaTable) -> Result<Arc<dyn TableProvider>, QueryError> {
        table.update_datafusion_session(&self.base).map_err(|error| self.failed(&error))?;
        let eager = table.snapshot().map_err(|error| self.failed(&error))?.snapshot().clone();
        let scan = DeltaScanConfig::new_from_session(&self.base).with_wrap_partition_values(false);
        // Built without a log store on purpose: such a provider cannot write.
        let scan = DeltaScanNext::new(Arc::new(eager), scan).map_err(|error| QueryError::from_engine(&error, 0))?;
        Ok(Arc::new(Checked(Arc::new(scan))))
    }

    async fn build(
        &self,
        (table, decided): (&DeltaTable, Option<&DeltaTable>),
        version: u64,
    ) -> Result<Snapshot, QueryError> {
        let engine = |error| QueryError::from_engine(&error, 0);
        let schema = Arc::new(MemorySchemaProvider::new());
        schema.register_table(lake_path::USAGE_TABLE.into(), self.scan(table)?).map_err(engine)?;
        let decisions = match decided {
            Some(decided) => self.scan(decided)?,
            None => Arc::new(MemTable::try_new(decisions::table_schema(), vec![Vec::new()]).map_err(engine)?) as _,
        };
        schema.register_table(lake_path::DECISIONS_TABLE.into(), decisions).map_err(engine)?;
        for (name, table) in &self.beside {
            schema.register_table((*name).to_owned(), Arc::clone(table)).map_err(engine)?;
        }
        let catalog = MemoryCatalogProvider::new();
        let names = &self.base.config_options().catalog;
        catalog.register_schema(&names.default_schema, Arc::clone(&schema) as _).map_err(engine)?;
        let list = datafusion::catalog::MemoryCatalogProviderList::new();
        datafusion::catalog::CatalogProviderList::register_catalog(
            &list,
            names.default_catalog.clone(),
            Arc::new(catalog),
        );
        let state = SessionStateBuilder::new_from_existing(self.base.clone()).with_catalog_list(Arc::new(list)).build();
        for (name, sql) in VIEWS {
            let plan =
                SessionContext::new_with_state(state.clone()).state().create_logical_plan(sql).await.map_err(engine)?;
            schema.register_table(name.into(), Arc::new(ViewTable::new(plan, Some(sql.into())))).map_err(engine)?;
        }
        let number = self.built.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Snapshot { version, number, state })
    }

    fn missing(&self) -> QueryError {
        QueryError::NoLake { uri: self.uri.clone() }
    }

    fn failed(&self, error: &DeltaTableError) -> QueryError {
        match error {
            DeltaTableError::NotATable(_) => self.missing(),
            _ => QueryError::Lake { uri: self.uri.clone(), detail: brief(&error.to_string()) },
        }
    }
}
