//! Decoded events as columns: texts interned to numbers, counts in vectors, nothing per event on the heap.

pub mod arrays;
pub mod events;
pub mod interner;
pub mod owners;
pub mod reattributed;
pub mod replace;
pub mod texts;
