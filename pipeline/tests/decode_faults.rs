//! What must never leave the decoder: keys in any column or label, content of what it rejects; and calls that contradict themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use prost::Message;
use spendstream_schemas::count::Count;
use support::{check, decode};

const HEAD: &str = r#""id":"e1","time":"2026-11-22T17:59:58Z","provider":"anthropic","model":"claude-sonnet-4-5""#;

fn event(rest: &str) -> support::Decoded {
    decode(format!("{{{HEAD},{rest}}}"))
}

fn usage(usage: &str) -> support::Decoded {
    event(&format!("\"usage\":{{{usage}}}"))
}

#[test]
fn plain_parts_count_beside_a_total() {
    check(
        usage(r#""input_tokens":10000,"output_tokens":100,"total_tokens":10100,"cache_write_tokens":4000,"cache_write_1h_tokens":5000"#).row(),
        "input_tokens=10000 uncached_input_tokens=1000 cache_write_tokens=4000 cache_write_1h_tokens=5000 output_tokens=100",
    );
    check(
        usage(r#""input_tokens":10,"output_tokens":5,"total_tokens":15,"reasoning_tokens":2,"web_searches":3"#).row(),
        "input_tokens=10 uncached_input_tokens=10 output_tokens=5 reasoning_tokens=2 web_searches=3",
    );
    let short = usage(r#""input_tokens":10,"output_tokens":5,"total_tokens":14,"reasoning_tokens":2"#);
    assert_eq!(short.reject().1, "input 10 + output 5 exceed the body's own total 14");
}

#[test]
fn a_count_that_no_call_has_is_refused() {
    let most = usage(r#""input_tokens":1000000000000,"output_tokens":5"#);
    check(most.row(), "input_tokens=1000000000000 output_tokens=5");
    for (counts, name, value) in [
        (r#""input_tokens":1000000000001,"output_tokens":5"#, "input_tokens", "1000000000001"),
        (r#""prompt_tokens":5,"completion_tokens":3000000000000000000"#, "output_tokens", "3000000000000000000"),
        (r#""input_tokens":1,"web_searches":1000000000001"#, "web_searches", "1000000000001"),
    ] {
        let detail = format!("'{name}' is {value}, more than decode.max_count = 1000000000000");
        assert_eq!(usage(counts).reject(), ("wrong_type", &*detail), "{counts}");
    }
}

#[test]
fn an_answer_in_an_envelope_is_no_batch_line() {
    let gemini = r#""usageMetadata":{"promptTokenCount":1000,"candidatesTokenCount":100,"totalTokenCount":1100}"#;
    let tier = |body: &str| event(&format!("\"usage\":{body}")).row().texts.get("service_tier").cloned();
    assert_eq!(tier(&format!(r#"{{"response":{{{gemini}}},"traceId":"t"}}"#)), None);
    assert_eq!(tier(&format!(r#"{{"key":"k","response":{{{gemini}}}}}"#)).as_deref(), Some("batch"));
    let message = r#""message":{"type":"message","usage":{"input_tokens":1000,"output_tokens":100}}"#;
    assert_eq!(tier(&format!(r#"{{"result":"success",{message}}}"#)), None);
    assert_eq!(
        tier(&format!(r#"{{"custom_id":"c","result":{{"type":"succeeded",{message}}}}}"#)).as_deref(),
        Some("batch")
    );
}

#[test]
fn one_count_under_two_names_counts_once() {
    let bedrock = |cached: u32| {
        usage(&format!(
            r#""inputTokens":1000,"outputTokens":100,"totalTokens":1500,"cacheReadInputTokens":400,"cachedInputTokens":{cached}"#
        ))
    };
    check(bedrock(400).row(), "input_tokens=1400 cache_read_tokens=400 output_tokens=100");
    assert_eq!(bedrock(300).reject().0, "wrong_type");
    check(
        usage(
            r#""inputTokens":1000,"inputTokenDetails":{"noCacheTokens":600,"cacheReadTokens":400,"cacheWriteTokens":0},"outputTokens":100,"totalTokens":1100,"cachedInputTokens":400"#,
        )
        .row(),
        "input_tokens=1000 uncached_input_tokens=600 cache_read_tokens=400 output_tokens=100",
    );
    // Gateways fill details with 0.
    for zero in [
        r#""prompt_tokens":1000,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":0},"prompt_cache_hit_tokens":400"#,
        r#""input_tokens":1000,"output_tokens":5,"input_tokens_details":{"cached_tokens":0},"cached_tokens":400"#,
    ] {
        assert_eq!(usage(zero).row().count(Count::CacheRead), 400, "{zero}");
    }
}

#[test]
fn speed_and_place_count_without_a_cache() {
    for caches in ["", r#","cache_creation_input_tokens":null,"cache_read_input_tokens":null"#] {
        let decoded =
            usage(&format!(r#""input_tokens":10,"output_tokens":5{caches},"speed":"fast","inference_geo":"us""#));
        check(decoded.row(), "input_tokens=10 output_tokens=5 service_tier=fast region=us");
    }
    let thought = usage(
        r#""input_tokens":10,"output_tokens":5,"cache_read_input_tokens":null,"output_tokens_details":{"thinking_tokens":4}"#,
    );
    assert_eq!(thought.row().count(Count::Reasoning), 4);
}

#[test]
fn lifetimes_never_exceed_the_writes() {
    let detail = "5 min cache writes 900 + 1 h cache writes 200 exceed cache writes 1000";
    let split = r#""cache_creation":{"ephemeral_5m_input_tokens":900,"ephemeral_1h_input_tokens":200}"#;
    for body in [
        format!(r#""input_tokens":10,"output_tokens":5,"cache_creation_input_tokens":1000,{split}"#),
        format!(r#""prompt_tokens":2000,"completion_tokens":5,"cache_creation_input_tokens":1000,{split}"#),
        r#""inputTokens":10,"outputTokens":5,"cacheWriteInputTokens":1000,"cacheDetails":[{"ttl":"5m","inputTokens":900},{"ttl":"1h","inputTokens":200}]"#.to_owned(),
    ] {
        assert_eq!(usage(&body).reject(), ("part_exceeds_total", detail), "{body}");
    }
    let told = usage(
        r#""inputTokens":10,"outputTokens":5,"cacheDetails":[{"ttl":"5m","inputTokens":900},{"ttl":"1h","inputTokens":200}]"#,
    );
    check(told.row(), "input_tokens=1110 uncached_input_tokens=10 cache_write_tokens=900 cache_write_1h_tokens=200");
}

#[test]
fn no_column_and_no_label_holds_a_key() {
    let decoded = event(
        r#""usage":{"input_tokens":1},"status":"error","error_type":"Incorrect API key provided: sk-proj-SECRET-ab12CD34ef56GH78","user":"u?api_key=SECRET","app":"AIzaSECRET-ab12CD34ef56GH78","endpoint":"https://h/v1?key=SECRET-ab12CD34ef56GH78","team":"risk-management","project":"BEARER SECRET-ab12CD34ef56GH78","prompt_hash":"a prompt with SECRET words","response_id":"sk_SECRET-ab12CD34ef56GH78","api_key_id":"ya29.SECRET-ab12CD34ef56GH78","tags":{"h":"authorization: Bearer SECRET-ab12CD34ef56GH78","sk-SECRET-ab12CD34ef56GH78":"v","r8_SECRET-ab12CD34ef56GH78":"w","ok":"v"}"#,
    );
    let row = decoded.row();
    assert!(!format!("{row:?}").contains("SECRET"), "{row:?}");
    check(
        row,
        "error_type=[removed] user_id=[removed] app=[removed] endpoint=[removed] project=[removed] prompt_hash=[removed] team=risk-management",
    );
    assert!(row.text("response_id").starts_with("sha256:") && row.text("api_key_id").starts_with("sha256:"));
    let tags: Vec<(&str, &str)> = row.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("[removed]", "v"), ("h", "[removed]"), ("ok", "v")]);
    let escaped = event(
        r#""usage":{"input_tokens":1},"team":"\u0073k-SECRET-ab12CD34ef56GH78","model":"sk-SECRET-ab12CD34ef56GH78","error_type":"RateLimitError""#,
    );
    check(escaped.row(), "team=[removed] model=[removed] error_type=RateLimitError");
}

#[test]
fn customers_whose_names_begin_like_keys_stay_apart() {
    let of = |organization: &str, source: &str| {
        event(&format!(r#""usage":{{"input_tokens":1}},"organization":"{organization}","source":"{source}""#))
    };
    check(of("sk-telecom", "s?tenant_key=aaa").row(), "organization=sk-telecom event_source=s?tenant_key=aaa");
    let key = |tail: &str| format!("sk-proj-{tail}-ab12CD34ef56GH78");
    let (one, two) = (of(&key("a"), &key("c")), of(&key("b"), &key("d")));
    let masked = ["organization", "event_source"].map(|column| (one.row().text(column), two.row().text(column)));
    for (one, two) in masked {
        assert!(one.starts_with("sha256:") && two.starts_with("sha256:"), "{one} {two}");
        assert_ne!(one, two);
    }
}

#[test]
fn a_label_called_a_key_loses_what_looks_like_one_and_keeps_a_name() {
    let decoded = event(
        r#""usage":{"input_tokens":1},"tags":{"api_key":"9f86d081884c7d659a2f","auth-token":"mobile-app","n":"https://u:pass@h"}"#,
    );
    let tags: Vec<(&str, &str)> =
        decoded.row().tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("api_key", "[removed]"), ("auth-token", "mobile-app"), ("n", "[removed]")]);
}

fn litellm(rest: &str) -> support::Decoded {
    decode(format!(
        r#"{{"litellm_call_id":"call-1","call_type":"acompletion","custom_llm_provider":"openai","model":"gpt-4o","endTime":1795370399.5,"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,{rest}}}"#
    ))
}

#[test]
fn a_failed_attempt_and_its_retry_are_two_calls() {
    let failed = litellm(r#""id":"call-1","status":"failure","request_tags":["sk-SECRET-ab12CD34ef56GH78","a"]"#);
    check(failed.row(), "event_id=call-1#failure status=error");
    assert_eq!(failed.row().tags.keys().collect::<Vec<_>>(), ["[removed]", "a"]);
    check(litellm(r#""id":"chatcmpl-1","status":"success""#).row(), "event_id=call-1 status=ok");
}

#[test]
fn an_unknown_cost_does_not_cost_the_call() {
    for cost in ["-1", "\"n/a\"", "1e40"] {
        assert_eq!(litellm(&format!(r#""response_cost":{cost}"#)).row().reported_cost, None, "{cost}");
    }
    let cost = litellm(r#""response_cost":0.0025"#).row().reported_cost.clone();
    assert_eq!(cost, Some(("0.0025".to_owned(), "USD".to_owned())));
}

const GOOD: &str = r#"{"traceId":"0000000000000000000000000000000a","spanId":"000000000000000b","endTimeUnixNano":"1795366801500000000","attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.provider.name","value":{"stringValue":"openai"}},{"key":"gen_ai.request.model","value":{"stringValue":"m"}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":"7"}}]}"#;

#[test]
fn one_bad_span_is_rejected_alone() {
    let bad =
        GOOD.replace("000000000000000b", "xyz").replace(r#"{"intValue":"7"}"#, r#"{"doubleValue":1000.5}"#).replace(
            r#""attributes":["#,
            r#""attributes":[{"key":"gen_ai.input.messages","value":{"stringValue":"SECRET"}},"#,
        );
    let decoded = decode(format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"scope":{{"name":"x"}},"spans":[{bad},{GOOD}]}}]}}]}}"#
    ));
    assert_eq!(decoded.rows.iter().map(|row| (row.index, row.count(Count::Input))).collect::<Vec<_>>(), [(1, 7)]);
    let kept = decoded.kept();
    assert_eq!(decoded.rejects[0].1.detail, "'spanId' is missing; an OTLP span carries its ids");
    assert!(kept.contains(r#"{"doubleValue":1000.5}"#) && !kept.contains("SECRET"), "{kept}");
}

/// Just enough of OTLP's protobuf to write spans with ids of any length.
#[derive(Clone, PartialEq, Message)]
struct Bytes {
    #[prost(bytes = "vec", tag = "1")]
    one: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    two: Vec<u8>,
    #[prost(fixed64, tag = "8")]
    end: u64,
    #[prost(bytes = "vec", repeated, tag = "9")]
    attributes: Vec<Vec<u8>>,
}

fn pair(one: impl Into<Vec<u8>>, two: impl Into<Vec<u8>>) -> Vec<u8> {
    Bytes { one: one.into(), two: two.into(), ..Bytes::default() }.encode_to_vec()
}

#[test]
fn one_bad_span_in_protobuf_takes_no_other_and_no_content_along() {
    let text = |value: &str| pair(value, "");
    let span = |id: Vec<u8>| {
        let attributes = [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "m"),
            ("gen_ai.input.messages", "SECRET"),
        ];
        let mut attributes: Vec<Vec<u8>> = attributes.iter().map(|(key, value)| pair(*key, text(value))).collect();
        attributes.push(pair("gen_ai.usage.input_tokens", vec![0x18, 7]));
        Bytes { one: vec![1; 16], two: id, end: 1_795_366_801_500_000_000, attributes }.encode_to_vec()
    };
    let [good, bad] = [span(vec![2; 8]), span(vec![2; 7])];
    // A scope's spans and a resource's scopes have the tag 2, the resources the tag 1.
    let message = |spans: &[&Vec<u8>]| {
        let scope: Vec<u8> = spans.iter().flat_map(|span| pair("", span.as_slice())).collect();
        pair(pair("", scope), "")
    };
    let decoded = decode(message(&[&bad, &good]));
    assert_eq!(decoded.rows.iter().map(|row| (row.index, row.count(Count::Input))).collect::<Vec<_>>(), [(1, 7)]);
    assert!(decoded.kept().contains("gen_ai.request.model") && !decoded.kept().contains("SECRET"));
    let alone = decode(message(&[&bad]));
    assert_eq!(alone.reject(), ("missing_field", "'spanId' is missing; an OTLP span carries its ids"));
    assert!(!alone.kept().contains("SECRET"), "{}", alone.kept());
}
