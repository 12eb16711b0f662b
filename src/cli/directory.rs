//! `spendstream directory …`: imports whose spend is whose from a CSV, and lists it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use spendstream_schemas::config::Config;
use spendstream_schemas::directory::Entry;

use super::control::{Output, Session, one_error, print_json, print_rows, show_time, with_store};

/// Subcommands of `spendstream directory`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the lines of an origin exactly those of a CSV (`kind,name,team,department,cost_center,contact,attributes,valid_from,valid_until`),
    /// all or none.
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
    with_store(&config, |session| act(command, session))
}

async fn act(command: Command, session: Session) -> anyhow::Result<()> {
    let directory = session.store.directory();
    match command {
        Command::Import { file, origin } => {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).with_context(|| format!("reading {name}"))?;
            print_json(&directory.import(&text, &name, &origin, &session.act()).await.map_err(one_error)?)
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
