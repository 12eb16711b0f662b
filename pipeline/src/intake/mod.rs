//! Reading from Kafka: [`context`] turns librdkafka's callbacks into events, [`batching`] copies messages into batches,
//! [`consumer`] is the one loop that polls, assigns, pauses and flushes; [`client`] makes the configuration.

pub mod batching;
pub mod client;
pub mod consumer;
pub mod context;
