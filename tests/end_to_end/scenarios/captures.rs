//! What real emitters wrote to Kafka, byte for byte: every file yields exactly the calls that were made, each once, at
//! its cost, and prompts, completions and keys are nowhere afterwards.

use crate::harness::broker;
use crate::harness::captures::{Call, assert_no_secrets, charged, expected, file};
use crate::harness::components::need;
use crate::harness::events::femto;
use crate::harness::instance::Setup;
use crate::harness::lake::Lake;
use crate::harness::producer::Producer;
use crate::harness::topics;

#[test]
fn litellm_callback() {
    need!(Kafka);
    check("litellm", "litellm_generic_api.json", &litellm());
}

#[test]
fn openai_instrumentation_as_json() {
    need!(Kafka);
    check("otel-json", "otel_openai.otlp.json", &openai_instrumentation());
}

#[test]
fn openai_instrumentation_as_protobuf() {
    need!(Kafka);
    check("otel-proto", "otel_openai.otlp.pb", &openai_instrumentation());
}

#[test]
fn traceloop_instrumentation() {
    need!(Kafka);
    let calls = ["gpt-4o", "text-embedding-3-small", "gpt-5 (responses)", "claude-sonnet-4-5"];
    check("traceloop", "traceloop.otlp.json", &expected(&calls));
}

/// Five calls and a failed one, which is kept without tokens and cost.
pub fn litellm() -> Vec<Call> {
    let calls =
        ["gpt-4o", "claude-sonnet-4-5", "text-embedding-3-small", "gpt-5 (responses)", "gpt-4o-mini (streamed)"];
    let mut calls = expected(&calls);
    calls.push(("gpt-4o".into(), 0, 0, 0, 0));
    calls.sort();
    calls
}

/// This emitter sends no cached counts, so all input is charged in full; the enclosing span is not charged.
pub fn openai_instrumentation() -> Vec<Call> {
    let mut calls = expected(&["text-embedding-3-small"]);
    calls.push(("gpt-4o".into(), 1_200, 0, 80, femto("0.0038")));
    calls.push(("gpt-4o-mini".into(), 1_200, 0, 80, femto("0.000228")));
    calls.sort();
    calls
}

fn check(name: &str, capture: &str, expected: &[Call]) {
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, name, 1, &lake);
    let producer = Producer::new(broker, &setup.topic, 1);
    // Twice: as a retry it must change nothing.
    producer.send("", &file(capture));
    producer.send("", &file(capture));
    producer.flush();
    let mut instance = setup.start_ready();
    instance.wait_rows(&lake, expected.len() as u64);
    instance.stop();
    assert_eq!(charged(&lake), expected);
    assert!(topics::read(broker, &setup.dead).is_empty(), "nothing was rejected");
    assert_no_secrets(&setup, &lake);
    lake.assert_clean();
}
