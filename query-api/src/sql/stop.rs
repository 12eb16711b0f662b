//! Makes a plan that can be stopped at any time. In: a physical plan. Out: the same plan, which looks at a [`Stop`] wherever an
//! operator may work for minutes without giving its thread back.
//!
//! The query engine stops a query by not polling it any more, and its scans yield now and then. Two things escape that: a join
//! that meets every pair of rows (without a key, or with a key that all rows share) does so in one go for each batch of its
//! input, and an operator that makes many rows of few never comes back to a scan. The first asks its condition for every few
//! thousand pairs, so the condition looks at the stop; the second gets a yield around it. Never changes an answer.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DataFusionError, JoinType, Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};

/// Raised once, when nobody waits for the query any more; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The plan, stopped by `stop`.
///
/// # Errors
/// When a plan cannot be put together again, which only a fault of the query engine can do.
pub fn stoppable(plan: Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Arc<dyn ExecutionPlan>> {
    let transformed = plan.transform_up(|node| {
        let node = match watched(&node, stop)? {
            Some(join) => join,
            None if makes_more(&node) => node,
            None => return Ok(Transformed::no(node)),
        };
        Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as _))
    })?;
    Ok(transformed.data)
}

/// Whether many rows may come out for one that goes in.
fn makes_more(node: &Arc<dyn ExecutionPlan>) -> bool {
    let effect = node.cardinality_effect();
    !node.children().is_empty() && matches!(effect, CardinalityEffect::Unknown | CardinalityEffect::GreaterEqual)
}

/// The join with a condition that looks at the stop, where there is such a join. Merge joins are not planned here.
fn watched(node: &Arc<dyn ExecutionPlan>, stop: &Stop) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let filter = Some(watch(join.filter(), stop));
        return Ok(Some(Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?)));
    }
    match node.downcast_ref::<HashJoinExec>() {
        // Without a condition, pairs that match become rows at once, unless it is only asked whether there is one.
        Some(join) if join.filter().is_some() || only_asks(*join.join_type()) => {
            let filter = Some(watch(join.filter(), stop));
            Ok(Some(HashJoinExecBuilder::from(join).with_filter(filter).build_exec()?))
        }
        _ => Ok(None),
    }
}

fn only_asks(join: JoinType) -> bool {
    match join {
        JoinType::LeftSemi
        | JoinType::RightSemi
        | JoinType::LeftAnti
        | JoinType::RightAnti
        | JoinType::LeftMark
        | JoinType::RightMark => true,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => false,
    }
}

/// The condition, or one that always holds, behind a look at the stop.
fn watch(filter: Option<&JoinFilter>, stop: &Stop) -> JoinFilter {
    let behind = |inner| Arc::new(Watched { inner, stop: stop.clone() });
    if let Some(filter) = filter {
        let condition = behind(Arc::clone(filter.expression()));
        return JoinFilter::new(condition, filter.column_indices().to_vec(), Arc::clone(filter.schema()));
    }
    let holds: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(ScalarValue::Boolean(Some(true))));
    JoinFilter::new(behind(holds), Vec::new(), Arc::new(Schema::empty()))
}

/// Fails once the stop is raised, and is its inner expression otherwise.
#[derive(Debug)]
struct Watched {
    inner: Arc<dyn PhysicalExpr>,
    stop: Stop,
}

impl PhysicalExpr for Watched {
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.stop.is_raised() {
            return Err(DataFusionError::Execution("the query was stopped".to_owned()));
        }
        self.inner.evaluate(batch)
    }

    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.inner.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.inner.nullable(schema)
    }

    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.inner.return_field(schema)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(inner) => Ok(Arc::new(Self { inner, stop: self.stop.clone() })),
            None => Ok(self),
        }
    }

    fn fmt_sql(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(out)
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, out)
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.inner.as_ref() == other.inner.as_ref() && Arc::ptr_eq(&self.stop.0, &other.stop.0)
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.as_ref().hash(state);
    }
}
