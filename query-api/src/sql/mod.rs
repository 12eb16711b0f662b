//! One statement from text to rows: [`guard`] decides (reading `dialect`) whether it may run, [`session`] says with what, [`engine`] runs it
//! within its limits.

mod dialect;
pub mod engine;
pub mod guard;
pub mod session;
