//! How exact decimals are multiplied and divided. In: a product or a quotient as it was written. Out: the same with room for its digits.
//!
//! By itself the query engine gives a quotient four digits more than its dividend has, so that `input_tokens / 1000000.0` is 0.0012 where it should
//! be 0.001234, and sums of it are wrong without a word; and a product of three amounts does not fit. Here a quotient has [`DIGITS`] digits
//! after the point, and a product as many as its factors have together, up to [`MOST_DIGITS`]. Whole numbers and floats stay what they are.
//!
//! `round(x, 2)` keeps the digits of its type: the engine makes it one of two digits once it has seen that 2 is a constant, which is after it has
//! settled how `round(x, 2) IN (SELECT …)` is compared, and then compares 0.01 with 0.010000000000000 digit by digit.
//!
//! And in a filter, what is divided by zero is NULL: the engine computes a filter's parts in any order and for any row, also for those that
//! `input_tokens > 0 AND …` was to keep away.

use std::sync::Arc;

use arrow::array::Array;
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::core::expr_fn::nullif;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Documentation, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, binary_expr, cast,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// Digits after the point of a quotient.
const DIGITS: i8 = 20;
/// Digits that the engine adds to a dividend's.
const ADDED: i8 = 4;
/// The most digits after the point of a product.
const MOST_DIGITS: i8 = 30;
/// Digits of a wide decimal, and of one that every client knows.
const WIDE: u8 = 76;
const NARROW: u8 = 38;

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
                let quotient = binary_expr(wide(one, from), Operator::Divide, wide(other, right.after));
                PlannerResult::Planned(if from + ADDED == DIGITS { quotient } else { wide(quotient, DIGITS) })
            }
            BinaryOperator::Multiply if left.all + right.all + 1 > NARROW => {
                let product = binary_expr(wide(one, left.after), Operator::Multiply, wide(other, right.after));
                let is_long = left.after + right.after > MOST_DIGITS;
                PlannerResult::Planned(if is_long { wide(product, MOST_DIGITS) } else { product })
            }
            _ => PlannerResult::Original(RawBinaryExpr { op, left: one, right: other }),
        })
    }
}

fn wide(expr: Expr, after: i8) -> Expr {
    cast(expr, DataType::Decimal256(WIDE, after))
}

/// How many digits a number has, and how many of them after the point.
struct Digits {
    all: u8,
    after: i8,
    is_whole: bool,
}

impl Digits {
    /// `None` for what is no exact number.
    fn of(kind: &DataType) -> Option<Self> {
        let whole = |all| Some(Self { all, after: 0, is_whole: true });
        match kind {
            DataType::Int8 | DataType::UInt8 => whole(3),
            DataType::Int16 | DataType::UInt16 => whole(5),
            DataType::Int32 | DataType::UInt32 => whole(10),
            DataType::Int64 | DataType::UInt64 => whole(20),
            DataType::Decimal32(all, after)
            | DataType::Decimal64(all, after)
            | DataType::Decimal128(all, after)
            | DataType::Decimal256(all, after) => Some(Self { all: *all, after: *after, is_whole: false }),
            _ => None,
        }
    }
}

/// Puts [`Steady`] in the place of `round`.
pub fn steady(functions: &mut [Arc<ScalarUDF>]) {
    for function in functions.iter_mut().filter(|function| function.name() == "round") {
        *function = Arc::new(ScalarUDF::new_from_impl(Steady(Arc::clone(function))));
    }
}

/// `round`, whose type does not depend on how a constant is written.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Steady(Arc<ScalarUDF>);

impl ScalarUDFImpl for Steady {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let unknown = vec![None; args.scalar_arguments.len()];
        self.0.return_field_from_args(ReturnFieldArgs { arg_fields: args.arg_fields, scalar_arguments: &unknown })
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(types)
    }

    fn is_strict(&self) -> bool {
        self.0.inner().is_strict()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.0.invoke_with_args(args)
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
            other => Ok(Transformed::no(other)),
        }
    }
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

/// How an answer's columns are handed out: a wide decimal as one of 38 digits, up to [`DIGITS`] of them after the point, which every client knows.
#[must_use]
pub fn narrow(schema: &SchemaRef) -> SchemaRef {
    let is_wide = |field: &Arc<Field>| matches!(field.data_type(), DataType::Decimal256(..));
    if !schema.fields().iter().any(is_wide) {
        return Arc::clone(schema);
    }
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Decimal256(_, after) => {
            Arc::new(field.as_ref().clone().with_data_type(DataType::Decimal128(NARROW, (*after).min(DIGITS))))
        }
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new_with_metadata(
        schema.fields().iter().map(field).collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

/// Rows in a schema that [`narrow`] made.
///
/// # Errors
/// A figure of more than 18 digits before the point.
pub fn narrowed(batch: RecordBatch, schema: &SchemaRef) -> std::result::Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            arrow::compute::cast_with_options(column, field.data_type(), &options)
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<std::result::Result<Vec<_>, _>>()?)
}
