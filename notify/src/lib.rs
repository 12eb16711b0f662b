//! Delivers alerts: what is said, to whom, by which way, and the loop that works through the log of deliveries.
//!
//! In reading order: who is told and when ([`route`], with [`quiet`] hours), what a message says ([`message`], with
//! [`link`]s), how each way of delivery writes it ([`channel`]), how HTTP requests leave without reaching what they must
//! not ([`guard`], [`http`]), the configured channels together ([`desk`]), what is remembered of deliveries ([`log`],
//! kept by the control store: [`store_log`]) and who works through that ([`courier`], waiting as [`backoff`] says).
//!
//! Nothing here raises an alert or decides that one is due; and no text that leaves here, whether an error, a log line or
//! a preview, shows a secret ([`redact`]).

pub mod backoff;
pub mod channel;
pub mod courier;
pub mod desk;
pub mod failure;
pub mod guard;
pub mod http;
pub mod link;
pub mod log;
pub mod message;
pub mod quiet;
pub mod redact;
pub mod route;
pub mod store_log;
pub mod text;
