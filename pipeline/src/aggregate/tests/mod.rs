//! Live totals against SQL, and their algebra.

mod late;
mod memory;
mod pipeline;
mod properties;
mod reconcile;
pub(crate) mod rig;
