//! `spendstream directory …`: imports whose spend is whose from a CSV, and lists it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use spendstream_schemas::config::Config;
use spendstream_schemas::directory::{Entry, Precedence, doubts};

use super::control::{Output, Session, one_error, print_json, print_rows, show_time, with_store};

/// Warnings that are shown of one file.
const MOST_WARNINGS: usize = 20;

/// Subcommands of `spendstream directory`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the lines of an origin exactly those of a CSV (`kind,name,team,department,cost_center,contact,attributes,valid_from,valid_until`),
    /// all or none. Several attributes of a line are separated by semicolons (`plan=pro;seats=4`), or have columns of their own
    /// (`attributes.plan`). What has no effect is refused, or warned of where it may be meant.
    Import {
        file: PathBuf,
        /// Whose lines they are; those of other origins stay.
        #[arg(long, default_value = "directory")]
        origin: String,
    },
    /// List all entries.
    List(Output),
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    let precedence = Precedence::new(config.directory.precedence.iter().map(String::as_str))
        .map_err(|problem| anyhow!("directory.precedence is wrong: {problem}"))?;
    with_store(&config, |session| act(command, precedence, session))
}

async fn act(command: Command, precedence: Precedence, session: Session) -> anyhow::Result<()> {
    let directory = session.store.directory();
    match command {
        Command::Import { file, origin } => {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).with_context(|| format!("reading {name}"))?;
            let imported = directory.import(&text, &name, &origin, &session.act()).await.map_err(one_error)?;
            warn(&doubts(&text, &name, &precedence));
            print_json(&imported)
        }
        Command::List(output) => {
            let entries = directory.list().await.map_err(one_error)?;
            let columns = [
                "kind",
                "name",
                "team",
                "department",
                "cost_center",
                "contact",
                "attributes",
                "valid_from",
                "valid_until",
            ];
            print_rows(&columns, &entries.iter().map(row).collect::<Vec<_>>(), &output)
        }
    }
}

/// The lines were taken all the same.
fn warn(doubts: &[String]) {
    for doubt in doubts.iter().take(MOST_WARNINGS) {
        eprintln!("warning: {doubt}");
    }
    if let Some(more) = doubts.len().checked_sub(MOST_WARNINGS).filter(|more| *more > 0) {
        eprintln!("warning: … and {more} more lines like these");
    }
}

fn row(entry: &Entry) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let attributes: Vec<_> = entry.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    vec![
        entry.key.to_string(),
        entry.value.clone(),
        text(&entry.team),
        text(&entry.department),
        text(&entry.cost_center),
        text(&entry.contact),
        attributes.join(";"),
        entry.valid_from.map(show_time).unwrap_or_default(),
        entry.valid_until.map(show_time).unwrap_or_default(),
    ]
}
