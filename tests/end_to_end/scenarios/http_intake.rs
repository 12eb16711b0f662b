//! Events over HTTP, for who cannot speak Kafka: what real emitters post is charged as if it had come by Kafka.

use crate::harness::broker;
use crate::harness::captures::{assert_no_secrets, charged, expected, file};
use crate::harness::components::need;
use crate::harness::http;
use crate::harness::instance::Setup;
use crate::harness::lake::Lake;

use super::captures::{litellm, openai_instrumentation};

#[test]
fn callbacks_and_spans_are_taken_over_http() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "http-intake", 2, &lake);
    let mut instance = setup.start_ready();
    let address = instance.address();
    let post = |path: &str, kind: &str, capture: &str| http::post(&address, path, kind, &file(capture)).unwrap();
    let (status, answer) = post("/v1/events", "application/json", "litellm_generic_api.json");
    assert_eq!((status, answer.as_str()), (202, r#"{"accepted":6}"#));
    assert_eq!(post("/v1/traces", "application/x-protobuf", "otel_openai.otlp.pb").0, 200);
    assert_eq!(post("/v1/traces", "application/json", "traceloop.otlp.json"), (200, "{}".to_owned()));
    assert_eq!(http::post(&address, "/v1/events", "application/json", b"{oops").unwrap().0, 400);
    assert_eq!(http::post(&address, "/v1/traces", "text/plain", b"{}").unwrap().0, 415);

    let mut calls = litellm();
    calls.extend(openai_instrumentation());
    calls.extend(expected(&["gpt-4o", "text-embedding-3-small", "gpt-5 (responses)", "claude-sonnet-4-5"]));
    calls.sort();
    instance.wait_rows(&lake, calls.len() as u64);
    instance.stop();
    assert_eq!(charged(&lake), calls);
    assert_no_secrets(&setup, &lake);
    lake.assert_clean();
}
