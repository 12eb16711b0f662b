//! Delivery against real sockets: HTTP receivers that misbehave, mail servers that speak STARTTLS and TLS, and what each
//! channel sends, kept as snapshots.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "in a test a panic is the answer, and a skip is said"
)]

mod courier;
mod http;
mod mail;
mod messages;
mod support;
