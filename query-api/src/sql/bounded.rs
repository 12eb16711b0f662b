//! Functions that make much of little. In: the functions of the query engine. Out: the same, of which those that can make
//! gigabytes of a few letters (`repeat('x', 2000000000)`) first say how much it would be, and fail when that is too much.
//!
//! What a function makes for one batch of rows is not seen by the memory pool until it is there; a process that asks for more
//! than there is would be killed, with every other query. Never changes an answer.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::compute::kernels::length::length;
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, FieldRef, IntervalUnit, TimeUnit};
use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Bytes of one element of a list, at least.
const ELEMENT_BYTES: u128 = 8;
/// Bytes of one letter, at most.
const LETTER_BYTES: u128 = 4;

/// Replaces the functions that need a bound; `limit` is in bytes per call.
pub fn bounded(functions: &mut [Arc<ScalarUDF>], limit: usize) {
    for function in functions {
        if let Some(growth) = Growth::of(function.name()) {
            let inner = Bounded { inner: Arc::clone(function), growth, limit };
            *function = Arc::new(ScalarUDF::new_from_impl(inner));
        }
    }
}

/// How the size of an answer follows from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
    /// `repeat(text, times)`, `array_repeat(element, times)`
    Times,
    /// `lpad(text, letters)`
    Letters,
    /// `array_resize(list, elements, filler)`
    Elements,
    /// `range(from, to, step)` and `range(to)`
    Steps,
    /// `replace(text, from, to)`
    Replace,
    /// `regexp_replace(text, pattern, to)`
    Pattern,
    /// `concat(a, b, …)`
    Sum,
    /// `array_to_string(list, delimiter, null)`
    Join,
    /// `array_replace_all(list, from, to)`
    Elementwise,
}

impl Growth {
    fn of(function: &str) -> Option<Self> {
        Some(match function {
            "repeat" | "array_repeat" => Self::Times,
            "lpad" | "rpad" => Self::Letters,
            "array_resize" => Self::Elements,
            "range" | "generate_series" => Self::Steps,
            "replace" => Self::Replace,
            "regexp_replace" => Self::Pattern,
            "concat" | "concat_ws" | "array_concat" => Self::Sum,
            "array_to_string" => Self::Join,
            "array_replace" | "array_replace_n" | "array_replace_all" => Self::Elementwise,
            _ => return None,
        })
    }

    /// Bytes that the answer for `rows` rows may have, at most. Too few arguments are the function's own affair.
    fn bytes(self, args: &[ColumnarValue], rows: usize) -> Result<u128, ArrowError> {
        // A constant is made once; what it is put beside comes in portions.
        let is_constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { rows.max(1) };
        let sizes = args.iter().map(|arg| Size::of(arg, rows));
        Ok(match (self, args) {
            (Self::Times, [text, times]) => Size::of(text, rows)?.times(&Size::of_numbers(times, rows)?),
            (Self::Letters, [_, letters, ..]) => Size::of_numbers(letters, rows)?.sum.saturating_mul(LETTER_BYTES),
            (Self::Elements, [_, elements, rest @ ..]) => {
                let filler = rest.first().map_or(Ok(Size::default()), |filler| Size::of(filler, rows))?;
                let each = filler.max.saturating_add(ELEMENT_BYTES);
                Size::of_numbers(elements, rows)?.sum.saturating_mul(each)
            }
            (Self::Steps, _) => steps(args)?.saturating_mul(rows as u128).saturating_mul(ELEMENT_BYTES),
            (Self::Replace, [text, from, to]) => {
                let (text, from, to) = (Size::of(text, rows)?, Size::of(from, rows)?, Size::of(to, rows)?);
                let places = (text.sum / from.min.max(1)).saturating_add(rows as u128);
                if to.max <= from.min { 0 } else { text.sum.saturating_add(places.saturating_mul(to.max)) }
            }
            (Self::Pattern, [text, _, to, ..]) => {
                let (text, to) = (Size::of(text, rows)?, Size::of(to, rows)?);
                text.sum.saturating_add(rows as u128).saturating_mul(to.max.max(1))
            }
            (Self::Join, [list, rest @ ..]) => {
                let more = rest.iter().map(|text| Size::of(text, rows)).collect::<Result<Vec<_>, _>>()?;
                let each = more.iter().fold(1_u128, |sum, text| sum.saturating_add(text.max));
                let list = Size::of(list, rows)?;
                list.sum.saturating_add((list.sum / ELEMENT_BYTES).saturating_mul(each))
            }
            (Self::Elementwise, [list, _, to, ..]) => {
                let (list, to) = (Size::of(list, rows)?, Size::of(to, rows)?);
                list.sum.saturating_add((list.sum / ELEMENT_BYTES).saturating_mul(to.max))
            }
            (Self::Sum, _) => {
                let sizes = sizes.collect::<Result<Vec<_>, _>>()?;
                sizes.iter().fold(0_u128, |sum, size| sum.saturating_add(size.sum))
            }
            _ => 0,
        })
    }
}

/// What one argument measures, row by row: bytes of text, or numbers that are not negative.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    min: u128,
    max: u128,
    sum: u128,
}

impl Size {
    /// Bytes of each value.
    fn of(arg: &ColumnarValue, rows: usize) -> Result<Self, ArrowError> {
        let values = values(arg)?;
        if is_text(values.data_type()) {
            return Self::of_integers(&length(&values)?, arg, rows);
        }
        // No single value is larger than all together.
        let bytes = values.get_array_memory_size() as u128;
        let all = if matches!(arg, ColumnarValue::Scalar(_)) { bytes.saturating_mul(rows as u128) } else { bytes };
        Ok(Self { min: 0, max: bytes, sum: all })
    }

    fn of_numbers(arg: &ColumnarValue, rows: usize) -> Result<Self, ArrowError> {
        Self::of_integers(&values(arg)?, arg, rows)
    }

    fn of_integers(numbers: &ArrayRef, arg: &ColumnarValue, rows: usize) -> Result<Self, ArrowError> {
        let numbers = integers(numbers)?;
        let known = || numbers.iter().flatten().map(|number| u128::try_from(number).unwrap_or(0));
        let sum = known().fold(0, u128::saturating_add);
        let sum = if matches!(arg, ColumnarValue::Scalar(_)) { sum.saturating_mul(rows as u128) } else { sum };
        Ok(Self { min: known().min().unwrap_or(0), max: known().max().unwrap_or(0), sum })
    }

    /// At least the sum, over all rows, of this one's value times that one's.
    fn times(&self, other: &Self) -> u128 {
        self.max.saturating_mul(other.sum).min(self.sum.saturating_mul(other.max))
    }
}

fn values(arg: &ColumnarValue) -> Result<ArrayRef, ArrowError> {
    match arg {
        ColumnarValue::Array(array) => Ok(Arc::clone(array)),
        ColumnarValue::Scalar(value) => value.to_array().map_err(|error| ArrowError::ComputeError(error.to_string())),
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn integers(values: &ArrayRef) -> Result<Int64Array, ArrowError> {
    let cast = cast(values, &DataType::Int64)?;
    cast.as_any().downcast_ref().cloned().ok_or_else(|| ArrowError::CastError("no integers".to_owned()))
}

/// Elements of the longest list that `range` could make.
fn steps(args: &[ColumnarValue]) -> Result<u128, ArrowError> {
    let Some(last) = args.get(1).or(args.first()) else { return Ok(0) };
    let (to, unit) = place(&values(last)?)?;
    let from = match args {
        [from, _, ..] => place(&values(from)?)?.0,
        _ => Int64Array::from(vec![0]),
    };
    let apart = |a: Option<i64>, b: Option<i64>| a.zip(b).map_or(0, |(a, b)| u128::from(a.abs_diff(b)));
    let span = apart(max(&to), min(&from)).max(apart(min(&to), max(&from)));
    let step = args.get(2).map_or(Ok(unit), |step| smallest_step(&values(step)?, unit))?;
    Ok((span.saturating_mul(unit) / step.max(1)).saturating_add(1))
}

/// Numbers, days or instants as integers, and how many nanoseconds one of them is (1 for numbers).
fn place(values: &ArrayRef) -> Result<(Int64Array, u128), ArrowError> {
    let nanos = match values.data_type() {
        DataType::Date32 => 86_400_000_000_000,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => 1_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        _ => 1,
    };
    let values =
        if values.data_type() == &DataType::Date32 { cast(values, &DataType::Int32)? } else { Arc::clone(values) };
    Ok((integers(&values)?, nanos))
}

/// In nanoseconds for intervals, as it is for numbers; at least 1.
fn smallest_step(steps: &ArrayRef, unit: u128) -> Result<u128, ArrowError> {
    let DataType::Interval(_) = steps.data_type() else {
        let smallest = integers(steps)?.iter().flatten().map(|step| u128::from(step.unsigned_abs())).min();
        return Ok(smallest.unwrap_or(1).max(1).saturating_mul(unit));
    };
    let steps = cast(steps, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let steps = arrow::array::AsArray::as_primitive_opt::<arrow::datatypes::IntervalMonthDayNanoType>(&steps)
        .ok_or_else(|| ArrowError::CastError("no intervals".to_owned()))?;
    let nanos = |step: arrow::datatypes::IntervalMonthDayNano| {
        let days = u128::from(step.months.unsigned_abs()) * 28 + u128::from(step.days.unsigned_abs());
        days * 86_400_000_000_000 + u128::from(step.nanoseconds.unsigned_abs())
    };
    Ok(steps.iter().flatten().map(nanos).min().unwrap_or(1).max(1))
}

/// A function that first says how much it would make.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    limit: usize,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes = self.growth.bytes(&args.args, args.number_rows)?;
        if bytes > self.limit as u128 {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{}() would make up to {bytes} bytes at once, and {} are the most",
                self.name(),
                self.limit
            )));
        }
        self.inner.invoke_with_args(args)
    }
}
