//! The HTTP interface: in come requests, out come answers or problem documents. The whole surface is on this screen.
//!
//! Never writes the lake, never keeps a request, and answers health checks while queries run.

mod health;
mod home;
mod host;
mod prices;
pub mod problem;
mod sql;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::metrics::Metrics;
use crate::prices::Prices;
use crate::sql::engine::Engine;
use problem::{ApiError, Problem};

/// Bytes that a body may have beyond its statement: JSON's quotes and escapes.
const BODY_SLACK: usize = 64 << 10;

/// What every handler sees.
pub struct App {
    pub engine: Arc<Engine>,
    pub prices: Prices,
    pub metrics: Metrics,
}

/// All addresses of the query API.
pub fn router(app: Arc<App>) -> Router {
    let body = app.engine.limits().max_statement_bytes.saturating_mul(2).saturating_add(BODY_SLACK);
    Router::new()
        .route("/", get(home::page))
        .route("/openapi.json", get(home::openapi))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/v1/status", get(status::get))
        .route("/v1/sql", post(sql::post))
        .route("/v1/prices", get(prices::list))
        .route("/v1/estimate", post(prices::estimate))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(body))
        .layer(middleware::from_fn(host::only_local))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .with_state(app)
}

async fn not_found(uri: Uri) -> Problem {
    ApiError::NotFound(format!("there is nothing at {}; /openapi.json lists what there is", uri.path())).into()
}

async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    ApiError::Method(format!("{} does not know {method}; /openapi.json says what it knows", uri.path())).into()
}

#[cfg(test)]
mod tests;
