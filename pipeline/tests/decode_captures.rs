//! What real emitters sent, byte for byte: every file yields exactly the calls that were made, each once, and no secret.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use std::collections::BTreeMap;

use spendstream_pipeline::decode::Ignored;
use support::{Decoded, decode, fixture};

const SECRETS: [&str; 3] = ["SECRET-PROMPT", "SECRET-COMPLETION", "sk-SECRET-KEY"];

/// Model, status and counts of a call.
type Call = (&'static str, &'static str, Vec<(&'static str, i64)>);

fn gpt_4o(model: &'static str) -> Call {
    let counts = vec![
        ("cache_read_tokens", 1024),
        ("input_tokens", 1200),
        ("output_tokens", 80),
        ("reasoning_tokens", 32),
        ("uncached_input_tokens", 176),
    ];
    (model, "ok", counts)
}

fn embedding() -> Call {
    ("text-embedding-3-small", "ok", vec![("input_tokens", 300), ("uncached_input_tokens", 300)])
}

fn gpt_5() -> Call {
    let counts = vec![
        ("cache_read_tokens", 512),
        ("input_tokens", 900),
        ("output_tokens", 60),
        ("reasoning_tokens", 16),
        ("uncached_input_tokens", 388),
    ];
    ("gpt-5", "ok", counts)
}

fn claude() -> Call {
    let counts = vec![
        ("cache_read_tokens", 3000),
        ("cache_write_1h_tokens", 1500),
        ("cache_write_tokens", 500),
        ("input_tokens", 5050),
        ("output_tokens", 70),
        ("uncached_input_tokens", 50),
    ];
    ("claude-sonnet-4-5", "ok", counts)
}

#[track_caller]
fn check(decoded: &Decoded, expected: &[Call]) {
    assert!(decoded.rejects.is_empty(), "{:#?}", decoded.rejects);
    let found: Vec<_> = decoded
        .rows
        .iter()
        .map(|row| (row.text("model"), row.text("status"), row.counted().into_iter().collect()))
        .collect();
    assert_eq!(found, expected);
    let ids: BTreeMap<&str, u32> = decoded.rows.iter().map(|row| (row.text("event_id"), row.index)).collect();
    assert_eq!(ids.len(), decoded.rows.len(), "each call has an id of its own");
    for row in &decoded.rows {
        let whole = format!("{row:?}");
        assert!(SECRETS.iter().all(|secret| !whole.contains(secret)), "{whole}");
        assert_eq!(
            (row.text("user_id"), row.text("team")),
            (user(row.text("payload_kind"), row.text("user_id")), "search")
        );
    }
}

/// Spans of openai-v2 carry no user; the agent's span around them does, and is not charged.
fn user(kind: &str, found: &str) -> &'static str {
    if kind.starts_with("otlp") && found.is_empty() { "" } else { "alice" }
}

#[test]
fn litellm_generic_api_callback() {
    let decoded = decode(fixture("captures/litellm_generic_api.json"));
    let failed = ("gpt-4o", "error", vec![]);
    check(&decoded, &[gpt_4o("gpt-4o"), claude(), embedding(), gpt_5(), failed, gpt_4o("gpt-4o-mini")]);
    let costs: Vec<&str> =
        decoded.rows.iter().map(|row| row.reported_cost.as_ref().map_or("", |cost| cost.0.as_str())).collect();
    assert_eq!(costs, ["0.0025200000000000005", "0.012975000000000002", "0.000006", "0.001149", "0.0", "0.0001512"]);
    assert_eq!(decoded.rows[4].text("error_type"), "NotFoundError");
    assert_eq!(decoded.rows[4].notes(), ["no_usage"]);
    assert_eq!(decoded.rows[0].text("response_id"), "chatcmpl-1795362029996999221");
    assert_eq!(decoded.rows[0].time_micros, 1_795_362_030_008_213);
    assert_eq!(decoded.rows[0].latency_ms, Some(295));
    assert_eq!(decoded.rows[2].text("operation"), "embeddings");
    assert_eq!(decoded.rows[1].text("provider_sent"), "anthropic");
    assert_eq!(decoded.rows.iter().map(|row| row.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn litellm_as_json_lines() {
    let array: Vec<serde_json::Value> = serde_json::from_slice(&fixture("captures/litellm_generic_api.json")).unwrap();
    let lines = array.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let (whole, lines) = (decode(fixture("captures/litellm_generic_api.json")), decode(lines));
    assert_eq!(whole, lines);
}

/// This emitter sends no cached counts: what it costs is an upper bound, and the row says so.
fn uncached(model: &'static str) -> Call {
    (model, "ok", vec![("input_tokens", 1200), ("output_tokens", 80), ("uncached_input_tokens", 1200)])
}

fn check_openai_v2(decoded: &Decoded, kind: &str) {
    check(decoded, &[uncached("gpt-4o"), embedding(), uncached("gpt-4o-mini")]);
    assert_eq!(decoded.ignored, [(3, Ignored::NotBillable)]);
    let qualities: Vec<(&str, Vec<&str>)> = decoded.rows.iter().map(|row| (row.quality.name(), row.notes())).collect();
    let bound = ("upper_bound", vec!["cache_unknown"]);
    assert_eq!(qualities, [bound.clone(), ("exact", vec![]), bound]);
    let row = &decoded.rows[0];
    assert_eq!(row.text("event_id"), "b7368db3d51e3f0028472c63d1f681a7:e7830384264624cc");
    assert_eq!(row.text("parent_span_id"), "19e251cbec43ea8c");
    assert_eq!((row.text("app"), row.text("environment")), ("search-api", "prod"));
    assert_eq!((row.text("provider_sent"), row.text("service_tier")), ("openai", "default"));
    assert_eq!(row.text("response_id"), "chatcmpl-1795362176754801092");
    assert_eq!(row.time_micros, 1_795_362_176_760_812);
    assert_eq!(row.text("payload_kind"), kind);
}

#[test]
fn openai_v2_spans_in_json() {
    check_openai_v2(&decode(fixture("captures/otel_openai.otlp.json")), "otlp.json");
}

#[test]
fn openai_v2_spans_in_protobuf_without_headers() {
    check_openai_v2(&decode(fixture("captures/otel_openai.otlp.pb")), "otlp.proto");
}

#[test]
fn two_spans_of_one_response_are_charged_once_by_the_inner() {
    let decoded = decode(fixture("captures/traceloop.otlp.json"));
    check(&decoded, &[gpt_4o("gpt-4o"), embedding(), gpt_5(), claude()]);
    assert_eq!(decoded.ignored, [(4, Ignored::NestedSpan)]);
    assert_eq!(decoded.rows[3].text("span_id"), "d08058ed71cb48a0");
    assert_eq!(decoded.rows[0].text("user_id"), "alice");
    assert!(decoded.rows.iter().all(|row| row.quality.name() == "exact"));
}
