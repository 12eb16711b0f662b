//! Proves the invariants on a lake. In: a lake. Out: findings, each with its figures. Never writes, never repairs.
//!
//! [`figures`] asks the lake, [`reprice`] prices every row again from the kept books, [`judge`] (pure) says what follows.

mod figures;
mod judge;
mod reprice;
mod rules;

pub use figures::{Figures, PartitionFigures, Repricing};
pub use judge::{Finding, Verdict, judge};

use spendstream_storage::Lake;

use super::error::LakeError;
use super::view::LakeView;

/// What a check may use and what counts as a repeat.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Memory of queries, bytes; beyond they spill.
    pub memory_bytes: usize,
    /// Offsets of a partition within which a repeat must have been dropped (`decode.duplicate_horizon`).
    pub horizon: i64,
}

/// The outcome: the version that was looked at, and a finding per check.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    pub lake: String,
    pub version: u64,
    pub rows: u64,
    pub ok: bool,
    pub findings: Vec<Finding>,
}

/// Checks the newest version.
///
/// # Errors
/// When there is no table, or it cannot be read; what is wrong in it is a finding, not an error.
pub async fn check(lake: &Lake, limits: Limits) -> Result<Report, LakeError> {
    let view = LakeView::open(lake, limits.memory_bytes).await?;
    let mut figures = figures::gather(&view, limits.horizon).await?;
    figures.repricing = reprice::reprice(&view).await?;
    let findings = judge(&figures);
    let ok = findings.iter().all(|finding| finding.verdict != Verdict::Failed);
    Ok(Report { lake: lake.to_string(), version: view.state.version, rows: figures.rows, ok, findings })
}
