//! Budgets, as values: what they watch ([`scope`]), over which time ([`quarter`], [`period`]), how much and with which
//! rules ([`definition`]), how a draft becomes one ([`draft`]), which of many count for an event ([`applicable`]) and how
//! a budget stands ([`state`]).
//!
//! Nothing here reads a clock, a store or a total: the time, the figures and the directory's attributes are arguments.

#![deny(clippy::float_arithmetic)]

pub mod applicable;
pub mod definition;
pub mod draft;
pub mod period;
pub mod quarter;
mod reader;
pub mod scope;
pub mod state;

pub use applicable::{applicable, replaced};
pub use definition::{AmountsBy, Budget, Increase};
pub use draft::{BudgetDraft, Context, Problem};
pub use period::{Period, PeriodRule, midnight};
pub use quarter::{Quarter, Span};
pub use scope::{ResolvedScope, Scope, ScopeKey, ScopeValue, provider_of};
pub use state::{BudgetStatus, State, crossed, is_crossed, state};
