//! Anomalies. In go the points of a series in order of time; out come scores, verdicts with the reason in words, and the cause.
//!
//! [`rule`] is the simple one: this hour over three times the hourly mean, in exact money. [`series`] is one series against its own
//! past: [`level`] is what is usual, [`season`] what is usual for the hour of the week, [`tracker`] how surprising is surprising
//! here, [`verdict`] the words. [`fleet`] holds many series within a bound. [`cause`] says who moved, in exact money. [`watched`] is a
//! scope's hourly spend under both, as the pipeline watches it (`control::anomalies`), and [`notice`] the alert.
//!
//! Nothing here reads a clock, looks ahead, or does IO. Scores are statistics and therefore floats; an amount that is shown or
//! compared as money is an [`Amount`](spendstream_schemas::money::Amount) and never passes through one.

pub mod cause;
pub mod fleet;
pub mod level;
pub mod notice;
pub mod rule;
pub mod season;
pub mod series;
pub mod settings;
pub mod tracker;
pub mod verdict;
pub mod watched;

#[cfg(test)]
mod tests;

pub use cause::{Cause, Part, find_causes};
pub use fleet::Fleet;
pub use rule::{HourlyMean, Rule};
pub use series::{Judgement, Series};
pub use settings::Settings;
pub use verdict::{Kind, Verdict};
