//! The binary `spendstream`: one subcommand per job. Parses, loads the configuration, calls the crate that does it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "answers go to standard output, errors to standard error")]

mod cli;
mod demo;
mod settings;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = cli::Cli::parse();
    cli::telemetry::start(args.log_format(), args.log_filter());
    match cli::run(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("spendstream: {}", cli::one_line(&error));
            ExitCode::from(1)
        }
    }
}
