//! `spendstream report close …`: months are closed and kept, bills are compared. In: the lake and the control store; out: figures on standard output. Writes
//! statements and charges, never calls.

use std::process::ExitCode;

use anyhow::Context;
use chrono_tz::Tz;
use spendstream_control::Store;
use spendstream_schemas::config::Config;
use spendstream_schemas::statement::{Month, Statement};

use super::super::control::{one_error, with_store};
use super::{adjust, close, diff, reconcile, statements};

/// Subcommands over statements and bills.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Close a month: keep an immutable statement of it. What is found later counts in the month after.
    Close(close::Args),
    /// Carry what was found for closed months since into the open one.
    Adjust(adjust::Args),
    /// Say line by line why a closed month is no longer what its statement says.
    Diff(diff::Args),
    /// List statements.
    List(statements::List),
    /// Show the statement of a month, and its lines.
    Show(statements::Show),
    /// Prove that a statement is what was stored, and compare it with the lake. Exit code 1 when its file was changed.
    Verify(statements::Show),
    /// Compare a provider's bill with what the lake says, by day, model and meter.
    Reconcile(reconcile::Args),
}

/// Which lake.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The lake instead of `lake.uri`: `file://…` or `s3://bucket/prefix`.
    #[arg(long, value_name = "URI")]
    pub lake: Option<String>,
}

pub fn run(command: Command, mut config: Config) -> anyhow::Result<ExitCode> {
    let place = match &command {
        Command::Close(args) => &args.place,
        Command::Adjust(args) => &args.place,
        Command::Diff(args) => &args.place,
        Command::Show(args) | Command::Verify(args) => &args.place,
        Command::List(args) => &args.place,
        Command::Reconcile(args) => &args.place,
    };
    if let Some(uri) = &place.lake {
        config.lake.read_elsewhere(uri.clone());
    }
    let config = &config;
    with_store(config, |session| async move {
        match command {
            Command::Close(args) => close::run(&args, &session, config).await,
            Command::Adjust(args) => adjust::run(&args, &session, config).await,
            Command::Diff(args) => diff::run(&args, &session, config).await,
            Command::List(args) => statements::list(&args, &session).await,
            Command::Show(args) => statements::show(&args, &session, config).await,
            Command::Verify(args) => statements::verify(&args, &session, config).await,
            Command::Reconcile(args) => reconcile::run(&args, &session, config).await,
        }
    })
}

/// The statement of a month.
pub(super) async fn of(store: &Store, month: Month) -> anyhow::Result<Statement> {
    let found = store.statements().of(month).await.map_err(one_error)?;
    found.with_context(|| format!("{month} is not closed: `spendstream report close {month}` closes it"))
}

/// The zone of the configuration, in which months are cut that are not closed yet.
pub(super) fn zone(config: &Config) -> Tz {
    config.reports.zone()
}
