//! OTLP/JSON to [`Span`]s, and back: what may be kept of a rejected span.

use base64::Engine as _;
use serde_json::json;

use super::super::call::hex;
use super::super::json::Node;
use super::super::secret::{REMOVED, is_word, looks_secret};
use super::{Attributes, Span, Spans, Value, names};

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
    let resource = spans.resources.get(span.resource).map(Vec::as_slice).unwrap_or_default();
    let whole = json!({"resourceSpans": [{
        "resource": {"attributes": known(resource)},
        "scopeSpans": [{"scope": {"name": span.scope}, "spans": [{
            "traceId": span.trace_id,
            "spanId": span.id,
            "parentSpanId": span.parent_id,
            "startTimeUnixNano": span.start_nanos.to_string(),
            "endTimeUnixNano": span.end_nanos.to_string(),
            "attributes": known(&span.attributes),
            "status": if span.failed { json!({"code": 2}) } else { json!({}) },
        }]}],
    }]});
    whole.to_string().into_bytes()
}

fn known(attributes: &[(&str, Value<'_>)]) -> Vec<serde_json::Value> {
    let kept = attributes.iter().filter(|(name, _)| names::is_known(name));
    let kept = kept.map(|(name, value)| {
        let value = match value {
            Value::Text(text) if looks_secret(text) || text.len() > 256 => json!({"stringValue": REMOVED}),
            Value::Text(text) if names::ERROR_TYPE.contains(name) && !is_word(text) => json!({"stringValue": REMOVED}),
            Value::Text(text) => json!({"stringValue": text}),
            Value::Int(int) => json!({"intValue": int.to_string()}),
            Value::Bool(value) => json!({"boolValue": value}),
            Value::Double(value) => json!({"doubleValue": value}),
            Value::Other => json!({"arrayValue": {}}),
        };
        json!({"key": name, "value": value})
    });
    kept.collect()
}
