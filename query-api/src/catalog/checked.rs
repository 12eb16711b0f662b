//! A table whose rows are looked at again. In: the Delta table. Out: the same, which never promises that a filter is already applied.
//!
//! deltalake 1.1 promises it for filters on partition columns, and for those that read no column, but only skips files by them: where it cannot
//! tell (`date IN ('2026-11-28', NULL)`) every row stays. Files are skipped all the same.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

/// See the module.
#[derive(Debug)]
pub struct Checked(pub Arc<dyn TableProvider>);

#[async_trait]
impl TableProvider for Checked {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        self.0.table_type()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        columns: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.0.scan(session, columns, filters, limit).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let checked = |promised| match promised {
            TableProviderFilterPushDown::Exact => TableProviderFilterPushDown::Inexact,
            other => other,
        };
        Ok(self.0.supports_filters_pushdown(filters)?.into_iter().map(checked).collect())
    }
}
