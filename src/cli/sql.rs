//! `spendstream sql`: one statement over a lake or a running server. In comes SQL, out go rows on standard output as they
//! come; errors are one line on standard error. Never writes anything else.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use spendstream_query_api::Engine;
use spendstream_query_api::format::{self, Encode, TableEncoder};
use spendstream_schemas::config::{Config, millis};

use super::sql_remote;

/// Arguments of `spendstream sql`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One statement that reads; `-` takes it from standard input.
    #[arg(value_name = "SQL", allow_hyphen_values = true)]
    query: String,
    /// How rows are written.
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
    /// The lake to read instead of `lake.uri`: `file://…` or `s3://bucket/prefix`.
    #[arg(long, value_name = "URI", conflicts_with = "server")]
    lake: Option<String>,
    /// A running server to ask instead of reading the lake here: `http://127.0.0.1:8080`. With `auth.mode = "keys"` the variable
    /// `SPENDSTREAM_API_KEY` holds the key.
    #[arg(long, value_name = "URL", conflicts_with_all = ["max_rows", "timeout"])]
    server: Option<String>,
    /// Most rows of an answer instead of `query.max_rows`; more is an error.
    #[arg(long, value_name = "ROWS")]
    max_rows: Option<usize>,
    /// How long the query may take instead of `query.timeout`: 90s, 10m.
    #[arg(long, value_name = "DURATION", value_parser = millis::parse)]
    timeout: Option<Duration>,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// Aligned columns for people.
    Table,
    /// An array of objects; decimals are strings.
    Json,
    /// A header and one line per row.
    Csv,
}

pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    let query = if args.query == "-" { read_statement(config.query.max_statement_bytes)? } else { args.query };
    if let Some(uri) = args.lake {
        config.lake.read_elsewhere(uri);
    }
    config.query.max_rows = args.max_rows.unwrap_or(config.query.max_rows);
    config.query.timeout = args.timeout.unwrap_or(config.query.timeout);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    let written = runtime.block_on(async {
        match &args.server {
            Some(server) => sql_remote::print(server, &query, args.format).await,
            None => print_local(&config, &query, args.format).await,
        }
    });
    match written {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // The reader has seen enough (`| head`).
        Err(error) if is_closed_pipe(&error) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
    }
}

async fn print_local(config: &Config, query: &str, form: Form) -> anyhow::Result<()> {
    let engine = Engine::open(config)?;
    let mut answer = engine.query(query).await?;
    let mut encoder: Box<dyn Encode> = match form {
        Form::Table => Box::new(TableEncoder::new(answer.schema())),
        Form::Json => format::encoder(format::Format::Json, answer.schema())?,
        Form::Csv => format::encoder(format::Format::Csv, answer.schema())?,
    };
    let mut out = io::stdout().lock();
    let mut bytes = Vec::new();
    while let Some(batch) = answer.next().await {
        encoder.batch(&batch?, &mut bytes)?;
        out.write_all(&bytes)?;
        bytes.clear();
    }
    encoder.finish(&mut bytes)?;
    out.write_all(&bytes)?;
    out.flush()?;
    Ok(())
}

/// Reads a statement from standard input, up to the limit and one byte, so that a longer one is refused and not cut.
fn read_statement(max_bytes: usize) -> anyhow::Result<String> {
    let mut text = String::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    io::stdin().lock().take(limit).read_to_string(&mut text).context("reading the statement from standard input")?;
    if text.trim().is_empty() {
        bail!("standard input has no statement");
    }
    Ok(text)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
