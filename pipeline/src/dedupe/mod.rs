//! Which events were seen before: the same decision live, after a restart and on a replay (invariants 2 and 11).
//!
//! [`fingerprint`] says who an event is and what it says, from a live row or from a row of the lake; [`horizon`] remembers
//! them over the last N offsets of one partition; [`rebuild`] fills a horizon from the lake.

pub mod fingerprint;
pub mod horizon;
pub mod rebuild;
