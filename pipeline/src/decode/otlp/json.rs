//! OTLP/JSON to [`Span`]s, and back: what may be kept of a rejected span.

use base64::Engine as _;
use serde_json::json;

use super::super::json::Node;
use super::super::secret::{REMOVED, is_secret_label, is_word, looks_secret, masked};
use super::{Attributes, Span, Spans, Value, names};
use spendstream_schemas::hex::hex;

/// All spans of an `ExportTraceServiceRequest` in JSON.
pub(super) fn spans<'n>(node: &'n Node<'_>) -> Spans<'n> {
    let mut all = Spans::default();
    for resource_spans in node.get("resourceSpans").map(Node::items).unwrap_or_default() {
        let resource = resource_spans.get("resource").map(attributes).unwrap_or_default();
        all.resources.push(resource);
        let scopes = resource_spans.get("scopeSpans").or_else(|| resource_spans.get("instrumentationLibrarySpans"));
        for scope_spans in scopes.map(Node::items).unwrap_or_default() {
            let scope = scope_spans.get("scope").and_then(|scope| scope.text_of("name")).unwrap_or_default();
            for span in scope_spans.get("spans").map(Node::items).unwrap_or_default() {
                all.spans.push(one(span, scope, all.resources.len() - 1));
            }
        }
    }
    all
}

fn one<'n>(node: &'n Node<'_>, scope: &'n str, resource: usize) -> Span<'n> {
    let status = node.get("status").and_then(|status| status.get("code"));
    Span {
        trace_id: id(node, "traceId").unwrap_or_default(),
        id: id(node, "spanId").unwrap_or_default(),
        missing: ["traceId", "spanId"].into_iter().find(|key| id(node, key).is_none()),
        parent_id: id(node, "parentSpanId").unwrap_or_default(),
        start_nanos: nanos(node, "startTimeUnixNano").unwrap_or_default(),
        end_nanos: nanos(node, "endTimeUnixNano").unwrap_or_default(),
        failed: matches!(status, Some(Node::Number("2"))) || status.and_then(Node::text) == Some("STATUS_CODE_ERROR"),
        scope,
        resource,
        attributes: attributes(node),
    }
}

/// Hexadecimal as OTLP says, or base64 as generic protobuf-to-JSON converters write it.
fn id(node: &Node<'_>, key: &str) -> Option<String> {
    let text = node.text_of(key).filter(|text| !text.is_empty())?;
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) && matches!(text.len(), 16 | 32) {
        return Some(text.to_ascii_lowercase());
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    matches!(decoded.len(), 8 | 16).then(|| hex(&decoded))
}

fn nanos(node: &Node<'_>, key: &str) -> Option<u64> {
    match node.get(key)? {
        Node::Text(text) => text.parse().ok(),
        Node::Number(text) => text.parse().ok(),
        _ => None,
    }
}

fn attributes<'n>(node: &'n Node<'_>) -> Attributes<'n> {
    let items = node.get("attributes").map(Node::items).unwrap_or_default();
    items.iter().filter_map(|item| Some((item.text_of("key")?, value(item.get("value")?)))).collect()
}

fn value<'n>(node: &'n Node<'_>) -> Value<'n> {
    if let Some(text) = node.text_of("stringValue") {
        return Value::Text(text);
    }
    let int = match node.get("intValue") {
        Some(Node::Text(text)) => text.parse().ok(),
        Some(Node::Number(text)) => text.parse().ok(),
        _ => None,
    };
    match (int, node.get("boolValue"), node.get("doubleValue")) {
        (Some(int), ..) => Value::Int(int),
        (None, Some(Node::Bool(value)), _) => Value::Bool(*value),
        (None, None, Some(Node::Number(text))) => text.parse().map_or(Value::Other, Value::Double),
        _ => Value::Other,
    }
}

/// The span as OTLP/JSON with its known attributes only, so that it can be sent again.
pub(super) fn kept(span: &Span<'_>, spans: &Spans<'_>) -> Vec<u8> {
    request(&[span], spans, names_only)
}

/// Spans as one OTLP/JSON request with what is read of them, as long as it is: they are still to be judged.
pub(super) fn handed_on(of: &[&Span<'_>], spans: &Spans<'_>) -> Vec<u8> {
    request(of, spans, whole)
}

fn request(of: &[&Span<'_>], spans: &Spans<'_>, text: fn(&str, &str) -> Option<String>) -> Vec<u8> {
    let same_place = |a: &&Span<'_>, b: &&Span<'_>| (a.resource, a.scope) == (b.resource, b.scope);
    let resources = of.chunk_by(same_place).filter_map(|group| {
        let first = group.first()?;
        let resource = spans.resources.get(first.resource).map(Vec::as_slice).unwrap_or_default();
        let inner: Vec<_> = group.iter().map(|span| one_kept(span, text)).collect();
        Some(json!({
            "resource": {"attributes": known(resource, text)},
            "scopeSpans": [{"scope": {"name": first.scope}, "spans": inner}],
        }))
    });
    json!({ "resourceSpans": resources.collect::<Vec<_>>() }).to_string().into_bytes()
}

fn one_kept(span: &Span<'_>, text: fn(&str, &str) -> Option<String>) -> serde_json::Value {
    json!({
        "traceId": span.trace_id,
        "spanId": span.id,
        "parentSpanId": span.parent_id,
        "startTimeUnixNano": span.start_nanos.to_string(),
        "endTimeUnixNano": span.end_nanos.to_string(),
        "attributes": known(&span.attributes, text),
        "status": if span.failed { json!({"code": 2}) } else { json!({}) },
    })
}

/// What a text under a known name is kept as in a rejected span.
fn names_only(name: &str, text: &str) -> Option<String> {
    if text.len() > 256 { Some(REMOVED.to_owned()) } else { whole(name, text) }
}

/// What a text under a known name is handed on as; the same as a row of it would hold.
fn whole(name: &str, text: &str) -> Option<String> {
    if let Some(tag) = name.strip_prefix("tags.") {
        let secret = looks_secret(tag);
        return (!secret).then(|| if is_secret_label(tag, text) { REMOVED.to_owned() } else { text.to_owned() });
    }
    Some(match () {
        () if names::ERROR_TYPE.contains(&name) && !is_word(text) => REMOVED.to_owned(),
        () if !looks_secret(text) => text.to_owned(),
        () if names::tells_apart(name) => masked(text),
        () => REMOVED.to_owned(),
    })
}

fn known(attributes: &[(&str, Value<'_>)], text: fn(&str, &str) -> Option<String>) -> Vec<serde_json::Value> {
    let is_count = |value: &Value<'_>| matches!(value, Value::Int(_) | Value::Double(_));
    let kept = attributes.iter().filter(|(name, value)| {
        names::is_known(name) || name.starts_with("tags.") || (names::is_usage(name) && is_count(value))
    });
    let kept = kept.filter_map(|(name, value)| {
        let value = match value {
            Value::Text(value) if names::DETAILS.contains(name) || names::LANGFUSE_USAGE.contains(name) => {
                json!({"stringValue": figures(serde_json::from_str(value).ok()?)?.to_string()})
            }
            Value::Text(value) => json!({"stringValue": text(name, value)?}),
            Value::Int(int) => json!({"intValue": int.to_string()}),
            Value::Bool(value) => json!({"boolValue": value}),
            Value::Double(value) => json!({"doubleValue": value}),
            Value::Other => json!({"arrayValue": {}}),
        };
        Some(json!({"key": name, "value": value}))
    });
    kept.collect()
}

/// Of an object in a text only figures, under names that are words.
fn figures(value: serde_json::Value) -> Option<serde_json::Value> {
    match value {
        serde_json::Value::Object(members) => {
            let is_word = |key: &String| key.len() <= 64 && !key.contains(char::is_whitespace) && !looks_secret(key);
            let kept = members.into_iter().filter(|(key, _)| is_word(key));
            Some(kept.filter_map(|(key, value)| Some((key, figures(value)?))).collect())
        }
        value if value.is_number() => Some(value),
        _ => None,
    }
}
