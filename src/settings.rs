//! Loads the configuration: defaults, then the file, then the environment. Unknown keys are refused, values checked.

mod environment;
mod shape;

use std::path::Path;

use anyhow::{Context, anyhow};
use spendstream_schemas::config::Config;
use toml::{Table, Value};

use shape::Shape;

/// Every key with its meaning and default; a test holds it to [`Config`].
pub const SAMPLE: &str = include_str!("../spendstream.sample.toml");

const DEFAULT_FILE: &str = "spendstream.toml";

/// Reads `file`, or `spendstream.toml` if it exists, and the environment.
///
/// # Errors
/// When a named file cannot be read, a key is unknown, or a value has the wrong type or cannot work: one line that
/// names key and place.
pub fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context(format!("configuration file {name}")),
    };
    let variables = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, text_of(&value))));
    resolve(&name, &text, variables)
}

/// Bytes that are no UTF-8 are marked, so that the key that gets them says so.
fn text_of(value: &std::ffi::OsStr) -> String {
    value.to_string_lossy().into_owned()
}

/// Defaults ← `text` of the file `name` ← `variables`, checked.
fn resolve(name: &str, text: &str, variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<Config> {
    let shape = Shape::new()?;
    let mut table = file(&shape, name, text)?;
    merge(&mut table, environment::table(&shape, variables)?);
    let config: Config = table.try_into().map_err(|error| anyhow!("configuration: {}", error.message()))?;
    config.validate().map_err(|error| anyhow!("configuration: {error}"))?;
    Ok(config)
}

/// The file as a table whose keys exist and whose values have their types.
fn file(shape: &Shape, name: &str, text: &str) -> anyhow::Result<Table> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| in_file(name, text, &error))?;
    flatten_client(&mut table);
    let fault = table.clone().try_into::<Config>().err();
    if let Some(key) = shape.unknown(&table) {
        let hint = shape.suggestion(&key).map_or(String::new(), |near| format!("; did you mean '{near}'?"));
        return Err(anyhow!("{name}{}: unknown key '{key}'{hint}", place(text, &key)));
    }
    // Read once more from the text only to learn the line.
    match fault {
        Some(fault) => Err(in_file(name, text, &toml::from_str::<Config>(text).err().unwrap_or(fault))),
        None => Ok(table),
    }
}

/// `security.protocol = "SSL"` without quotes is a table in TOML; in `kafka.client` it means the property.
fn flatten_client(table: &mut Table) {
    let client = table.get_mut("kafka").and_then(|kafka| kafka.get_mut("client"));
    if let Some(Value::Table(client)) = client {
        let mut flat = Table::new();
        flatten("", std::mem::take(client), &mut flat);
        *client = flat;
    }
}

fn flatten(prefix: &str, table: Table, into: &mut Table) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => flatten(&format!("{prefix}{key}."), inner, into),
            value => {
                into.insert(format!("{prefix}{key}"), value);
            }
        }
    }
}

/// `upper` over `lower`, table by table.
fn merge(lower: &mut Table, upper: Table) {
    for (key, value) in upper {
        match (lower.get_mut(&key), value) {
            (Some(Value::Table(lower)), Value::Table(upper)) => merge(lower, upper),
            (_, value) => {
                lower.insert(key, value);
            }
        }
    }
}

/// A fault that TOML or serde found, on one line; of the line at fault only the key is shown.
fn in_file(name: &str, text: &str, error: &toml::de::Error) -> anyhow::Error {
    let message = error.message().trim().replace('\n', " ");
    let Some(span) = error.span() else { return anyhow!("{name}: {message}") };
    let start = span.start.min(text.len());
    let number = text.get(..start).map_or(0, |before| before.matches('\n').count());
    let line = text.lines().nth(number).unwrap_or_default();
    let key = line.split('=').next().unwrap_or_default().trim();
    anyhow!("{name} line {}, '{key}': {message}", number + 1)
}

/// ` line 3` where the last part of the key is set or opens a table; nothing when it cannot be told.
fn place(text: &str, key: &str) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    let names = |line: &str| {
        let line = line.trim_start().trim_start_matches('[');
        let head = line.split(['=', ']']).next().unwrap_or_default().trim();
        head == key || head == last || head.rsplit('.').next().map(str::trim) == Some(last)
    };
    let mut lines = text.lines().enumerate().filter(|(_, line)| names(line));
    match (lines.next(), lines.next()) {
        (Some((number, _)), None) => format!(" line {}", number + 1),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
