//! Loads the configuration: defaults, then the file, then the environment. Unknown keys are refused.

use std::path::Path;

use anyhow::{Context, bail};
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use spendstream_schemas::config::Config;

const DEFAULT_FILE: &str = "spendstream.toml";
const ENV_PREFIX: &str = "SPENDSTREAM__";

/// Reads `file`, or `spendstream.toml` if it exists, and the environment.
///
/// # Errors
/// When a named file is missing, or a key is unknown or has the wrong type: the message names key and place.
pub fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    match file {
        Some(path) if !path.is_file() => bail!("configuration file {} does not exist", path.display()),
        Some(path) => figment = figment.merge(Toml::file_exact(path)),
        None => figment = figment.merge(Toml::file_exact(DEFAULT_FILE)),
    }
    let config: Config = figment
        .merge(Env::prefixed(ENV_PREFIX).split("__"))
        .extract()
        .map_err(Box::new)
        .context("configuration")?;
    Ok(config)
}
