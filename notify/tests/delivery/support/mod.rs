//! What the scenarios share.

pub mod log;
pub mod mail_servers;
pub mod receiver;
pub mod sample;
