//! What the scenarios share: components, processes, topics, events with known costs, and ways to read the lake.

pub mod broker;
pub mod budgets;
pub mod captures;
pub mod clock;
pub mod collector;
pub mod components;
pub mod dice;
pub mod emitters;
pub mod events;
pub mod feed;
pub mod gateway;
pub mod http;
pub mod instance;
pub mod lake;
pub mod ledger;
pub mod mail;
pub mod offsets;
pub mod process;
pub mod producer;
pub mod reaper;
pub mod receiver;
pub mod recorder;
pub mod tiny_disk;
pub mod topics;
pub mod upstream;
pub mod wait;
