//! Events over HTTP, for who cannot speak Kafka: what real emitters post is charged as if it had come by Kafka.

use serde_json::{Value, json};

use crate::harness::broker;
use crate::harness::captures::{Call, assert_no_secrets, charged, expected, file};
use crate::harness::components::need;
use crate::harness::http;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::{topics, wait};

use super::captures::{litellm, openai_instrumentation};

const JSON: &str = "application/json";

#[test]
fn litellm_callbacks_are_taken_over_http() {
    need!(Kafka);
    check(
        "http-events",
        ("/v1/events", JSON, "litellm_generic_api.json"),
        (202, r#"{"accepted":6,"rejected":[]}"#),
        &litellm(),
    );
}

#[test]
fn spans_are_taken_over_http_as_json() {
    need!(Kafka);
    let calls = expected(&["gpt-4o", "text-embedding-3-small", "gpt-5 (responses)", "claude-sonnet-4-5"]);
    check("http-json", ("/v1/traces", JSON, "traceloop.otlp.json"), (200, "{}"), &calls);
}

#[test]
fn spans_are_taken_over_http_as_protobuf() {
    need!(Kafka);
    let post = ("/v1/traces", "application/x-protobuf", "otel_openai.otlp.pb");
    check("http-proto", post, (200, ""), &openai_instrumentation());
}

/// Posts a capture (path, content type, file), reads the answer, and compares the lake with the calls.
fn check(name: &str, (path, kind, capture): (&str, &str, &str), answer: (u16, &str), calls: &[Call]) {
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, name, 2, &lake);
    let mut instance = setup.start_ready();
    let address = instance.address();
    let (status, body) = http::post(&address, path, kind, &file(capture)).expect("the instance answers");
    assert_eq!((status, body.as_str()), answer);
    instance.wait_rows(&lake, calls.len() as u64);
    instance.stop();
    assert_eq!(charged(&lake), calls);
    assert_no_secrets(&setup, &lake);
    lake.assert_clean();
}

#[test]
fn what_is_no_json_and_no_otlp_is_refused() {
    need!(Kafka);
    let lake = Lake::file();
    let setup = Setup::new(broker::shared(), "http-refused", 1, &lake);
    let mut instance = setup.start_ready();
    let address = instance.address();
    for (path, kind, body, expected) in
        [("/v1/events", JSON, "{oops", 400), ("/v1/events", JSON, "", 400), ("/v1/traces", "text/plain", "{}", 415)]
    {
        let (status, said) = http::post(&address, path, kind, body.as_bytes()).expect("the instance answers");
        assert_eq!(status, expected, "{path} {body}: {said}");
        assert!(said.contains("\"detail\":"), "{said}");
    }
    instance.stop();
    assert_eq!(lake.count(), 0);
}

#[test]
fn a_cloudevent_in_binary_mode_is_one_event_with_the_envelopes_id_source_and_time() {
    need!(Kafka);
    let lake = Lake::file();
    let setup = Setup::new(broker::shared(), "http-binary", 2, &lake);
    let mut instance = setup.start_ready();
    let address = instance.address();
    let headers = [
        ("CE-SpecVersion", "1.0"),
        ("Ce-Id", "call%201"),
        ("ce-source", "/gateway/%E2%82%AC"),
        ("ce-type", "llm.usage"),
        ("ce-time", "2026-11-02T10:00:00Z"),
        ("Content-Type", JSON),
    ];
    let body = br#"{"provider":"openai","model":"gpt-4o","usage":{"prompt_tokens":1000,"completion_tokens":100}}"#;
    for _ in 0..2 {
        let answer = http::post_with(&address, "/v1/events", &headers, body).expect("the instance answers");
        assert_eq!(answer, (202, r#"{"accepted":1,"rejected":[]}"#.to_owned()));
    }
    instance.wait_rows(&lake, 1);
    instance.stop();
    let rows = lake.rows("SELECT event_id, event_source, CAST(event_time AS VARCHAR) AS time, cost FROM usage");
    assert_eq!(rows.len(), 1, "a repeat meets the first in one partition");
    let found = ["event_id", "event_source", "cost"].map(|column| text(&rows[0][column]));
    assert_eq!(found, ["call 1", "/gateway/€", "0.0035"]);
    assert!(text(&rows[0]["time"]).starts_with("2026-11-02T10:00:00"), "{}", text(&rows[0]["time"]));
    lake.assert_clean();
}

#[test]
fn what_cannot_be_read_is_named_and_only_sent_on_when_asked() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "http-rejected", 2, &lake);
    let mut instance = setup.start_ready();
    let address = instance.address();
    let event = |id: &str, input: i64| {
        format!(
            r#"{{"id":"{id}","time":"2026-11-22T09:00:00Z","provider":"openai","model":"gpt-4o","usage":{{"prompt_tokens":{input},"completion_tokens":100}}}}"#
        )
    };
    let said = |path: &str, body: String| -> (u16, Value) {
        let (status, said) = http::post(&address, path, JSON, body.as_bytes()).expect("the instance answers");
        (status, serde_json::from_str(&said).expect("the answer is JSON"))
    };
    let (status, answer) = said("/v1/events", format!("[{},{}]", event("good", 1000), event("bad", -1)));
    assert_eq!((status, &answer["accepted"], &answer["rejected"][0]["index"]), (202, &json!(1), &json!(1)), "{answer}");
    assert_eq!(answer["rejected"][0]["reason"], "negative_count");
    let (status, answer) = said("/v1/events", event("bad", -1));
    assert_eq!((status, &answer["rejected"][0]["reason"]), (422, &json!("negative_count")), "{answer}");
    let (status, answer) = said("/v1/events?unreadable=dead_letter", event("kept", -1));
    assert_eq!((status, &answer["accepted"], &answer["dead_lettered"]), (202, &json!(0), &json!(1)), "{answer}");
    // Mended, under the id that was refused.
    assert_eq!(said("/v1/events", event("bad", 1000)).0, 202);
    instance.wait_rows(&lake, 2);
    wait::until("the dead letter that was asked for", || (topics::ends(broker, &setup.dead)[&0] >= 1).then_some(()));
    instance.stop();
    assert_eq!(topics::read(broker, &setup.dead).len(), 1, "the others never reached Kafka");
    let rows = lake.rows("SELECT event_id, cost FROM usage ORDER BY event_id");
    let found: Vec<_> = rows.iter().map(|row| [text(&row["event_id"]), text(&row["cost"])]).collect();
    assert_eq!(found, [["bad", "0.0035"], ["good", "0.0035"]]);
    lake.assert_clean();
}

#[test]
fn spans_that_cannot_be_read_are_counted_and_kept_as_dead_letters() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "http-partial", 1, &lake);
    let mut instance = setup.start_ready();
    let address = instance.address();
    let span = |id: u8, input: i64| {
        json!({ "traceId": format!("{id:032x}"), "spanId": format!("{id:016x}"), "name": "chat gpt-4o",
            "startTimeUnixNano": "1795341600000000000", "endTimeUnixNano": "1795341601000000000",
            "attributes": [
                { "key": "gen_ai.operation.name", "value": { "stringValue": "chat" } },
                { "key": "gen_ai.provider.name", "value": { "stringValue": "openai" } },
                { "key": "gen_ai.request.model", "value": { "stringValue": "gpt-4o" } },
                { "key": "gen_ai.usage.input_tokens", "value": { "intValue": input.to_string() } },
                { "key": "gen_ai.usage.output_tokens", "value": { "intValue": "100" } },
            ] })
    };
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span(1, 1000), span(2, -1)] }] }] }).to_string();
    let (status, said) = http::post(&address, "/v1/traces", JSON, body.as_bytes()).expect("the instance answers");
    let said: Value = serde_json::from_str(&said).expect("the answer is JSON");
    assert_eq!((status, &said["partialSuccess"]["rejectedSpans"]), (200, &json!("1")), "{said}");
    assert!(said["partialSuccess"]["errorMessage"].as_str().unwrap().contains("negative_count"), "{said}");
    instance.wait_rows(&lake, 1);
    instance.stop();
    assert_eq!(topics::read(broker, &setup.dead).len(), 1);
    let rows = lake.rows("SELECT cost FROM usage");
    assert_eq!(rows.iter().map(|row| text(&row["cost"])).collect::<Vec<_>>(), ["0.0035"]);
    lake.assert_clean();
}
