//! What the demo is made of, apart from its command line: traces → traffic → an embedded broker, and tables at the end.
//!
//! [`trace`], [`cast`], [`usage`], [`envelope`], [`traffic`] and [`live`] are pure: the same seed and start give the same
//! messages. [`broker`], [`producer`], [`dead_letters`] and [`report`] work on threads, sockets and the lake. Nothing here
//! prints.

pub mod broker;
pub mod budgets;
pub mod cast;
pub mod dead_letters;
pub mod envelope;
pub mod live;
pub mod producer;
pub mod report;
pub mod trace;
pub mod traffic;
pub mod usage;
