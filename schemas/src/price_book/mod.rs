//! The price book: what a call costs. Texts of prices, catalogue, rates and overrides come in; exact amounts go out.
//!
//! It never does IO and knows no clock: files are read by the caller, time is an argument. A [`PriceBook`] is immutable;
//! another version of any of its texts is another book with another [`PriceBook::version`].
//!
//! Use: [`PriceBook::resolve`] once per distinct [`Question`] (which prices apply, whatever the time), then
//! [`Plan::price`] per call.

#![deny(clippy::float_arithmetic)]

mod archive;
mod book;
mod catalog;
mod check;
mod exchange;
mod index;
pub(crate) mod instant;
mod override_check;
mod overrides;
mod plan;
mod question;
mod rates;
mod ratio;
mod row;
mod schedule;
mod spelling;
mod steps;
mod tariff;

pub use book::{BookError, BookFiles, PriceBook};
pub use check::{Finding, Severity, check};
pub use exchange::Rate;
pub use instant::{parse as parse_instant, show as show_instant};
pub use overrides::glob;
pub use question::{Plan, Priced, Question, Unpriced, Usage};
pub use row::{COLUMNS, PriceRow, UNITS, parse as parse_prices, to_csv};
pub use schedule::Schedule;
