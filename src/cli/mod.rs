//! The command line: which subcommands there are. Each file beside this one is one of them.

pub mod config;
pub mod demo;
pub mod estimate;
pub mod lake;
pub mod pipeline;
pub mod prices;
pub mod replay;
pub mod run;
pub mod serve;
pub mod sql;
mod sql_remote;
pub mod telemetry;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::settings;

/// A ledger of what LLM calls cost: exact, live, and open to SQL.
#[derive(Debug, Parser)]
#[command(name = "spendstream", version, about, max_term_width = 100)]
pub struct Cli {
    /// Configuration file (TOML). Default: spendstream.toml if it exists. Every key is also an environment variable
    /// (`SPENDSTREAM__KAFKA__BROKERS`).
    #[arg(long, global = true, value_name = "FILE", env = "SPENDSTREAM_CONFIG")]
    config: Option<PathBuf>,
    /// How to write the log on standard error.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show it working: an embedded broker, real traces, a local lake, dollars. Needs nothing else.
    Demo(demo::Args),
    /// Consume events from Kafka, price them, write the lake.
    Pipeline(pipeline::Args),
    /// Serve SQL over the lake by HTTP.
    Serve(serve::Args),
    /// Pipeline and query API in one process.
    Run(run::Args),
    /// Run one SQL query over a lake or a running server.
    Sql(sql::Args),
    /// What would a call cost, by tokens or by text?
    Estimate(estimate::Args),
    /// List, show, check, import and export prices.
    #[command(subcommand)]
    Prices(prices::Command),
    /// Check a lake, show what it holds.
    #[command(subcommand)]
    Lake(lake::Command),
    /// Send dead letters, or a file of events, to the topic again.
    Replay(replay::Args),
    /// Show the configuration in force, or write the commented sample.
    Config(config::Args),
}

impl Cli {
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// What is logged when nobody says otherwise: the demo shows everything that matters itself.
    pub fn log_filter(&self) -> &'static str {
        if matches!(self.command, Command::Demo(_)) { "error" } else { "warn,spendstream=info" }
    }
}

/// Runs the chosen subcommand; each decides its own exit code (0 done, 1 failed; clap gives 2 for wrong usage).
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = settings::load(cli.config.as_deref())?;
    match cli.command {
        Command::Demo(args) => demo::run(args, config),
        Command::Pipeline(args) => pipeline::run(args, config),
        Command::Serve(args) => serve::run(args, config),
        Command::Run(args) => run::run(args, config),
        Command::Sql(args) => sql::run(args, config),
        Command::Estimate(args) => estimate::run(args, config),
        Command::Prices(command) => prices::run(command, config),
        Command::Lake(command) => lake::run(command, config),
        Command::Replay(args) => replay::run(args, config),
        Command::Config(args) => config::run(args, config),
    }
}

/// An error and its causes on one line; a cause that the text before it says already is left out.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if line.ends_with(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line.replace('\n', " ")
}

/// The present, microseconds since the epoch: commands read the clock here and pass the time on.
#[allow(clippy::disallowed_methods, reason = "the edge of the program: everything below takes the time as an argument")]
pub fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// The runtime of a long-running subcommand.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Ends when the process is asked to stop: Ctrl-C or SIGTERM.
pub async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
