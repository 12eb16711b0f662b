//! One statement from text to rows: [`guard`] decides whether it may run, [`session`] says with what, [`engine`] runs it
//! within its limits.

pub mod engine;
pub mod guard;
pub mod session;
