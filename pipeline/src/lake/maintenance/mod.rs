//! The lake as days age: small files are made one, days are sealed, moved to colder tiers, and deleted in the end. In: the tables of a lake, the
//! configuration, the time. Out: the same events, written anew; each step is one commit per table, and may end anywhere.
//!
//! In reading order: what is to be done ([`plan`], pure), who may do it and how a round goes ([`maintainer`]), the steps ([`compact`],
//! [`seal`] with [`repeats`] and [`rollups`], [`moves`], [`expire`], [`vacuum`]), and what they share ([`read`], [`write`]).

mod compact;
mod expire;
pub mod maintainer;
mod moves;
pub mod plan;
mod read;
mod repeats;
mod rollups;
mod seal;
mod vacuum;
mod write;

pub use maintainer::{Done, Maintainer, Moment, Round};
pub use plan::{Expiry, Step, plan};
