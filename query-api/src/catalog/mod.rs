//! What a query can name: the lake's tables at one version, views over them, and tables of the control store.
//!
//! In come the lake and the store, out comes a planning state for its newest version. Never writes, and never answers from an older
//! version than the newest commit at the time of the call.

pub(crate) mod checked;
pub mod control;
mod known;
mod lake;
mod tables;
pub(crate) mod usage;
mod views;

pub use lake::{Catalog, LakeStatus, Snapshot, TierStatus};

#[cfg(test)]
mod charge_tests;
#[cfg(test)]
mod tests;
