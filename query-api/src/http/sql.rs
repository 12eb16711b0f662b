//! `POST /v1/sql`: in comes one statement as JSON or text, out comes its answer in the form that was asked for.
//!
//! An answer is sent once it is whole ([`Spool`]), so that every failure is a clean problem document and none is an answer cut short.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use serde::Deserialize;

use super::App;
use super::problem::{ApiError, Problem};
use super::spool::Spool;
use crate::error::QueryError;
use crate::format::{Encode, Format, encoder};
use crate::metrics::{Ending, Metrics};
use crate::sql::engine::Answer;

/// The version of the table that was read.
pub(super) const VERSION: &str = "spendstream-lake-version";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SqlRequest {
    query: String,
    format: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Parameters {
    format: Option<String>,
}

pub(super) async fn post(
    State(app): State<Arc<App>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let mut ending = Ending::new(app.metrics.clone());
    let answer = match (parameters, body) {
        (Ok(Query(parameters)), Ok(body)) => answer(&app, parameters, &headers, &body, &mut ending).await,
        (Err(rejection), _) => Err(rejection.into()),
        (_, Err(rejection)) => Err(rejection.into()),
    };
    if let Err(problem) = &answer {
        ending.outcome = problem.kind();
    }
    answer
}

async fn answer(
    app: &App,
    parameters: Parameters,
    headers: &HeaderMap,
    body: &[u8],
    ending: &mut Ending,
) -> Result<Response, Problem> {
    let request = read_request(headers, body)?;
    let format = choose_format(request.format.or(parameters.format), headers)?;
    let answer = app.engine.query(&request.query).await?;
    let version = answer.version();
    let encoder = encoder(format, answer.schema())
        .map_err(|error| ApiError::Invalid(format!("this answer cannot be written as {}: {error}", format.name())))?;
    let mut writing = Writing { answer, encoder: Some(encoder), metrics: app.metrics.clone() };

    let (mut spool, mut made) = (Spool::new(&app.answers), Vec::new());
    while writing.step(&mut made).await? {
        spool.take(&mut made).await?;
    }
    spool.take(&mut made).await?;
    // The query is over; sending needs no place among those that run.
    drop(writing);
    let (body, length) = spool.finish().await?;
    ending.outcome = "ok";
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    response.headers_mut().insert(VERSION, HeaderValue::from(version));
    Ok(response)
}

/// An answer on its way into bytes.
struct Writing {
    answer: Answer,
    // Gone once the end was written.
    encoder: Option<Box<dyn Encode>>,
    metrics: Metrics,
}

impl Writing {
    /// Appends the next rows or the end; false when that was the end.
    async fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, QueryError> {
        let Some(encoder) = &mut self.encoder else { return Ok(false) };
        let before = out.len();
        let unwritable = |error| QueryError::Execution(format!("a value cannot be written: {error}"));
        let rows = match self.answer.next().await {
            Some(Ok(batch)) => {
                encoder.batch(&batch, out).map_err(unwritable)?;
                Some(batch.num_rows())
            }
            Some(Err(error)) => return Err(error),
            None => {
                encoder.finish(out).map_err(unwritable)?;
                self.encoder = None;
                None
            }
        };
        self.metrics.answered(rows.unwrap_or(0), out.len() - before);
        Ok(rows.is_some())
    }
}

/// JSON by its media type or by its first character, which no SQL begins with; other text is SQL itself.
fn read_request(headers: &HeaderMap, body: &[u8]) -> Result<SqlRequest, ApiError> {
    let media_type = headers.get(header::CONTENT_TYPE).map_or(Ok(""), HeaderValue::to_str).unwrap_or("?");
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media_type == "application/json";
    // What curl says of any body that it is given with -d.
    let is_form = media_type == "application/x-www-form-urlencoded";
    if !(is_json
        || is_form
        || media_type.is_empty()
        || media_type == "application/sql"
        || media_type.starts_with("text/"))
    {
        return Err(ApiError::MediaType(format!(
            "a body of type '{media_type}' is not read; send SQL as text/plain, or application/json"
        )));
    }
    let text = std::str::from_utf8(body).map_err(|_| ApiError::Invalid("the body is not UTF-8".into()))?;
    if is_json || text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| {
            ApiError::Invalid(format!(
                "the body is not {{\"query\": \"SELECT …\", \"format\": \"json\"}}: {error}; or send SQL as text/plain"
            ))
        });
    }
    Ok(SqlRequest { query: text.to_owned(), format: None })
}

/// The body's or the address's word first, then `Accept`, then JSON.
fn choose_format(name: Option<String>, headers: &HeaderMap) -> Result<Format, ApiError> {
    let known = || Format::ALL.map(Format::name).join(", ");
    if let Some(name) = name {
        return Format::by_name(&name)
            .ok_or_else(|| ApiError::Invalid(format!("there is no format '{name}'; there are {}", known())));
    }
    match headers.get(header::ACCEPT).map(|value| value.to_str().unwrap_or("")) {
        None => Ok(Format::default()),
        Some(accept) => Format::by_accept(accept).ok_or_else(|| {
            ApiError::NotAcceptable(format!("none of '{accept}' can be made; formats are {} (?format=)", known()))
        }),
    }
}
