//! The pipeline's HTTP side: `/metrics`, `/healthz`, `/readyz`, and events over HTTP for who cannot speak Kafka.
//!
//! In reading order: [`read`] takes a body within its limits, [`judge`] says what in it can be read, [`produce`] writes to Kafka,
//! [`events`] and [`traces`] answer, [`observe`] counts.

pub mod blocks;
mod cloudevent;
pub mod decide;
mod door;
mod events;
mod judge;
pub mod observe;
mod openapi;
mod problem;
mod produce;
mod read;
mod recent;
mod traces;
pub mod upkeep;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use spendstream_schemas::config::{AuthMode, Config, DecodeConfig, PipelineConfig};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::aggregate::live::Live as Totals;
use crate::budget::live::Live;
use crate::metrics::Metrics;
use crate::status::Status;
use problem::problem;

/// What every handler sees.
#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    events: Arc<produce::Producer>,
    /// One permit for every request that is read and written at a time.
    turns: Arc<Semaphore>,
    decode: Arc<DecodeConfig>,
    limits: Arc<PipelineConfig>,
    /// Whose budgets must be read before this instance is ready.
    budgets: Option<Arc<Live>>,
}

impl Shared {
    fn new(config: &Config, metrics: &Arc<Metrics>, status: &Arc<Status>) -> anyhow::Result<Self> {
        Ok(Self {
            metrics: Arc::clone(metrics),
            status: Arc::clone(status),
            events: Arc::new(produce::Producer::new(config)?),
            turns: Arc::new(Semaphore::new(config.pipeline.max_requests_in_flight.min(Semaphore::MAX_PERMITS))),
            decode: Arc::new(config.decode.clone()),
            limits: Arc::new(config.pipeline.clone()),
            budgets: None,
        })
    }
}

/// Binds `pipeline.listen` and serves until the task is aborted. Port 0 picks one.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    config: &Config,
    metrics: &Arc<Metrics>,
    status: &Arc<Status>,
    budgets: &Arc<Live>,
    (store, totals): (&blocks::Opened, &Totals),
) -> anyhow::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind(&config.pipeline.listen)
        .await
        .with_context(|| format!("pipeline.listen: cannot bind {}", config.pipeline.listen))?;
    let address = listener.local_addr().context("pipeline.listen")?;
    let shared = Shared { budgets: Some(Arc::clone(budgets)), ..Shared::new(config, metrics, status)? };
    let router = routes(shared, budgets, (store, totals));
    let router =
        guarded(router, config, store).layer(middleware::from_fn_with_state(Arc::clone(metrics), observe::count));
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the pipeline's HTTP server ended");
        }
    });
    Ok((address, server))
}

/// For whom the door lets in.
fn guarded(router: Router, config: &Config, store: &blocks::Opened) -> Router {
    match config.auth.mode {
        AuthMode::None => router.layer(middleware::from_fn(door::only_local)),
        AuthMode::Keys => router.layer(middleware::from_fn_with_state(door::Door::new(store), door::enter)),
    }
}

/// All addresses, for whom the door lets in.
fn routes(shared: Shared, budgets: &Arc<Live>, (store, totals): (&blocks::Opened, &Totals)) -> Router {
    let metrics = Arc::clone(&shared.metrics);
    router(shared)
        .merge(decide::router(budgets, &metrics))
        .merge(blocks::router(store))
        .merge(recent::router(totals))
        .method_not_allowed_fallback(problem::wrong_method)
}

fn router(shared: Shared) -> Router {
    let most = shared.limits.max_request_bytes;
    Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(openapi::document))
        .route("/v1/events", post(events::post))
        .route("/v1/traces", post(traces::post))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(DefaultBodyLimit::max(most))
        .with_state(shared)
}

async fn render(State(shared): State<Shared>) -> Response {
    match shared.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written; the log says why")
        }
    }
}

async fn ready(State(shared): State<Shared>) -> Response {
    let budgets = || match &shared.budgets {
        Some(budgets) if !budgets.is_set() => {
            Err("budgets and emergency stops are not read yet; the log says whether the control store is away"
                .to_owned())
        }
        _ => Ok(()),
    };
    match shared.status.ready().and_then(|()| budgets()) {
        Ok(()) => "ready\n".into_response(),
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

#[cfg(test)]
mod tests;
