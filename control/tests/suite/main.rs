//! The control store as its users see it, the same on `SQLite` and on a real PostgreSQL.
//!
//! Without PostgreSQL (`scripts/components.sh postgres`) its half says that it is skipped; where
//! `SPENDSTREAM_COMPONENTS=required` or `CI` is set, that is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

mod alerts;
mod budgets;
mod others;
mod privacy;
mod rewrites;
