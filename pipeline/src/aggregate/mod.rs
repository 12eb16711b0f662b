//! Live totals: what was spent, by the dimensions that somebody watches, a moment after it was read.
//!
//! ```text
//!  worker: group ─▶ thread ─▶ Totals (behind a lock) ─▶ readers: decide, budgets, detectors
//!             Groups    ▲ ▲
//!  committer ─ Committed┘ └─ load: sums of the lake at one snapshot
//! ```
//!
//! In reading order: what is watched ([`plan`], [`cover`]), sums of a batch ([`sums`], [`key`], [`group`]), what is held in memory
//! ([`table`], [`cells`], [`buckets`], [`pending`], [`watermark`], [`totals`], [`mod@read`], [`join`]; all pure), and the edge: [`mod@load`], [`thread`] (with `reading`)
//! and [`live`]. What instances tell one another of their partitions is [`share`].
//!
//! A total is a function of the log: base (the lake at an offset) plus the batches beyond that offset. What is not known to be whole is
//! [`read::Unknown`], never a part of a sum. Nothing here is durable: all of it is read again from the lake.

pub mod awaited;
pub mod buckets;
pub mod cells;
pub mod cover;
pub mod group;
pub mod join;
pub mod key;
pub mod live;
pub mod load;
pub mod metrics;
pub mod pending;
pub mod plan;
pub mod read;
mod reading;
pub mod share;
pub mod sums;
pub mod table;
pub mod thread;
pub mod totals;
pub mod watermark;

#[cfg(test)]
pub(crate) mod tests;
