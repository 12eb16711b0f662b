//! Sums that add up. In: an aggregate of rows of `usage`. Out: the same of sums of them, or nothing where there is none. Pure.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, Result, ScalarValue};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, Case};
use datafusion::logical_expr::{AggregateUDF, BinaryExpr, Expr, Operator, cast, lit, when};
use spendstream_lake::latency::{self, SKETCH};
use spendstream_schemas::count::Count;
use spendstream_schemas::money;
use spendstream_schemas::table::rollup::{CALLS, LATENCY, LATENCY_SKETCH, PRICED_CALLS, SUM_PRECISION, TIMED_CALLS};
use spendstream_schemas::table::usage::{self, MONEY};

use super::keys::{Keys, of_sums};
use super::source::ROW_LATENCY;

/// Digits of a whole number of 64 bits.
const WHOLE_DIGITS: u8 = 19;

/// An aggregate over what is read instead.
#[derive(Debug)]
pub struct Sum {
    pub call: AggregateFunction,
    /// Of nothing it is 0.
    pub counts: bool,
}

/// A sum that counts, also nothing.
pub fn or_zero(sum: Expr) -> Expr {
    coalesce(vec![sum, lit(0_i64)])
}

/// The aggregate over what is read instead.
///
/// # Errors
/// When the engine cannot put an expression together.
pub fn summed(expr: &Expr, keys: Keys) -> Result<Option<Sum>> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else { return Ok(None) };
    let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = params;
    let chooses = matches!(func.name(), "min" | "max");
    if (*distinct && !chooses) || !order_by.is_empty() || null_treatment.is_some() {
        return Ok(None);
    }
    let filter = match filter {
        Some(filter) => match keys.kept(filter)? {
            Some(filter) => Some(Box::new(filter)),
            None => return Ok(None),
        },
        None => None,
    };
    let of = |func: Arc<AggregateUDF>, args: Vec<Expr>, counts: bool| {
        let call = AggregateFunction::new_udf(func, args, false, filter.clone(), Vec::new(), None);
        Some(Sum { call, counts })
    };
    let [arg] = args.as_slice() else { return Ok(None) };
    Ok(match func.name() {
        "count" => counted(arg, keys)?.and_then(|calls| of(sum_udaf(), vec![calls], true)),
        "sum" => measured(arg, keys)?.and_then(|measure| of(Arc::clone(func), vec![measure.value], false)),
        "min" | "max" => keys.kept(arg)?.and_then(|kept| of(Arc::clone(func), vec![kept], false)),
        SKETCH if is_column(arg, LATENCY) => {
            of(Arc::new(latency::both()), vec![column(LATENCY_SKETCH), column(ROW_LATENCY)], false)
        }
        _ => None,
    })
}

fn column(name: &str) -> Expr {
    of_sums(Column::from_name(name))
}

fn is_column(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Column(column) if column.name == name)
}

/// Of how many calls it is not null.
fn counted(expr: &Expr, keys: Keys) -> Result<Option<Expr>> {
    let none = || lit(0_i64);
    match expr {
        Expr::Literal(value, _) => return Ok(Some(if value.is_null() { none() } else { column(CALLS) })),
        Expr::Column(known) => match known.name.as_str() {
            "cost" => return Ok(Some(column(PRICED_CALLS))),
            LATENCY => return Ok(Some(column(TIMED_CALLS))),
            name if is_always_there(name) => return Ok(Some(column(CALLS))),
            _ => {}
        },
        Expr::Case(case) => {
            let counted = chosen(case, keys, &mut |branch| match branch {
                Some(branch) => counted(branch, keys),
                None => Ok(Some(none())),
            })?;
            if counted.is_some() {
                return Ok(counted);
            }
        }
        _ => {}
    }
    let Some(kept) = keys.kept(expr)? else { return Ok(None) };
    Ok(Some(when(kept.is_not_null(), column(CALLS)).otherwise(none())?))
}

fn is_always_there(name: &str) -> bool {
    usage::file_schema().field_with_name(name).is_ok_and(|field| !field.is_nullable())
}

/// A CASE by keys alone, whose branches become what `branch` makes of them; a branch that is not there is asked for too.
fn chosen(
    case: &Case,
    keys: Keys,
    branch: &mut dyn FnMut(Option<&Expr>) -> Result<Option<Expr>>,
) -> Result<Option<Expr>> {
    let of = match &case.expr {
        Some(of) => match keys.kept(of)? {
            Some(of) => Some(Box::new(of)),
            None => return Ok(None),
        },
        None => None,
    };
    let mut branches = Vec::with_capacity(case.when_then_expr.len());
    for (when, then) in &case.when_then_expr {
        let (Some(when), Some(then)) = (keys.kept(when)?, branch(Some(then))?) else { return Ok(None) };
        branches.push((Box::new(when), Box::new(then)));
    }
    let Some(other) = branch(case.else_expr.as_deref())? else { return Ok(None) };
    Ok(Some(Expr::Case(Case::new(of, branches, Some(Box::new(other))))))
}

/// What a row adds to a sum, as what a sum of rows adds.
#[derive(Clone, Debug)]
struct Measure {
    value: Expr,
    /// Digits after the point; `None` for a whole number of 64 bits.
    digits: Option<i8>,
    /// Digits that a row has at most.
    most: u8,
    /// Whether every row has one.
    is_always: bool,
}

impl Measure {
    fn whole(value: Expr, is_always: bool) -> Self {
        Self { value, digits: None, most: WHOLE_DIGITS, is_always }
    }

    fn decimal(value: Expr, most: u8, digits: i8, is_always: bool) -> Self {
        Self { value, digits: Some(digits), most, is_always }
    }
}

fn measured(expr: &Expr, keys: Keys) -> Result<Option<Measure>> {
    match expr {
        Expr::Column(known) => Ok(of_column(&known.name)),
        Expr::Literal(value, _) => constant(value),
        Expr::Cast(to) => {
            let inner = measured(&to.expr, keys)?;
            Ok(inner.and_then(|inner| widened(inner, to.field.data_type())))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right }) => {
            let (Some(left), Some(right)) = (measured(left, keys)?, measured(right, keys)?) else { return Ok(None) };
            // Where one side is null, the other is not added either.
            let adds = left.is_always && right.is_always && left.digits == right.digits;
            let most = left.most.max(right.most).saturating_add(1);
            let value = Expr::BinaryExpr(BinaryExpr::new(Box::new(left.value), *op, Box::new(right.value)));
            Ok(adds.then_some(Measure { value, digits: left.digits, most, is_always: true }))
        }
        Expr::ScalarFunction(call) if call.name() == "coalesce" => match call.args.as_slice() {
            [one, other] => or_nothing(one, other, keys),
            _ => Ok(None),
        },
        Expr::Case(case) => match (&case.expr, case.when_then_expr.as_slice(), &case.else_expr) {
            // What COALESCE has become.
            (None, [(when, then)], Some(other)) if is_not_null(when, then) => or_nothing(then, other, keys),
            _ => by_case(case, keys),
        },
        _ => Ok(None),
    }
}

fn of_column(name: &str) -> Option<Measure> {
    if Count::ALL.iter().any(|count| count.column() == name) {
        return Some(Measure::whole(column(name), true));
    }
    if MONEY.contains(&name) {
        return Some(Measure::decimal(column(name), money::PRECISION, money::SCALE, false));
    }
    (name == LATENCY).then(|| Measure::whole(column(name), false))
}

/// Of each row nothing, one, or no value.
fn constant(value: &ScalarValue) -> Result<Option<Measure>> {
    Ok(match value {
        ScalarValue::Int64(Some(0)) => Some(Measure::whole(lit(0_i64), true)),
        ScalarValue::Int64(Some(1)) => Some(Measure::whole(column(CALLS), true)),
        ScalarValue::Int64(None) => Some(Measure::whole(lit(ScalarValue::Int64(None)), false)),
        ScalarValue::Decimal128(value @ (None | Some(0)), most, digits) if *digits >= 0 => {
            let constant = lit(ScalarValue::try_new_decimal128(0, SUM_PRECISION, *digits)?);
            let constant = match value {
                Some(_) => constant,
                None => lit(ScalarValue::Decimal128(None, SUM_PRECISION, *digits)),
            };
            Some(Measure::decimal(constant, *most, *digits, value.is_some()))
        }
        _ => None,
    })
}

/// A cast that no row's value fails, and no sum's.
fn widened(inner: Measure, to: &DataType) -> Option<Measure> {
    match (inner.digits, to) {
        (None, DataType::Int64) => Some(inner),
        (None, DataType::Decimal128(all, digits @ 0..)) => {
            let before = all.checked_sub(digits.unsigned_abs())?;
            let fits = before >= inner.most && SUM_PRECISION - digits.unsigned_abs() >= WHOLE_DIGITS;
            let value = cast(inner.value, DataType::Decimal128(SUM_PRECISION, *digits));
            fits.then(|| Measure::decimal(value, *all, *digits, inner.is_always))
        }
        (Some(known), DataType::Decimal128(all, digits)) if known == *digits && *all >= inner.most => {
            Some(Measure { most: *all, ..inner })
        }
        _ => None,
    }
}

/// `x IS NOT NULL` before `x`.
fn is_not_null(when: &Expr, then: &Expr) -> bool {
    let bare = |expr: &Expr| match expr {
        Expr::Cast(cast) => cast.expr.as_ref().clone(),
        other => other.clone(),
    };
    matches!(when, Expr::IsNotNull(value) if **value == *then || bare(value) == bare(then))
}

/// A measure, and nothing in its place where there is none.
fn or_nothing(one: &Expr, other: &Expr, keys: Keys) -> Result<Option<Measure>> {
    let (Some(one), Some(other)) = (measured(one, keys)?, measured(other, keys)?) else { return Ok(None) };
    let is_nothing = matches!(&other.value, Expr::Literal(value, _) if !value.is_null());
    if !is_nothing || one.digits != other.digits {
        return Ok(None);
    }
    Ok(Some(Measure { value: coalesce(vec![one.value, other.value]), is_always: true, ..one }))
}

fn by_case(case: &Case, keys: Keys) -> Result<Option<Measure>> {
    let mut known: Vec<Measure> = Vec::new();
    let mut is_whole = true;
    let value = chosen(case, keys, &mut |branch| {
        let Some(branch) = branch else {
            is_whole = false;
            return Ok(Some(lit(ScalarValue::Null)));
        };
        let Some(measure) = measured(branch, keys)? else { return Ok(None) };
        known.push(measure.clone());
        Ok(Some(measure.value))
    })?;
    let (Some(value), Some(first)) = (value, known.first()) else { return Ok(None) };
    if known.iter().any(|measure| measure.digits != first.digits) {
        return Ok(None);
    }
    let value = match value {
        Expr::Case(Case { expr, when_then_expr, .. }) if !is_whole => {
            Expr::Case(Case { expr, when_then_expr, else_expr: None })
        }
        other => other,
    };
    let most = known.iter().map(|measure| measure.most).max().unwrap_or(0);
    let is_always = is_whole && known.iter().all(|measure| measure.is_always);
    Ok(Some(Measure { value, digits: first.digits, most, is_always }))
}
