//! The fast path never differs from the slow one: what it takes, it reads the same; what it does not, it leaves alone.

use proptest::prelude::*;
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::usage_event::UsageRow;

use super::super::call::Context;
use super::super::reject::Reject;
use super::super::{Ignored, Sink, items};
use crate::batch::RawMessage;

#[derive(Default)]
struct Seen(Vec<String>);

impl Sink for Seen {
    fn row(&mut self, index: u32, row: &UsageRow<'_>) {
        self.0.push(format!("{index} {row:?}"));
    }

    fn reject(&mut self, index: u32, reject: Reject) {
        self.0.push(format!("{index} {reject:?}"));
    }

    fn ignore(&mut self, index: u32, why: Ignored) {
        self.0.push(format!("{index} {why:?}"));
    }
}

/// True when the fast path took it; panics when it read something else than the slow one.
fn agrees(payload: &str) -> bool {
    let limits = DecodeConfig { max_tags: 3, max_text_bytes: 40, ..DecodeConfig::default() };
    let context = Context { limits: &limits, message_ms: Some(1_795_370_400_000), speaks_for_stream: false };
    let mut fast = Seen::default();
    let taken = super::decode(payload.as_bytes(), context, &mut fast);
    if taken {
        let mut slow = Seen::default();
        let message =
            RawMessage { payload: payload.as_bytes(), key: None, headers: None, timestamp_ms: context.message_ms };
        items::decode(&message, context, &mut slow);
        assert_eq!(fast.0, slow.0, "{payload}");
    } else {
        assert!(fast.0.is_empty(), "declined, but emitted: {payload}");
    }
    taken
}

const HEAD: &str = r#""id":"e1","time":"2026-11-22T17:59:58.250Z","provider":"openai","model":"gpt-4o""#;

#[test]
fn what_is_nested_too_deeply_is_left_alone_without_recursion() {
    let event = |depth: usize| {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"{{{HEAD},"x":{deep},"usage":{{"input_tokens":1,"output_tokens":1}}}}"#)
    };
    assert!(agrees(&event(20)));
    assert!(!agrees(&event(70)));
    // Half a megabyte of brackets is a valid event otherwise.
    assert!(!agrees(&event(250_000)));
    let objects =
        format!(r#"{{{HEAD},"usage":{{"input_tokens":1,"x":{}1{}}}}}"#, r#"{"a":"#.repeat(50_000), "}".repeat(50_000));
    assert!(!agrees(&objects));
}

#[test]
fn takes_the_common_events() {
    for rest in [
        r#""usage":{"input_tokens":10,"output_tokens":5,"cache_read_tokens":4,"reasoning_tokens":2,"web_searches":1}"#,
        r#""usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":2,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#,
        r#""usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":2}}"#,
        r#""usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":15}"#,
        r#""usage":{"input_tokens":10,"output_tokens":5,"cache_creation_input_tokens":7,"cache_read_input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":5},"service_tier":"standard","output_tokens_details":{"thinking_tokens":1}}"#,
        r#""usage":{"input_tokens":10,"output_tokens":5,"cache_creation_input_tokens":7}"#,
        r#""usage":{"prompt_tokens":4,"total_tokens":4},"operation":"embeddings""#,
        r#""usage":{"input_tokens":1,"output_tokens":1},"tags":{"a":"b","\u00e9":"\ud83d\ude00\n"},"latency_ms":12,"cache_hit":true,"status":"error","reported_cost":{"amount":"0.0123","currency":"USD"},"tenant":"acme","other":[1,{"x":null}]"#,
        r#""usage":{"promptTokenCount":1000,"cachedContentTokenCount":200,"candidatesTokenCount":60,"thoughtsTokenCount":20,"totalTokenCount":1080}"#,
        r#""usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":3,"service_tier":"batch"},"service_tier":"auto""#,
        r#""usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":3,"service_tier":"batch"},"service_tier":"flex""#,
        r#""usage":{"input_tokens":10,"output_tokens":5,"cache_creation_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":0}}"#,
        r#""usage":{"input_tokens":1,"output_tokens":1},"service_tier":"scale","user":null,"api_key_id":"sk-ab12CD34ef56GH78""#,
    ] {
        assert!(agrees(&format!("{{{HEAD},{rest}}}")), "declined: {rest}");
    }
}

#[test]
fn declines_what_it_does_not_understand() {
    for rest in [
        r#""usage":{"input_tokens":10,"audio_second":1.5}"#,
        r#""usage":{"input_tokens":-1}"#,
        r#""usage":{"input_tokens":1.0}"#,
        r#""usage":{"input_tokens":1,"cache_read_tokens":2}"#,
        r#""usage":{"prompt_tokens":1,"input_tokens":1}"#,
        r#""usage":{"promptTokenCount":1,"input_tokens":1}"#,
        r#""usage":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2,"trafficType":"ON_DEMAND_FLEX"}"#,
        r#""usage":{}"#,
        r#""usage":{"input_tokens":1},"specversion":"1.0""#,
        r#""usage":{"input_tokens":1},"id":"again""#,
        r#""usage":{"input_tokens":1},"status":"fine""#,
        r#""usage":{"input_tokens":1},"tags":{"a":1}"#,
        r#""usage":{"input_tokens":1},"tags":{"a":"1","b":"2","c":"3","d":"4"}"#,
        r#""usage":{"input_tokens":1},"team":"a text that is longer than forty bytes, really""#,
        r#""usage":{"input_tokens":1},"time":5"#,
        r#""usage":{"input_tokens":1,"input_tokens_details":{"image_tokens":1},"input_tokens_details":{}}"#,
        r#""usage":{"input_tokens":1,"input_tokens_details":{"image_tokens":1},"input_tokens_details":null}"#,
        r#""usage":{"input_tokens":1}} {"#,
    ] {
        assert!(!agrees(&format!("{{{HEAD},{rest}}}")), "taken: {rest}");
    }
}

/// JSON values of every kind, more often plausible ones.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0_i64..50).prop_map(|number| number.to_string()),
        4 => "\"[a-z]{0,6}\"",
        1 => Just("null".to_owned()),
        1 => Just("-3".to_owned()),
        1 => Just("2.5".to_owned()),
        1 => Just("1e3".to_owned()),
        1 => Just("true".to_owned()),
        1 => Just("\"ok\"".to_owned()),
        1 => Just("\"2026-11-22T10:00:00+01:00\"".to_owned()),
        1 => Just("1795362030123".to_owned()),
        1 => Just("\"\\u00e9\\n\\ud83d\\ude00é\"".to_owned()),
        1 => Just("{}".to_owned()),
        1 => Just("[1]".to_owned()),
        1 => Just("99999999999999999999".to_owned()),
    ]
}

fn object(keys: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec((proptest::sample::select(keys), value()), 0..most).prop_map(|members| {
        members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect::<Vec<_>>().join(",")
    })
}

fn usage() -> impl Strategy<Value = String> {
    const COUNTS: &[&str] = &[
        "input_tokens",
        "output_tokens",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "reasoning_tokens",
        "audio_input_tokens",
        "web_searches",
        "service_tier",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "requests",
        "promptTokenCount",
        "toolUsePromptTokenCount",
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "totalTokenCount",
        "unknown",
    ];
    const NESTED: &[&str] = &[
        "prompt_tokens_details",
        "completion_tokens_details",
        "input_tokens_details",
        "output_tokens_details",
        "cache_creation",
    ];
    const PARTS: &[&str] = &[
        "cached_tokens",
        "cache_write_tokens",
        "audio_tokens",
        "reasoning_tokens",
        "thinking_tokens",
        "text_tokens",
        "ephemeral_5m_input_tokens",
        "ephemeral_1h_input_tokens",
        "image_tokens",
        "rejected_prediction_tokens",
    ];
    let nested =
        (proptest::sample::select(NESTED), object(PARTS, 3)).prop_map(|(key, parts)| format!("\"{key}\":{{{parts}}}"));
    (object(COUNTS, 5), proptest::collection::vec(nested, 0..3)).prop_map(|(counts, nested)| {
        let all: Vec<String> = std::iter::once(counts).chain(nested).filter(|part| !part.is_empty()).collect();
        format!("{{{}}}", all.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn never_differs(
        usage in usage(),
        rest in object(&[
            "id", "time", "source", "tenant", "organization", "team", "user", "status", "latency_ms", "cache_hit", "tags",
            "reported_cost", "service_tier", "operation", "extra", "region", "error_type", "specversion", "object", "model",
        ], 4),
        tags in object(&["a", "b", "c"], 3),
    ) {
        let rest = if rest.is_empty() { rest } else { format!(",{rest}") };
        agrees(&format!("{{{HEAD},\"usage\":{usage},\"tags\":{{{tags}}}{rest}}}"));
        agrees(&format!("{{{HEAD},\"usage\":{usage}{rest}}}"));
    }

    #[test]
    fn survives_any_bytes(text in "\\PC{0,60}") {
        agrees(&text);
        agrees(&format!("{{{HEAD},{text}}}"));
    }
}
