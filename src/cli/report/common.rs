//! What all reports of the command line share: in come words and where to ask, out comes the report on standard output. Writes nothing else.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use spendstream_query_api::Engine;
use spendstream_query_api::format::Format;
use spendstream_query_api::reports::write::{self, Form};
use spendstream_query_api::reports::{Ground, Kind, make};
use spendstream_query_api::words::Words;
use spendstream_schemas::config::Config;
use spendstream_storage::privacy;

use crate::cli::sql_remote;

/// Options of every report.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// How it is written; csv, parquet, arrow and ndjson have its first table.
    #[arg(long, value_enum, default_value = "table")]
    format: Written,
    /// The lake to read instead of `lake.uri`: `file://…` or `s3://bucket/prefix`.
    #[arg(long, value_name = "URI", conflicts_with = "server")]
    lake: Option<String>,
    /// A running server to ask instead of reading the lake here. With `auth.mode = "keys"` the variable `SPENDSTREAM_API_KEY` holds the key.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Where days and months begin instead of `reports.timezone`: Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Show money in it by the price book's dated rates: EUR. A day without a rate is an error.
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// Only rows with this value (DIMENSION=VALUE, tags.NAME=VALUE; an empty value: rows without one). May be repeated.
    #[arg(long, value_name = "DIMENSION=VALUE")]
    filter: Vec<String>,
    /// Show the SQL that gives the figures.
    #[arg(long)]
    explain: bool,
}

impl Common {
    /// Rows that are everybody's, by DIMENSION=VALUE.
    pub fn shared(&mut self, text: &str) -> anyhow::Result<()> {
        let (name, value) = pair("shared", text)?;
        self.filter.push(format!("shared.{name}={value}"));
        Ok(())
    }
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Written {
    /// Aligned columns for people.
    Table,
    Json,
    Html,
    /// A workbook: amounts as text, exact, and as numbers beside.
    Xlsx,
    Csv,
    Parquet,
    Arrow,
    Ndjson,
}

impl Written {
    fn form(self) -> Form {
        match self {
            Self::Table => Form::Text,
            Self::Json => Form::Json,
            Self::Html => Form::Html,
            Self::Xlsx => Form::Xlsx,
            Self::Csv => Form::Rows(Format::Csv),
            Self::Parquet => Form::Rows(Format::Parquet),
            Self::Arrow => Form::Rows(Format::Arrow),
            Self::Ndjson => Form::Rows(Format::NdJson),
        }
    }
}

/// A time that a report is about.
#[derive(Debug, clap::Args)]
pub struct Range {
    /// A date of the time zone, or a time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Up to and without. Default: now.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

impl Range {
    pub fn words(self) -> [(&'static str, Option<String>); 2] {
        [("from", self.from), ("to", self.to)]
    }
}

/// Makes a report of these words, where they are given.
pub fn run(
    kind: Kind,
    given: impl IntoIterator<Item = (&'static str, Option<String>)>,
    common: Common,
    mut config: Config,
) -> anyhow::Result<ExitCode> {
    let given = given.into_iter().chain([("timezone", common.timezone), ("currency", common.currency)]);
    let mut pairs: Vec<(String, String)> = given.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    for filter in &common.filter {
        pairs.push(pair("filter", filter)?);
    }
    if common.explain {
        pairs.push(("explain".to_owned(), "sql".to_owned()));
    }
    if let Some(uri) = common.lake {
        config.lake.read_elsewhere(uri);
    }
    let form = common.format.form();
    let runtime = crate::cli::runtime().context("starting threads")?;
    runtime.block_on(async {
        let Some(server) = &common.server else {
            let bytes = local(kind, pairs, form, &config).await?;
            let mut out = io::stdout().lock();
            return out.write_all(&bytes).and_then(|()| out.flush()).context("writing the report");
        };
        pairs.push(("format".to_owned(), form.name().to_owned()));
        let asked = |client: &reqwest::Client, base: &str| client.get(format!("{base}{}", kind.path())).query(&pairs);
        sql_remote::copy(sql_remote::ask(server, asked).await?).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn local(kind: Kind, pairs: Vec<(String, String)>, form: Form, config: &Config) -> anyhow::Result<Vec<u8>> {
    let engine = Engine::open(config)?;
    let pseudonyms = privacy::pseudonyms(&config.privacy).map_err(|why| anyhow!(why))?;
    let now = chrono::DateTime::from_timestamp_micros(crate::cli::now_micros()).unwrap_or_default();
    let (zone, currency) = (config.reports.zone(), config.lake.currency.as_str());
    let ground = Ground { engine: &engine, now, zone, currency, pseudonyms: &pseudonyms };
    let words = Words::new(pairs).map_err(|why| anyhow!(why))?;
    let document = Box::pin(make(kind, &ground, words)).await?;
    Ok(write::write(&document, form)?)
}

/// `DIMENSION=VALUE`.
fn pair(option: &str, text: &str) -> anyhow::Result<(String, String)> {
    let (name, value) =
        text.split_once('=').with_context(|| format!("--{option} {text} has no =; write --{option} team=search"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
}
