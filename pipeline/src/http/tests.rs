//! The HTTP interface by its answers, against librdkafka's mock cluster where Kafka matters.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use rdkafka::mocking::MockCluster;
use serde_json::{Value, json};
use spendstream_schemas::config::Config;
use tower::ServiceExt as _;

use super::{Shared, router};
use crate::metrics::Metrics;
use crate::status::Status;

const EVENT: &str =
    r#"{"id":"a","time":"2026-11-22T09:00:00Z","provider":"openai","model":"gpt-4o","usage":{"input_tokens":1}}"#;

struct Answer {
    status: u16,
    kind: String,
    retry_after: Option<String>,
    body: String,
}

fn shared(config: &Config) -> Shared {
    Shared::new(config, &Arc::new(Metrics::new().unwrap()), &Arc::new(Status::default())).unwrap()
}

async fn ask(shared: &Shared, method: &str, path: &str, body: impl Into<Body>, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router(shared.clone()).oneshot(request.body(body.into()).unwrap()).await.unwrap();
    let text = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, kind, retry_after) = (response.status(), text(header::CONTENT_TYPE), text(header::RETRY_AFTER));
    assert_eq!(status == StatusCode::METHOD_NOT_ALLOWED, text(header::ALLOW).is_some(), "Allow goes with 405");
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Answer { status: status.as_u16(), kind: kind.unwrap_or_default(), retry_after, body }
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let mut config = Config::default();
    config.pipeline.max_request_bytes = 100;
    let shared = shared(&config);
    let long = "x".repeat(101);
    let (json, gzip) = ([("content-type", "application/json")], [("content-encoding", "gzip")]);
    for (method, path, body, headers, status, detail) in [
        ("GET", "/nothing", "", &[][..], 404, "nothing is at /nothing; events go to POST /v1/events"),
        ("GET", "/v1/events", "", &[], 405, "/v1/events does not take GET"),
        ("POST", "/metrics", "", &[], 405, "/metrics does not take POST"),
        ("POST", "/v1/events", &long, &[], 413, "the body has more than pipeline.max_request_bytes = 100 bytes"),
        ("POST", "/v1/traces", &long, &json, 413, "the body has more than"),
        ("POST", "/v1/traces", "{}", &[("content-type", "text/plain")], 415, "content-type must be"),
        ("POST", "/v1/events", "{}", &[("content-encoding", "br")], 415, "content-encoding br is not known"),
        ("POST", "/v1/events", "{}", &gzip, 400, "the body is not the gzip its header names"),
        ("POST", "/v1/events", "{", &[], 400, "item 0 is not JSON"),
        ("POST", "/v1/events", "{}", &[("ce-id", "100%")], 400, "the header ce-id is no text"),
        ("POST", "/v1/events", "", &[("ce-id", "1")], 400, "the body is empty; a CloudEvent"),
        ("POST", "/v1/events?unreadable=no", "{}", &[], 400, "the parameter unreadable is refuse"),
        ("POST", "/v1/events", "{\"x\":1}", &[], 422, "none of 1 items can be read; the first: no known envelope"),
        ("GET", "/readyz", "", &[], 503, "no partitions are assigned yet"),
    ] {
        let answer = ask(&shared, method, path, body.to_owned(), headers).await;
        assert_eq!((answer.status, answer.kind.as_str()), (status, "application/problem+json"), "{}", answer.body);
        let said: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(said["status"], status);
        assert!(said["detail"].as_str().unwrap().starts_with(detail), "{said}");
    }
}

fn with_kafka(cluster: &MockCluster<'_, rdkafka::producer::DefaultProducerContext>, topic: &str) -> Config {
    cluster.create_topic(topic, 1, 1).unwrap();
    let mut config = Config::default();
    config.kafka.brokers = cluster.bootstrap_servers();
    config.kafka.topic = topic.to_owned();
    config
}

#[tokio::test]
async fn what_can_be_read_is_taken_and_the_rest_named() {
    let cluster = MockCluster::new(1).unwrap();
    let shared = shared(&with_kafka(&cluster, "named"));
    let body = format!("[{EVENT}, {{\"x\":1}}]");
    let answer = ask(&shared, "POST", "/v1/events", body.clone(), &[]).await;
    let said: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &said["accepted"], said.get("dead_lettered")), (202, &json!(1), None), "{said}");
    assert_eq!(said["rejected"].as_array().unwrap().len(), 1);
    let entry = &said["rejected"][0];
    assert_eq!((&entry["index"], &entry["reason"]), (&json!(1), &json!("unknown_shape")));
    let answer = ask(&shared, "POST", "/v1/events?unreadable=dead_letter", body, &[]).await;
    let said: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((answer.status, &said["accepted"], &said["dead_lettered"]), (202, &json!(1), &json!(1)), "{said}");
    assert_eq!(shared.metrics.refused_items(), 2);
}

#[tokio::test]
async fn a_broker_that_does_not_acknowledge_is_slow() {
    let cluster = MockCluster::new(1).unwrap();
    let mut config = with_kafka(&cluster, "slow");
    config.pipeline.acknowledge_timeout = Duration::from_secs(2);
    config.pipeline.retry_after = Duration::from_millis(2_500);
    let shared = shared(&config);
    assert_eq!(ask(&shared, "POST", "/v1/events", EVENT, &[]).await.status, 202);
    cluster.broker_round_trip_time(1, Duration::from_mins(1)).unwrap();
    let answer = ask(&shared, "POST", "/v1/events", EVENT, &[]).await;
    assert_eq!((answer.status, answer.retry_after.as_deref()), (429, Some("3")), "{}", answer.body);
    assert!(answer.body.contains("pipeline.acknowledge_timeout"), "{}", answer.body);
}

#[tokio::test]
async fn more_than_the_producers_queue_holds_is_not_kept() {
    let cluster = MockCluster::new(1).unwrap();
    let mut config = with_kafka(&cluster, "full");
    config.pipeline.producer_queue_bytes = 1024;
    let shared = shared(&config);
    let body =
        (0..100).map(|id| EVENT.replace(r#""id":"a""#, &format!(r#""id":"{id}""#))).collect::<Vec<_>>().join("\n");
    let answer = ask(&shared, "POST", "/v1/events", body, &[]).await;
    assert_eq!((answer.status, answer.retry_after.as_deref()), (429, Some("1")), "{}", answer.body);
    assert!(answer.body.contains("pipeline.producer_queue_bytes"), "{}", answer.body);
}

#[tokio::test]
async fn more_requests_than_may_be_in_flight_wait_outside() {
    let cluster = MockCluster::new(1).unwrap();
    let mut config = with_kafka(&cluster, "turns");
    config.pipeline.max_requests_in_flight = 1;
    let shared = shared(&config);
    let turn = shared.turns.acquire().await.unwrap();
    let answer = ask(&shared, "POST", "/v1/events", EVENT, &[]).await;
    assert_eq!((answer.status, answer.retry_after.as_deref()), (429, Some("1")), "{}", answer.body);
    drop(turn);
    assert_eq!(ask(&shared, "POST", "/v1/events", EVENT, &[]).await.status, 202, "the turn was given back");
}

#[tokio::test]
async fn without_a_broker_the_service_is_unavailable() {
    let mut config = Config::default();
    // Nobody listens on the port of tcpmux.
    config.kafka.brokers = "127.0.0.1:1".to_owned();
    config.pipeline.acknowledge_timeout = Duration::from_secs(2);
    let shared = shared(&config);
    for (path, headers) in [("/v1/events", &[][..]), ("/v1/traces", &[("content-type", "application/json")])] {
        let body = if path == "/v1/events" {
            EVENT
        } else {
            include_str!("../../../tests/fixtures/captures/otel_openai.otlp.json")
        };
        let answer = ask(&shared, "POST", path, body, headers).await;
        assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")), "{}", answer.body);
    }
}

/// A web page that somebody opens must neither stop all spending nor forge some.
#[tokio::test]
async fn without_keys_no_page_from_elsewhere_comes_in() {
    let guarded = router(shared(&Config::default())).layer(axum::middleware::from_fn(super::door::only_local));
    for (name, value, status) in [
        ("origin", "https://evil.example", StatusCode::FORBIDDEN),
        ("host", "evil.example", StatusCode::FORBIDDEN),
        ("host", "localhost:8081", StatusCode::OK),
        ("origin", "http://127.0.0.1:8080", StatusCode::OK),
    ] {
        let request = Request::get("/healthz").header(name, value).body(Body::empty()).unwrap();
        assert_eq!(guarded.clone().oneshot(request).await.unwrap().status(), status, "{name}: {value}");
    }
}
