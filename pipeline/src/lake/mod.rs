//! The lake's writing side: encoded files and offsets go into the Delta table `usage` in one commit, or not at all.
//!
//! In reading order: what the log says ([`actions`]), what follows from it ([`books`], [`state`]; all pure), the table itself
//! ([`table`]), rows to files ([`encode`]), files and offsets to a version ([`commit`]), and what is read back
//! ([`recent`], [`status`], [`check`]). What is written anew as days age is [`maintenance`]. Logged answers of decide
//! and charges are tables of their own ([`decisions`], [`charges`]). Never loads a list of files on the way of a commit.

pub mod actions;
pub mod books;
pub mod charges;
pub mod check;
pub mod checkpoint;
pub mod commit;
pub mod decisions;
pub mod encode;
pub mod error;
mod layout;
mod log;
pub mod maintenance;
pub mod recent;
pub mod retry;
pub mod rewriter;
pub mod state;
mod stats;
pub mod status;
pub mod table;
mod upload;
pub mod view;

pub use commit::{Committed, Committer};
pub use encode::FileEncoder;
pub use error::{CommitError, EncodeError, LakeError};
