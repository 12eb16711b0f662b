//! SQL over the lake of spendstream, how budgets stand, and what a call would cost.
//!
//! ```text
//!  client ─▶ http ─▶ sql::guard (may it run?) ─▶ catalog (newest version) ─▶ sql::engine (limits) ─▶ format ─▶ client
//!                ├─▶ budgets (control store + SQL → how each stands)
//!                ├─▶ reports (parameters → SQL → rows → a document → JSON, HTML, CSV, XLSX)
//!                └─▶ estimate (tokens and text → money)
//! ```
//!
//! In reading order: how it starts and stops ([`server`]), the addresses it answers ([`http`]), the same for clients that speak PostgreSQL ([`pg`]), what a query can name
//! ([`catalog`]), which statements may run and how ([`sql`]), on which threads ([`executor`]), how answers look ([`format`]),
//! how budgets stand ([`budgets`]), where they are kept ([`control`]), how much spend has an owner ([`coverage`]), what is reported ([`reports`], asked for by [`words`]), what a call would cost ([`estimate`], [`prices`]), what is counted ([`metrics`]) and what can go wrong ([`error`]). This crate never writes the lake.

pub mod budgets;
pub mod catalog;
pub mod control;
pub mod coverage;
pub mod error;
pub mod executor;
pub mod format;
pub mod http;
pub mod metrics;
pub mod pg;
pub mod prices;
pub mod reports;
pub mod server;
pub mod sql;
pub mod words;

#[cfg(test)]
mod testing;

pub use error::QueryError;
pub use server::{Running, StartError, start};
pub use spendstream_schemas::estimate;
pub use sql::engine::{Answer, Engine};
