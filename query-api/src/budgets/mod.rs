//! How budgets stand: budgets of the control store and one version of the lake come in, exact figures go out.
//!
//! ```text
//!  budgets ─▶ look (which sums, as SQL) ─▶ sums (run, kept per version) ─▶ standing (state per value) ─▶ report
//! ```
//!
//! The figures are SQL over the lake alone: what calls hold in reserve is known to the pipeline, so `held` is 0 here.
//! `look`, `standing`, `own` (the same in the budget's own currency), `wanted` (filters) and the decisions of `freshness` are pure; nothing here writes.

pub mod freshness;
pub mod look;
pub mod own;
pub mod report;
pub mod standing;
pub mod sums;
pub mod wanted;
