//! The price book: what a call costs. Texts of prices, catalogue, rates and overrides come in; exact amounts go out.
//!
//! It never does IO and knows no clock: files are read by the caller, time is an argument. A [`PriceBook`] is immutable;
//! another version of any of its texts is another book with another [`PriceBook::version`].
//!
//! Use: [`PriceBook::resolve`] once per distinct [`Question`] (which prices apply, whatever the time), then
//! [`Plan::price`] per call.

#![deny(clippy::float_arithmetic)]

mod book;
mod question;

pub use book::{BookError, BookFiles, PriceBook};
pub use question::{Plan, Priced, Question, Unpriced, Usage};
