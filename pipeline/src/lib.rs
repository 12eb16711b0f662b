//! From Kafka to a Delta table, exactly once.
//!
//! ```text
//!  Kafka ─▶ intake ─▶ worker: decode ─▶ dedupe ─▶ price ─▶ writer: encode ─▶ committer ─▶ Delta table, dead-letter topic
//!           RawBatch          EventColumns      PricedBatch               Cut (LakeCommit)
//! ```
//!
//! [`batch`] holds the types between stages; [`intake`] polls Kafka; [`worker`] is one decode thread ([`decode`],
//! [`columns`], [`dedupe`], [`price`], sums by [`aggregate`]); [`writer`] encodes and cuts commits; [`committer`] makes them durable ([`lake`],
//! [`dead_letter`]); [`topology`] wires all of it; [`http`] and [`metrics`] show it. [`detect`] judges series of spend.

pub mod aggregate;
pub mod batch;
pub mod budget;
pub mod buffers;
pub mod columns;
pub mod committer;
pub mod control;
pub mod dead_letter;
pub mod decode;
pub mod dedupe;
pub mod detect;
pub mod flush;
pub mod http;
pub mod intake;
pub mod lake;
pub mod metrics;
pub mod peers;
pub mod price;
pub mod status;
pub mod topology;
pub mod worker;
pub mod writer;

pub use topology::{Running, Stats, start};
