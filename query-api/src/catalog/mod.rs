//! What a query can name: the lake's tables at one version, and views over them.
//!
//! In comes the lake, out comes a planning state for its newest version. Never writes, and never answers from an older
//! version than the newest commit at the time of the call.

mod lake;
mod views;

pub use lake::{Catalog, LakeStatus, Snapshot};
