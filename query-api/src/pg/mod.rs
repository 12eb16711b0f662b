//! The same SQL for clients that speak PostgreSQL: psql, psycopg, JDBC, Grafana, Metabase, `DBeaver`.
//!
//! ```text
//!  TCP ─▶ server ─▶ startup (TLS? key?) ─▶ session ─┬▶ own statements (BEGIN, SET, SHOW)
//!                     socket ⇄ message, reply      ├▶ simple, extended ─▶ run ─▶ sql::engine, on `catalog`
//!                                                  └▶ rows: encode, one batch at a time
//! ```
//!
//! In reading order: who is let in and how long ([`server`], `startup`, `session`), how it is framed (`socket`, `message`, `reply`), what is asked
//! (`statement`, `settings`, `own`, `simple` and `extended` queries, `parameters`), what clients look up ([`catalog`], `functions`,
//! `recognised`), how it is answered (`run`, `rows`, `types`, `encode`, `numeric`, `failure`) and how it ends early (`cancel`). Everything that
//! reads goes through the one query path, with its guard and limits; this module never writes the lake.

mod cancel;
pub mod catalog;
mod encode;
mod extended;
mod failure;
mod functions;
mod message;
mod numeric;
mod own;
mod parameters;
mod recognised;
mod reply;
mod rows;
mod run;
pub mod server;
mod session;
mod settings;
mod socket;
mod startup;
mod statement;
mod types;

#[cfg(test)]
mod tests;
