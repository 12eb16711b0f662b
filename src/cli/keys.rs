//! `spendstream keys …`: who may ask over HTTP when `auth.mode = "keys"`. A key is shown once, when it is made.

use std::process::ExitCode;

use spendstream_control::keys::{Key, Role};
use spendstream_schemas::config::Config;

use super::control::{Output, Session, one_error, print_rows, show_time, with_store};

/// Subcommands of `spendstream keys`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a key and show it, once.
    Create {
        /// Whose it is; it stands in the audit log for what is done with the key.
        name: String,
        /// admin (everything), analyst (reads everything), producer (sends events, asks for decisions), member (the rows of its
        /// teams; reads nothing in this version).
        #[arg(long)]
        role: Role,
        /// Teams of a member.
        #[arg(long = "team")]
        teams: Vec<String>,
    },
    /// List keys, without their secrets.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Take a key out of force; instances follow within seconds.
    Revoke { id: String },
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    with_store(&config, |session| act(command, session))
}

async fn act(command: Command, session: Session) -> anyhow::Result<()> {
    let keys = session.store.keys();
    match command {
        Command::Create { name, role, teams } => {
            let made = keys.create(&name, role, &teams, &session.act()).await.map_err(one_error)?;
            // Nothing else on standard output, so that a script can take it.
            println!("{}", made.secret);
            eprintln!("The key {} ({role}) is shown this once; only its hash is kept.", made.key.id);
            Ok(())
        }
        Command::Revoke { id } => keys.revoke(&id, &session.act()).await.map_err(one_error),
        Command::List { output } => {
            let rows: Vec<_> = keys.list().await.map_err(one_error)?.iter().map(row).collect();
            print_rows(&["id", "name", "role", "teams", "created_at", "revoked_at"], &rows, &output)
        }
    }
}

fn row(key: &Key) -> Vec<String> {
    vec![
        key.id.clone(),
        key.name.clone(),
        key.role.to_string(),
        key.teams.join(","),
        show_time(key.created_at),
        key.revoked_at.map(show_time).unwrap_or_default(),
    ]
}
