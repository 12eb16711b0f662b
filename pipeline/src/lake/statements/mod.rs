//! Statements of closed months in a lake. In: a lake, a month, the time. Out: lines as the lake has them ([`lines`]), the file that keeps them ([`file`]),
//! whether a month may be closed ([`refusal`], pure), what is carried into the open month ([`adjust`]), and how a bill differs ([`bills`]). Writes the folder `statements` and the
//! table `charges`, never `usage`.

pub mod adjust;
pub mod bills;
pub mod close;
pub mod file;
pub mod lines;
pub mod refusal;

use thiserror::Error;

use super::error::LakeError;

/// Why a month could not be closed, read or carried on.
#[derive(Debug, Error)]
pub enum StatementError {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("{0}")]
    Refused(String),
    #[error("statement {id} cannot be used: {reason}")]
    Broken { id: String, reason: String },
    #[error("a sum of the month does not fit: {0}")]
    Amount(#[from] spendstream_schemas::money::AmountError),
    #[error("lines cannot be written as columns: {0}")]
    Columns(#[from] arrow::error::ArrowError),
}
