//! Proves the invariants on a lake. In: a lake. Out: findings, each with its figures. Never writes, never repairs.
//!
//! [`figures`] asks the lake, [`reprice`] prices every row again from the kept books, [`rollups`] compares sums with rows, [`judge`] (pure) says what follows.

mod figures;
mod judge;
mod reprice;
mod rollups;
mod rules;

pub use figures::{Figures, PartitionFigures, Repricing};
pub use judge::{Finding, Verdict, judge};
pub use rollups::Rollups;

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
    /// Rows of a partition for which the same holds (`decode.duplicate_identities`).
    pub identities: usize,
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

/// Checks the newest version. Where files are lost or cannot be read, that is the finding, and what would need them is not asked.
///
/// # Errors
/// When there is no table, or the store does not answer; what is wrong in it is a finding, not an error.
pub async fn check(lake: &Lake, limits: Limits) -> Result<Report, LakeError> {
    let view = LakeView::open(lake, limits.memory_bytes).await?;
    let wrong = figures::wrong_files(&view).await?;
    let (rows, findings) = if wrong.is_empty() {
        match gather(&view, (limits.horizon, limits.identities)).await {
            Ok(figures) => (figures.rows, judge(&figures)),
            Err(error) => (logged_rows(&view), judge::unreadable(view.files().count(), &error)),
        }
    } else {
        (logged_rows(&view), judge::incomplete(view.files().count(), wrong))
    };
    let ok = findings.iter().all(|finding| finding.verdict != Verdict::Failed);
    Ok(Report { lake: lake.to_string(), version: view.state.version, rows, ok, findings })
}

async fn gather(view: &LakeView, horizon: (i64, usize)) -> Result<Figures, LakeError> {
    let mut figures = figures::gather(view, horizon).await?;
    figures.repricing = reprice::reprice(view).await?;
    figures.rollups = rollups::compare(view).await?;
    Ok(figures)
}

/// Rows by the statistics in the log.
fn logged_rows(view: &LakeView) -> u64 {
    view.files().filter_map(|file| file.rows).sum()
}
