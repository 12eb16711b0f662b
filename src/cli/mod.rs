//! The command line: which subcommands there are. Each file beside this one is one of them.

pub mod alerts;
pub mod blocks;
pub mod budgets;
pub mod charges;
pub mod config;
mod control;
pub mod demo;
pub mod directory;
pub mod estimate;
pub mod keys;
pub mod lake;
pub mod pipeline;
pub mod prices;
pub mod privacy;
pub mod replay;
pub mod report;
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
    /// List, make and change budgets, or apply a file of them.
    #[command(subcommand)]
    Budgets(budgets::Command),
    /// List, acknowledge and snooze alerts.
    #[command(subcommand)]
    Alerts(alerts::Command),
    /// Say whose spend is whose: import and list the directory.
    #[command(subcommand)]
    Directory(directory::Command),
    /// Stop the calls of a scope at once, for a time.
    #[command(subcommand)]
    Blocks(blocks::Command),
    /// Say who may ask over HTTP: make, list and revoke keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Say which pseudonym stands for whom. Needs the key of `[privacy]`.
    #[command(subcommand)]
    Privacy(privacy::Command),
    /// Check a lake, show what it holds.
    #[command(subcommand)]
    Lake(lake::Command),
    /// What was spent, and who pays: summaries, days, months, chargeback, FOCUS, closing, bills.
    #[command(subcommand)]
    Report(report::Command),
    /// Import costs that are no calls.
    #[command(subcommand)]
    Charges(charges::Command),
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
        // What a producer is told of its connections is told by whoever uses it, once.
        if matches!(self.command, Command::Demo(_)) { "error" } else { "warn,spendstream=info,rdkafka::client=off" }
    }
}

/// Runs the chosen subcommand; each decides its own exit code (0 done, 1 failed; clap gives 2 for wrong usage).
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = settings::load(cli.config.as_deref())?;
    match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Pipeline(args) => pipeline::run(args, config),
        Command::Serve(args) => serve::run(args, config),
        Command::Run(args) => run::run(args, config),
        Command::Sql(args) => sql::run(args, config),
        Command::Estimate(args) => estimate::run(args, config),
        Command::Prices(command) => prices::run(command, config),
        Command::Budgets(command) => budgets::run(command, config),
        Command::Alerts(command) => alerts::run(command, config),
        Command::Directory(command) => directory::run(command, config),
        Command::Blocks(command) => blocks::run(command, config),
        Command::Keys(command) => keys::run(command, config),
        Command::Privacy(command) => privacy::run(command, config),
        Command::Lake(command) => lake::run(command, config),
        Command::Report(command) => report::run(command, config),
        Command::Charges(command) => charges::run(command, config),
        Command::Replay(args) => replay::run(args, config),
        Command::Config(args) => config::run(args, config),
    }
}

/// An error and its causes on one line; a cause that the text before it says already is left out, and so is what an object
/// store says beyond that.
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
    spendstream_storage::brief(&line)
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

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use spendstream_schemas::config::Config;

    use super::{Cli, Command, estimate, one_line, prices};

    /// What a shell would pass on of one example, which may have a variable in front, a pipe and a redirection.
    fn words(example: &str) -> Vec<String> {
        let command = example.rsplit(" | ").next().unwrap_or(example).split(" > ").next().unwrap_or(example);
        let command = command.split_once("spendstream ").map_or("", |(_, rest)| rest);
        let mut words = vec!["spendstream".to_owned()];
        // What stands between quotes is one word.
        for (at, part) in command.split('\'').enumerate() {
            match at % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        words
    }

    fn examples(command: &clap::Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = help.lines().filter(|line| line.contains("spendstream ")).map(str::to_owned);
        own.chain(command.get_subcommands().flat_map(examples)).collect()
    }

    #[test]
    fn the_examples_of_the_help_work() {
        let examples = examples(&Cli::command());
        assert!(examples.len() > 20, "{examples:?}");
        let mut run = 0;
        for example in &examples {
            // What a prompt's file holds is not the question here.
            let asked =
                example.replace("--text prompt.txt", "--input-tokens 9").replace("--text -", "--input-tokens 9");
            let cli = Cli::try_parse_from(words(&asked)).unwrap_or_else(|error| panic!("{example}: {error}"));
            let outcome = match cli.command {
                Command::Estimate(args) => estimate::run(args, Config::default()),
                Command::Prices(command @ (prices::Command::List(_) | prices::Command::Show(_))) => {
                    prices::run(command, Config::default())
                }
                _ => continue,
            };
            run += 1;
            assert!(outcome.is_ok(), "{example}: {outcome:?}");
        }
        assert_eq!(run, 8);
    }

    #[test]
    fn what_a_store_answers_is_one_line_without_its_body() {
        let answer = "Generic S3 error: Error performing GET http://127.0.0.1:9000/b?prefix=x in 2ms - Server returned \
                      non-2xx status code: 403 Forbidden: <Error><Code>InvalidAccessKeyId</Code><Message>No such key.\
                      </Message><AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId></Error>";
        let error = anyhow::anyhow!("{answer}").context("the lake s3://b/x cannot be read");
        assert_eq!(
            one_line(&error),
            "the lake s3://b/x cannot be read: GET http://127.0.0.1:9000/b was answered 403 Forbidden \
             (InvalidAccessKeyId): No such key; check aws_access_key_id and aws_secret_access_key (lake.options, AWS_* \
             variables)"
        );
    }
}
