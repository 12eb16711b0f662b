//! The tree agrees with `serde_json`, in what it accepts and in what it means.

use proptest::prelude::*;

use super::*;

fn as_serde(node: &Node<'_>) -> serde_json::Value {
    match node {
        Node::Null => serde_json::Value::Null,
        Node::Bool(value) => (*value).into(),
        Node::Number(text) => serde_json::from_str(text).expect("a JSON number"),
        Node::Text(text) => text.as_ref().into(),
        Node::Array(items) => items.iter().map(as_serde).collect(),
        Node::Object(members) => {
            serde_json::Value::Object(members.iter().map(|(key, value)| (key.to_string(), as_serde(value))).collect())
        }
    }
}

fn check(text: &str) {
    let theirs = serde_json::from_str::<serde_json::Value>(text);
    match (Node::parse(text), theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(as_serde(&ours), theirs, "{text}"),
        (Err(_), Err(_)) => {}
        // serde_json refuses numbers beyond f64; for us a number is its text until someone needs it.
        (Ok(_), Err(error)) if error.to_string().contains("number out of range") => {}
        // It refuses half of a surrogate pair, which for us is its escape.
        (Ok(ours), Err(_)) if holds_half(&ours) => {}
        (ours, theirs) => panic!("{text}: {ours:?} but serde_json {theirs:?}"),
    }
}

fn holds_half(node: &Node<'_>) -> bool {
    let half =
        |text: &str| text.match_indices("\\ud").any(|(at, _)| matches!(text.as_bytes().get(at + 3), Some(b'8'..=b'f')));
    match node {
        Node::Text(text) => half(text),
        Node::Array(items) => items.iter().any(holds_half),
        Node::Object(members) => members.iter().any(|(key, value)| half(key) || holds_half(value)),
        _ => false,
    }
}

#[test]
fn half_of_a_surrogate_pair_stays_as_its_escape() {
    for (json, text) in [
        (r#""a\uD83D""#, r"a\ud83d"),
        (r#""\ud83dx""#, r"\ud83dx"),
        (r#""\udc00\ud83d\n""#, "\\udc00\\ud83d\n"),
        (r#""\ud83d\u0041""#, r"\ud83dA"),
        (r#""\ud83d\ud83d\ude00""#, "\\ud83d\u{1f600}"),
    ] {
        assert_eq!(Node::parse(json), Ok(Node::Text(text.into())), "{json}");
    }
    assert_eq!(Node::parse(r#""\ud83d\uzz""#).unwrap_err().what, "expected four hexadecimal digits");
}

#[test]
fn agrees_with_serde_json_on_odd_texts() {
    for text in [
        "",
        " ",
        "{}",
        "[]",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "01",
        "-",
        "-0",
        "1.",
        ".5",
        "1e5",
        "1E+2",
        "1e",
        "tru",
        "nulll",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ud83dx\"",
        "\"\\udc00\"",
        "\"\\x\"",
        "\"\u{1}\"",
        "\"abc",
        "{\"a\":1}x",
        "{\"a\":1,\"a\":2}",
        "[[[[1]]]]",
        "\"\\/\\b\\f\\n\\r\\t\\\"\\\\\"",
        "1e400",
        "\"é😀\"",
        "{1:2}",
        "\"\\u12\"",
    ] {
        check(text);
    }
}

proptest! {
    #[test]
    fn agrees_with_serde_json(text in r#"([\[\]{},:" \\]|true|null|-?[0-9]{1,3}|[.eE+]|\\u[0-9a-fd]{4}|"[a-z\\"é]{0,4}"|"k":){0,24}"#) {
        check(&text);
    }
}

#[test]
fn the_last_of_repeated_keys_counts_and_null_is_absent() {
    let node = Node::parse(r#"{"a":1,"a":null,"b":null,"b":"x","c":{"d.e":{"f":true}}}"#).unwrap();
    assert_eq!(node.get("a"), None);
    assert_eq!(node.text_of("b"), Some("x"));
    assert_eq!(node.path("c.d.e.f"), Some(&Node::Bool(true)));
}

#[test]
fn refuses_bottomless_nesting() {
    let text = "[".repeat(100_000);
    assert_eq!(Node::parse(&text).unwrap_err().what, "nested too deeply");
}
