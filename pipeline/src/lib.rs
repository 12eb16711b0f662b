//! From Kafka to a Delta table, exactly once.

pub mod batch;
pub mod decode;
