//! Rows in small portions where an expression writes much beside each: a long text, a list that is to be unnested, a text put together of others.
//! In: a physical plan. Out: the same plan, in which such an operator is handed no more rows at once than it may make bytes of.
//!
//! What an operator makes of one batch is not seen by the memory pool until it is there. Never changes an answer, but for a single row that is too much.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions};
use futures::{StreamExt, TryStreamExt};

/// Bytes of a value of a fixed size, at most.
const FIXED: u128 = 16;

/// The plan, whose operators make no more than `limit` bytes of text and lists at once.
///
/// # Errors
/// When a plan cannot be put together again, which only a fault of the query engine can do.
pub fn portioned(plan: Arc<dyn ExecutionPlan>, limit: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let transformed = plan.transform_up(|node| {
        let [input] = node.children()[..] else { return Ok(Transformed::no(node)) };
        let making = Making::of(&node, &input.schema())?;
        if making.is_nothing() {
            return Ok(Transformed::no(node));
        }
        let input: Arc<dyn ExecutionPlan> = Arc::new(Portions { input: Arc::clone(input), making, limit });
        Ok(Transformed::yes(datafusion::physical_plan::replace_children_if_necessary(node, vec![input])?))
    })?;
    Ok(transformed.data)
}

/// How many rows a scan may hand on at once, no more than are `usual`: what it looks for itself is written beside each of them.
///
/// # Errors
/// As [`portioned`].
pub fn scanned(plan: &Arc<dyn ExecutionPlan>, limit: usize, usual: usize) -> Result<usize> {
    let mut most = 0;
    plan.apply(|node| {
        if node.children().is_empty() {
            most = Making::of(node, &node.schema())?.constant.max(most);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let rows = (limit as u128).checked_div(most).and_then(|rows| usize::try_from(rows).ok());
    Ok(rows.unwrap_or(usual).clamp(1, usual.max(1)))
}

/// What an operator writes beside each row.
#[derive(Clone, Debug, Default)]
struct Making {
    /// Bytes of constants.
    constant: u128,
    /// Columns whose values go into texts and lists, as often as they do.
    columns: Vec<(usize, u128)>,
}

impl Making {
    fn of(node: &Arc<dyn ExecutionPlan>, input: &SchemaRef) -> Result<Self> {
        let mut making = Self::default();
        node.apply_expressions(&mut |root| {
            // Whole columns are handed on, and what has a fixed size is small.
            if !root.is::<Column>() {
                root.apply(|part| {
                    if let Some(literal) = part.downcast_ref::<Literal>() {
                        if has_any_size(&literal.value().data_type()) {
                            making.constant = making.constant.saturating_add(literal.value().size() as u128);
                        }
                    } else if let Some(column) = part.downcast_ref::<Column>() {
                        let place = column.index();
                        if input.fields().get(place).is_some_and(|field| has_any_size(field.data_type())) {
                            match making.columns.iter_mut().find(|(other, _)| *other == place) {
                                Some((_, times)) => *times += 1,
                                None => making.columns.push((place, 1)),
                            }
                        }
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(making)
    }

    fn is_nothing(&self) -> bool {
        // A short text beside 8 192 rows is less than the rows are.
        const SHORT: u128 = 256;
        self.constant <= SHORT && self.columns.is_empty()
    }

    /// Bytes for all these rows.
    fn bytes(&self, rows: &RecordBatch) -> Result<u128, ArrowError> {
        let mut all = self.constant.saturating_mul(rows.num_rows() as u128);
        for (place, times) in &self.columns {
            all = all.saturating_add(bytes(rows.column(*place))?.saturating_mul(*times));
        }
        Ok(all)
    }
}

fn has_any_size(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => has_any_size(values),
        DataType::RunEndEncoded(_, values) => has_any_size(values.data_type()),
        _ => data_type.is_string() || data_type.is_binary() || data_type.is_nested(),
    }
}

/// Bytes of these very values, whatever the buffers they lie in hold besides.
fn bytes(values: &ArrayRef) -> Result<u128, ArrowError> {
    let fixed = (values.len() as u128).saturating_mul(FIXED);
    let within = match values.data_type() {
        DataType::List(_) | DataType::Map(..) | DataType::LargeList(_) => {
            let (from, to, inner): (usize, usize, ArrayRef) = match values.data_type() {
                DataType::List(_) => {
                    let list = values.as_list::<i32>();
                    (first(list.value_offsets()), last(list.value_offsets()), Arc::clone(list.values()))
                }
                DataType::LargeList(_) => {
                    let list = values.as_list::<i64>();
                    (first(list.value_offsets()), last(list.value_offsets()), Arc::clone(list.values()))
                }
                _ => {
                    let map = values.as_map();
                    (first(map.value_offsets()), last(map.value_offsets()), Arc::new(map.entries().clone()))
                }
            };
            bytes(&inner.slice(from, to.saturating_sub(from)))?
        }
        DataType::Struct(_) => values
            .as_struct()
            .columns()
            .iter()
            .try_fold(0_u128, |sum, column| Ok::<_, ArrowError>(sum + bytes(column)?))?,
        data_type if is_measured(data_type) => sum(&length(values)?)?,
        _ => values.get_array_memory_size() as u128,
    };
    Ok(within.saturating_add(fixed))
}

/// What the kernel `length` knows.
fn is_measured(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_measured(values),
        _ => {
            data_type.is_string()
                || matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
        }
    }
}

fn first<O: Copy + TryInto<usize>>(offsets: &[O]) -> usize {
    offsets.first().and_then(|offset| (*offset).try_into().ok()).unwrap_or(0)
}

fn last<O: Copy + TryInto<usize>>(offsets: &[O]) -> usize {
    offsets.last().and_then(|offset| (*offset).try_into().ok()).unwrap_or(0)
}

fn sum(lengths: &ArrayRef) -> Result<u128, ArrowError> {
    let lengths = match lengths.data_type() {
        DataType::Dictionary(..) => cast(lengths, &DataType::Int64)?,
        _ => Arc::clone(lengths),
    };
    let each = |length: i64| u128::try_from(length).unwrap_or(0);
    Ok(match lengths.as_any().downcast_ref::<Int32Array>() {
        Some(lengths) => lengths.iter().flatten().map(|length| each(length.into())).sum(),
        None => lengths.as_primitive::<Int64Type>().iter().flatten().map(each).sum(),
    })
}

/// Hands on the rows of its input, so many at once that no more than `limit` bytes are made of them.
#[derive(Debug)]
struct Portions {
    input: Arc<dyn ExecutionPlan>,
    making: Making,
    limit: usize,
}

impl DisplayAs for Portions {
    fn fmt_as(&self, _: DisplayFormatType, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Portions: limit={}", self.limit)
    }
}

impl ExecutionPlan for Portions {
    fn name(&self) -> &'static str {
        "Portions"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) => Ok(Arc::new(Self { input, making: self.making.clone(), limit: self.limit })),
            None => Ok(self),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let mode = datafusion::physical_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(mode))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (schema, making, limit) = (input.schema(), self.making.clone(), self.limit as u128);
        let portions = input.map_ok(move |rows| {
            let split = Split { making: making.clone(), limit, rest: vec![rows] };
            futures::stream::iter(split)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, portions.try_flatten().boxed())))
    }
}

/// A batch, halved until each part is small enough.
struct Split {
    making: Making,
    limit: u128,
    /// The next part last.
    rest: Vec<RecordBatch>,
}

impl Iterator for Split {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rows = self.rest.pop()?;
            let bytes = match self.making.bytes(&rows) {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(error.into())),
            };
            if bytes <= self.limit {
                return Some(Ok(rows));
            }
            if rows.num_rows() <= 1 {
                let (limit, why) = (self.limit, "would be made of a single row");
                return Some(Err(DataFusionError::ResourcesExhausted(format!(
                    "up to {bytes} bytes {why}, and {limit} are the most"
                ))));
            }
            let half = rows.num_rows() / 2;
            self.rest.push(rows.slice(half, rows.num_rows() - half));
            self.rest.push(rows.slice(0, half));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, ListArray, StringArray, StringViewArray};
    use arrow::datatypes::{Int32Type, Int64Type};
    use arrow::record_batch::RecordBatch;

    use super::{FIXED, Making, Split, bytes};

    #[test]
    fn a_slice_is_as_large_as_its_values() {
        let fixed = |rows: u128| rows * FIXED;
        let texts = vec!["a", "bb", "cccc", ""];
        let list =
            ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1); 3]), None, Some(vec![Some(2)])]);
        let dictionary: DictionaryArray<Int32Type> = texts.iter().copied().collect();
        for (values, expected) in [
            (Arc::new(StringArray::from(texts.clone())) as ArrayRef, 6 + fixed(2)),
            (Arc::new(StringViewArray::from(texts)), 6 + fixed(2)),
            (Arc::new(dictionary), 6 + fixed(2)),
        ] {
            assert_eq!(bytes(&values.slice(1, 2)).unwrap(), expected, "{values:?}");
        }
        let list: ArrayRef = Arc::new(list);
        assert!(bytes(&list).unwrap() > bytes(&list.slice(1, 2)).unwrap());
    }

    #[test]
    fn rows_come_whole_and_in_order_and_one_that_is_too_large_fails() {
        let texts: Vec<String> = (0..100).map(|row| "x".repeat(row)).collect();
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
        let rows = RecordBatch::try_from_iter([
            ("number", Arc::clone(&numbers)),
            ("text", Arc::new(StringArray::from(texts)) as ArrayRef),
        ])
        .unwrap();
        let split = |limit: u128| {
            let making = Making { constant: 10, columns: vec![(1, 2)] };
            Split { making, limit, rest: vec![rows.clone()] }
        };
        let parts: Vec<RecordBatch> = split(1000).collect::<Result<_, _>>().unwrap();
        assert!(parts.len() > 10);
        assert_eq!(arrow::compute::concat_batches(&rows.schema(), &parts).unwrap(), rows);
        assert_eq!(split(1_000_000).count(), 1);
        let error = split(200).find_map(Result::err).unwrap().to_string();
        assert!(error.contains("of a single row, and 200 are the most"), "{error}");
    }
}
