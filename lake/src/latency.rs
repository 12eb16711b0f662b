//! How latencies are spread, as sums that can be added: aggregate functions of SQL over `DDSketch`es.
//!
//! `latency_sketch(latency_ms)` makes a sketch of rows, `merge_sketches(sketch)` one of sketches, `sketch_quantile(sketch, 0.95)` reads it.
//! A sketch counts values in buckets of one percent, so that of parts merged is that of the whole, bit for bit.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use sketches_ddsketch::{Config, DDSketch};

/// Makes a sketch of rows.
pub const SKETCH: &str = "latency_sketch";
/// Makes one sketch of sketches.
pub const MERGE: &str = "merge_sketches";
/// Reads a quantile of a sketch.
pub const QUANTILE: &str = "sketch_quantile";

/// Makes the functions known to a session.
///
/// # Errors
/// Never, unless the session takes no functions.
pub fn register(state: &mut impl FunctionRegistry) -> Result<()> {
    for reads in [Reads::Rows, Reads::Sketches] {
        state.register_udaf(Arc::new(AggregateUDF::from(Sketch::new(reads))))?;
    }
    state.register_udf(Arc::new(ScalarUDF::from(Quantile { signature: Signature::any(2, Volatility::Immutable) })))?;
    Ok(())
}

/// Quantiles within one percent, of 2 048 buckets at most. A sketch that is read back has what its library takes for granted, and only like ones merge.
fn empty() -> DDSketch {
    DDSketch::new(Config::defaults())
}

fn read(bytes: &[u8]) -> Result<DDSketch> {
    let wrong = |why: String| DataFusionError::Execution(format!("no sketch of latencies: {why}"));
    // Of bytes that no sketch was written to, the library panics for some; anybody can hand it such by SQL.
    let read = std::panic::catch_unwind(|| DDSketch::from_java_bytes(bytes));
    read.map_err(|_| wrong("its bytes were not written by this library".to_owned()))?
        .map_err(|error| wrong(error.to_string()))
}

/// One sketch of sketches and of latencies that are in none yet: its arguments are a sketch and milliseconds, either of which may be null.
#[must_use]
pub fn both() -> AggregateUDF {
    AggregateUDF::from(Sketch::new(Reads::Both))
}

/// What an aggregate is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reads {
    Rows,
    Sketches,
    Both,
}

/// `latency_sketch`, `merge_sketches` and that of both.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Sketch {
    signature: Signature,
    reads: Reads,
}

impl Sketch {
    fn new(reads: Reads) -> Self {
        let columns = if reads == Reads::Both { 2 } else { 1 };
        Self { signature: Signature::any(columns, Volatility::Immutable), reads }
    }
}

impl AggregateUDFImpl for Sketch {
    fn name(&self) -> &str {
        match self.reads {
            Reads::Rows => SKETCH,
            Reads::Sketches => MERGE,
            Reads::Both => "sketch_of_both",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Gathered { sketch: empty(), reads: self.reads }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<arrow::datatypes::FieldRef>> {
        Ok(vec![Arc::new(arrow::datatypes::Field::new(format!("{}[sketch]", args.name), DataType::Binary, true))])
    }
}

struct Gathered {
    sketch: DDSketch,
    reads: Reads,
}

impl std::fmt::Debug for Gathered {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Gathered({} values)", self.sketch.count())
    }
}

impl Gathered {
    fn merge(&mut self, sketches: &ArrayRef) -> Result<()> {
        let sketches = cast(sketches, &DataType::Binary)?;
        for bytes in sketches.as_binary::<i32>().iter().flatten() {
            let other = read(bytes)?;
            self.sketch.merge(&other).map_err(|error| DataFusionError::Execution(error.to_string()))?;
        }
        Ok(())
    }

    fn add(&mut self, rows: &ArrayRef) -> Result<()> {
        let rows = cast(rows, &DataType::Int64)?;
        for value in rows.as_primitive::<Int64Type>().iter().flatten() {
            #[expect(clippy::cast_precision_loss, reason = "milliseconds, not money; a sketch is an estimate")]
            self.sketch.add(value as f64);
        }
        Ok(())
    }

    fn value(&self) -> ScalarValue {
        ScalarValue::Binary((self.sketch.count() > 0).then(|| self.sketch.to_java_bytes()))
    }
}

impl Accumulator for Gathered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match (self.reads, values) {
            (Reads::Rows, [rows]) => self.add(rows),
            (Reads::Sketches, [sketches]) => self.merge(sketches),
            (Reads::Both, [sketches, rows]) => {
                self.merge(sketches)?;
                self.add(rows)
            }
            _ => exec_err!("a sketch is made of one column"),
        }
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value())
    }

    fn size(&self) -> usize {
        size_of::<Self>() + usize::try_from(Config::defaults().max_num_bins).unwrap_or(0) * size_of::<u64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [states] = states else { return exec_err!("one state, please") };
        self.merge(states)
    }
}

/// `sketch_quantile`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantile {
    signature: Signature,
}

impl ScalarUDFImpl for Quantile {
    fn name(&self) -> &str {
        QUANTILE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [sketches, quantiles] = arrays.as_slice() else {
            return exec_err!("{QUANTILE} takes a sketch and a number from 0 to 1");
        };
        let (sketches, quantiles) = (cast(sketches, &DataType::Binary)?, cast(quantiles, &DataType::Float64)?);
        let sketches: &BinaryArray = sketches.as_binary();
        let quantiles: &Float64Array = quantiles.as_primitive();
        let values = (0..sketches.len()).map(|row| {
            if sketches.is_null(row) || quantiles.is_null(row) {
                return Ok(None);
            }
            let quantile = quantiles.value(row);
            let value = read(sketches.value(row))?.quantile(quantile);
            value.map_err(|_| DataFusionError::Execution(format!("{QUANTILE}: {quantile} is not between 0 and 1")))
        });
        Ok(ColumnarValue::Array(Arc::new(values.collect::<Result<Float64Array>>()?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{empty, read};

    proptest! {
        /// Whatever a statement takes for a sketch.
        #[test]
        fn no_bytes_end_in_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(sketch) = read(&bytes) {
                let _ = sketch.quantile(0.5);
                let _ = empty().merge(&sketch);
            }
        }
    }

    proptest! {
        /// What makes a rollup agree with its rows.
        #[test]
        fn a_sketch_of_parts_is_that_of_the_whole(parts in prop::collection::vec(prop::collection::vec(0_u32..4_000_000, 0..50), 0..6)) {
            let (mut whole, mut merged) = (empty(), empty());
            for part in &parts {
                let mut sketch = empty();
                for value in part {
                    whole.add(f64::from(*value));
                    sketch.add(f64::from(*value));
                }
                merged.merge(&read(&sketch.to_java_bytes()).unwrap()).unwrap();
            }
            prop_assert_eq!(merged.to_java_bytes(), whole.to_java_bytes());
        }
    }
}
