//! Which type of PostgreSQL a column or a parameter has. In: Arrow types and object numbers; out: the one for the other. Pure.

use arrow::datatypes::{DataType, IntervalUnit, Schema, TimeUnit};

/// The types that answers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// Exact, with as many digits as it has.
    Numeric,
    Text,
    Bytea,
    Date,
    Time,
    Timestamp,
    /// Always told in UTC.
    Timestamptz,
    Interval,
    /// Maps, lists and structs.
    Json,
}

impl Kind {
    /// The type that a column's values are told in.
    #[must_use]
    pub fn of(kind: &DataType) -> Self {
        match kind {
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::UInt8 | DataType::Int16 => Self::Int2,
            DataType::UInt16 | DataType::Int32 => Self::Int4,
            DataType::UInt32 | DataType::Int64 => Self::Int8,
            DataType::Float16 | DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            DataType::UInt64
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Self::Numeric,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytea
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::Timestamptz,
            DataType::Interval(_) | DataType::Duration(_) => Self::Interval,
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::RunEndEncoded(_, values) => Self::of(values.data_type()),
            nested if nested.is_nested() => Self::Json,
            _ => Self::Text,
        }
    }

    /// PostgreSQL's number of the type.
    #[must_use]
    pub const fn oid(self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Bytea => 17,
            Self::Int8 => 20,
            Self::Int2 => 21,
            Self::Int4 => 23,
            Self::Text => 25,
            Self::Json => 114,
            Self::Float4 => 700,
            Self::Float8 => 701,
            Self::Date => 1082,
            Self::Time => 1083,
            Self::Timestamp => 1114,
            Self::Timestamptz => 1184,
            Self::Interval => 1186,
            Self::Numeric => 1700,
        }
    }

    /// Bytes of each value; −1 where they differ.
    #[must_use]
    pub const fn size(self) -> i16 {
        match self {
            Self::Bool => 1,
            Self::Int2 => 2,
            Self::Int4 | Self::Float4 | Self::Date => 4,
            Self::Int8 | Self::Float8 | Self::Time | Self::Timestamp | Self::Timestamptz => 8,
            Self::Interval => 16,
            Self::Text | Self::Bytea | Self::Json | Self::Numeric => -1,
        }
    }

    /// The Arrow type that values are brought into before they are written; `None`: they are written as they are.
    #[must_use]
    pub fn written_as(self) -> Option<DataType> {
        Some(match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Numeric | Self::Json => return None,
        })
    }
}

/// The type of a parameter that a client says is of the type `oid`; `None` where it leaves that to the server.
///
/// # Errors
/// When values of that type are not read.
pub fn parameter(oid: u32) -> Result<Option<DataType>, u32> {
    Ok(Some(match oid {
        0 | 705 => return Ok(None),
        16 => DataType::Boolean,
        17 => DataType::Binary,
        // char, name, text, json, bpchar, varchar, uuid, jsonb
        18 | 19 | 25 | 114 | 1042 | 1043 | 2950 | 3802 => DataType::Utf8,
        20 | 26 => DataType::Int64,
        21 => DataType::Int16,
        23 => DataType::Int32,
        700 => DataType::Float32,
        701 => DataType::Float64,
        1082 => DataType::Date32,
        1083 => DataType::Time64(TimeUnit::Microsecond),
        1114 => DataType::Timestamp(TimeUnit::Microsecond, None),
        1184 => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        1186 => DataType::Interval(IntervalUnit::MonthDayNano),
        1700 => DataType::Decimal128(38, 15),
        other => return Err(other),
    }))
}

/// How values are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Binary,
}

impl Format {
    #[must_use]
    pub const fn code(self) -> i16 {
        match self {
            Self::Text => 0,
            Self::Binary => 1,
        }
    }

    /// The format of the value at `index`, of the codes that a client sent: none is text for all, one is for all.
    #[must_use]
    pub fn of(codes: &[i16], index: usize) -> Self {
        let code = if codes.len() == 1 { codes.first() } else { codes.get(index) };
        if code == Some(&1) { Self::Binary } else { Self::Text }
    }
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    pub format: Format,
}

/// The columns of an answer, in the formats that were asked for.
#[must_use]
pub fn columns(schema: &Schema, formats: &[i16]) -> Vec<Column> {
    let column = |(index, field): (usize, &std::sync::Arc<arrow::datatypes::Field>)| Column {
        name: field.name().clone(),
        kind: Kind::of(field.data_type()),
        format: Format::of(formats, index),
    };
    schema.fields().iter().enumerate().map(column).collect()
}
