//! Casts that lose digits. In: a plan as it was written; out: the same with such casts as calls of a function.
//!
//! The query engine takes a cast off a column that is compared: `CAST(cost AS DECIMAL(10,2)) = 0.01` becomes `cost = 0.01`, which is another
//! question. A function it leaves alone. And a number becomes a whole one by rounding, as in PostgreSQL and `DuckDB`, not by cutting.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TryCast, Volatility,
};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::arithmetic::{Digits, WIDE};

/// A decimal of whole numbers, as large as any.
const WHOLE: DataType = DataType::Decimal256(WIDE, 0);

/// See the module.
#[derive(Debug)]
pub struct Lossy;

impl OptimizerRule for Lossy {
    fn name(&self) -> &'static str {
        "casts_that_lose_digits"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let inputs = plan.inputs();
        if inputs.is_empty() {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&inputs);
        let names = NamePreserver::new(&plan);
        let rewritten = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|part| Ok(called(part, &schema)))?;
            Ok(if rewritten.transformed { rewritten.update_data(|expr| name.restore(expr)) } else { rewritten })
        })?;
        rewritten.map_data(LogicalPlan::recompute_schema)
    }
}

/// A cast that loses digits as a call.
fn called(part: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let (inner, to, safe) = match &part {
        Expr::Cast(Cast { expr, field }) => (expr, field.data_type(), false),
        Expr::TryCast(TryCast { expr, field }) => (expr, field.data_type(), true),
        _ => return Transformed::no(part),
    };
    // Of a column around this query the schema knows nothing; where it matters the cast stays what it is.
    if !inner.get_type(schema).is_ok_and(|from| loses(&from, to)) {
        return Transformed::no(part);
    }
    let function = Exactly { to: to.clone(), safe, signature: Signature::any(1, Volatility::Immutable) };
    let inner = inner.as_ref().clone();
    Transformed::yes(ScalarUDF::new_from_impl(function).call(vec![inner]))
}

/// Whether the engine's own cast will not do: digits go, or Arrow must look at each value.
fn loses(from: &DataType, to: &DataType) -> bool {
    let after = |kind: &DataType| Digits::of(kind).map(|digits| digits.after);
    match (from, to) {
        // Whatever their digits: see [`retagged`].
        (from, to) if from.is_nested() => from != to && retagged(from) != *from,
        (DataType::Decimal256(..), to) if !matches!(to, DataType::Decimal256(..)) => after(to).is_some(),
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => per_second(*from) > per_second(*to),
        (from, to) if from.is_floating() => after(to).is_some(),
        (from, to) => after(from).zip(after(to)).is_some_and(|(from, to)| from > to),
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// The same values in the widest decimal. Where there is no value, arrays of maxima have the least number that there is; Arrow takes what fits by its
/// type for what fits by its value, looks at those too, and panics.
pub(super) fn retagged(kind: &DataType) -> DataType {
    each_wide(kind, &|after| DataType::Decimal256(WIDE, after))
}

/// A type with another one for each wide decimal in it, by the digits after its point; also within lists, structs and maps.
pub(super) fn each_wide(kind: &DataType, other: &impl Fn(i8) -> DataType) -> DataType {
    let field = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(each_wide(field.data_type(), other)));
    match kind {
        DataType::Decimal256(_, after) => other(*after),
        DataType::List(item) => DataType::List(field(item)),
        DataType::LargeList(item) => DataType::LargeList(field(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(field(item), *size),
        DataType::Struct(parts) => DataType::Struct(parts.iter().map(field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        kind => kind.clone(),
    }
}

/// To the nearest whole number, of two the even one.
fn rounded(value: &ColumnarValue) -> ColumnarValue {
    match value {
        ColumnarValue::Scalar(ScalarValue::Float64(value)) => {
            ColumnarValue::Scalar(ScalarValue::Float64(value.map(f64::round_ties_even)))
        }
        ColumnarValue::Array(values) if values.data_type() == &DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>();
            ColumnarValue::Array(Arc::new(values.unary::<_, Float64Type>(f64::round_ties_even)))
        }
        other => other.clone(),
    }
}

/// A cast.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Exactly {
    to: DataType,
    /// What does not fit is NULL.
    safe: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Exactly {
    fn name(&self) -> &'static str {
        "cast_exactly"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = self.safe || args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let options = CastOptions { safe: self.safe, ..CastOptions::default() };
        let [value] = datafusion::common::utils::take_function_args(self.name(), args.args)?;
        let value = value.cast_to(&retagged(&value.data_type()), None)?;
        let value = match value {
            value if !self.to.is_integer() => value,
            value if value.data_type().is_decimal() => value.cast_to(&WHOLE, Some(&options))?,
            value if value.data_type().is_floating() => rounded(&value.cast_to(&DataType::Float64, None)?),
            value => value,
        };
        value.cast_to(&self.to, Some(&options))
    }
}
