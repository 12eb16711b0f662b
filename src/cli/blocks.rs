//! `spendstream blocks …`: the emergency stop. Takes effect on every instance within a second, ends by itself.

use std::process::ExitCode;

use spendstream_control::blocks::{Block, BlockAction, NewBlock};
use spendstream_schemas::budget::Scope;
use spendstream_schemas::config::Config;

use super::control::{
    Output, Session, one_error, pair, print_json, print_rows, show_time, time_or_duration, with_store,
};

/// Blocks that `list --all` shows at most.
const SHOWN: u32 = 1000;

/// Subcommands of `spendstream blocks`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Stop the calls of a scope.
    Add(Add),
    /// List blocks in force.
    List {
        /// Those that are over too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        output: Output,
    },
    /// End a block now.
    Lift { id: String },
}

/// What is stopped, how and until when.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// Dimensions that must all fit: `endpoint=/chat model=gpt-5`.
    #[arg(required = true, value_name = "NAME=VALUE")]
    scope: Vec<String>,
    /// Ask for a cheaper model instead of refusing.
    #[arg(long)]
    downgrade: bool,
    /// A time, or a duration from now such as 30m or 2h.
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Told to those who are blocked.
    #[arg(long)]
    reason: String,
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_store(&config, |session| act(command, session))
}

async fn act(command: Command, session: Session) -> anyhow::Result<()> {
    let blocks = session.store.blocks();
    match command {
        Command::Add(args) => {
            let until = time_or_duration(&args.until, session.now)?;
            let action = if args.downgrade { BlockAction::Downgrade } else { BlockAction::Block };
            let new = NewBlock { scope: scope(&args.scope)?, action, until, reason: args.reason };
            print_json(&blocks.create(new, &session.act()).await.map_err(one_error)?)
        }
        Command::Lift { id } => print_json(&blocks.lift(&id, &session.act()).await.map_err(one_error)?),
        Command::List { all, output } => {
            let found = if all { blocks.list(SHOWN).await } else { blocks.active(session.now).await };
            let rows: Vec<_> = found.map_err(one_error)?.iter().map(row).collect();
            print_rows(&["id", "scope", "action", "until", "reason", "created_by", "lifted_by"], &rows, &output)
        }
    }
}

fn scope(pairs: &[String]) -> anyhow::Result<Scope> {
    let pairs = pairs.iter().map(|text| pair(text)).collect::<anyhow::Result<Vec<_>>>()?;
    Scope::new(pairs).map_err(|errors| {
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(lines.join("; "))
    })
}

fn row(block: &Block) -> Vec<String> {
    let action = match block.action {
        BlockAction::Block => "block",
        BlockAction::Downgrade => "downgrade",
    };
    vec![
        block.id.clone(),
        block.scope.to_string(),
        action.to_owned(),
        show_time(block.until),
        block.reason.clone(),
        block.created_by.clone(),
        block.lifted_by.clone().unwrap_or_default(),
    ]
}
