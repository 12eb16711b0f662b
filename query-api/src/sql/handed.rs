//! How an answer is handed out. In: the schema and the rows that a query gives. Out: the same in types that every client knows, each column under a
//! name of its own.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::Array;
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::arithmetic::{DIGITS, NARROW};
use super::casts::{each_wide, retagged};

/// How an answer's columns are handed out: a wide decimal as one of 38 digits, up to [`DIGITS`] of them after the point, which every client knows;
/// also within lists, maps and structs. And each under a name of its own: a join may have one twice, of which many readers keep one column or none.
#[must_use]
pub fn narrow(schema: &SchemaRef) -> SchemaRef {
    let names = distinct(schema.fields().iter().map(|field| field.name().as_str()));
    let named = schema.fields().iter().zip(names).map(|(field, name)| match name {
        Some(name) => Arc::new(field.as_ref().clone().with_name(name)),
        None => Arc::clone(field),
    });
    let fields: Vec<FieldRef> = named.map(|field| narrow_field(&field)).collect();
    if fields.iter().zip(schema.fields()).all(|(narrow, field)| narrow == field) {
        return Arc::clone(schema);
    }
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Another name for each that was there before: `name_1`, `name_2`.
fn distinct<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Vec<Option<String>> {
    let mut taken: HashSet<String> = names.clone().map(str::to_owned).collect();
    let mut seen = HashSet::new();
    let other = |name: &'n str| {
        if seen.insert(name) {
            return None;
        }
        (1..=u32::MAX).map(|number| format!("{name}_{number}")).find(|free| taken.insert(free.clone()))
    };
    names.map(other).collect()
}

fn narrow_field(field: &FieldRef) -> FieldRef {
    let kind = each_wide(field.data_type(), &|after| DataType::Decimal128(NARROW, after.min(DIGITS)));
    if kind == *field.data_type() { Arc::clone(field) } else { Arc::new(field.as_ref().clone().with_data_type(kind)) }
}

/// Rows in a schema that [`narrow`] made.
///
/// # Errors
/// A figure that 38 digits do not hold; a quotient of more than 18 before the point.
pub fn narrowed(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if batch.schema_ref() == schema {
        return Ok(batch);
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            let column = arrow::compute::cast_with_options(column, &retagged(column.data_type()), &options)?;
            arrow::compute::cast_with_options(&column, field.data_type(), &options)
        }
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<Vec<_>, _>>()?)
}
