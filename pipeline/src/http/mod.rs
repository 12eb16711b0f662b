//! The pipeline's HTTP side: `/metrics`, `/healthz`, `/readyz`, and events over HTTP for who cannot speak Kafka.

pub mod decide;
mod events;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use spendstream_schemas::config::Config;
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::status::Status;

/// What every handler sees.
#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    events: Arc<events::Producer>,
}

/// Binds `pipeline.listen` and serves until the task is aborted. Port 0 picks one.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    config: &Config,
    metrics: &Arc<Metrics>,
    status: &Arc<Status>,
) -> anyhow::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind(&config.pipeline.listen)
        .await
        .with_context(|| format!("pipeline.listen: cannot bind {}", config.pipeline.listen))?;
    let address = listener.local_addr().context("pipeline.listen")?;
    let shared = Shared {
        metrics: Arc::clone(metrics),
        status: Arc::clone(status),
        events: Arc::new(events::Producer::new(config)?),
    };
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/v1/events", post(events::post_events))
        .route("/v1/traces", post(events::post_traces))
        .layer(DefaultBodyLimit::max(config.pipeline.max_request_bytes))
        .with_state(shared);
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the pipeline's HTTP server ended");
        }
    });
    Ok((address, server))
}

async fn render(State(shared): State<Shared>) -> Response {
    match shared.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn ready(State(shared): State<Shared>) -> Response {
    match shared.status.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}
