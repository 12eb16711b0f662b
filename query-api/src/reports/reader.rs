//! Where reports get their rows: in comes a statement, out comes the table of its answer. Everything that reports read goes through here, at one version
//! of the lake. Never writes.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::Ground;
use super::document::{Cell, Column, Kind, Part};
use crate::budgets::sums;
use crate::catalog::Snapshot;
use crate::error::QueryError;
use crate::format::cell::texts;

/// One version of the lake.
pub struct Reader<'a> {
    pub ground: &'a Ground<'a>,
    pub snapshot: Snapshot,
}

impl<'a> Reader<'a> {
    /// The newest version.
    ///
    /// # Errors
    /// When there is no lake or it cannot be read.
    pub async fn open(ground: &'a Ground<'a>) -> Result<Self, QueryError> {
        Ok(Self { ground, snapshot: ground.engine.snapshot().await? })
    }

    /// The answer of a statement as a part of a report.
    ///
    /// # Errors
    /// As any query.
    pub async fn part(&self, name: &'static str, sql: String) -> Result<Part, QueryError> {
        let batches = sums::rows(self.ground.engine, &self.snapshot, &sql).await?;
        let mut part = Part { name, sql: Some(sql), ..Part::default() };
        for batch in &batches {
            if part.columns.is_empty() {
                part.columns =
                    batch.schema().fields().iter().map(|field| column(field.name(), field.data_type())).collect();
            }
            rows(batch, &mut part).map_err(|error| QueryError::Internal(format!("a row of a report: {error}")))?;
        }
        Ok(part)
    }

    /// The texts of the first column of an answer.
    ///
    /// # Errors
    /// As any query.
    pub async fn texts(&self, sql: String) -> Result<Vec<String>, QueryError> {
        let part = self.part("texts", sql).await?;
        Ok(part.rows.iter().filter_map(|row| row.first()?.shown()).collect())
    }
}

fn column(name: &str, data_type: &DataType) -> Column {
    let kind = match data_type {
        DataType::Decimal128(_, scale) => Kind::Decimal(*scale),
        DataType::Float32 | DataType::Float64 => Kind::Number,
        other if other.is_integer() => Kind::Whole,
        _ => Kind::Text,
    };
    Column::new(name, kind)
}

fn rows(batch: &RecordBatch, part: &mut Part) -> Result<(), ArrowError> {
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (array, column) in batch.columns().iter().zip(&part.columns) {
        columns.push(match column.kind {
            Kind::Decimal(scale) => {
                let values = array.as_primitive::<Decimal128Type>();
                values.iter().map(|units| units.map_or(Cell::Null, |units| Cell::Decimal(units, scale))).collect()
            }
            Kind::Whole => {
                let array = cast(array, &DataType::Int64)?;
                array.as_primitive::<Int64Type>().iter().map(|whole| whole.map_or(Cell::Null, Cell::Whole)).collect()
            }
            Kind::Number => {
                let array = cast(array, &DataType::Float64)?;
                array.as_primitive::<Float64Type>().iter().map(|one| one.map_or(Cell::Null, Cell::Number)).collect()
            }
            Kind::Text => texts(array)?.iter().map(|text| Cell::text(text.as_deref())).collect::<Vec<_>>(),
        });
    }
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    for _ in 0..batch.num_rows() {
        part.rows.push(columns.iter_mut().map(|column| column.next().unwrap_or_default()).collect());
    }
    Ok(())
}
