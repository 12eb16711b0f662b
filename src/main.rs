//! The binary `spendstream`: one subcommand per job. Parses, loads the configuration, calls the crate that does it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "answers go to standard output, errors to standard error"
)]

mod cli;
mod demo;
mod settings;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    end_quietly_on_a_closed_pipe();
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

/// `spendstream prices list | head` is no fault: printing to a pipe that was closed ends the program without a word.
fn end_quietly_on_a_closed_pipe() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|text| text.contains("Broken pipe")) {
            std::process::exit(0);
        }
        report(panic);
    }));
}
