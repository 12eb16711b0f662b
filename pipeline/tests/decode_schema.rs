//! The JSON Schema of event v1 and the decoder agree: what one accepts, the other accepts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should stop loudly and say where"
)]

mod support;

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::meter::{OTHERS, Token};
use support::decode;

const SCHEMA: &str = include_str!("../../schemas/usage_event.v1.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

struct Validator(Schemas, SchemaIndex);

impl Validator {
    fn iter_errors(&self, event: &Value) -> impl Iterator<Item = String> {
        self.0.validate(event, self.1).err().map(|error| error.to_string()).into_iter()
    }
}

fn validator() -> Validator {
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.add_resource("usage_event.v1.json", schema()).unwrap();
    let index = compiler.compile("usage_event.v1.json", &mut schemas).unwrap();
    Validator(schemas, index)
}

fn base() -> Value {
    json!({"id": "e1", "time": "2026-11-22T17:00:00Z", "provider": "openai", "model": "gpt-4o", "usage": {"input_tokens": 10, "output_tokens": 5}})
}

/// Accepted by both, or refused by both.
#[track_caller]
fn check(validator: &Validator, event: &Value) -> bool {
    let decoded = decode(event.to_string());
    let accepted = !decoded.rows.is_empty();
    let errors: Vec<String> = validator.iter_errors(event).collect();
    assert_eq!(errors.is_empty(), accepted, "{event}\nschema: {errors:?}\ndecoder: {:?}", decoded.rejects);
    accepted
}

fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(3),
        json!(-1),
        json!(2.5),
        json!(""),
        json!("ok"),
        json!("text"),
        json!([]),
        json!({}),
        json!({"a": "b"}),
        json!({"a": 1}),
        json!(1_795_370_399_000_i64),
        json!("2026-11-22T17:00:00+01:00"),
        json!("2019-12-31T23:59:59Z"),
        json!("x".repeat(1025)),
        json!({"amount": "0.0123", "currency": "USD"}),
        json!({"amount": "x"}),
        json!({"amount": 1, "currency": "usd"}),
        json!({"currency": "EUR"}),
    ]
}

#[test]
fn every_field_with_every_kind_of_value() {
    let validator = validator();
    let schema = schema();
    let mut accepted = 0;
    let mut refused = 0;
    for field in schema["properties"].as_object().unwrap().keys() {
        for value in values() {
            let mut event = base();
            event[field] = value;
            if check(&validator, &event) { accepted += 1 } else { refused += 1 }
        }
        let mut event = base();
        event.as_object_mut().unwrap().remove(field);
        check(&validator, &event);
    }
    assert_eq!((accepted, refused), (193, 584));
}

#[test]
fn every_count_with_every_kind_of_value() {
    let validator = validator();
    for count in schema()["$defs"]["usage"]["properties"].as_object().unwrap().keys() {
        for value in
            [json!(null), json!(true), json!(0), json!(3), json!(-1), json!(2.5), json!("3"), json!([]), json!({})]
        {
            // Large totals, so that no part exceeds one: sums are beyond a schema.
            let mut event = base();
            event["usage"] = match count.as_str() {
                name if name.contains("TokenCount") => json!({"promptTokenCount": 100, "candidatesTokenCount": 100}),
                name if name.ends_with("Tokens") => json!({"inputTokens": 100, "outputTokens": 100}),
                name if name.starts_with("prompt") || name.starts_with("completion") => {
                    json!({"prompt_tokens": 100, "completion_tokens": 100})
                }
                name if name.starts_with("total") => json!({"prompt_tokens": 0}),
                // A part that is cached must be told of a modality too.
                name if name.starts_with("cache_read_") && !name.ends_with("tokens") => {
                    json!({"input_tokens": 100, "audio_in": 9, "image_in": 9, "video_in": 9, "cache_read_tokens": 50})
                }
                _ => json!({"input_tokens": 100, "output_tokens": 100}),
            };
            event["usage"][count] = value;
            if event["usage"]["total_tokens"] == json!(0)
                || event["usage"]["totalTokenCount"].is_i64()
                || event["usage"]["totalTokens"].is_i64()
            {
                continue;
            }
            check(&validator, &event);
        }
    }
}

#[test]
fn whole_events() {
    let validator = validator();
    let whole = |usage: Value| json!({"id": "e1", "time": 1_795_370_399_000_i64, "usage": usage});
    for (event, accepted) in [
        (base(), true),
        (whole(json!({"id": "c", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 1}})), true),
        (whole(json!({"id": "c", "type": "message", "model": "m", "usage": {"input_tokens": 1}})), true),
        (whole(json!({"modelVersion": "gemini", "usageMetadata": {"promptTokenCount": 1}})), true),
        (whole(json!({"prompt_tokens": 1})), false),
        (whole(json!({})), false),
        (
            json!({"id": "e1", "time": 1_795_370_399_000_i64, "provider": "p", "model": "m", "usage": {}, "status": "error"}),
            true,
        ),
        (
            json!({"id": "e1", "time": 1_795_370_399_000_i64, "provider": "p", "model": "m", "usage": {}, "cache_hit": true}),
            true,
        ),
        (json!([1]), false),
        (json!("event"), false),
    ] {
        assert_eq!(check(&validator, &event), accepted, "{event}");
    }
}

#[test]
fn the_schema_names_every_field_and_meter() {
    let schema = schema();
    for name in Text::ALL.into_iter().map(Text::event_name).filter(|name| !name.is_empty()) {
        assert!(schema["properties"].get(name).is_some(), "{name}");
    }
    let meters = Token::ALL.into_iter().map(Token::name).chain(OTHERS);
    for meter in meters.filter(|meter| !matches!(*meter, "input" | "output")) {
        assert!(schema["$defs"]["usage"]["properties"].get(meter).is_some(), "{meter}");
    }
}
