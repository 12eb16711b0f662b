//! The lake's tables as the query engine sees them: in come the Delta logs, out comes a [`Snapshot`] of the newest versions.
//!
//! Every query asks for the newest version; only commits since the last query are read. What was built for a version is
//! kept until there is a newer one. Never loads rows and never writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use chrono_tz::Tz;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::datasource::{MemTable, TableProvider, ViewTable};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionContext;
use deltalake_core::DeltaTable;
use spendstream_lake::files::{FileInfo, TableFiles};
use spendstream_lake::tiered::scan;
use spendstream_lake::visible::visible;
use spendstream_schemas::config::LakeConfig;
use spendstream_schemas::lake_path;
use spendstream_schemas::table::{charges, decisions, rollup};
use spendstream_storage::Lake;

use super::checked::Checked;
use super::control::Tables as Beside;
use super::known::{Identity, Known};
use super::statements;
use super::tables::{Tables, failed};
use super::usage::Usage;
use super::views::views;
use crate::error::QueryError;

/// The lake at one version, ready to plan on.
#[derive(Clone)]
pub struct Snapshot {
    /// The version of the Delta table `usage`.
    pub version: u64,
    /// The version of the Delta table `charges`, when there is one.
    pub charges: Option<u64>,
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
    /// Bytes of all files that count.
    pub bytes: u64,
    /// The same by place: the lake's own, and each tier that has a table of its own.
    pub tiers: Vec<TierStatus>,
}

/// What lies in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TierStatus {
    pub name: String,
    pub files: u64,
    pub rows: Option<u64>,
    pub bytes: u64,
}

impl TierStatus {
    fn of(name: &str, files: &[&FileInfo]) -> Self {
        let rows = |rows: Option<u64>, file: &&FileInfo| rows.zip(file.rows).map(|(sum, rows)| sum + rows);
        Self {
            name: name.to_owned(),
            files: files.len() as u64,
            rows: files.iter().fold(Some(0), rows),
            bytes: files.iter().map(|file| file.bytes).sum(),
        }
    }
}

/// Keeps the newest known version of the lake.
pub struct Catalog {
    uri: String,
    lake: Lake,
    base: SessionState,
    newest: tokio::sync::Mutex<Newest>,
    built: AtomicU64,
    beside: Beside,
    /// Months are counted in it.
    timezone: Tz,
}

struct Newest {
    usage: Tables,
    /// Empty until there is one.
    decisions: Known,
    /// Empty until there is one.
    charges: Known,
    snapshot: Option<Built>,
}

/// What was built, and on which versions.
struct Built {
    snapshot: Snapshot,
    on: Vec<Option<Identity>>,
}

impl Catalog {
    /// `base` has the functions, options and memory pool.
    pub fn new(lake: &Lake, config: &LakeConfig, base: SessionState) -> Self {
        let decisions = Known::new(lake.log_store(lake_path::DECISIONS_TABLE));
        let charges = Known::new(lake.log_store(lake_path::CHARGES_TABLE));
        let usage = Tables::new(lake.clone(), config.clone());
        Self {
            uri: config.uri.clone(),
            lake: lake.clone(),
            base,
            newest: tokio::sync::Mutex::new(Newest { usage, decisions, charges, snapshot: None }),
            built: AtomicU64::new(0),
            beside: Vec::new(),
            timezone: Tz::UTC,
        }
    }

    /// Tables that are not of the lake, beside its own.
    #[must_use]
    pub fn with_tables(self, beside: Beside) -> Self {
        Self { beside, ..self }
    }

    /// Months are counted in a time zone instead of UTC.
    #[must_use]
    pub fn with_timezone(self, timezone: Tz) -> Self {
        Self { timezone, ..self }
    }

    /// The functions, options and memory pool that snapshots are built with.
    #[must_use]
    pub fn base(&self) -> &SessionState {
        &self.base
    }

    /// Where the lake is, as configured.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The newest version of the lake.
    ///
    /// # Errors
    /// [`QueryError::NoLake`] when there is no table, [`QueryError::Lake`] when a store fails, [`QueryError::Config`] when a part of the lake has no
    /// place here.
    pub async fn newest(&self) -> Result<Snapshot, QueryError> {
        let mut newest = self.newest.lock().await;
        let Newest { usage, decisions, charges, snapshot } = &mut *newest;
        // Before the calls: what a charge takes out of a closed month is then among them. They are money: without them there is no answer.
        Box::pin(charges.refresh()).await.map_err(|error| failed(&self.uri, &error))?;
        let (refreshed, ()) = tokio::join!(Box::pin(usage.refresh()), Box::pin(refresh_decisions(decisions)));
        refreshed?;
        let mut on = usage.identity();
        on.extend([decisions.identity(), charges.identity()]);
        match snapshot {
            Some(built) if built.on == on => Ok(built.snapshot.clone()),
            _ => {
                let built = Box::pin(self.build(usage, decisions.table(), charges.table())).await?;
                *snapshot = Some(Built { snapshot: built.clone(), on });
                Ok(built)
            }
        }
    }

    /// Size and age of the newest version.
    ///
    /// # Errors
    /// As [`Catalog::newest`].
    pub async fn status(&self) -> Result<LakeStatus, QueryError> {
        let mut newest = self.newest.lock().await;
        let usage = &mut newest.usage;
        Box::pin(usage.refresh()).await?;
        let state = usage.hot()?.snapshot().map_err(|error| failed(&self.uri, &error))?;
        let (version, committed_at) = (state.version(), state.version_timestamp(state.version()));
        let (tiers, _) = usage.read(true).await?;
        let files: Vec<&TableFiles> = tiers.iter().filter_map(|tier| tier.files.as_deref()).collect();
        let counted = visible(&files);
        let all: Vec<&FileInfo> = counted.iter().flatten().copied().collect();
        let TierStatus { files, rows, bytes, .. } = TierStatus::of("", &all);
        let tiers = tiers.iter().zip(&counted).map(|(tier, files)| TierStatus::of(tier.tier, files)).collect();
        Ok(LakeStatus { version, committed_at, files, rows, bytes, tiers })
    }

    /// A table beside `usage`, empty until there is one.
    fn table(&self, table: Option<&DeltaTable>, empty: SchemaRef) -> Result<Arc<dyn TableProvider>, QueryError> {
        let engine = |error| QueryError::from_engine(&error, 0);
        Ok(match table {
            Some(table) => Arc::new(Checked(scan(table, &self.base, None).map_err(engine)?)),
            None => Arc::new(MemTable::try_new(empty, vec![Vec::new()]).map_err(engine)?),
        })
    }

    async fn build(
        &self,
        usage: &mut Tables,
        decided: Option<&DeltaTable>,
        charged: Option<&DeltaTable>,
    ) -> Result<Snapshot, QueryError> {
        let engine = |error| QueryError::from_engine(&error, 0);
        let version = usage.hot()?.version().unwrap_or(0);
        let (tiers, sums) = usage.read(false).await?;
        let rows = Usage::new(&tiers, sums.as_ref(), &self.base).map_err(engine)?;
        let tables: [(&str, Arc<dyn TableProvider>); 5] = [
            (lake_path::USAGE_TABLE, Arc::new(rows)),
            (lake_path::ROLLUP_TABLE, self.table(sums.map(|sums| sums.table), rollup::table_schema())?),
            (lake_path::DECISIONS_TABLE, self.table(decided, decisions::table_schema())?),
            (lake_path::CHARGES_TABLE, self.table(charged, charges::table_schema())?),
            (statements::NAME, statements::table(&self.lake, &self.base).map_err(engine)?),
        ];
        let schema = Arc::new(MemorySchemaProvider::new());
        for (name, table) in tables {
            schema.register_table(name.to_owned(), table).map_err(engine)?;
        }
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
        for (name, sql) in views(self.timezone, charged.is_some()) {
            let plan = SessionContext::new_with_state(state.clone())
                .state()
                .create_logical_plan(&sql)
                .await
                .map_err(engine)?;
            schema.register_table(name.into(), Arc::new(ViewTable::new(plan, Some(sql)))).map_err(engine)?;
        }
        let number = self.built.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Snapshot { version, charges: charged.and_then(DeltaTable::version), number, state })
    }
}

/// The newest decisions; those that are known where the store fails, for they are no money: `usage` answers all the same.
async fn refresh_decisions(known: &mut Known) {
    if let Err(error) = known.refresh().await {
        tracing::warn!(%error, "the decisions could not be read on from the known version");
    }
}
