//! End-to-end proof: the real binary against a real Kafka broker, a real S3 server and a stock OpenTelemetry Collector.
//!
//! `harness` starts and stops things, makes events and knows by its own integer arithmetic what they cost; `scenarios`
//! is one file per promise. Without the components (`scripts/components.sh`) a scenario says that it is skipped; where
//! `SPENDSTREAM_COMPONENTS=required` or `CI` is set, a missing component is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod harness;
mod scenarios;
