//! One statement from text to rows: [`guard`] decides (reading `dialect`, asking `lookup`) whether it may run, [`session`] says with what (its
//! functions `bounded`, `buckets` of time and `currency` beside them, its `arithmetic` and `casts` exact, its `rules` mended, its sums from the `rollup` where that has them, its rows in `portions`), [`engine`] runs it within its limits and hands its rows out (`handed`), [`stop`] ends it whatever it does.

mod arithmetic;
mod bounded;
mod buckets;
mod casts;
mod currency;
pub(crate) mod dialect;
pub mod engine;
pub mod guard;
mod handed;
mod lookup;
mod portions;
mod rollup;
mod rules;
pub mod session;
pub mod stop;
