//! What clients look up before they show anything: `pg_catalog`, and the functions that go with it.
//!
//! In come snapshots of the lake, out come planning states in which `pg_catalog` describes its tables, and statements in the words that the query
//! engine understands. Object numbers stay the same from one version of the lake to the next. Holds names and types only, never a row.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, SchemaProvider,
};
use datafusion::common::DataFusionError;
use datafusion::datasource::TableType;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion_pg_catalog::pg_catalog::catalog_info::CatalogInfo;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::{PgCatalogSchemaProvider, PgCatalogStaticTables};
use datafusion_pg_catalog::setup_pg_catalog;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;

use super::{functions, recognised};
use crate::catalog::Snapshot;
use crate::error::QueryError;

/// The one database that clients see; every name connects to it.
pub const DATABASE: &str = "spendstream";
/// The schema of the lake's tables.
pub const SCHEMA: &str = "public";
const PG_CATALOG: &str = "pg_catalog";

/// See the module. One per server.
pub struct PgCatalog {
    base: SessionState,
    tables: Arc<dyn SchemaProvider>,
    newest: Newest,
    rules: PostgresCompatibilityParser,
}

impl fmt::Debug for PgCatalog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PgCatalog").finish_non_exhaustive()
    }
}

impl PgCatalog {
    /// `base` has the functions, options and memory pool of every query.
    ///
    /// # Errors
    /// When the tables that come with it cannot be read.
    pub fn new(base: &SessionState) -> Result<Self, QueryError> {
        let engine = |error: DataFusionError| QueryError::from_engine(&error, 0);
        let list = MemoryCatalogProviderList::new();
        list.register_catalog(DATABASE.to_owned(), Arc::new(MemoryCatalogProvider::new()));
        let mut config = base.config().clone();
        DATABASE.clone_into(&mut config.options_mut().catalog.default_catalog);
        SCHEMA.clone_into(&mut config.options_mut().catalog.default_schema);
        let builder = SessionStateBuilder::new_from_existing(base.clone()).with_config(config);
        let context = SessionContext::new_with_state(builder.with_catalog_list(Arc::new(list)).build());
        setup_pg_catalog(&context, DATABASE, EmptyContextProvider).map_err(|error| engine(*error))?;
        for function in functions::all() {
            context.register_udf(function);
        }
        let fixed = Arc::new(PgCatalogStaticTables::try_new().map_err(engine)?);
        let newest = Newest::default();
        let tables = PgCatalogSchemaProvider::try_new(newest.clone(), fixed, EmptyContextProvider).map_err(engine)?;
        Ok(Self { base: context.state(), tables: Arc::new(tables), newest, rules: PostgresCompatibilityParser::new() })
    }

    /// The snapshot's tables under the names that these clients use, with `pg_catalog` beside them.
    ///
    /// # Errors
    /// When the snapshot has no schema, which only a fault of ours can do.
    pub fn state(&self, snapshot: &Snapshot) -> Result<SessionState, QueryError> {
        let engine = |error: DataFusionError| QueryError::from_engine(&error, 0);
        let names = &snapshot.state.config_options().catalog;
        let lake = snapshot.state.catalog_list().catalog(&names.default_catalog);
        let lake = lake.and_then(|catalog| catalog.schema(&names.default_schema));
        let lake = lake.ok_or_else(|| QueryError::Internal("the snapshot has no tables".into()))?;
        self.newest.set(Arc::clone(&lake));
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, lake).map_err(engine)?;
        catalog.register_schema(PG_CATALOG, Arc::clone(&self.tables)).map_err(engine)?;
        let list = MemoryCatalogProviderList::new();
        list.register_catalog(DATABASE.to_owned(), Arc::new(catalog));
        Ok(SessionStateBuilder::new_from_existing(self.base.clone()).with_catalog_list(Arc::new(list)).build())
    }

    /// The statement in words that the query engine plans. Only one that names something of `pg_catalog` is put in other words.
    #[must_use]
    pub fn understood(&self, statement: Statement, sql: &str) -> Statement {
        match statement {
            Statement::Statement(inner) if recognised::is_lookup(sql) => {
                Statement::Statement(Box::new(self.rules.rewrite(*inner)))
            }
            other => other,
        }
    }
}

/// The tables that `pg_catalog` describes: those of the newest snapshot that was asked for.
#[derive(Clone, Debug, Default)]
struct Newest(Arc<RwLock<Option<Arc<dyn SchemaProvider>>>>);

impl Newest {
    fn set(&self, schema: Arc<dyn SchemaProvider>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(schema);
    }

    fn get(&self, catalog: &str, schema: &str) -> Option<Arc<dyn SchemaProvider>> {
        let is_ours = catalog == DATABASE && schema == SCHEMA;
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone().filter(|_| is_ours)
    }
}

#[async_trait]
impl CatalogInfo for Newest {
    async fn catalog_names(&self) -> Result<Vec<String>, DataFusionError> {
        Ok(vec![DATABASE.to_owned()])
    }

    async fn schema_names(&self, catalog: &str) -> Result<Option<Vec<String>>, DataFusionError> {
        let names = ["information_schema", PG_CATALOG, SCHEMA].map(str::to_owned).to_vec();
        Ok((catalog == DATABASE).then_some(names))
    }

    async fn table_names(&self, catalog: &str, schema: &str) -> Result<Option<Vec<String>>, DataFusionError> {
        // In one order, so that each gets the same number after a restart.
        let sorted = |mut names: Vec<String>| {
            names.sort_unstable();
            names
        };
        Ok(self.get(catalog, schema).map(|schema| sorted(schema.table_names())))
    }

    async fn table_schema(
        &self,
        catalog: &str,
        schema: &str,
        table: &str,
    ) -> Result<Option<SchemaRef>, DataFusionError> {
        let Some(schema) = self.get(catalog, schema) else { return Ok(None) };
        Ok(schema.table(table).await?.map(|table| shown(&table.schema())))
    }

    async fn table_type(&self, catalog: &str, schema: &str, table: &str) -> Result<Option<TableType>, DataFusionError> {
        match self.get(catalog, schema) {
            Some(schema) => schema.table_type(table).await,
            None => Ok(None),
        }
    }
}

/// Maps and lists are handed out as JSON, which is text to whoever looks up its type.
fn shown(schema: &SchemaRef) -> SchemaRef {
    let shown = |field: &Arc<Field>| {
        if field.data_type().is_nested() {
            Field::new(field.name(), DataType::Utf8, field.is_nullable())
        } else {
            field.as_ref().clone()
        }
    };
    Arc::new(Schema::new(schema.fields().iter().map(shown).collect::<Vec<_>>()))
}
