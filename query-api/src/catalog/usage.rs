//! The table `usage` over the tables of all tiers, and how sums of its rows are at hand. In: the tables at one version. Out: a table that has each
//! event once; beside it, what `sql::rollup` puts in its place where sums will do.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use spendstream_lake::files::{FileInfo, TableFiles};
use spendstream_lake::tiered::{Tiered, scan};
use spendstream_lake::visible::{split, visible};
use spendstream_schemas::table::rollup::{DIMENSIONS, table_schema};

use super::checked::Checked;
use super::tables::Read;

/// See the module.
#[derive(Debug)]
pub struct Usage {
    rows: Arc<dyn TableProvider>,
    by_rollup: Option<ByRollup>,
}

/// The same events, as sums of sealed rows and the rows of the others.
#[derive(Debug)]
pub struct ByRollup {
    pub sums: Arc<dyn TableProvider>,
    /// `None` when there are sums of all.
    pub rows: Option<Arc<dyn TableProvider>>,
    pub sum_files: usize,
    pub row_files: usize,
    /// The first day of any row, as its folder is named.
    pub oldest: String,
}

impl Usage {
    /// # Errors
    /// When a table needs what the library cannot read, or one has other columns.
    pub fn new(tiers: &[Read<'_>], rollup: Option<&Read<'_>>, session: &dyn Session) -> Result<Self> {
        let files: Vec<&TableFiles> = tiers.iter().filter_map(|tier| tier.files.as_deref()).collect();
        if files.len() < tiers.len() {
            // Nothing is told apart: all files count.
            let parts = tiers.iter().map(|tier| part(tier, None, session)).collect::<Result<_>>()?;
            return Ok(Self { rows: union(parts)?, by_rollup: None });
        }
        let counted = visible(&files);
        let mut parts = Vec::with_capacity(tiers.len());
        for ((tier, all), counted) in tiers.iter().zip(&files).zip(&counted) {
            let paths = |files: &[&FileInfo]| files.iter().map(|file| file.path.clone()).collect();
            let named = (counted.len() < all.files.len()).then(|| paths(counted));
            parts.push(part(tier, named, session)?);
        }
        let rows = union(parts)?;
        let by_rollup = match rollup {
            Some(rollup) => ByRollup::new(tiers, &counted, rollup, session)?.filter(|sums| sums.fits(&rows.schema())),
            None => None,
        };
        Ok(Self { rows, by_rollup })
    }

    /// Sums, where there are any.
    #[must_use]
    pub fn by_rollup(&self) -> Option<&ByRollup> {
        self.by_rollup.as_ref()
    }
}

impl ByRollup {
    fn new(
        tiers: &[Read<'_>],
        counted: &[Vec<&FileInfo>],
        rollup: &Read<'_>,
        session: &dyn Session,
    ) -> Result<Option<Self>> {
        let Some(files) = &rollup.files else { return Ok(None) };
        let split = split(counted, &files.files);
        if split.sums.is_empty() {
            return Ok(None);
        }
        let sum_files = split.sums.len();
        let row_files = split.rows.iter().map(Vec::len).sum();
        let mut parts = Vec::new();
        for (tier, paths) in tiers.iter().zip(split.rows) {
            if !paths.is_empty() {
                parts.push(part(tier, Some(paths), session)?);
            }
        }
        let rows = if parts.is_empty() { None } else { Some(union(parts)?) };
        let sums = part(rollup, Some(split.sums), session)?;
        let oldest = counted.iter().flatten().map(|file| file.date.clone()).min().unwrap_or_default();
        Ok(Some(Self { sums, rows, sum_files, row_files, oldest }))
    }

    /// Whether the rollup has the columns that this version knows, and dimensions like those of the rows.
    fn fits(&self, rows: &SchemaRef) -> bool {
        let sums = self.sums.schema();
        let is_there = table_schema().fields().iter().all(|field| sums.column_with_name(field.name()).is_some());
        let same = |name: &&str| field(&sums, name) == field(rows, name);
        let fits = is_there && DIMENSIONS.iter().chain(&["cache_hit", "date"]).all(same);
        if !fits {
            tracing::warn!("the columns of the rollup are not those of usage; queries read rows");
        }
        fits
    }
}

fn field(schema: &Schema, name: &str) -> Option<(arrow::datatypes::DataType, bool)> {
    schema.field_with_name(name).ok().map(|field| (field.data_type().clone(), field.is_nullable()))
}

/// All files of a table, or those that are named.
fn part(read: &Read<'_>, files: Option<Vec<String>>, session: &dyn Session) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(Checked(scan(read.table, session, files)?)))
}

fn union(mut parts: Vec<Arc<dyn TableProvider>>) -> Result<Arc<dyn TableProvider>> {
    match parts.len() {
        1 => parts.pop().ok_or_else(|| DataFusionError::Internal("a part was there".to_owned())),
        _ => Ok(Arc::new(Tiered::new(parts)?)),
    }
}

#[async_trait]
impl TableProvider for Usage {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
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
        self.rows.scan(session, columns, filters, limit).await
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.rows.supports_filters_pushdown(filters)
    }
}
