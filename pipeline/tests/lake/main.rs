//! The lake's proof, in one binary: whatever the store does and whoever else commits, each offset is in the table exactly once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod checks;
mod decisions;
mod decisions_erased;
mod erasures;
mod faults;
mod faulty;
mod histories;
mod model;
mod model_erasures;
mod persons;
mod races;
mod readers;
mod repriced;
mod statements;
mod support;
mod world;
