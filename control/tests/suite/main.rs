//! The control store as its users see it, the same on `SQLite` and on a real PostgreSQL.

mod support;

mod alerts;
mod budgets;
mod others;
