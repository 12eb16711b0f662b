//! The control store: budgets, alerts, notifications, blocks, directory, keys, leases, erasures, statements, bills and the audit log, in `SQLite` or PostgreSQL.
//!
//! In reading order: what can go wrong ([`error`]), the two databases behind one face (`db`, `migrations`), the store
//! ([`store`]) and one module per thing it keeps. Every change of something that people set is audited in the same
//! transaction. The clock is an argument; nothing here knows Kafka, the lake or HTTP, and no secret is kept, only its hash.

pub mod alerts;
pub mod audit;
pub mod bills;
pub mod blocks;
pub mod budget_file;
pub mod budgets;
mod db;
pub mod directory;
pub mod erasures;
pub mod error;
pub mod gate;
pub mod keys;
pub mod leases;
pub mod local;
mod migrations;
pub mod notifications;
pub mod rewrites;
pub mod statements;
pub mod store;

pub use error::{Error, Result};
pub use store::{Act, Store};
