//! `spendstream sql --server`: asks a running query API. In comes SQL, out go its rows; its problem documents become one line.

use std::io::{self, Write};

use anyhow::{Context, bail};
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use reqwest::Response;
use spendstream_query_api::format::{Encode, TableEncoder};

use super::sql::Form;

/// The variable that holds the key for a server that asks for one.
const API_KEY: &str = "SPENDSTREAM_API_KEY";

/// Bytes of a problem document that are read at most.
const MAX_PROBLEM_BYTES: usize = 64 << 10;

/// Sends the statement and prints the answer. A table is made here from Arrow; JSON and CSV are passed through.
pub(super) async fn print(server: &str, query: &str, form: Form) -> anyhow::Result<()> {
    let format = match form {
        Form::Table => "arrow",
        Form::Json => "json",
        Form::Csv => "csv",
    };
    let request = serde_json::json!({ "query": query, "format": format });
    let response = ask(server, |client, base| client.post(format!("{base}/v1/sql")).json(&request)).await?;
    if form == Form::Table { table(response).await } else { copy(response).await }
}

/// Sends what `asked` makes of the server's address, with the key where there is one; what is no success becomes one line.
pub(super) async fn ask(
    server: &str,
    asked: impl FnOnce(&reqwest::Client, &str) -> reqwest::RequestBuilder,
) -> anyhow::Result<Response> {
    let client = reqwest::Client::builder().build().context("making the HTTP client")?;
    let mut request = asked(&client, server.trim_end_matches('/'));
    if let Ok(key) = std::env::var(API_KEY) {
        request = request.bearer_auth(key);
    }
    let response = request
        .send()
        .await
        .map_err(reqwest::Error::without_url)
        .with_context(|| format!("no answer from {server}; is `spendstream serve` running there?"))?;
    if !response.status().is_success() {
        bail!("{}", problem(response).await);
    }
    Ok(response)
}

/// Passes the answer on as it comes.
pub(super) async fn copy(mut response: Response) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    while let Some(chunk) = next(&mut response).await? {
        out.write_all(&chunk)?;
    }
    out.flush()?;
    Ok(())
}

async fn table(mut response: Response) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let mut decoder = StreamDecoder::new();
    let mut encoder: Option<TableEncoder> = None;
    let mut bytes = Vec::new();
    while let Some(chunk) = next(&mut response).await? {
        let mut buffer = Buffer::from(chunk);
        while !buffer.is_empty() {
            let batch = decoder.decode(&mut buffer).context("reading the server's answer")?;
            if encoder.is_none() {
                encoder = decoder.schema().map(|schema| TableEncoder::new(&schema));
            }
            if let (Some(batch), Some(encoder)) = (batch, &mut encoder) {
                encoder.batch(&batch, &mut bytes)?;
                out.write_all(&bytes)?;
                bytes.clear();
            }
        }
    }
    decoder.finish().context("the server's answer is incomplete")?;
    if let Some(mut encoder) = encoder {
        encoder.finish(&mut bytes)?;
    }
    out.write_all(&bytes)?;
    out.flush()?;
    Ok(())
}

async fn next(response: &mut Response) -> anyhow::Result<Option<Vec<u8>>> {
    let chunk =
        response.chunk().await.map_err(reqwest::Error::without_url).context(
            "the server broke off in the middle of the answer; its log says why (a limit, or it was stopped)",
        )?;
    Ok(chunk.map(|bytes| bytes.to_vec()))
}

/// The `detail` of a problem document, or the status when it is something else.
async fn problem(mut response: Response) -> String {
    let status = response.status();
    let mut body = Vec::new();
    while body.len() < MAX_PROBLEM_BYTES {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            _ => break,
        }
    }
    let detail = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|problem| problem.get("detail")?.as_str().map(str::to_owned));
    detail.unwrap_or_else(|| format!("the server answered {status}; is it a spendstream query API?"))
}
