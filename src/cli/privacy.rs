//! `spendstream privacy …`: which pseudonym stands for somebody, and whom a pseudonym stands for. Both need the key of `[privacy]`.

use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use spendstream_schemas::config::Config;
use spendstream_schemas::pseudonym::key::is_pseudonym;
use spendstream_schemas::pseudonym::{Dimension, PrivacyKey};
use spendstream_storage::privacy;

use super::control::{Output, Session, one_error, print_rows, show_time, with_store};

/// Subcommands of `spendstream privacy`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print the pseudonym of a value. Whoever may read the key can do this; nothing is written down.
    Pseudonym {
        value: String,
        /// The lake's column, or tags.NAME.
        #[arg(long, default_value = "user_id", value_parser = dimension)]
        dimension: Dimension,
    },
    /// Say who in the directory has a pseudonym. Whoever may read the key and the control store can do this; it is written to the
    /// audit log.
    Who {
        pseudonym: String,
        #[command(flatten)]
        output: Output,
    },
}

fn dimension(name: &str) -> Result<Dimension, String> {
    name.parse()
}

pub fn run(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    let key = privacy::pseudonyms(&config.privacy).map_err(anyhow::Error::msg)?.key().cloned();
    let key =
        key.context("there is no key; set privacy.key_file or SPENDSTREAM__PRIVACY__KEY to the key of the pipeline")?;
    match command {
        Command::Pseudonym { value, dimension } => {
            println!("{}", key.pseudonym(&dimension, &value));
            Ok(ExitCode::SUCCESS)
        }
        Command::Who { pseudonym, output } => with_store(&config, |session| who(pseudonym, key, output, session)),
    }
}

async fn who(pseudonym: String, key: PrivacyKey, output: Output, session: Session) -> anyhow::Result<()> {
    if !is_pseudonym(&pseudonym) {
        bail!(
            "'{pseudonym}' is no pseudonym; write u- (a user) or p- (another dimension) and 32 digits, as the ledger has it"
        );
    }
    // Before anything is said: who asks is on record even if nobody is found.
    let audited = session.store.audit().record(&session.act(), "who", ("pseudonym", &pseudonym), None::<&()>).await;
    audited.map_err(one_error)?;
    let entries = session.store.directory().list().await.map_err(one_error)?;
    let is_asked_for =
        |dimension: &Dimension, value: &str| !is_pseudonym(value) && key.pseudonym(dimension, value) == pseudonym;
    let rows: Vec<Vec<String>> = entries
        .into_iter()
        .filter(|entry| {
            Dimension::try_from(entry.key.clone()).is_ok_and(|dimension| is_asked_for(&dimension, &entry.value))
        })
        .map(|entry| {
            let time = |time: Option<_>| time.map(show_time).unwrap_or_default();
            let (from, until) = (time(entry.valid_from), time(entry.valid_until));
            vec![entry.key.to_string(), entry.value, entry.team.unwrap_or_default(), from, until]
        })
        .collect();
    if rows.is_empty() {
        return Err(anyhow!(
            "nobody in the directory has the pseudonym {pseudonym} under this key; `spendstream directory list` shows who is in it"
        ));
    }
    print_rows(&["kind", "name", "team", "valid_from", "valid_until"], &rows, &output)
}

#[cfg(test)]
mod tests {
    use spendstream_control::Store;
    use spendstream_schemas::config::Config;
    use spendstream_schemas::config::notify::Secret;
    use spendstream_schemas::pseudonym::{Dimension, PrivacyKey};

    use super::super::prices::Format;
    use super::{Command, Output, run};

    const KEY: &str = "0123456789abcdef";

    #[test]
    fn who_is_behind_a_pseudonym_is_found_in_the_directory_and_on_record() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.store.url = format!("sqlite:{}", folder.path().join("control.db").display());
        let ask = |config: &Config, pseudonym: &str| {
            let output = Output { format: Format::Table };
            let asked = run(Command::Who { pseudonym: pseudonym.to_owned(), output }, config.clone());
            asked.map(drop).map_err(|error| error.to_string())
        };
        assert!(ask(&config, "u-1").unwrap_err().starts_with("there is no key; set privacy.key_file"));
        config.privacy.key = Secret::new(KEY);
        assert!(ask(&config, "ann").unwrap_err().starts_with("'ann' is no pseudonym"));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let act = spendstream_control::Act { who: "test", now: chrono::DateTime::UNIX_EPOCH };
        let store = runtime.block_on(Store::open(&config.store.url)).unwrap();
        let csv = "kind,name,team\nuser,Ann@x.org,search\nuser,bob,ads\n";
        runtime.block_on(store.directory().import(csv, "d.csv", "hr", &act)).unwrap();
        let pseudonym = |user: &str| PrivacyKey::new(KEY).unwrap().pseudonym(&Dimension::USER, user);
        assert_eq!(ask(&config, &pseudonym("ann@X.org")), Ok(()));
        assert!(ask(&config, &pseudonym("eve")).unwrap_err().starts_with("nobody in the directory has"));
        let log = runtime.block_on(store.audit().list(Some("pseudonym"), None, None, 10)).unwrap();
        let asked: Vec<_> = log.iter().map(|entry| (entry.action.as_str(), entry.id.clone())).collect();
        assert_eq!(asked, [("who", pseudonym("eve")), ("who", pseudonym("ann@x.org"))]);
        assert!(!serde_json::to_string(&log).unwrap().contains("nn@"));
    }
}
