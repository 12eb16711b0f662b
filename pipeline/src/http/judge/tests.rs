//! What is handed on of posted bodies, and what is refused.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use spendstream_schemas::config::DecodeConfig;

use super::{Item, Judge, Spans, Telling, attributes};
use crate::decode::reject::Reason;

// 2026-11-22T10:00:00Z.
const NOW_MS: i64 = 1_795_341_600_000;

fn judge(body: &str) -> Result<Vec<Item>, String> {
    let mut judge = Judge::new(&DecodeConfig::default(), 3, NOW_MS);
    judge.events(&Bytes::from(body.to_owned())).map_err(|refusal| format!("{} {}", refusal.status, refusal.detail))
}

fn event(id: &str, input: i64, time: &str) -> String {
    format!(
        r#"{{"id":"{id}","time":"{time}","provider":"openai","model":"gpt-4o","usage":{{"input_tokens":{input},"output_tokens":1}}}}"#
    )
}

#[test]
fn one_value_an_array_and_lines_give_items_with_their_ids_as_keys() {
    let (a, b) = (event("a", 1, "2026-11-22T09:00:00Z"), event("b", 2, "2026-11-22T09:00:00Z"));
    for (body, keys) in [
        (a.clone(), &["a"][..]),
        (format!("[{a}, {b}]"), &["a", "b"]),
        (format!("{a}\n{b}\n"), &["a", "b"]),
        (format!("[{a}]\n{b}"), &["a", "b"]),
    ] {
        let items = judge(&body).unwrap();
        assert_eq!(items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), keys, "{body}");
        assert!(items.iter().all(|item| item.fault.is_none()), "{items:?}");
    }
}

#[test]
fn each_item_is_judged_as_the_consumer_will() {
    let good = event("a", 1, "2026-11-22T09:00:00Z");
    let negative = event("b", -1, "2026-11-22T09:00:00Z");
    let future = event("c", 1, "2030-01-01T00:00:00Z");
    let items = judge(&format!("[{good},{negative},{future}]")).unwrap();
    let reasons: Vec<_> = items.iter().map(|item| item.fault.as_ref().map(|fault| fault.reason)).collect();
    assert_eq!(reasons, [None, Some(Reason::NegativeCount), Some(Reason::TimeInFuture)]);
    let items = judge(r#"["text", {"x": 1}]"#).unwrap();
    assert!(items.iter().all(|item| item.fault.as_ref().is_some_and(|fault| fault.reason == Reason::UnknownShape)));
}

#[test]
fn a_broken_line_is_refused_alone() {
    let good = event("a", 1, "2026-11-22T09:00:00Z");
    let items = judge(&format!("{good}\n{{\"id\": NaN}}\n")).unwrap();
    assert_eq!(items[0].fault, None);
    assert_eq!(items[1].fault.as_ref().map(|fault| fault.reason), Some(Reason::NotJson));
}

#[test]
fn a_body_that_is_no_json_or_holds_too_much_is_refused_whole() {
    assert!(judge("").unwrap_err().starts_with("400 Bad Request the body is empty"));
    assert!(judge("{").unwrap_err().starts_with("400 Bad Request item 0 is not JSON"));
    assert!(judge("[1,2,3,4]").unwrap_err().contains("pipeline.max_request_items = 3"));
}

#[test]
fn only_otlp_is_taken_as_spans() {
    let mut judge = Judge::new(&DecodeConfig::default(), 3, NOW_MS);
    let mut spans = |body: &[u8]| judge.spans(&Bytes::copy_from_slice(body)).map_err(|refusal| refusal.status.as_u16());
    assert_eq!(spans(b""), Ok(Spans::default()));
    assert_eq!(spans(b" {}\n"), Ok(Spans::default()));
    assert_eq!(spans(b"{\"id\":1}"), Err(400));
    assert_eq!(spans(b"{\"resourceSpans\":"), Err(400));
    assert_eq!(spans(b"\x0a\x03abc"), Err(400));
}

/// A file below `tests/fixtures` of the repository.
fn fixture(path: &str) -> Bytes {
    let whole = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/");
    std::fs::read(format!("{whole}{path}")).unwrap().into()
}

fn plain(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[test]
fn what_real_emitters_sent_goes_on_without_content_and_keys() {
    const SECRETS: [&str; 3] = ["SECRET-PROMPT", "SECRET-COMPLETION", "sk-SECRET-KEY"];
    let mut judge = Judge::new(&DecodeConfig::default(), 1_000, NOW_MS);
    let items = judge.events(&fixture("captures/litellm_generic_api.json")).unwrap();
    assert!(items.iter().all(|item| item.fault.is_none()) && !items.is_empty());
    let mut messages: Vec<Bytes> = items.into_iter().map(|item| item.payload).collect();
    for name in ["otel_openai.otlp.json", "otel_openai.otlp.pb", "traceloop.otlp.json"] {
        let body = fixture(&format!("captures/{name}"));
        let whole = judge.decode(&body, None);
        let spans = judge.spans(&body).unwrap();
        let mut readable = 0;
        for (key, payload) in &spans.messages {
            assert_eq!(key.len(), 32, "{name}: the key is the trace");
            readable += judge.decode(payload, None).readable;
        }
        assert_eq!((spans.faults.len(), readable), (whole.faults.len(), whole.readable), "{name}");
        messages.extend(spans.messages.into_iter().map(|(_, payload)| payload));
    }
    for message in messages {
        let text = plain(&message);
        assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
    }
}

/// The bodies of providers, as events of ours and alone: a content that is added to each is gone, the charge is not.
#[test]
fn every_known_body_goes_on_without_its_content() {
    let mut judge = Judge::new(&DecodeConfig::default(), 10, NOW_MS);
    let mut checked = 0;
    for line in plain(&fixture("usage/provider_usages.jsonl")).lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(mut body) = case.get("body").filter(|body| body.is_object()).cloned() else { continue };
        body["choices"] = serde_json::json!([{"message": {"content": "SECRET-COMPLETION"}}]);
        let event = serde_json::json!({
            "id": "a", "time": "2026-11-22T09:00:00Z", "provider": "openai", "model": "gpt-4o", "team": "Straße 7",
            "messages": [{"content": "SECRET-PROMPT"}], "tags": {"env": "prod"}, "usage": body,
        });
        for payload in [event.to_string(), body.to_string()] {
            let item = judge.item("a".to_owned(), payload.clone().into(), None);
            if item.fault.is_some() {
                continue;
            }
            assert_eq!(judge.decode(payload.as_bytes(), None).said, judge.decode(&item.payload, None).said);
            assert!(!plain(&item.payload).contains("SECRET"), "{payload}");
            checked += 1;
        }
    }
    assert!(checked > 700, "{checked}");
}

/// A chunk without content must not look like a whole answer.
#[test]
fn a_part_of_a_stream_stays_one_without_its_content() {
    let chunk = |rest: &str| {
        serde_json::json!({
            "candidates": [{"content": {"parts": [{"text": "SECRET-COMPLETION"}]}, "finishReason": rest}],
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
            "modelVersion": "gemini-3-pro", "responseId": "r1",
        })
    };
    let mut judge = Judge::new(&DecodeConfig::default(), 10, NOW_MS);
    let [part, end] = ["", "STOP"].map(|reason| judge.item("a".to_owned(), chunk(reason).to_string().into(), None));
    for item in [&part, &end] {
        assert!(!plain(&item.payload).contains("SECRET"), "{}", plain(&item.payload));
    }
    assert_ne!(judge.decode(&part.payload, None).said, judge.decode(&end.payload, None).said);
    assert_eq!((part.fault, end.fault), (None, None));
    // Servers that count in every chunk: such a part is known by its text alone.
    let counting = r#"{"id":"c1","object":"chat.completion.chunk","created":1795370390,"model":"m","choices":[{"delta":{"content":"SECRET-COMPLETION"},"finish_reason":null}],
        "usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}"#;
    // A whole answer, whose searches are counted by their number.
    let grounded = r#"{"candidates":[{"content":{"parts":[{"text":"SECRET-ANSWER of some length"}],"role":"model"},"finishReason":"STOP","groundingMetadata":
        {"webSearchQueries":["SECRETQUERY","SECRET b"],"groundingChunks":[{"maps":{"uri":"https://SECRET","title":"SECRETMAP"}}]}}],
        "usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":15},"modelVersion":"gemini-3-pro","responseId":"r1"}"#;
    // The same in an event whose names and labels are several words, which are no content.
    let named = format!(
        r#"{{"id":"e1","time":1795370399000,"provider":"google","team":"search team","tags":{{"cost_center":"my label"}},"prompt":"SECRET c","usage":{grounded}}}"#
    );
    for payload in [counting, grounded, &named] {
        let item = judge.item("a".to_owned(), payload.to_owned().into(), None);
        assert_eq!(item.fault, None);
        assert!(!plain(&item.payload).contains("SECRET"), "{}", plain(&item.payload));
    }
}

/// What a Kafka message of the same array would be: the last that counts is the call, also where the stream broke off.
#[test]
fn chunks_of_a_stream_that_are_posted_together_go_together() {
    let gemini = |output: u32| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"SECRET"}}]}}}}],"usageMetadata":{{"promptTokenCount":10,"candidatesTokenCount":{output},
            "totalTokenCount":{}}},"modelVersion":"gemini-3-pro","responseId":"r1"}}"#,
            10 + output
        )
    };
    let event = r#"{"id":"e1","time":1795370399000,"provider":"openai","model":"m","usage":{"input_tokens":7}}"#;
    let start = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"usage":{"input_tokens":10,"output_tokens":1}}}"#;
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":40}}"#;
    let mut judge = Judge::new(&DecodeConfig::default(), 10, NOW_MS);
    let body = format!("[{},{event},{},{start},{delta}]", gemini(5), gemini(9));
    let items = judge.events(&body.into()).unwrap();
    let told = |items: &[Item]| -> Vec<_> {
        items.iter().map(|item| (item.key.clone(), item.indexes.clone(), item.fault.is_none())).collect()
    };
    let entry = |key: &str, indexes: &[usize], fine| (key.to_owned(), indexes.to_vec(), fine);
    let expected = [entry("r1", &[0, 2], true), entry("e1", &[1], true), entry("msg_1", &[3, 4], true)];
    assert_eq!(told(&items), expected);
    for at in [0, 2] {
        assert!(!plain(&items[at].payload).contains("SECRET"));
        let found = judge.decode(&items[at].payload, None);
        assert_eq!((found.readable, found.faults.len()), (2, 0), "a call, and the chunk that it repeats");
    }
    // A bad stream is refused whole, and alone.
    let chat = |id: &str, output: i32| {
        format!(
            r#"{{"id":"{id}","object":"chat.completion.chunk","created":1795370390,"model":"m","choices":[],
            "usage":{{"prompt_tokens":10,"completion_tokens":{output}}}}}"#
        )
    };
    let body = format!("[{},{},{},{}]", chat("c1", 5), chat("c2", 1), chat("c2", 6), chat("c1", -7));
    let items = judge.events(&body.into()).unwrap();
    assert_eq!(told(&items), [entry("c1", &[0, 3], false), entry("c2", &[1, 2], true)]);
}

#[test]
fn spans_leave_by_trace_whichever_request_they_come_in() {
    let span = |trace: &str, id: &str, parent: &str, name: &str| {
        serde_json::json!({
            "traceId": trace, "spanId": id, "parentSpanId": parent, "endTimeUnixNano": "1795341600000000000",
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": name}},
                {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
                {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}},
                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1000"}},
                {"key": "gen_ai.prompt", "value": {"stringValue": "SECRET-PROMPT"}},
                {"key": "tags.env", "value": {"stringValue": "prod"}},
            ],
        })
    };
    let (one, two) = ("a".repeat(32), "b".repeat(32));
    let request = |spans: &[serde_json::Value]| {
        let resource = serde_json::json!({"attributes": [{"key": "team", "value": {"stringValue": "search"}}]});
        let whole = serde_json::json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]});
        Bytes::from(whole.to_string())
    };
    let mut judge = Judge::new(&DecodeConfig::default(), 10, NOW_MS);
    let inner =
        [span(&one, "1111111111111111", "2222222222222222", "chat"), span(&two, "3333333333333333", "", "chat")];
    let outer = [span(&two, "4444444444444444", "", "chat"), span(&one, "2222222222222222", "", "chat")];
    let first = judge.spans(&request(&inner)).unwrap();
    let second = judge.spans(&request(&outer)).unwrap();
    let keys = |spans: &Spans| spans.messages.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&first), [one.clone(), two.clone()]);
    assert_eq!(keys(&second), [two, one]);
    for (_, payload) in first.messages.iter().chain(&second.messages) {
        let text = plain(payload);
        assert!(!text.contains("SECRET") && text.contains("tags.env") && text.contains("search"), "{text}");
        assert_eq!(judge.decode(payload, None).readable, 1);
    }
    // Two instrumentations of one call, each with a trace of its own: one message, and one charge.
    let told = |trace: &str, id: &str, response: &str| {
        let mut span = span(trace, id, "", "chat");
        let attribute = serde_json::json!({"key": "gen_ai.response.id", "value": {"stringValue": response}});
        span["attributes"].as_array_mut().unwrap().push(attribute);
        span
    };
    let (two, three, four) = ("b".repeat(32), "c".repeat(32), "d".repeat(32));
    let both = [
        told(&three, "5555555555555555", "r1"),
        told(&two, "6666666666666666", "r2"),
        told(&two, "7777777777777777", "r3"),
        told(&four, "8888888888888888", "r1"),
        told(&two, "9999999999999999", "r1"),
    ];
    let spans = judge.spans(&request(&both)).unwrap();
    assert_eq!(keys(&spans), [two]);
    assert_eq!(judge.decode(&spans.messages[0].1, None).readable, 5);
}

const KEY: &str = "sk-proj-SECRETab12CD34ef56GH78ij90KL12";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SECRETdozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";

fn litellm(more: &[(&str, serde_json::Value)]) -> serde_json::Value {
    let mut payload = json!({
        "id": "chatcmpl", "litellm_call_id": "call 1", "call_type": "acompletion", "status": "success", "custom_llm_provider": "openai",
        "model": "gpt-4o", "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "startTime": 1_795_341_598.5,
        "endTime": 1_795_341_599.5, "metadata": {"user_api_key_hash": "abc"}, "messages": [{"content": "SECRET"}],
        "response": {"model": "gpt-4o-2024-08-06", "choices": [{"message": {"content": "SECRET"}}]},
    });
    for (place, value) in more {
        *payload.pointer_mut(place).unwrap() = value.clone();
    }
    payload
}

/// What envelopes and their readers have beside the plainest example.
fn everyday() -> Vec<serde_json::Value> {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.1});
    let meta =
        json!({"request_model": "gpt-4o", "response_model": "gpt-4o", "provider_name": "openai", "llm_latency": 3});
    let plugin = json!({"usage": usage, "meta": meta});
    let talking =
        json!({"usage": usage, "meta": meta, "payload": {"request": "SECRET of words", "response": "SECRET"}});
    let kong = |ai: serde_json::Value| {
        json!({
            "ai": ai, "started_at": 1_795_341_599_000_i64, "consumer": {"username": "c 1"}, "service": {"name": "chat"}, "route": {"name": "r"},
            "request": {"id": "k-1", "headers": {"authorization": format!("Bearer {KEY}"), "x-api-key": KEY}, "querystring": {"q": "SECRET"}},
        })
    };
    let portkey = |labels: serde_json::Value, key: &str| {
        json!({
            "created_at": "2026-11-22T09:00:00Z", "is_success": true, "ai_org": "openai", "ai_model": "gpt-4o", "req_units": 10, "res_units": 5,
            "total_units": 15, "cost": 0.1, "id": "p-1", "request": "SECRET", "response": {"x": "SECRET"}, "virtual_key": key, "metadata": labels,
        })
    };
    let log = json!({
        "schemaType": "ModelInvocationLog", "timestamp": "2026-11-22T09:00:00Z", "accountId": "123456789012", "region": "us-east-1",
        "requestId": "b-1", "operation": "InvokeModelWithResponseStream", "modelId": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "errorCode": "ThrottlingException", "identity": {"arn": "arn:aws:iam::1:role/x"}, "requestMetadata": {"team": "a b", "authorization": KEY},
        "input": {"inputBodyJson": {"messages": [{"content": "SECRET"}]}, "inputTokenCount": 10},
        "output": {"outputTokenCount": 5, "outputBodyJson": [
            {"type": "message_start", "message": {"id": "m", "type": "message", "model": "claude-sonnet-4-5-20250929", "usage": {"input_tokens": 10,
                "cache_creation_input_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 7}, "output_tokens": 1, "service_tier": "batch"}}},
            {"type": "content_block_start", "content_block": {"type": "tool_use", "id": "x", "name": "SECRET", "input": {}}},
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "SECRET of words"}},
            {"type": "message_delta", "usage": {"output_tokens": 5}}]},
    });
    let event = |member: &str, value: serde_json::Value| {
        let mut event = json!({
            "id": "e1", "time": "2026-11-22T09:00:00Z", "provider": "openai", "model": "gpt-4o", "messages": "SECRET",
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
        });
        event[member] = value;
        event
    };
    let encoded = STANDARD.encode(event("prompt", json!("SECRET")).to_string());
    let parameters = json!({"service_tier": "flex", "tools": ["SECRET"], "user": "SECRET"});
    let mut cases = vec![
        kong(json!({"proxy": talking})),
        kong(json!({"ai-proxy": talking, "ai-request-transformer": plugin})),
        portkey(json!({"_user": "Anna", "note": "two words", "k": KEY}), "openai-prod"),
        portkey(json!({"_user": "u"}), KEY),
        log,
        litellm(&[("/response/model", json!("my own deployment"))]),
        litellm(&[("/response/model", json!("m".repeat(300)))]),
        litellm(&[("/metadata", json!({"agent_id": "a 1", "session_id": "s 1", "user_api_key_hash": KEY}))]),
        litellm(&[("/status", json!("failure"))]),
        json!({"transaction_id": "l-1", "external_subscription_id": "sub 1", "code": "llm tokens", "timestamp": 1_795_341_599, "properties":
            {"provider": "openai", "model": "gpt-4o", "input_tokens": 10, "output_tokens": 5, "team": "a b", "prompt": "SECRET words"}}),
        json!({"specversion": "1.0", "id": "c-1", "source": "my app", "type": "t", "time": "2026-11-22T09:00:00Z", "data_base64": encoded}),
        event("session_id", json!(JWT)),
        event("user", json!("u".repeat(300))),
        event("feature", json!("f ".repeat(130))),
        event("tags", json!({"note": "word ".repeat(60), "authorization": format!("Bearer {KEY}")})),
        event("id", json!(KEY)),
        event("model", json!(KEY)),
        event("error_type", json!("SECRET of words")),
        event(
            "usage",
            json!({"model": "my own model", "service_tier": "my tier", "usage": usage, "choices": [{"message": "SECRET"}]}),
        ),
        event("usage", json!({"data": [{"b64_json": "SECRET"}, {"url": "SECRET"}]})),
        event(
            "usage",
            json!({"prompt_tokens": 10, "completion_tokens": 5, "search_context_size": "high", "strange_tokens": 3}),
        ),
        json!({"id": "o-1", "object": "x", "model": "mistral-ocr-latest", "pages": [{"markdown": "SECRET"}], "usage_info":
            {"pages_processed": 3, "doc_size_bytes": 100}}),
    ];
    for (member, value) in [
        ("model_parameters", parameters),
        ("cost_breakdown", json!({"vertex_location": "europe-west1", "data_residency": "eu", "service_tier": "flex"})),
        ("model_map_information", json!({"model_map_key": "gpt 4o"})),
        ("end_user", json!("Anna Smith <a@b.c>")),
        ("request_tags", json!(["two words", "User-Agent: x/1.0"])),
    ] {
        let mut payload = litellm(&[]);
        payload[member] = value;
        cases.push(payload);
    }
    cases
}

#[test]
fn what_readers_look_at_goes_on_and_nothing_else() {
    let mut judge = Judge::new(&DecodeConfig::default(), 10, NOW_MS);
    for case in everyday() {
        let item = judge.events(&case.to_string().into()).unwrap().remove(0);
        assert!(!plain(&item.payload).contains("SECRET") && !item.key.contains("SECRET"), "{}", plain(&item.payload));
        let whole = judge.decode(case.to_string().as_bytes(), None);
        assert_eq!(judge.decode(&item.payload, None).said, whole.said, "{case}\n{}", plain(&item.payload));
        assert_eq!(item.fault, whole.faults.into_iter().next());
        let letter = crate::decode::door::item(case.to_string().as_bytes(), &DecodeConfig::default(), None).unwrap();
        assert!(!plain(&letter).contains("SECRET"), "{}", plain(&letter));
    }
}

/// Where neither form decodes to the same, the rows themselves go on.
#[test]
fn an_item_that_hangs_on_its_texts_goes_on_as_events() {
    let mut judge = Judge::new(&DecodeConfig::default(), 10, NOW_MS);
    // The id of a failed try is made of a key.
    let case = litellm(&[("/status", json!("failure")), ("/litellm_call_id", json!(KEY))]).to_string();
    let item = judge.item("a".to_owned(), case.clone().into(), None);
    assert_eq!(item.fault, None);
    let text = plain(&item.payload);
    assert!(!text.contains("SECRET") && text.contains("\"time\":\"2026-11-22T"), "{text}");
    let said = [case.as_bytes(), &item.payload].map(|payload| judge.decode_for(payload, None, Telling::ButKind).said);
    assert_eq!(said[0], said[1], "{text}");
    assert_ne!(judge.decode(case.as_bytes(), None).said, judge.decode(&item.payload, None).said, "another kind");
}

#[test]
fn what_cannot_be_read_goes_on_without_its_content_too() {
    let mut judge = Judge::new(&DecodeConfig::default(), 10, NOW_MS);
    let long = event("a", 1, "2026-11-22T09:00:00Z")
        .replace("{\"id\"", &format!("{{\"team\":\"{}\",\"id\"", "SECRET".repeat(200)));
    let unknown = r#"{"squad":"a","tin":5,"prompt":"SECRET"}"#;
    for (body, at, reason) in [
        (
            format!("{}\n{{\"id\": NaN, \"prompt\": \"SECRET\"}}", event("a", 1, "2026-11-22T09:00:00Z")),
            1,
            Reason::NotJson,
        ),
        (long, 0, Reason::TextTooLong),
        (unknown.to_owned(), 0, Reason::UnknownShape),
        (event("a", -1, "2026-11-22T09:00:00Z"), 0, Reason::NegativeCount),
        (event("a", 1, "2030-01-01T00:00:00Z"), 0, Reason::TimeInFuture),
    ] {
        let item = judge.events(&body.clone().into()).unwrap().remove(at);
        assert_eq!(item.fault.as_ref().map(|fault| fault.reason), Some(reason));
        assert!(!plain(&item.payload).contains("SECRET"), "{}", plain(&item.payload));
        let again = judge.decode(&item.payload, None);
        assert_eq!((again.readable, again.faults[0].reason), (0, reason), "{}", plain(&item.payload));
        assert_eq!(
            plain(&item.payload).contains("\"tin\":5"),
            body == unknown,
            "figures that a mapping may read later"
        );
    }
}

#[test]
fn spans_within_an_envelope_go_on_without_their_content() {
    let mut judge = Judge::new(&DecodeConfig::default(), 1_000, NOW_MS);
    let headers = [("ce_specversion", "1.0"), ("ce_id", "1")].map(|(name, value)| (name.to_owned(), value.into()));
    let headers = crate::batch::Headers(headers.to_vec());
    for name in ["otel_openai.otlp.json", "otel_openai.otlp.pb"] {
        let body = fixture(&format!("captures/{name}"));
        let whole = judge.decode(&body, Some(&headers));
        let item = judge.binary(Some("1"), &headers, body);
        let text = plain(&item.payload);
        assert!(!text.contains("SECRET") && item.fault.is_none(), "{name}: {:?}", item.fault);
        assert_eq!(judge.decode(&item.payload, Some(&headers)).readable, whole.readable, "{name}");
    }
}

#[test]
fn of_an_envelopes_headers_those_go_on_that_say_what_it_is() {
    let sent =
        [("ce_id", KEY), ("ce_subject", KEY), ("ce_time", "t"), ("ce_authorization", "x"), ("content-type", "a/b")];
    let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let kept = attributes(sent.to_vec());
    assert!(kept[0].1.starts_with("sha256:"), "{kept:?}");
    let kept: Vec<_> = kept[1..].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(kept, [("ce_subject", "[removed]"), ("ce_time", "t"), ("content-type", "a/b")]);
}
