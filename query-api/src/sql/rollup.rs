//! Sums from sums. In: an aggregate over `usage`. Out: the same over the rollup of sealed rows and the rows of all others, where that gives the same answer
//! to the last digit; else the plan as it was.
//!
//! What may be asked for: groups and filters that cannot tell rows of a quarter-hour with equal dimensions apart ([`keys`]), and sums and counts that
//! add up ([`sums`]). What is read then is put together in [`source`]. Filters on `usage` must be in the plan before this rule looks at it.

mod keys;
mod source;
mod sums;

use std::sync::Arc;

use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, Filter, LogicalPlan, Projection, cast};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use self::keys::Keys;
use self::sums::Sum;
use crate::catalog::usage::Usage;

/// Parts that are put in the place of columns of one expression, and that all columns of a query within another have: names of names of names grow fast.
const MOST_PARTS: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub struct Rollup;

impl OptimizerRule for Rollup {
    fn name(&self) -> &'static str {
        "sums_from_rollup"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Aggregate(aggregate) = &plan else { return Ok(Transformed::no(plan)) };
        Ok(match from_sums(aggregate)? {
            Some(rewritten) => Transformed::yes(rewritten),
            None => Transformed::no(plan),
        })
    }
}

/// What lies below an aggregate, in terms of the columns of `usage`.
struct Below {
    usage: Arc<dyn datafusion::catalog::TableProvider>,
    filters: Vec<Expr>,
    /// What each column is, in their order.
    columns: Vec<Expr>,
}

/// Looks through what only names, computes and filters.
fn below(plan: &LogicalPlan) -> Result<Option<Below>> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let Ok(usage) = source_as_provider(&scan.source) else { return Ok(None) };
            let summed = usage.downcast_ref::<Usage>().is_some_and(|usage| usage.by_rollup().is_some());
            if !summed || scan.fetch.is_some() {
                return Ok(None);
            }
            let columns = scan.projected_schema.columns().into_iter().map(Expr::Column).collect();
            Ok(Some(Below { usage, filters: scan.filters.clone(), columns }))
        }
        LogicalPlan::SubqueryAlias(alias) => below(&alias.input),
        LogicalPlan::Filter(filter) => {
            let Some(mut found) = below(&filter.input)? else { return Ok(None) };
            let predicate = written_out(&filter.predicate, filter.input.schema(), &found.columns)?;
            found.filters.extend(predicate.iter().cloned());
            Ok(predicate.map(|_| found))
        }
        LogicalPlan::Projection(projection) => {
            let Some(mut found) = below(&projection.input)? else { return Ok(None) };
            let schema = projection.input.schema();
            let columns = all(projection.expr.iter().map(|expr| written_out(expr, schema, &found.columns)))?;
            let Some(columns) = columns else { return Ok(None) };
            found.columns = columns;
            Ok((parts(&found.columns)? <= MOST_PARTS).then_some(found))
        }
        _ => Ok(None),
    }
}

fn parts<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Result<usize> {
    let mut parts = 0;
    for expr in exprs {
        expr.apply(|_| {
            parts += 1;
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(parts)
}

/// An expression with what its columns are in their place, without names; `None` when it would be too large.
fn written_out(expr: &Expr, schema: &DFSchema, columns: &[Expr]) -> Result<Option<Expr>> {
    let mut put = 0;
    let written = expr.clone().transform_up(|part| {
        Ok(match part {
            Expr::Column(column) => {
                let known = schema.maybe_index_of_column(&column).and_then(|at| columns.get(at));
                put += known.map_or(Ok(0), |known| parts([known]))?;
                match known {
                    Some(_) if put > MOST_PARTS => {
                        Transformed::new(Expr::Column(column), false, TreeNodeRecursion::Stop)
                    }
                    Some(known) => Transformed::yes(known.clone()),
                    None => Transformed::no(Expr::Column(column)),
                }
            }
            Expr::Alias(alias) => Transformed::yes(*alias.expr),
            other => Transformed::no(other),
        })
    })?;
    Ok((put <= MOST_PARTS).then_some(written.data))
}

/// The aggregate over sums, where they give the same.
fn from_sums(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let Some(below) = below(&aggregate.input)? else { return Ok(None) };
    let Some(by_rollup) = below.usage.downcast_ref::<Usage>().and_then(Usage::by_rollup) else { return Ok(None) };
    let keys = Keys::of(by_rollup);
    let schema = aggregate.input.schema();
    let written = |expr: &Expr| written_out(expr, schema, &below.columns);
    let Some(filters) = all(below.filters.iter().map(|filter| keys.kept(filter)))? else { return Ok(None) };
    let Some(groups) = all(aggregate.group_expr.iter().map(written))? else { return Ok(None) };
    let Some(groups) = all(groups.iter().map(|group| keys.kept(group)))? else { return Ok(None) };
    let Some(sums) = all(aggregate.aggr_expr.iter().map(written))? else { return Ok(None) };
    let Some(sums) = all(sums.iter().map(|sum| sums::summed(sum, keys)))? else { return Ok(None) };
    let mut input = source::plan(by_rollup)?;
    if let Some(predicate) = conjunction(filters) {
        input = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?);
    }
    finished(aggregate, input, groups, sums).map(Some)
}

/// All of them, or none.
fn all<T>(found: impl Iterator<Item = Result<Option<T>>>) -> Result<Option<Vec<T>>> {
    found.collect::<Result<Option<Vec<T>>>>()
}

/// Groups and sums of the input, called and typed as the aggregate's own.
fn finished(aggregate: &Aggregate, input: LogicalPlan, groups: Vec<Expr>, sums: Vec<Sum>) -> Result<LogicalPlan> {
    // Under names of their own: two that are called differently above may be one below.
    let mut computed = Vec::new();
    let mut named = |kind: &str, expr: Expr| {
        let name = format!("{kind}_{}", computed.len());
        computed.push(expr.alias(&name));
        Expr::Column(Column::from_name(name))
    };
    let groups: Vec<Expr> = groups.into_iter().map(|group| named("key", group)).collect();
    let mut zeros = vec![false; groups.len()];
    zeros.extend(sums.iter().map(|sum| sum.counts));
    let sums = sums.into_iter().map(|mut sum| {
        let args = std::mem::take(&mut sum.call.params.args);
        sum.call.params.args = args.into_iter().map(|arg| named("value", arg)).collect();
        let filter = sum.call.params.filter.take();
        sum.call.params.filter = filter.map(|filter| Box::new(named("filter", *filter)));
        Expr::AggregateFunction(sum.call)
    });
    // Equal sums are made once, as an aggregate cannot have a column twice.
    let sums: Vec<Expr> = sums.enumerate().map(|(at, sum)| sum.alias(format!("sum_{at}"))).collect();
    let input = Projection::try_new(computed, Arc::new(input))?;
    let summed = Aggregate::try_new(Arc::new(LogicalPlan::Projection(input)), groups, sums)?;
    let handed = aggregate.schema.iter().zip(summed.schema.columns()).zip(zeros);
    let handed = handed.map(|(((qualifier, field), column), counts)| {
        let kind = Expr::Column(column.clone()).get_type(&summed.schema)?;
        let value = if counts { sums::or_zero(Expr::Column(column)) } else { Expr::Column(column) };
        let value = if kind == *field.data_type() { value } else { cast(value, field.data_type().clone()) };
        Ok(value.alias_qualified(qualifier.cloned(), field.name()))
    });
    let handed = handed.collect::<Result<Vec<_>>>()?;
    Ok(LogicalPlan::Projection(Projection::try_new(handed, Arc::new(LogicalPlan::Aggregate(summed)))?))
}

#[cfg(test)]
mod tests;
