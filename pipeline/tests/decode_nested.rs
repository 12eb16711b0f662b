//! Shapes within shapes, and what a call's surroundings say of its price: envelopes around envelopes, batches, own keys, paid capacity.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use spendstream_pipeline::decode::Ignored;
use spendstream_schemas::config::DecodeConfig;
use support::{check, decode, decode_with};

const SPANS: &str = r#"{"resourceSpans":[{"resource":{"attributes":[]},"scopeSpans":[{"scope":{"name":"x"},"spans":[{"traceId":"0000000000000000000000000000000a",
    "spanId":"00000000000000b1","parentSpanId":"","startTimeUnixNano":"1795366800000000000","endTimeUnixNano":"1795366801500000000","attributes":[
    {"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.provider.name","value":{"stringValue":"openai"}},
    {"key":"gen_ai.request.model","value":{"stringValue":"gpt-4o"}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":"100"}},
    {"key":"gen_ai.usage.output_tokens","value":{"intValue":"20"}}]}]}]}]}"#;

fn cloud(data: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"ce-1","source":"/app","type":"t","time":"2026-11-22T17:00:00Z","data":{data}}}"#
    )
}

#[test]
fn a_cloudevent_may_hold_spans_a_batch_line_or_a_gateways_payload() {
    let bare = decode(SPANS);
    check(bare.row(), "model=gpt-4o input_tokens=100 output_tokens=20");
    for wrapped in [cloud(SPANS), cloud(&cloud(SPANS))] {
        let inside = decode(wrapped);
        assert_eq!(format!("{:?}", inside.rows), format!("{:?}", bare.rows));
        assert!(inside.ignored.is_empty());
    }
    assert_eq!(decode(cloud(r#"{"resourceSpans":[]}"#)).ignored, [(0, Ignored::NoUsage)]);

    let line = r#"{"id":"batch_req_1","custom_id":"row-7","response":{"status_code":200,"body":{"id":"chatcmpl-1","object":"chat.completion",
        "created":1795370390,"model":"gpt-4o-mini","usage":{"prompt_tokens":22,"completion_tokens":2}}},"error":null}"#;
    check(
        decode(cloud(line)).row(),
        "event_id=ce-1 response_id=chatcmpl-1 item_id=row-7 service_tier=batch input_tokens=22",
    );
    let litellm = r#"{"litellm_call_id":"c-1","id":"chatcmpl-2","call_type":"acompletion","custom_llm_provider":"openai","model":"gpt-4o","endTime":1795366800,
        "prompt_tokens":9,"completion_tokens":3,"total_tokens":12}"#;
    check(decode(cloud(litellm)).row(), "event_id=ce-1 payload_kind=cloudevents+litellm model=gpt-4o input_tokens=9");
    let headers = [("ce_specversion", "1.0"), ("ce_id", "ce-1"), ("ce_source", "/app"), ("ce_type", "t")];
    check(
        decode_with(&DecodeConfig::default(), litellm.as_bytes(), &headers).row(),
        "event_id=ce-1 payload_kind=cloudevents+litellm input_tokens=9",
    );
}

#[test]
fn a_request_of_a_batch_that_was_not_answered_costs_nothing() {
    for line in [
        r#"{"id":"b1","custom_id":"row-1","response":null,"error":{"code":"batch_expired","message":"SECRET"}}"#,
        r#"{"id":"b2","custom_id":"row-2","response":{"status_code":400,"request_id":"r","body":{"error":{"message":"SECRET"}}},"error":null}"#,
    ] {
        assert_eq!(decode(line).ignored, [(0, Ignored::NoUsage)], "{line}");
    }
    let counted = r#"{"id":"b3","custom_id":"row-3","error":{},"object":"chat.completion","created":1795370390,"model":"m","usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    check(decode(counted).row(), "event_id=b3 input_tokens=1");
}

#[test]
fn calls_of_one_portkey_trace_are_told_apart_without_ids() {
    let call = |created: &str, units: u32| {
        format!(
            r#"{{"created_at":"{created}","is_success":true,"ai_org":"openai","ai_model":"gpt-4o","req_units":{units},"res_units":5,"response_time":900,"trace_id":"tr"}}"#
        )
    };
    let id = |event: &str| decode(event).row().text("event_id").to_owned();
    let first = call("2026-11-22T17:00:00Z", 10);
    check(decode(&first).row(), "event_id=tr@2026-11-22T17:00:00Z/900/10/5/gpt-4o trace_id=tr");
    assert_eq!(id(&first), id(&first.replace(r#""is_success":true,"#, "")));
    assert_ne!(id(&first), id(&call("2026-11-22T17:00:09Z", 10)));
    assert_ne!(id(&first), id(&call("2026-11-22T17:00:00Z", 11)));
}

#[test]
fn capacity_that_is_paid_otherwise_is_known_by_model_and_by_provider() {
    let event = |provider: &str, model: &str, tier: &str| {
        decode(format!(
            r#"{{"id":"e1","time":1795370399000,"provider":"{provider}","model":"{model}","service_tier":"{tier}","usage":{{"input_tokens":7}}}}"#
        ))
    };
    let arn = "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc";
    for (provider, model, tier, committed) in [
        ("aws.bedrock", arn, "", true),
        ("anthropic", "claude-sonnet-4-5", "priority", true),
        ("Anthropic", "claude-sonnet-4-5", "Priority", true),
        ("anthropic", "claude-sonnet-4-5", "standard", false),
        // Elsewhere the word means dearer, not paid.
        ("openai", "gpt-5", "priority", false),
    ] {
        check(event(provider, model, tier).row(), &format!("committed={committed}"));
    }
}

#[test]
fn a_faster_bedrock_answer_is_a_tier_of_its_own() {
    let event = r#"{"id":"e1","time":1795370399000,"provider":"aws.bedrock","model":"us.anthropic.claude-3-5-haiku-20241022-v1:0",
        "usage":{"usage":{"inputTokens":3,"outputTokens":12,"totalTokens":15},"performanceConfig":{"latency":"optimized"}}}"#;
    check(decode(event).row(), "service_tier=latency_optimized input_tokens=3");
    check(decode(event.replace("optimized", "standard")).row(), "service_tier=absent");
}

#[test]
fn with_the_callers_own_key_the_upstream_bills() {
    let body = r#"{"id":"gen-1","provider":"Anthropic","object":"chat.completion","created":1795370390,"model":"anthropic/claude-sonnet-4.5","choices":[],
        "usage":{"prompt_tokens":14,"completion_tokens":4,"total_tokens":18,"cost":0.000005,"is_byok":true,"cost_details":{"upstream_inference_cost":0.000102}}}"#;
    check(decode(body).row(), "provider_sent=openrouter cost=0.000102 input_tokens=14 quality=estimated");
    assert_eq!(
        (&*decode(body).row().tags["upstream_provider"], &*decode(body).row().tags["billed_by"]),
        ("Anthropic", "upstream_provider")
    );
    check(decode(body.replace("true", "false")).row(), "provider_sent=openrouter cost=0.000005");
}

#[test]
fn litellms_batches_and_tiers() {
    let payload = |rest: &str| {
        decode(format!(
            r#"{{"litellm_call_id":"c-1","id":"batch_9","custom_llm_provider":"openai","model":"gpt-4o","endTime":1795366800,{rest}}}"#
        ))
    };
    // Looked at before it was done, and twice after: one charge.
    let early = payload(r#""call_type":"aretrieve_batch","prompt_tokens":0,"completion_tokens":0,"total_tokens":0"#);
    check(early.row(), "event_id=c-1 service_tier=batch input_tokens=0");
    let done = payload(r#""call_type":"aretrieve_batch","prompt_tokens":90,"completion_tokens":30,"total_tokens":120"#);
    check(done.row(), "event_id=batch_9 service_tier=batch input_tokens=90 output_tokens=30");
    let asked = |tier: &str, got: &str| {
        let rest = format!(
            r#""call_type":"acompletion","model_parameters":{{"service_tier":"{tier}"}},"prompt_tokens":9,"completion_tokens":3,"total_tokens":12{got}"#
        );
        payload(&rest)
    };
    check(asked("flex", "").row(), "service_tier=flex notes=tier_assumed quality=estimated");
    check(asked("auto", "").row(), "service_tier=absent quality=exact");
    check(asked("flex", r#","response":{"service_tier":"default"}"#).row(), "service_tier=default quality=exact");
}

#[test]
fn what_a_response_does_beside_its_tokens() {
    let response = |output: &str, status: &str| {
        decode(format!(
            r#"{{"id":"resp_1","object":"response","created_at":1795370390,"status":"{status}","model":"gpt-5","output":[{output}],
            "usage":{{"input_tokens":10,"output_tokens":5,"total_tokens":15,"input_tokens_details":{{"cached_tokens":0}}}}}}"#
        ))
    };
    check(response("", "completed").row(), "status=ok quality=exact notes=");
    check(response("", "incomplete").row(), "status=ok");
    check(response("", "failed").row(), "status=error input_tokens=10");
    let picture = r#"{"type":"image_generation_call","status":"completed","result":"SECRET"}"#;
    check(response(picture, "completed").row(), "notes=tokens_unexplained quality=estimated");
    let code = r#"{"type":"code_interpreter_call","container_id":"c1"}"#;
    check(response(code, "completed").row(), "code_interpreter_session=1 quality=upper_bound");
}

#[test]
fn grounding_with_maps_is_counted_once_per_answer() {
    let body = |chunks: &str| {
        decode(format!(
            r#"{{"candidates":[{{"finishReason":"STOP","groundingMetadata":{{"groundingChunks":[{chunks}]}}}}],"modelVersion":"gemini-2.5-flash",
            "responseId":"r1","createTime":"2026-11-22T17:00:00Z","usageMetadata":{{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}}}"#
        ))
    };
    check(body(r#"{"maps":{"uri":"x"}},{"maps":{"uri":"y"}}"#).row(), "google_maps_grounding=1 web_searches=0");
    check(body(r#"{"web":{"uri":"x"}}"#).row(), "google_maps_grounding=absent");
}
