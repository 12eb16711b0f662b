//! Prices for the pipeline: where the book comes from, how it stays current, and where its versions are kept.

pub mod archive;
pub mod engine;
pub mod reload;
pub mod rows;
pub mod spend;
pub mod summary;

/// The query API reads the same files in the same way.
pub use spendstream_storage::price_book as source;
