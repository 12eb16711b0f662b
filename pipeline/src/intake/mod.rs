//! Reading from Kafka: [`context`] turns librdkafka's callbacks into events, [`batching`] copies messages into batches,
//! [`consumer`] is the one loop that polls; [`assignment`] says where partitions start, [`anchor`] whether they still are what they were, [`handover`] passes batches on, pauses and
//! flushes; [`client`] makes the configuration, [`renewed`] new clients where old ones hear nothing any more.

mod anchor;
mod assignment;
pub mod batching;
pub mod client;
pub mod consumer;
pub mod context;
mod handover;
pub mod renewed;
