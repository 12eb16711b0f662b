//! The part of OTLP's protobuf that carries spans, as `opentelemetry-proto` numbers it; every other field is skipped.

use prost::Message;

use super::{Attributes, Span, Spans, Value};
use spendstream_schemas::hex::hex;

#[derive(Clone, PartialEq, Message)]
pub(super) struct TracesData {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<ProtoSpan>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoSpan {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(fixed64, tag = "7")]
    start_time_unix_nano: u64,
    #[prost(fixed64, tag = "8")]
    end_time_unix_nano: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Any {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
}

impl ProtoSpan {
    fn missing(&self) -> Option<&'static str> {
        match (self.trace_id.len(), self.span_id.len()) {
            (16, 8) => None,
            (16, _) => Some("spanId"),
            _ => Some("traceId"),
        }
    }
}

/// An id as text; bytes of another length are none, and may be anything.
fn id(bytes: &[u8]) -> String {
    if matches!(bytes.len(), 8 | 16) { hex(bytes) } else { String::new() }
}

/// The message, if these bytes are spans: nothing in front of them says so, but ids of the right length or attributes do.
pub(super) fn decode(payload: &[u8]) -> Option<TracesData> {
    let message = TracesData::decode(payload).ok()?;
    let mut spans =
        message.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
    // Never all of them: one bad span must not send the others, and their content, away unread.
    let is_one = spans.any(|span| span.missing().is_none() || !span.attributes.is_empty());
    is_one.then_some(message)
}

/// The spans of a message, borrowed from it.
pub(super) fn spans(message: &TracesData) -> Spans<'_> {
    let mut all = Spans::default();
    for resource_spans in &message.resource_spans {
        let resource = resource_spans.resource.as_ref().map(|resource| attributes(&resource.attributes));
        all.resources.push(resource.unwrap_or_default());
        let resource = all.resources.len() - 1;
        for scope_spans in &resource_spans.scope_spans {
            let scope = scope_spans.scope.as_ref().map(|scope| scope.name.as_str()).unwrap_or_default();
            all.spans.extend(scope_spans.spans.iter().map(|span| Span {
                missing: span.missing(),
                trace_id: id(&span.trace_id),
                id: id(&span.span_id),
                parent_id: id(&span.parent_span_id),
                start_nanos: span.start_time_unix_nano,
                end_nanos: span.end_time_unix_nano,
                failed: span.status.as_ref().is_some_and(|status| status.code == 2),
                scope,
                resource,
                attributes: attributes(&span.attributes),
            }));
        }
    }
    all
}

fn attributes(pairs: &[KeyValue]) -> Attributes<'_> {
    pairs.iter().map(|pair| (pair.key.as_str(), any(pair))).collect()
}

fn any(pair: &KeyValue) -> Value<'_> {
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::Text(text)) => Value::Text(text),
        Some(Any::Bool(value)) => Value::Bool(*value),
        Some(Any::Int(int)) => Value::Int(*int),
        Some(Any::Double(value)) => Value::Double(*value),
        None => Value::Other,
    }
}
