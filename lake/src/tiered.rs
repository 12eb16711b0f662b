//! Several tables of one schema as one. In: providers of their parts. Out: a table that scans them all; whatever one part does not promise, it
//! does not either.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::union::UnionExec;
use deltalake_core::DeltaTable;
use deltalake_core::delta_datafusion::{DeltaScanConfig, DeltaScanNext, FileSelection};

/// A scan of the files of a loaded table, all of them or those that are named. It has no way to write.
///
/// # Errors
/// When the table is not loaded, or needs what the library cannot read.
pub fn scan(table: &DeltaTable, session: &dyn Session, files: Option<Vec<String>>) -> Result<Arc<dyn TableProvider>> {
    table.update_datafusion_session(session)?;
    let eager = table.snapshot()?.snapshot().clone();
    let config = DeltaScanConfig::new_from_session(session).with_wrap_partition_values(false);
    // Built without a log store on purpose: such a provider cannot write.
    let scan = DeltaScanNext::new(Arc::new(eager), config)?;
    Ok(match files {
        Some(files) => Arc::new(scan.with_file_selection(FileSelection::from_file_paths(files))),
        None => Arc::new(scan),
    })
}

/// See the module.
#[derive(Debug)]
pub struct Tiered {
    schema: SchemaRef,
    parts: Vec<Arc<dyn TableProvider>>,
}

impl Tiered {
    /// # Errors
    /// When there is no part, or one has other columns.
    pub fn new(parts: Vec<Arc<dyn TableProvider>>) -> Result<Self> {
        let Some(first) = parts.first() else { return plan_err!("a table of no parts") };
        let schema = first.schema();
        if let Some(other) = parts.iter().find(|part| part.schema().fields() != schema.fields()) {
            return plan_err!("the tiers' tables differ: {:?} and {:?}", schema.fields(), other.schema().fields());
        }
        Ok(Self { schema, parts })
    }
}

#[async_trait]
impl TableProvider for Tiered {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        columns: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut scans = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            scans.push(part.scan(session, columns, filters, limit).await?);
        }
        UnionExec::try_new(scans)
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let mut weakest = vec![TableProviderFilterPushDown::Exact; filters.len()];
        for part in &self.parts {
            for (known, promised) in weakest.iter_mut().zip(part.supports_filters_pushdown(filters)?) {
                *known = weaker(known, promised);
            }
        }
        Ok(weakest)
    }
}

fn weaker(one: &TableProviderFilterPushDown, other: TableProviderFilterPushDown) -> TableProviderFilterPushDown {
    use TableProviderFilterPushDown::{Exact, Inexact, Unsupported};
    match (one, other) {
        (Unsupported, _) | (_, Unsupported) => Unsupported,
        (Inexact, _) | (_, Inexact) => Inexact,
        (Exact, Exact) => Exact,
    }
}
