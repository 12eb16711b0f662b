//! How exact decimals are multiplied and divided. In: a product or a quotient as it was written. Out: the same with room for its digits.
//!
//! By itself the query engine gives a quotient four digits more than its dividend has, so that `input_tokens / 1000000.0` is 0.0012 where it should
//! be 0.001234, and sums of it are wrong without a word; and a product of three amounts does not fit. Here a quotient has [`DIGITS`] digits
//! after the point, and a product as many as its factors have together, up to [`MOST_DIGITS`]. An average, which the engine gives four digits more
//! than what it is of, has 16 at least. Whole numbers and floats stay what they are.
//!
//! `round(x, 2)` has two digits from the start: the engine makes it one of two digits once it has seen that 2 is a constant, which is after it has
//! settled how `round(x, 2) IN (SELECT …)` is compared, and then compares 0.01 with 0.010000000000000 digit by digit.
//!
//! And in a filter, and in what is summed up beside one, what is divided by zero is NULL: the engine computes a filter's parts in any order and for any row, also for those that
//! `input_tokens > 0 AND …` was to keep away.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::functions::core::expr_fn::nullif;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawWindowExpr};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, ColumnarValue, Documentation, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, binary_expr, cast,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Digits after the point of a quotient.
pub(super) const DIGITS: i8 = 20;
/// Digits that the engine adds to a dividend's.
const ADDED: i8 = 4;
/// The most digits after the point of a product.
const MOST_DIGITS: i8 = 30;
/// Fewer digits after the point an average would cut to four more.
const FINE: i8 = 12;
/// Digits of the widest decimal, of one that leaves room beside it, and of one that every client knows.
pub(super) const WIDE: u8 = 76;
const ROOMY: u8 = 56;
pub(super) const NARROW: u8 = 38;

/// See the module.
#[derive(Debug)]
pub struct Exact;

impl ExprPlanner for Exact {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        // What has no type yet is judged when it has one, as the engine does.
        let digits = |side: &Expr| side.get_type(schema).ok().and_then(|kind| Digits::of(&kind));
        let (Some(left), Some(right)) = (digits(&expr.left), digits(&expr.right)) else {
            return Ok(PlannerResult::Original(expr));
        };
        if left.is_whole && right.is_whole {
            return Ok(PlannerResult::Original(expr));
        }
        let RawBinaryExpr { op, left: one, right: other } = expr;
        Ok(match op {
            BinaryOperator::Divide => {
                let from = left.after.max(DIGITS - ADDED);
                let all = left.before() + from.unsigned_abs();
                let quotient = binary_expr(wide(one, all, from), Operator::Divide, wide(other, right.all, right.after));
                PlannerResult::Planned(bounded(quotient, DIGITS))
            }
            // The engine brings a wide and a narrow one to one type first, and adds up digits that neither has.
            BinaryOperator::Multiply if left.is_wide || right.is_wide || left.all + right.all + 1 > NARROW => {
                let one = wide(one, left.all, left.after);
                let product = binary_expr(one, Operator::Multiply, wide(other, right.all, right.after));
                PlannerResult::Planned(bounded(product, (left.after + right.after).min(MOST_DIGITS)))
            }
            _ => PlannerResult::Original(RawBinaryExpr { op, left: one, right: other }),
        })
    }

    fn plan_aggregate(&self, mut expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        if expr.func.name() == "avg" {
            expr.args = expr.args.into_iter().map(finer).collect();
        }
        Ok(PlannerResult::Original(expr))
    }

    fn plan_window(&self, mut expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        if expr.func_def.name() == "avg" {
            expr.args = expr.args.into_iter().map(finer).collect();
        }
        Ok(PlannerResult::Original(expr))
    }
}

fn wide(expr: Expr, all: u8, after: i8) -> Expr {
    cast(expr, DataType::Decimal256(all.min(WIDE), after))
}

/// What was computed, in a type that leaves room for other figures beside it: a common type of two has the more digits of either side of the
/// point. Never in less: what is narrower Arrow casts to 38 digits without a look at each value, and panics at what stands for none.
fn bounded(expr: Expr, after: i8) -> Expr {
    wide(expr, ROOMY, after)
}

/// How many digits a number has, and how many of them after the point.
pub(super) struct Digits {
    all: u8,
    pub(super) after: i8,
    is_whole: bool,
    is_wide: bool,
}

impl Digits {
    /// Before the point.
    fn before(&self) -> u8 {
        self.all.saturating_sub(self.after.unsigned_abs())
    }

    /// `None` for what is no exact number.
    pub(super) fn of(kind: &DataType) -> Option<Self> {
        let whole = |all| Some(Self { all, after: 0, is_whole: true, is_wide: false });
        match kind {
            DataType::Int8 | DataType::UInt8 => whole(3),
            DataType::Int16 | DataType::UInt16 => whole(5),
            DataType::Int32 | DataType::UInt32 => whole(10),
            DataType::Int64 | DataType::UInt64 => whole(20),
            DataType::Decimal32(all, after)
            | DataType::Decimal64(all, after)
            | DataType::Decimal128(all, after)
            | DataType::Decimal256(all, after) => {
                let is_wide = matches!(kind, DataType::Decimal256(..));
                Some(Self { all: *all, after: *after, is_whole: false, is_wide })
            }
            _ => None,
        }
    }
}

/// What an average is taken of, with digits enough.
fn finer(expr: Expr) -> Expr {
    ScalarUDF::new_from_impl(Finer { signature: Signature::any(1, Volatility::Immutable) }).call(vec![expr])
}

/// A decimal of few digits after the point with [`FINE`]; all else as it is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Finer {
    signature: Signature,
}

impl ScalarUDFImpl for Finer {
    fn name(&self) -> &'static str {
        "finer"
    }

    /// A column is called what it is the average of.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect::<Vec<_>>().join(","))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match types {
            [DataType::Decimal128(all, after)] if (0..FINE).contains(after) => {
                let all = *all + (FINE - *after).unsigned_abs();
                if all > NARROW { DataType::Decimal256(all, FINE) } else { DataType::Decimal128(all, FINE) }
            }
            [kind] => kind.clone(),
            _ => DataType::Null,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = datafusion::common::utils::take_function_args(self.name(), args.args)?;
        value.cast_to(args.return_field.data_type(), None)
    }
}

/// Puts [`Steady`] in the place of `round`.
pub fn steady(functions: &mut [Arc<ScalarUDF>]) {
    for function in functions.iter_mut().filter(|function| function.name() == "round") {
        let signature = Signature::user_defined(Volatility::Immutable);
        *function = Arc::new(ScalarUDF::new_from_impl(Steady { inner: Arc::clone(function), signature }));
    }
}

/// `round`, whose second argument is left as it is written, so that a constant is one from the start.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Steady {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for Steady {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let number = |kind: &DataType| match kind {
            kind if kind.is_decimal() || kind.is_integer() => Ok(kind.clone()),
            DataType::Float16 | DataType::Float32 => Ok(DataType::Float32),
            DataType::Float64 | DataType::Null => Ok(DataType::Float64),
            other => plan_err!("round() is of a number, not of {other}"),
        };
        match types {
            [value] => Ok(vec![number(value)?]),
            [value, digits] if digits.is_integer() => Ok(vec![number(value)?, digits.clone()]),
            [value, DataType::Null] => Ok(vec![number(value)?, DataType::Int32]),
            _ => plan_err!("round() takes a number, and how many digits are to stay after its point"),
        }
    }

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(digits) = args.args.get_mut(1) {
            *digits = digits.cast_to(&DataType::Int32, None)?;
        }
        self.inner.invoke_with_args(args)
    }
}

/// What is divided by zero in a filter is NULL; see the module.
#[derive(Debug)]
pub struct Guarded;

impl OptimizerRule for Guarded {
    fn name(&self) -> &'static str {
        "no_division_by_zero_in_filters"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(mut filter) => {
                let schema = Arc::clone(filter.input.schema());
                let guarded = guard(filter.predicate.clone(), &schema)?;
                let transformed = guarded.transformed;
                filter.predicate = guarded.data;
                Ok(marked(LogicalPlan::Filter(filter), transformed))
            }
            LogicalPlan::Join(mut join) => {
                let Some(filter) = join.filter.take() else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
                let schema = join.left.schema().join(join.right.schema())?;
                let guarded = guard(filter, &schema)?;
                join.filter = Some(guarded.data);
                Ok(marked(LogicalPlan::Join(join), guarded.transformed))
            }
            LogicalPlan::Aggregate(Aggregate { input, group_expr, aggr_expr, .. })
                if aggr_expr.iter().any(is_filtered) =>
            {
                let schema = Arc::clone(input.schema());
                let mut transformed = false;
                let guarded = aggr_expr.into_iter().map(|expr| {
                    let name = NamePreserver::new_for_projection().save(&expr);
                    let guarded = expr.transform_down(|part| guard_filtered(part, &schema))?;
                    transformed |= guarded.transformed;
                    Ok(if guarded.transformed { name.restore(guarded.data) } else { guarded.data })
                });
                let aggr_expr = guarded.collect::<Result<Vec<_>>>()?;
                let plan = LogicalPlan::Aggregate(Aggregate::try_new(input, group_expr, aggr_expr)?);
                Ok(marked(plan, transformed))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn is_filtered(expr: &Expr) -> bool {
    match expr {
        Expr::Alias(alias) => is_filtered(&alias.expr),
        Expr::AggregateFunction(call) => call.params.filter.is_some(),
        _ => false,
    }
}

/// What is summed up of the rows that pass a filter is computed for all rows.
fn guard_filtered(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::AggregateFunction(mut call) = part else { return Ok(Transformed::no(part)) };
    let mut transformed = false;
    if call.params.filter.is_some() {
        let guarded = call.params.args.into_iter().map(|arg| {
            let guarded = guard(arg, schema)?;
            transformed |= guarded.transformed;
            Ok(guarded.data)
        });
        call.params.args = guarded.collect::<Result<Vec<_>>>()?;
    }
    Ok(Transformed::new(Expr::AggregateFunction(call), transformed, TreeNodeRecursion::Jump))
}

fn marked(plan: LogicalPlan, transformed: bool) -> Transformed<LogicalPlan> {
    if transformed { Transformed::yes(plan) } else { Transformed::no(plan) }
}

fn guard(predicate: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    predicate.transform_up(|part| {
        let Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Divide | Operator::Modulo), right }) = part else {
            return Ok(Transformed::no(part));
        };
        let kind = right.get_type(schema)?;
        let is_safe = Digits::of(&kind).is_none() || is_guarded(&right);
        let right =
            if is_safe { right } else { Box::new(nullif(*right, Expr::Literal(ScalarValue::new_zero(&kind)?, None))) };
        let part = Expr::BinaryExpr(BinaryExpr { left, op, right });
        Ok(if is_safe { Transformed::no(part) } else { Transformed::yes(part) })
    })
}

/// A constant fails or not before any row is seen; what was guarded before is.
fn is_guarded(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Cast(cast) => is_guarded(&cast.expr),
        Expr::ScalarFunction(call) => call.name() == "nullif",
        _ => false,
    }
}
