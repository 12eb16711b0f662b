//! Environment variables as configuration: `SPENDSTREAM__SECTION__KEY` in, a table like the file's out.
//!
//! The key's own type decides how a value is read, so that a group named `123` stays a text. Values of free tables are
//! never shown in an error: they hold passwords.

use anyhow::{Context, anyhow, bail};
use spendstream_schemas::config::{Config, TierConfig};
use toml::{Table, Value};

use super::merge;
use super::shape::Shape;

const PREFIX: &str = "SPENDSTREAM__";
/// The one librdkafka property that is spelt with an underscore.
const LOG_LEVEL: &str = "log_level";

/// Reads the variables that start with `SPENDSTREAM__`; all others are ignored.
///
/// # Errors
/// When a key does not exist or a value has the wrong type; the message names the variable.
pub fn table(shape: &Shape, variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<Table> {
    let mut all = Table::new();
    for (name, raw) in variables {
        let Some(key) = name.strip_prefix(PREFIX) else { continue };
        let path: Vec<String> = key.to_ascii_lowercase().split("__").map(str::to_owned).collect();
        let one = single(shape, &path, &raw).with_context(|| format!("environment variable {name}"))?;
        // Alone, so that a value that cannot be is blamed on the variable that brought it.
        let alone: Result<Config, _> = one.clone().try_into();
        alone.map_err(|error| anyhow!("environment variable {name}: {}", error.message()))?;
        merge(&mut all, one);
    }
    Ok(all)
}

/// A table that holds just this key.
fn single(shape: &Shape, path: &[String], raw: &str) -> anyhow::Result<Table> {
    let (path, value) = match path {
        [kafka, client, rest @ ..] if kafka == "kafka" && client == "client" && !rest.is_empty() => {
            (vec![kafka.clone(), client.clone(), property(rest)], Value::String(raw.to_owned()))
        }
        [lake, options, rest @ ..] if lake == "lake" && options == "options" && !rest.is_empty() => {
            (vec![lake.clone(), options.clone(), rest.join("__")], Value::String(raw.to_owned()))
        }
        [lake, tiers, name, options, rest @ ..]
            if lake == "lake" && tiers == "tiers" && options == "options" && !rest.is_empty() =>
        {
            let place = [lake, tiers, name, options].map(Clone::clone);
            (place.into_iter().chain([rest.join("__")]).collect(), Value::String(raw.to_owned()))
        }
        [lake, tiers, _, key] if lake == "lake" && tiers == "tiers" => {
            let defaults = Table::try_from(TierConfig::default())?;
            let default = defaults.get(key).with_context(|| format!("a tier has no key '{key}'"))?;
            (path.to_vec(), value_like(default, path, raw)?)
        }
        [lake, retention, organizations, name]
            if lake == "lake" && retention == "retention" && organizations == "organizations" =>
        {
            let days = Value::Integer(raw.trim().parse().map_err(|_| anyhow!("'{raw}' is not a whole number"))?);
            (vec![lake.clone(), retention.clone(), organizations.clone(), name.clone()], days)
        }
        _ => (path.to_vec(), typed(shape, path, raw)?),
    };
    let nested = path.into_iter().rev().fold(value, |value, key| Value::Table(Table::from_iter([(key, value)])));
    nested.try_into().context("internal: a key without a section")
}

/// A librdkafka property: what is an underscore in a variable's name is a dot there.
fn property(rest: &[String]) -> String {
    let name = rest.join("_");
    if name == LOG_LEVEL { name } else { name.replace('_', ".") }
}

fn typed(shape: &Shape, path: &[String], raw: &str) -> anyhow::Result<Value> {
    let Some(default) = shape.get(path) else {
        let key = path.join(".");
        match shape.suggestion(&key) {
            Some(near) => {
                bail!("there is no key '{key}'; did you mean {PREFIX}{}?", near.to_uppercase().replace('.', "__"))
            }
            None => bail!("there is no key '{key}'; `spendstream config --sample` lists all"),
        }
    };
    value_like(default, path, raw)
}

/// The text as a value of the same kind.
fn value_like(like: &Value, path: &[String], raw: &str) -> anyhow::Result<Value> {
    Ok(match like {
        Value::String(_) => Value::String(raw.to_owned()),
        Value::Integer(_) => {
            let number = raw.trim().replace('_', "").parse();
            Value::Integer(number.map_err(|_| anyhow!("'{raw}' is not a whole number"))?)
        }
        Value::Boolean(_) => Value::Boolean(raw.trim().parse().map_err(|_| anyhow!("'{raw}' is not true or false"))?),
        Value::Table(_) => bail!("'{}' is a section; set one of its keys", path.join(".")),
        _ => toml_value(raw)?,
    })
}

/// A list, written as in a TOML file.
fn toml_value(raw: &str) -> anyhow::Result<Value> {
    let mut table: Table = format!("value = {raw}").parse().map_err(|_| anyhow!("not a list as TOML writes it"))?;
    table.remove("value").context("not a list as TOML writes it")
}
