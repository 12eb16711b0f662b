//! The lake as days age: small files are made one, days are sealed, moved to colder tiers, and deleted in the end. In: the tables of a lake, the
//! configuration, the time. Out: the same events, written anew; each step is one commit per table, and may end anywhere.
//!
//! In reading order: what is to be done ([`plan`], pure), who may do it and how a round goes ([`maintainer`]), the steps ([`compact`],
//! [`seal`] with [`repeats`] and [`rollups`], [`moves`], [`expire`], [`vacuum`]), what people ask for
//! ([`erase`], [`rewrite`] with [`rewritings`]), what they share ([`read`], [`write`], [`sorted`]) and what is told of them
//! ([`metrics`]).

mod anonymous;
mod compact;
pub mod erase;
mod expire;
mod listed;
pub mod maintainer;
pub mod metrics;
mod moves;
pub mod plan;
mod read;
mod repeats;
pub mod rewrite;
pub mod rewritings;
mod rollups;
mod seal;
pub mod search;
mod sorted;
mod vacuum;
mod write;

pub use maintainer::{Done, Maintainer, Moment, Round, deleted};
pub use plan::{Expiry, Step, plan};
pub(super) use read::failed;
