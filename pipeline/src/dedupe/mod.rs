//! Which events were seen before: the same decision live, after a restart and on a replay (invariants 2 and 11).
//!
//! [`fingerprint`] says who an event is and what it says; [`horizon`] remembers that over the last N offsets of one
//! partition, [`family`] of spans in particular, by [`call_facts`]; [`rebuild`] reads it back from rows of the lake.

pub mod call_facts;
mod family;
pub mod fingerprint;
pub mod horizon;
pub mod rebuild;
