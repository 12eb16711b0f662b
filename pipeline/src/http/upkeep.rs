//! `/metrics`, `/healthz` and `/readyz` of a process that maintains the lake and nothing else. In: its series, and what troubles it. Out: a server at
//! `lake.maintenance.listen`, or none where that is empty. Whoever may ask a pipeline may ask here.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use spendstream_control::Store;
use spendstream_schemas::config::Config;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::problem::{problem, wrong_method};

/// What is told.
#[derive(Clone)]
pub struct Told {
    pub registry: Registry,
    /// Why the last round did not get through; `None`: it did, or it is not this process's turn.
    pub trouble: watch::Receiver<Option<String>>,
}

/// Binds and serves until the task is aborted. Port 0 picks one.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    config: &Config,
    store: &Store,
    told: Told,
) -> anyhow::Result<Option<(SocketAddr, tokio::task::JoinHandle<()>)>> {
    let listen = &config.lake.maintenance.listen;
    if listen.is_empty() {
        return Ok(None);
    }
    let bound = TcpListener::bind(listen).await;
    let listener = bound.with_context(|| format!("lake.maintenance.listen: cannot bind {listen}"))?;
    let address = listener.local_addr().context("lake.maintenance.listen")?;
    let router = super::guarded(router(told), config, &watch::channel(Some(store.clone())).1);
    let server = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the HTTP server of the lake's maintenance ended");
        }
    });
    Ok(Some((address, server)))
}

fn router(told: Told) -> Router {
    Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .with_state(told)
}

async fn render(State(told): State<Told>) -> Response {
    match TextEncoder::new().encode_to_string(&told.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written; the log says why")
        }
    }
}

async fn ready(State(told): State<Told>) -> Response {
    let trouble = told.trouble.borrow().clone();
    match trouble {
        None => "ready\n".into_response(),
        Some(why) => problem(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

async fn not_found(uri: Uri) -> Response {
    let detail = format!("nothing is at {}; /metrics, /healthz and /readyz are here", uri.path());
    problem(StatusCode::NOT_FOUND, &detail)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use spendstream_control::Store;
    use spendstream_schemas::config::Config;
    use tokio::sync::watch;
    use tower::ServiceExt as _;

    use super::{Told, router, serve};
    use crate::lake::maintenance::metrics::MaintenanceMetrics;

    async fn ask(told: &Told, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router(told.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn it_says_its_series_and_its_trouble() {
        let (metrics, registry) = MaintenanceMetrics::alone().unwrap();
        let (trouble, troubled) = watch::channel(None);
        let told = Told { registry, trouble: troubled };
        metrics.leads.set(1);
        let (status, text) = ask(&told, "/metrics").await;
        assert!(status == 200 && text.contains("\nspendstream_lake_maintenance_leads 1\n"), "{text}");
        assert_eq!(ask(&told, "/healthz").await, (200, "ok\n".to_owned()));
        assert_eq!(ask(&told, "/readyz").await, (200, "ready\n".to_owned()));
        trouble.send_replace(Some("the store of the lake is away".to_owned()));
        let (status, why) = ask(&told, "/readyz").await;
        assert!(status == 503 && why.contains("is away"), "{why}");
        assert_eq!(ask(&told, "/v1/events").await.0, 404);
    }

    #[tokio::test]
    async fn it_listens_where_it_is_told_to() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let told = || Told { registry: MaintenanceMetrics::alone().unwrap().1, trouble: watch::channel(None).1 };
        let mut config = Config::default();
        assert!(serve(&config, &store, told()).await.unwrap().is_none());
        config.lake.maintenance.listen = "127.0.0.1:0".to_owned();
        let (address, server) = serve(&config, &store, told()).await.unwrap().unwrap();
        config.lake.maintenance.listen = address.to_string();
        let refused = serve(&config, &store, told()).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("lake.maintenance.listen: cannot bind {address}"));
        server.abort();
        store.close().await;
    }
}
