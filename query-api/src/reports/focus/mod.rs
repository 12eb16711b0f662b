//! The export of charges in the words of FOCUS 1.2, one row per charge and meter (`docs/focus.md`).
//!
//! ```text
//!  period ─▶ query (SQL, a day at a time) ─▶ group ─▶ meters ─▶ shares (price book) ─▶ divide (split) ─▶ row ─▶ columns ─▶ csv, parquet
//!                                          └▶ charge ────────────────────────────────────────────────────▶ row
//! ```
//!
//! In: a [`Period`] and an engine. Out: batches of rows, as they are made; their `BilledCost` adds up to the lake's cost to the last digit. All days are read
//! at one version of the lake. Only [`export`] and [`books`] do IO; never writes the lake.

mod books;
mod charge;
mod columns;
mod csv;
mod divide;
pub mod export;
mod group;
mod meters;
mod names;
mod period;
mod price;
mod query;
mod row;
mod shares;
mod split;

pub use export::{Export, Told};
pub use period::{Granularity, Period};

use arrow::error::ArrowError;

use crate::format::{Encode, Format, encoder};

/// The encoder of an export, `None` for a form that exports do not have.
///
/// # Errors
/// When Parquet refuses the columns, which is a fault of this program.
pub fn writer(format: Format) -> Result<Option<Box<dyn Encode>>, ArrowError> {
    Ok(match format {
        Format::Csv => Some(Box::new(csv::FocusCsv::default())),
        Format::Parquet => Some(encoder(Format::Parquet, &columns::schema())?),
        Format::Json | Format::NdJson | Format::Arrow => None,
    })
}

#[cfg(test)]
mod tests;
