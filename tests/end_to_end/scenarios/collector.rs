//! A stock OpenTelemetry Collector as the producer: spans of real applications go in by OTLP, its Kafka exporter writes
//! them as it does by default, and every call is charged once.

use crate::harness::broker;
use crate::harness::captures::{assert_no_secrets, charged, expected, file};
use crate::harness::collector::Collector;
use crate::harness::components::need;
use crate::harness::instance::Setup;
use crate::harness::lake::Lake;
use crate::harness::{topics, wait};

use super::captures::openai_instrumentation;

#[test]
fn the_collector_writes_otlp_json() {
    need!(Kafka, Collector);
    check("collector-json", "otlp_json");
}

#[test]
fn the_collector_writes_otlp_protobuf() {
    need!(Kafka, Collector);
    check("collector-proto", "otlp_proto");
}

fn check(topic: &str, encoding: &str) {
    let (broker, lake) = (broker::shared(), Lake::file());
    // One partition: the two spans of the Anthropic call are in traces of their own, and only their order tells them apart.
    let setup = Setup::new(broker, topic, 1, &lake);
    let mut collector = Collector::start(broker, topic, encoding);
    collector.send(&file("otel_openai.otlp.json"));
    collector.send(&file("traceloop.otlp.json"));
    wait::until("spans in the topic", || (topics::ends(broker, topic)[&0] >= 6).then_some(()));
    let mut calls = openai_instrumentation();
    calls.extend(expected(&["gpt-4o", "text-embedding-3-small", "gpt-5 (responses)", "claude-sonnet-4-5"]));
    calls.sort();
    let mut instance = setup.start_ready();
    instance.wait_rows(&lake, calls.len() as u64);
    instance.stop();
    assert_eq!(charged(&lake), calls);
    assert_no_secrets(&setup, &lake);
    lake.assert_clean();
}
