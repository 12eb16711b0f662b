//! The query engine's rules, two of them wrapped where they change an answer. In: the rules and a plan. Out: a plan that those rules leave right.
//!
//! - Projections: two with equal expressions, one on the other, are taken for one, and `SELECT w + 1 AS w FROM (SELECT w + 1 AS w FROM …)` adds
//!   once (mended after 55.2, apache/datafusion#24686). Here what a projection computes never has the name of what it is computed from.
//! - Filters: one that reads no column goes below a sum over all rows, where it takes away what is summed up and leaves the row. Here it
//!   stays above.
//!
//! Sums are taken from the rollup where it has them ([`super::rollup`]). And two of our own are about `IN` and `EXISTS`:
//!
//! - What they look for is told once. The join behind them goes through all pairs of equal keys, and ten thousand calls of one model in
//!   another ten thousand are a hundred million.
//! - What `NOT IN` is asked of is a column that may be NULL: of `tags['k']` the engine sees that `tags` is never NULL, and forgets that the element
//!   may be. And `EXISTS` of a sum over all rows is true, as there always is one.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result, ScalarValue};
use datafusion::functions::core::expr_fn::nullif;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, Filter, LogicalPlan, Projection};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer};
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::arithmetic::Guarded;
use super::casts::Lossy;
use super::rollup::Rollup;

/// See the module.
pub fn rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let wrapped: [Arc<dyn OptimizerRule + Send + Sync>; 2] =
        [Arc::new(Told(OptimizeProjections::new())), Arc::new(Kept(PushDownFilter::new()))];
    let with = |rule: Arc<dyn OptimizerRule + Send + Sync>| {
        wrapped.iter().find(|wrapped| wrapped.name() == rule.name()).map_or(rule, Arc::clone)
    };
    let mut rules: Vec<_> = Optimizer::new().rules.into_iter().map(with).collect();
    // Where the keys of joins are known, which the rule before finds out.
    let keys_known = rules.iter().position(|rule| rule.name() == "extract_equijoin_predicate").map_or(0, |at| at + 1);
    rules.insert(keys_known, Arc::new(Once));
    let lookups = rules.iter().position(|rule| rule.name() == "decorrelate_predicate_subquery").unwrap_or(0);
    rules.insert(lookups, Arc::new(Asked));
    // Where constants are computed and nothing is moved yet.
    let moves = rules.iter().position(|rule| rule.name() == "push_down_limit").unwrap_or(rules.len());
    rules.insert(moves, Arc::new(Rollup));
    // Before filters are taken apart and moved, and casts taken off what is compared.
    rules.insert(0, Arc::new(Guarded));
    rules.insert(0, Arc::new(Lossy));
    rules
}

/// The keys of what is only looked for are distinct.
#[derive(Debug)]
struct Once;

impl OptimizerRule for Once {
    fn name(&self) -> &'static str {
        "keys_looked_for_once"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Join(mut join) = plan else { return Ok(Transformed::no(plan)) };
        let looks = matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark)
            && join.filter.is_none();
        let keys: Vec<Expr> = join.on.iter().map(|(_, key)| key.clone()).collect();
        let columns = !keys.is_empty() && keys.iter().all(|key| matches!(key, Expr::Column(_)));
        if !looks || !columns || is_distinct(&join.right) {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        }
        let keys: Vec<Expr> = keys
            .iter()
            .enumerate()
            .filter(|(at, key)| !keys[..*at].contains(key))
            .map(|(_, key)| key.clone())
            .collect();
        join.right = Arc::new(LogicalPlan::Aggregate(Aggregate::try_new(Arc::clone(&join.right), keys, Vec::new())?));
        Ok(Transformed::yes(LogicalPlan::Join(join)))
    }
}

/// Before they become joins, what `NOT IN` asks of is a column, and `EXISTS` of a sum over all rows is true.
#[derive(Debug)]
struct Asked;

impl OptimizerRule for Asked {
    fn name(&self) -> &'static str {
        "what_is_asked_may_be_null"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = plan else { return Ok(Transformed::no(plan)) };
        let schema = Arc::clone(filter.input.schema());
        let mut columns = Vec::new();
        let asked = filter.predicate.clone().transform_down(|part| {
            Ok(match part {
                Expr::InSubquery(mut within) if within.negated && !matches!(*within.expr, Expr::Column(_)) => {
                    let name = config.alias_generator().next("__asked");
                    let column = Box::new(Expr::Column(Column::from_name(&name)));
                    let value = *std::mem::replace(&mut within.expr, column);
                    let value = if value.nullable(&schema)? {
                        value
                    } else {
                        let null = ScalarValue::try_from(&value.get_type(&schema)?)?;
                        nullif(value, Expr::Literal(null, None))
                    };
                    columns.push(value.alias(name));
                    Transformed::new(Expr::InSubquery(within), true, TreeNodeRecursion::Jump)
                }
                Expr::Exists(exists) if always_has_a_row(&exists.subquery.subquery) => {
                    Transformed::yes(Expr::Literal(ScalarValue::Boolean(Some(!exists.negated)), None))
                }
                other => Transformed::no(other),
            })
        })?;
        if !asked.transformed {
            return Ok(Transformed::no(LogicalPlan::Filter(filter)));
        }
        if columns.is_empty() {
            let filter = Filter::try_new(asked.data, filter.input)?;
            return Ok(Transformed::yes(LogicalPlan::Filter(filter)));
        }
        let known: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
        let with = Projection::try_new(known.iter().cloned().chain(columns).collect(), filter.input)?;
        let filtered = Filter::try_new(asked.data, Arc::new(LogicalPlan::Projection(with)))?;
        let plan = Projection::try_new(known, Arc::new(LogicalPlan::Filter(filtered)))?;
        Ok(Transformed::yes(LogicalPlan::Projection(plan)))
    }
}

/// Sums over all rows, as they are or computed with.
fn always_has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => always_has_a_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => always_has_a_row(&alias.input),
        LogicalPlan::Sort(sort) => sort.fetch != Some(0) && always_has_a_row(&sort.input),
        _ => false,
    }
}

/// What an aggregate gives, or is only renamed from one.
fn is_distinct(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_) | LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::SubqueryAlias(alias) => is_distinct(&alias.input),
        LogicalPlan::Projection(projection) => is_distinct(&projection.input),
        _ => false,
    }
}

/// Filters that read no column stay above what sums up.
#[derive(Debug)]
struct Kept(PushDownFilter);

impl OptimizerRule for Kept {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if stays(&plan) { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}

/// A filter above sums, a part of which reads no column; filters on one another are one.
fn stays(plan: &LogicalPlan) -> bool {
    let (mut below, mut reads_nothing) = (plan, false);
    while let LogicalPlan::Filter(filter) = below {
        reads_nothing |= split_conjunction(&filter.predicate).iter().any(|part| part.column_refs().is_empty());
        below = filter.input.as_ref();
    }
    reads_nothing && matches!(below, LogicalPlan::Aggregate(_))
}

/// What projections compute is told apart from what they read.
#[derive(Debug)]
struct Told(OptimizeProjections);

impl OptimizerRule for Told {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let told = plan.transform_up_with_subqueries(|node| tell_apart(node, config))?;
        let rewritten = self.0.rewrite(told.data, config)?;
        let transformed = rewritten.transformed || told.transformed;
        Ok(Transformed { transformed, ..rewritten })
    }
}

/// Renames, in a projection under another, what hides the column that it is computed from.
fn tell_apart(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Projection(upper) = &plan else { return Ok(Transformed::no(plan)) };
    let LogicalPlan::Projection(lower) = upper.input.as_ref() else { return Ok(Transformed::no(plan)) };
    let read: HashSet<&Column> = lower.expr.iter().flat_map(Expr::column_refs).collect();
    let hides = |place: usize| {
        let made = Column::from(lower.schema.qualified_field(place));
        (!matches!(lower.expr[place], Expr::Column(_)) && read.contains(&made)).then_some(made)
    };
    let names: Vec<Option<(Column, String)>> = (0..lower.expr.len())
        .map(|place| Some((hides(place)?, config.alias_generator().next("__told_apart"))))
        .collect();
    if names.iter().all(Option::is_none) || reads_around(&upper.expr)? {
        return Ok(Transformed::no(plan));
    }
    let below = lower.expr.iter().zip(&names).map(|(expr, name)| match name {
        Some((_, name)) => expr.clone().unalias().alias(name),
        None => expr.clone(),
    });
    let below = Projection::try_new(below.collect(), Arc::clone(&lower.input))?;
    let preserver = NamePreserver::new_for_projection();
    let above = upper.expr.iter().map(|expr| {
        let name = preserver.save(expr);
        let renamed = expr.clone().transform_up(|part| {
            let found = |column: &Column| names.iter().flatten().find(|(made, _)| made == column);
            Ok(match &part {
                Expr::Column(column) => match found(column) {
                    Some((_, name)) => Transformed::yes(Expr::Column(Column::from_name(name))),
                    None => Transformed::no(part),
                },
                _ => Transformed::no(part),
            })
        })?;
        Ok(name.restore(renamed.data))
    });
    let above = above.collect::<Result<Vec<_>>>()?;
    Ok(Transformed::yes(LogicalPlan::Projection(Projection::try_new(above, Arc::new(LogicalPlan::Projection(below)))?)))
}

/// A query within an expression that reads its surroundings names them in ways of its own. Nearly all are joins by now.
fn reads_around(exprs: &[Expr]) -> Result<bool> {
    let reads = |expr: &Expr| {
        let query = match expr {
            Expr::Exists(exists) => &exists.subquery,
            Expr::InSubquery(within) => &within.subquery,
            Expr::ScalarSubquery(query) => query,
            Expr::SetComparison(compared) => &compared.subquery,
            _ => return Ok(false),
        };
        Ok(!query.outer_ref_columns.is_empty())
    };
    exprs.iter().try_fold(false, |found, expr| Ok(found || expr.exists(reads)?))
}
