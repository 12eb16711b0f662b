//! Prices for the pipeline: where the book comes from, how it stays current, and where its versions are kept.

pub mod archive;
pub mod engine;
pub mod kept;
pub mod reload;
pub mod repriced;
pub mod rows;
pub mod spend;
pub mod summary;
pub mod words;

/// The query API reads the same files in the same way.
pub use spendstream_storage::price_book as source;
