//! The pipeline's HTTP side: `/metrics`, `/healthz`, `/readyz`, and events over HTTP for who cannot speak Kafka.

pub mod blocks;
mod cloudevent;
pub mod decide;
mod events;
mod problem;

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

use crate::budget::live::Live;
use crate::metrics::Metrics;
use crate::status::Status;
use problem::problem;

/// What every handler sees.
#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    events: Arc<events::Producer>,
    max_request_bytes: usize,
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
    store: &blocks::Opened,
) -> anyhow::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind(&config.pipeline.listen)
        .await
        .with_context(|| format!("pipeline.listen: cannot bind {}", config.pipeline.listen))?;
    let address = listener.local_addr().context("pipeline.listen")?;
    let shared = Shared {
        metrics: Arc::clone(metrics),
        status: Arc::clone(status),
        events: Arc::new(events::Producer::new(config)?),
        max_request_bytes: config.pipeline.max_request_bytes,
    };
    let router = router(shared)
        .merge(decide::router(budgets))
        .merge(blocks::router(store))
        .method_not_allowed_fallback(problem::wrong_method);
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the pipeline's HTTP server ended");
        }
    });
    Ok((address, server))
}

fn router(shared: Shared) -> Router {
    let most = shared.max_request_bytes;
    Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/v1/events", post(events::post_events))
        .route("/v1/traces", post(events::post_traces))
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
    match shared.status.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => problem(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::Body;
    use axum::http::{Request, StatusCode, header};
    use spendstream_schemas::config::Config;
    use tower::ServiceExt;

    use super::{Shared, events, router};
    use crate::metrics::Metrics;
    use crate::status::Status;

    async fn ask(method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> (u16, String, String) {
        let mut config = Config::default();
        config.pipeline.max_request_bytes = 100;
        let shared = Shared {
            metrics: Arc::new(Metrics::new().unwrap()),
            status: Arc::new(Status::default()),
            events: Arc::new(events::Producer::new(&config).unwrap()),
            max_request_bytes: config.pipeline.max_request_bytes,
        };
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = router(shared).oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
        let status = response.status();
        let response_allows = response.headers().contains_key(header::ALLOW);
        let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert_eq!(status == StatusCode::METHOD_NOT_ALLOWED, response_allows, "Allow goes with 405");
        (status.as_u16(), kind.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_error_is_a_problem() {
        let long = "x".repeat(101);
        for (method, path, body, headers, status, detail) in [
            ("GET", "/nothing", "", &[][..], 404, "nothing is at /nothing; events go to POST /v1/events"),
            ("GET", "/v1/events", "", &[], 405, "/v1/events does not take GET"),
            ("POST", "/metrics", "", &[], 405, "/metrics does not take POST"),
            (
                "POST",
                "/v1/events",
                long.as_str(),
                &[],
                413,
                "the body has more than pipeline.max_request_bytes = 100 bytes",
            ),
            (
                "POST",
                "/v1/traces",
                long.as_str(),
                &[("content-type", "application/json")],
                413,
                "the body has more than",
            ),
            ("POST", "/v1/traces", "{}", &[("content-type", "text/plain")], 415, "content-type must be"),
            ("POST", "/v1/events", "{", &[], 400, "item 0 is not JSON"),
            ("POST", "/v1/events", "{}", &[("ce-id", "100%")], 400, "the header ce-id is no text"),
            ("POST", "/v1/events", "", &[("ce-id", "1")], 400, "the body is empty; a CloudEvent"),
            ("GET", "/readyz", "", &[], 503, "no partitions are assigned yet"),
        ] {
            let (found, kind, said) = ask(method, path, body, headers).await;
            assert_eq!((found, kind.as_str()), (status, "application/problem+json"), "{method} {path}: {said}");
            let said: serde_json::Value = serde_json::from_str(&said).unwrap();
            assert_eq!(said["status"], status);
            assert!(said["detail"].as_str().unwrap().starts_with(detail), "{said}");
        }
    }
}
