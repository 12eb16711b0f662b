//! `GET /v1/reports/focus`: in come a period and a form, out come charges in the words of FOCUS, whole or not at all.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use chrono::NaiveDate;

use super::App;
use super::parameters::{Given, Parameters, invalid};
use super::problem::{ApiError, Problem};
use super::spool::Spool;
use super::sql::VERSION;
use crate::error::QueryError;
use crate::format::Format;
use crate::reports::focus::{Export, Granularity, Period, writer};

/// Calls without a price, whose rows have a cost of zero.
const UNPRICED_HEADER: &str = "spendstream-unpriced-calls";

pub(super) async fn get(State(app): State<Arc<App>>, given: Given) -> Result<Response, Problem> {
    let mut parameters = Parameters::new(given)?;
    let month = parameters.take("month");
    let from = parameters.take_as::<NaiveDate>("from", "2026-10-01")?;
    let to = parameters.take_as::<NaiveDate>("to", "2026-11-01")?;
    let granularity = parameters.take("granularity").map_or(Ok(Granularity::Day), |name| Granularity::by_name(&name));
    let granularity = granularity.map_err(invalid)?;
    let format = parameters.take("format").map_or(Some(Format::Csv), |name| Format::by_name(&name));
    parameters.end()?;
    let unwritable = |error: arrow::error::ArrowError| ApiError::Internal(error.to_string());
    let encoder = format.map(writer).transpose().map_err(unwritable)?.flatten();
    let (Some(format), Some(mut encoder)) = (format, encoder) else {
        return Err(invalid("an export has no such format; there are csv and parquet".to_owned()));
    };
    let period = Period::of(month.as_deref(), from, to).map_err(invalid)?;

    let mut export = Export::start(&app.engine, period, granularity).await?;
    let (mut spool, mut made) = (Spool::new(&app.answers), Vec::new());
    let failed = |error: arrow::error::ArrowError| QueryError::Execution(format!("a value cannot be written: {error}"));
    while let Some(batch) = export.next().await? {
        encoder.batch(&batch, &mut made).map_err(failed)?;
        spool.take(&mut made).await?;
    }
    encoder.finish(&mut made).map_err(failed)?;
    spool.take(&mut made).await?;
    let (body, length) = spool.finish().await?;
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(VERSION, HeaderValue::from(export.version()));
    headers.insert(UNPRICED_HEADER, HeaderValue::from(export.told().unpriced_calls));
    Ok(response)
}
