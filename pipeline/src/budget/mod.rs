//! Budgets at work: which of them a call or a sum belongs to, when one is crossed, and whether a call may run.
//!
//! ```text
//!  request ─▶ cost (estimate) ─▶ decide: book ▸ spend ▸ holds ▸ stops ▸ rates ─▶ answer ─▶ journal
//!  touched sums ─▶ crossing ─▶ alerts
//! ```
//!
//! In reading order: budgets by what they watch ([`book`]), what they may spend ([`limit`])
//! percentages without floats
//! ([`percent`]), and how they stand ([`standing`]), who asks ([`subject`]), what a call would cost ([`cost`], [`history`]) and what would cost less ([`models`]); what
//! is promised ([`holds`]), request rates ([`rate`]) and emergency stops ([`stops`]); the decision ([`decide`]) and its words
//! ([`words`]); thresholds ([`crossing`], [`notice`]); what else live
//! totals tell ([`unpriced`], [`reconciliation`]); all of it for one process
//! ([`live`], [`observer`]), and what is written down ([`journal`]).
//! Everything but [`live`] and [`observer`] is pure: no clock, no lock, no IO.

#![deny(clippy::float_arithmetic)]

pub mod book;
mod claims;
pub mod cost;
pub mod crossing;
pub mod decide;
pub mod history;
mod hold;
pub mod holds;
pub mod journal;
mod last;
pub mod limit;
pub mod live;
pub mod models;
pub mod notice;
pub mod observer;
pub mod percent;
mod promised;
pub mod rate;
mod recent;
pub mod reconciliation;
mod refuse;
pub mod standing;
pub mod stops;
pub mod subject;
pub mod unpriced;
mod words;

#[cfg(test)]
mod claims_tests;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
