//! What of a readable payload is handed on to Kafka: bodies in, messages without prompts, completions and keys out. Pure.
//!
//! Spans leave as one OTLP/JSON message per trace, so that nested spans of a trace meet in one partition however an exporter
//! cut its requests. An item leaves with only what decoders read. Whoever sends it on compares what both decode to
//! ([`crate::http::judge`]).

use spendstream_schemas::config::DecodeConfig;

use super::json::Node;
use super::reject::Reason;
use super::{mapping, otlp, stream, strip};

/// The spans of one trace, and of others that tell of the same response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    /// Lower-case hexadecimal; empty for spans that do not say.
    pub id: String,
    /// OTLP/JSON.
    pub payload: Vec<u8>,
}

/// The spans of an OTLP request in either encoding by trace, in order of their first span; `None` when it is none.
pub(crate) fn traces(body: &[u8]) -> Option<Vec<Trace>> {
    if matches!(body.trim_ascii_start().first(), Some(b'{')) {
        let node = Node::parse(std::str::from_utf8(body).ok()?).ok()?;
        return Some(otlp::traces_of_json(&node));
    }
    otlp::traces_of_protobuf(body)
}

/// The data of server-sent events, as [`super::items::unframed`] has it.
pub(crate) fn unframed(text: &str) -> Option<Vec<&str>> {
    super::items::unframed(text)
}

/// The chunks of one stream among posted items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// The answer's own id; empty when no chunk says it.
    pub id: String,
    /// Where its chunks are, in order; at least two.
    pub chunks: Vec<usize>,
}

/// The streams of which several chunks are among these items.
pub(crate) fn streams(items: &[&str]) -> Vec<Stream> {
    const SIGNS: [&str; 3] = ["chat.completion.chunk", "message_start", "candidates"];
    if items.len() < 2 || !items.iter().any(|item| SIGNS.iter().any(|sign| item.contains(sign))) {
        return Vec::new();
    }
    let nodes: Vec<Option<Node<'_>>> = items.iter().map(|item| Node::parse(item).ok()).collect();
    let nodes: Vec<Option<&Node<'_>>> = nodes.iter().map(Option::as_ref).collect();
    stream::together(&nodes).into_iter().map(|(id, chunks)| Stream { id: id.to_owned(), chunks }).collect()
}

/// One JSON item as it is built, without the texts that decoders do not read; `None` when it is not JSON.
pub(crate) fn shape(payload: &[u8], config: &DecodeConfig) -> Option<Vec<u8>> {
    let node = Node::parse(std::str::from_utf8(payload).ok()?).ok()?;
    Some(strip::shape(&node, mapping::of(&node, config)))
}

/// One item with only what decoders read, or with what a letter keeps of one that is rejected so; `None` when it is neither JSON nor spans.
pub(crate) fn item(payload: &[u8], config: &DecodeConfig, rejected: Option<Reason>) -> Option<Vec<u8>> {
    let Some(node) = std::str::from_utf8(payload).ok().and_then(|text| Node::parse(text).ok()) else {
        let is_binary = !matches!(payload.first(), Some(b'{' | b'['));
        let traces = is_binary.then(|| otlp::traces_of_protobuf(payload)).flatten();
        return traces.filter(|traces| !traces.is_empty()).map(joined);
    };
    // Of a CloudEvent around spans only the spans are read, so only they go on.
    if otlp::holder(&node).get("resourceSpans").is_some() {
        return Some(otlp::handed_on(&node));
    }
    Some(strip::kept(&node, rejected.unwrap_or(Reason::WrongType), mapping::of(&node, config)).json)
}

fn joined(traces: Vec<Trace>) -> Vec<u8> {
    let mut payloads: Vec<Vec<u8>> = traces.into_iter().map(|trace| trace.payload).collect();
    if payloads.len() == 1 { payloads.swap_remove(0) } else { strip::array(&payloads) }
}
