//! Opens the object store that a lake lies in.
//!
//! In: `lake.uri` and `lake.options`. Out: a [`Lake`], which gives the store rooted at the lake and the Delta log store of
//! each table. Knows no table, reads no rows, and never prints a secret.

mod durable;
mod error;
mod lake;
mod location;
mod s3;

pub use error::StorageError;
pub use lake::Lake;
