//! Measuring spendstream: what the benches and the end-to-end run share.
//!
//! In reading order: the events ([`loadgen`]), how they get to a broker ([`preload`] at once, [`stream`] at a pace), the yardstick
//! ([`raw`]), a pipeline under test ([`instance`]), asked by HTTP ([`http`]), watching a process ([`watch`]), what a lake says about itself
//! ([`lake_log`]), the table ([`report`]), and single stages of the pipeline for Criterion ([`stages`]). Lakes that are large at once: the
//! rows of a day again and again ([`days`]), written and aged by the pipeline's own code ([`aging`]). Nothing in the product depends on this
//! crate.

pub mod aging;
pub mod days;
pub mod http;
pub mod instance;
pub mod lake_log;
pub mod loadgen;
pub mod preload;
pub mod raw;
pub mod report;
pub mod stages;
pub mod stream;
pub mod watch;
