//! For machines that watch: alive, ready, metrics. In comes nothing, out comes a word or counters; never runs a query.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::App;
use super::problem::{ApiError, Problem};

pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Ready means that the lake's newest version can be read.
pub(super) async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    app.engine.status().await?;
    Ok("ready\n")
}

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let text = app.metrics.text(app.engine.active()).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}
