//! What the HTTP side tells Prometheus: requests by address and answer, and what decide answered. Labels are closed sets: an address that
//! is none of ours is `other`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use prometheus::{Histogram, IntCounterVec, IntGauge, Registry};
use spendstream_schemas::decision::Answer;

use crate::metrics::{Metrics, counters, gauge, histogram};

/// From an answer out of memory to one for a long text.
const SECONDS: [f64; 12] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0];

/// Series of the HTTP side.
pub struct HttpMetrics {
    requests: IntCounterVec,
    decided: IntCounterVec,
    refused: IntCounterVec,
    seconds: Histogram,
    /// Set now and then.
    pub holds: IntGauge,
}

impl HttpMetrics {
    /// All series at zero.
    ///
    /// # Errors
    /// When two series share a name: a fault of this program.
    pub fn new(r: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            requests: counters(
                r,
                "spendstream_http_requests_total",
                "Requests answered, by address and HTTP status.",
                &["endpoint", "status"],
            )?,
            decided: counters(
                r,
                "spendstream_decide_answers_total",
                "Calls that decide answered, by what the caller is to do.",
                &["strategy", "allow"],
            )?,
            refused: counters(
                r,
                "spendstream_decide_refused_total",
                "Calls that decide refused, by the type of the error; with shadow, those that it had refused.",
                &["reason", "shadow"],
            )?,
            seconds: histogram(
                r,
                "spendstream_decide_seconds",
                "Time from the end of a request to its decision.",
                &SECONDS,
            )?,
            holds: gauge(r, "spendstream_decide_holds", "Estimates that are held for calls, of all instances.")?,
        })
    }

    /// Counts one answer.
    pub fn decided(&self, answer: &Answer, took: Duration) {
        let allow = if answer.allow { "true" } else { "false" };
        self.decided.with_label_values(&[answer.strategy.word(), allow]).inc();
        self.seconds.observe(took.as_secs_f64());
        let would = answer.would.as_ref().and_then(|would| would.body.as_ref());
        for (body, shadow) in [(answer.body.as_ref(), "false"), (would, "true")] {
            if let Some(body) = body {
                self.refused.with_label_values(&[body.error.kind, shadow]).inc();
            }
        }
    }
}

/// Counts every request that is answered, also those that the door refuses.
pub async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let endpoint = endpoint(request.uri().path());
    let response = next.run(request).await;
    metrics.http.requests.with_label_values(&[endpoint, response.status().as_str()]).inc();
    response
}

/// The label of an address: callers may ask for any.
fn endpoint(path: &str) -> &'static str {
    const KNOWN: [&str; 8] =
        ["/v1/events", "/v1/traces", "/v1/decide", "/v1/recent", "/metrics", "/healthz", "/readyz", "/openapi.json"];
    match KNOWN.into_iter().find(|known| *known == path) {
        Some(known) => known,
        None if path == "/v1/blocks" || path.starts_with("/v1/blocks/") => "/v1/blocks",
        None => "other",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::middleware;
    use axum::routing::any;
    use tower::ServiceExt as _;

    use super::super::decide;
    use super::count;
    use crate::budget::fixture::Desk;
    use crate::metrics::Metrics;

    fn lines(metrics: &Metrics, name: &str) -> Vec<String> {
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        text.lines().filter(|line| line.starts_with(name)).map(ToOwned::to_owned).collect()
    }

    #[tokio::test]
    async fn requests_are_counted_by_address_and_answer() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let router = Router::new()
            .route("/v1/events", any(|| async { StatusCode::TOO_MANY_REQUESTS }))
            .fallback(|| async { StatusCode::NOT_FOUND })
            .layer(middleware::from_fn_with_state(Arc::clone(&metrics), count));
        for path in ["/v1/events", "/v1/events?unreadable=refuse", "/v1/blocks/b-1", "/wp-admin"] {
            router.clone().oneshot(Request::post(path).body(Body::empty()).unwrap()).await.unwrap();
        }
        assert_eq!(
            lines(&metrics, "spendstream_http_requests_total"),
            [
                "spendstream_http_requests_total{endpoint=\"/v1/blocks\",status=\"404\"} 1",
                "spendstream_http_requests_total{endpoint=\"/v1/events\",status=\"429\"} 2",
                "spendstream_http_requests_total{endpoint=\"other\",status=\"404\"} 1",
            ]
        );
    }

    #[tokio::test]
    async fn decisions_are_counted_by_what_is_to_be_done() {
        let hard = r#"{"name": "all", "scope": {}, "amount": "0.001", "hard_limit": true}"#;
        for (config, answers, refused) in [
            (
                "",
                "spendstream_decide_answers_total{allow=\"false\",strategy=\"block\"} 1",
                "spendstream_decide_refused_total{reason=\"cost_limit_exceeded\",shadow=\"false\"} 1",
            ),
            (
                "shadow = true",
                "spendstream_decide_answers_total{allow=\"true\",strategy=\"none\"} 1",
                "spendstream_decide_refused_total{reason=\"cost_limit_exceeded\",shadow=\"true\"} 1",
            ),
        ] {
            let desk = Desk::new(config, &[hard]);
            let metrics = Arc::new(Metrics::new().unwrap());
            let router = decide::router(&Arc::new(desk.live), &metrics);
            let body = r#"{"provider": "acme", "model": "big", "input_tokens": 1000, "output_tokens": 0}"#;
            let ask = |body: &'static str| Request::post("/v1/decide").body(Body::from(body)).unwrap();
            router.clone().oneshot(ask(body)).await.unwrap();
            // What is no question is no decision.
            router.oneshot(ask("{}")).await.unwrap();
            assert_eq!(lines(&metrics, "spendstream_decide_answers_total"), [answers], "{config}");
            assert_eq!(lines(&metrics, "spendstream_decide_refused_total"), [refused], "{config}");
            assert_eq!(lines(&metrics, "spendstream_decide_seconds_count"), ["spendstream_decide_seconds_count 1"]);
        }
    }
}
