//! Delivery against real sockets: HTTP receivers that misbehave, mail servers that speak STARTTLS and TLS, and what each
//! channel sends, kept as snapshots.

mod courier;
mod http;
mod mail;
mod messages;
mod support;
