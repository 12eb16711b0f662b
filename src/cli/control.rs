//! What the commands on the control store share: opening it, saying who acts and when, and printing what it answers.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use chrono::{DateTime, SecondsFormat, Utc};
use spendstream_control::{Act, Error, Store};
use spendstream_query_api::budgets::report::directory;
use spendstream_query_api::budgets::wanted::Wanted;
use spendstream_schemas::config::Config;
use spendstream_storage::price_book::BookSource;
use spendstream_storage::privacy;

use super::prices::{Format, table};

/// How an answer is written.
#[derive(Debug, clap::Args)]
pub struct Output {
    #[arg(long, value_enum, default_value = "table")]
    pub format: Format,
}

/// An open store and the one who uses it.
pub struct Session {
    pub store: Store,
    who: String,
    pub now: DateTime<Utc>,
}

impl Session {
    pub fn act(&self) -> Act<'_> {
        Act { who: &self.who, now: self.now }
    }
}

/// Opens `store.url`, runs the command and closes it.
pub fn with_store<F>(config: &Config, command: impl FnOnce(Session) -> F) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<()>>,
{
    super::runtime()?.block_on(async {
        let store = Store::open(&config.store.url).await.map_err(one_error)?;
        let user = std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned());
        let now = DateTime::from_timestamp_micros(super::now_micros()).context("the clock is out of range")?;
        let session = Session { store: store.clone(), who: format!("cli:{user}"), now };
        let done = command(session).await;
        store.close().await;
        done.map(|()| ExitCode::SUCCESS)
    })
}

/// An error of the store; of several problems none is left out.
pub fn one_error(error: Error) -> anyhow::Error {
    match error {
        Error::Invalid(problems) => anyhow!(problems.join("; ")),
        other => other.into(),
    }
}

/// What `--scope` asks for, to compare with; `None` where all will do.
///
/// # Errors
/// A text that is no pair or names no dimension, a price book that cannot be read, a control store that is away.
pub async fn wanted(texts: &[String], session: &Session, config: &Config) -> anyhow::Result<Option<Wanted>> {
    if texts.is_empty() {
        return Ok(None);
    }
    let read = |text: &String| {
        let (name, value) = pair(text)?;
        Ok((name.parse()?, value.to_owned()))
    };
    let pairs = texts.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let book = BookSource::new(&config.prices, &config.lake.currency).load()?;
    let pseudonyms = privacy::pseudonyms(&config.privacy).map_err(anyhow::Error::msg)?;
    let directory = directory(&session.store, &config.directory.precedence, &pseudonyms).await.map_err(one_error)?;
    Ok(Some(Wanted::new(pairs, Arc::new(book), Arc::clone(directory.spellings()))))
}

pub fn print_rows(columns: &[&str], rows: &[Vec<String>], output: &Output) -> anyhow::Result<()> {
    print!("{}", table::render(columns, rows, output.format)?);
    Ok(())
}

pub fn print_json<T: serde::Serialize>(value: &T) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// To the second.
pub fn show_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// An RFC 3339 time, or a duration from now such as 30m or 2h.
pub fn time_or_duration(text: &str, now: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let wanted = || format!("'{text}' is no time; write 2026-01-31T12:00:00Z or a duration such as 30m or 2h");
    let duration = spendstream_schemas::config::millis::parse(text).map_err(|_| anyhow!(wanted()))?;
    now.checked_add_signed(chrono::TimeDelta::from_std(duration)?).with_context(wanted)
}

/// A time, or a duration before now.
pub fn time_or_ago(text: &str, now: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    let later = time_or_duration(text, now)?;
    Ok(if DateTime::parse_from_rfc3339(text).is_ok() { later } else { now - (later - now) })
}

/// `NAME=VALUE`.
pub fn pair(text: &str) -> anyhow::Result<(&str, &str)> {
    text.split_once('=').with_context(|| format!("'{text}' is no pair; write NAME=VALUE"))
}
