//! The Arrow schema of each lake table. Column names are the public interface of the product.

pub mod charges;
pub mod decisions;
pub mod rollup;
pub mod usage;
