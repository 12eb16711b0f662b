//! Opens what lies outside the process: the object store of a lake, the files of a price book, the key of pseudonyms.
//!
//! In: `lake.uri`, `lake.options`, `prices.*` and `privacy.*`. Out: a [`Lake`], which gives the store rooted at the lake and the Delta log
//! store of each table; the texts of a book ([`price_book`]); and what a store said, in one line ([`brief`]). Knows no table,
//! reads no rows, and never prints a secret.

mod brief;
mod classed;
mod durable;
mod error;
mod lake;
mod location;
pub mod price_book;
pub mod privacy;
mod s3;

pub use brief::brief;
pub use error::StorageError;
pub use lake::Lake;
