//! A stock OpenTelemetry SDK with the OpenAI instrumentation: its OTLP/HTTP exporter posts to `POST /v1/traces`, packed or not, and
//! every call is charged once; the span of the agent around them is not.

use crate::harness::broker;
use crate::harness::captures::{Call, assert_no_secrets, charged};
use crate::harness::components::need;
use crate::harness::emitters::run_otel_app;
use crate::harness::events::femto;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::{topics, upstream};

#[test]
fn spans_of_an_application_reach_the_ledger() {
    need!(Kafka, Emitters);
    check("otel-sdk", "none");
}

#[test]
fn spans_may_be_packed() {
    need!(Kafka, Emitters);
    check("otel-sdk-gzip", "gzip");
}

fn check(topic: &str, compression: &str) {
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, topic, 2, &lake);
    let mut instance = setup.start_ready();
    run_otel_app(&upstream::start(), &format!("http://{}", instance.address()), compression);
    instance.wait_rows(&lake, 3);
    assert_eq!(instance.metric("spendstream_http_unreadable_total", &[]), 0);
    instance.stop();
    // This instrumentation tells no cached counts, so all input is charged in full.
    let call = |model: &str, cost: &str| -> Call { (model.to_owned(), 1200, 0, 80, femto(cost)) };
    let small = call("gpt-4o-mini", "0.000228");
    assert_eq!(charged(&lake), [call("gpt-4o", "0.0038"), small.clone(), small]);
    let rows = lake.rows("SELECT DISTINCT provider, app, payload_kind FROM usage");
    assert_eq!(rows.len(), 1, "{rows:?}");
    let found = ["provider", "app", "payload_kind"].map(|column| text(&rows[0][column]));
    // Whatever encoding came over HTTP, one message per trace goes on as JSON.
    assert_eq!(found, ["openai", "search-app", "otlp.json"]);
    assert!(topics::read(broker, &setup.dead).is_empty(), "nothing was rejected");
    assert_no_secrets(&setup, &lake);
    lake.assert_clean();
}
