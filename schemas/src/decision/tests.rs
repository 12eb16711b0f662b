//! Requests are read as events are; each bad one gets one line.

use super::{Priority, Request};
use crate::count::Count;
use crate::dimension::Text;

fn refused(body: &str, expected: &str) {
    let line = Request::parse(body.as_bytes()).unwrap_err().to_string();
    assert!(line.starts_with(expected) && !line.contains('\n'), "expected '{expected}…', got '{line}'");
}

#[test]
fn an_events_fields_are_read_by_their_names() {
    let body =
        br#"{"tenant": "acme", "team": "search", "user": "a\u0041", "tags": {"env": "prod"}, "provider": "openai",
        "model": "gpt-4o", "input_tokens": 1000, "cache_read_tokens": 10, "priority": "high", "id": "r-1",
        "cost_center": "4711", "unheard_of": {"x": [1]}, "feature": null}"#;
    let request = Request::parse(body).unwrap();
    for (text, expected) in [
        (Text::Organization, Some("acme")),
        (Text::Team, Some("search")),
        (Text::UserId, Some("aA")),
        (Text::CostCenter, Some("4711")),
        (Text::EventId, Some("r-1")),
        (Text::Feature, None),
    ] {
        assert_eq!(request.texts.get(text), expected, "{text:?}");
    }
    assert_eq!((request.tag("env"), request.tag("other")), (Some("prod"), None));
    assert_eq!((request.input_tokens, request.priority, request.is_run()), (Some(1000), Priority::High, false));
    assert_eq!(request.parts.get(Count::CacheRead), 10);
}

#[test]
fn tags_are_read_as_scopes_spell_them() {
    let ask = |fields: &str| format!(r#"{{"model": "m", "input_tokens": 1, {fields}}}"#);
    for fields in [
        r#""tags.env": "lab", "tags": {"env": "prod", "a": "b"}, "tags.x.y": "z", "tags.": "n", "tags.none": null"#,
        r#""tags": {"env": "prod", "a": "b"}, "tags.x.y": "z", "tags.env": "lab""#,
    ] {
        let body = ask(fields);
        let request = Request::parse(body.as_bytes()).unwrap();
        let found = ["env", "a", "x.y", "", "none"].map(|tag| request.tag(tag));
        assert_eq!(found, [Some("prod"), Some("b"), Some("z"), None, None], "{fields}");
    }
    refused(&ask(r#""tags.env": 1"#), "'tags.env' must be a text (");
    let tags: Vec<String> = (0..65).map(|tag| format!(r#""tags.t{tag}": "v""#)).collect();
    refused(&ask(&tags.join(", ")), "there are 65 tags; send at most 64");
}

#[test]
fn what_the_lake_calls_otherwise_is_told() {
    for (sent, meant) in [
        ("user_id", Some("user")),
        ("event_source", Some("source")),
        ("event_id", Some("id")),
        ("provider_sent", Some("provider")),
        ("model_id", Some("model")),
        ("trace_id", None),
        ("run_id", None),
    ] {
        let body = format!(r#"{{"model": "m", "input_tokens": 1, "{sent}": "x"}}"#);
        let request = Request::parse(body.as_bytes()).unwrap();
        let expected: Vec<_> = meant.map(|meant| (sent.to_owned(), meant)).into_iter().collect();
        assert_eq!(request.misspelt, expected, "{sent}");
    }
}

#[test]
fn a_run_has_items_and_metrics() {
    let request = Request::parse(br#"{"project": "p", "items": 200, "metrics": ["faithfulness", "tone"]}"#).unwrap();
    assert_eq!((request.items, request.metrics.len(), request.is_run()), (Some(200), 2, true));
    refused(r#"{"items": 5}"#, "'items' needs 'metrics'");
    refused(r#"{"metrics": ["a"], "model": "m"}"#, "'metrics' needs 'items'");
}

#[test]
fn each_bad_request_gets_one_line() {
    refused("", "the body is not JSON: ");
    refused("{\"model\": \"m\"", "the body is not JSON: ");
    refused("[]", "invalid type: sequence, expected a JSON object with the fields of an event");
    refused("{}", "'model' is missing");
    refused(r#"{"model": "m"}"#, "give 'input_tokens' or 'text'");
    refused(r#"{"model": "m", "input_tokens": -1}"#, "'input_tokens' is -1; write 0 or more");
    refused(r#"{"model": "m", "input_tokens": "7"}"#, "'input_tokens' must be a whole number (invalid type: string");
    refused(r#"{"model": "m", "input_tokens": 7.5}"#, "'input_tokens' must be a whole number (");
    refused(r#"{"model": 4, "input_tokens": 7}"#, "'model' must be a text (invalid type: integer");
    refused(r#"{"tags": ["a"]}"#, "'tags' must be an object of texts (");
    refused(r#"{"priority": "urgent"}"#, "'priority' is 'urgent'; write low, normal, high or critical");
    refused(r#"{"model": "m", "input_tokens": 1, "cache_read_tokens": -2}"#, "'cache_read_tokens' is -2");
}

#[test]
fn what_is_kept_of_a_question_is_bounded() {
    let long = "x".repeat(1025);
    let ask = |fields: &str| format!(r#"{{"model": "m", "input_tokens": 1, {fields}}}"#);
    refused(&ask(&format!(r#""team": "{long}""#)), "'team' has 1025 bytes; write at most 1024");
    refused(&ask(&format!(r#""tags": {{"a": "{long}"}}"#)), "'tags or metrics' has 1025 bytes");
    let tags: Vec<String> = (0..65).map(|tag| format!(r#""t{tag}": "v""#)).collect();
    refused(&ask(&format!(r#""tags": {{{}}}"#, tags.join(", "))), "there are 65 tags; send at most 64");
    Request::parse(ask(&format!(r#""text": "{long}", "team": "{}""#, &long[1..])).as_bytes()).unwrap();
}
