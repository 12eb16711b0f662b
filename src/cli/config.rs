//! `spendstream config`: the configuration in force as TOML, or the commented sample. Secrets are never printed.

use std::process::ExitCode;

use spendstream_schemas::config::Config;
use toml::{Table, Value};

use crate::settings;

/// Show the configuration in force (defaults, then the file, then the environment), secrets left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  spendstream config\n  spendstream config --sample > spendstream.toml")]
pub struct Args {
    /// Write the commented sample with every key and its default instead.
    #[arg(long)]
    pub sample: bool,
}

/// What stands in the place of a secret.
const REDACTED: &str = "(redacted)";
/// A key that contains one of these holds a secret.
const SECRET_WORDS: [&str; 6] = ["password", "secret", "key", "token", "passphrase", "sasl.oauthbearer.config"];

pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    if args.sample {
        print!("{}", settings::SAMPLE);
    } else {
        print!("{}", effective(&config)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn effective(config: &Config) -> anyhow::Result<String> {
    let mut table = Table::try_from(config)?;
    redact(&mut table);
    Ok(toml::to_string(&table)?)
}

fn redact(table: &mut Table) {
    for (key, value) in table.iter_mut() {
        match value {
            Value::Table(inner) => redact(inner),
            Value::String(text) if text.is_empty() => {}
            Value::String(text) if is_secret(key) => REDACTED.clone_into(text),
            // `ssl://user:password@host` in any value.
            Value::String(text) => {
                if let Some(hidden) = without_userinfo(text) {
                    *text = hidden;
                }
            }
            _ => {}
        }
    }
}

/// Whether a key names a secret. Locations of key files do not.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word)) && !key.ends_with(".location")
}

/// `scheme://user:password@host` without the part before `@`; `None` when there is none.
fn without_userinfo(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    let (userinfo, _) = authority.rsplit_once('@')?;
    Some(format!("{scheme}://{REDACTED}{}", &rest[userinfo.len()..]))
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::config::{Config, Text};

    use super::{effective, without_userinfo};

    #[test]
    fn what_is_printed_reads_back() {
        let config = Config::default();
        assert_eq!(toml::from_str::<Config>(&effective(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut config = Config::default();
        for key in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            config.kafka.client.insert(key.into(), Text("hunter2".into()));
        }
        config.kafka.client.insert("ssl.key.location".into(), Text("/etc/key.pem".into()));
        for key in ["aws_secret_access_key", "aws_access_key_id", "aws_session_token"] {
            config.lake.options.insert(key.into(), Text("hunter2".into()));
        }
        config.lake.options.insert("aws_endpoint".into(), Text("http://me:hunter2@s3:9000/x".into()));
        let shown = effective(&config).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("\"ssl.key.location\" = \"/etc/key.pem\""), "{shown}");
        assert!(shown.contains("aws_endpoint = \"http://(redacted)@s3:9000/x\""), "{shown}");
    }

    #[test]
    fn an_address_without_user_stays() {
        assert_eq!(without_userinfo("http://host:1/a@b"), None);
        assert_eq!(without_userinfo("s3://bucket/prefix"), None);
    }
}
