//! The lake's proof, in one binary: whatever the store does and whoever else commits, each offset is in the table exactly once.

mod checks;
mod faults;
mod faulty;
mod histories;
mod races;
mod readers;
mod support;
