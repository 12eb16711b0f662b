//! What a message holds — one item, an array, JSON lines, protobuf — and whose shape each item is.

use spendstream_schemas::dimension::Text;
use spendstream_schemas::note::Note;
use spendstream_schemas::usage_event::UsageRow;

use super::body::{self, Hint};
use super::call::{Call, Context};
use super::json::Node;
use super::reject::{Fault, Reason, Reject};
use super::stream::{self, Role};
use super::{Ignored, Sink, cloudevents, event, gateways, invocation_log, litellm, mapping, metering, otlp, strip};
use crate::batch::RawMessage;

/// What one item turned out to be.
pub(super) enum Item<'n> {
    Call(Box<Call<'n>>),
    Ignored(Ignored),
    /// OTLP spans, which are many items themselves.
    Spans,
}

/// Numbers what leaves one message, in order.
pub(super) struct Out<'s> {
    sink: &'s mut dyn Sink,
    next: u32,
}

impl<'s> Out<'s> {
    pub fn new(sink: &'s mut dyn Sink) -> Self {
        Self { sink, next: 0 }
    }

    fn number(&mut self) -> u32 {
        let index = self.next;
        self.next += 1;
        index
    }

    pub fn rows(&mut self, rows: &[UsageRow<'_>]) {
        for row in rows {
            let index = self.number();
            self.sink.row(index, row);
        }
    }

    pub fn reject(&mut self, reject: Reject) {
        let index = self.number();
        self.sink.reject(index, reject);
    }

    pub fn ignore(&mut self, why: Ignored) {
        let index = self.number();
        self.sink.ignore(index, why);
    }

    pub fn link(&mut self, trace_id: &str, span_id: &str, parent_id: &str) {
        self.sink.link(trace_id, span_id, parent_id);
    }
}

/// Decodes any message, whatever it holds.
pub(super) fn decode(message: &RawMessage<'_>, context: Context<'_>, sink: &mut dyn Sink) {
    let mut out = Out::new(sink);
    let payload = message.payload;
    if let Some(envelope) = message.headers.and_then(cloudevents::Envelope::from_headers) {
        return cloudevents::binary(&envelope, payload, context, &mut out);
    }
    // A protobuf of spans begins with a line feed, which JSON would skip as space.
    if !matches!(payload.first(), Some(b'{' | b'[')) && otlp::protobuf(payload, context, &mut out) {
        return;
    }
    let Ok(text) = std::str::from_utf8(payload) else {
        return out.reject(not_json(payload, "it is not UTF-8 text"));
    };
    match Node::parse(text) {
        Ok(Node::Array(nodes)) => many(&nodes, context, &mut out),
        Ok(node) => one(&node, context, &mut out),
        Err(_) => lines(text, context, &mut out),
    }
}

/// The items of an array.
pub(super) fn many(nodes: &[Node<'_>], context: Context<'_>, out: &mut Out<'_>) {
    if nodes.len() > context.limits.max_rows_per_message {
        let fault = too_many(nodes.len(), context);
        let kept = nodes.iter().map(strip::json).collect::<Vec<_>>();
        return out.reject(fault.keeping(Some(strip::array(&kept))));
    }
    let items: Vec<Option<&Node<'_>>> = nodes.iter().map(Some).collect();
    for (node, role) in nodes.iter().zip(stream::roles(&items)) {
        in_role(node, &role, context, out);
    }
}

fn in_role(node: &Node<'_>, role: &Role<'_>, context: Context<'_>, out: &mut Out<'_>) {
    match role {
        Role::Whole => one(node, context, out),
        Role::Last => one(node, Context { speaks_for_stream: true, ..context }, out),
        Role::Chunk => out.ignore(Ignored::StreamPart),
        Role::Joined(whole) => one(whole, Context { speaks_for_stream: true, ..context }, out),
    }
}

pub(super) fn too_many(count: usize, context: Context<'_>) -> Fault {
    let most = context.limits.max_rows_per_message;
    let detail = format!(
        "the message holds {count} items, more than decode.max_rows_per_message = {most}; send smaller messages"
    );
    Fault::new(Reason::TooManyRows, detail)
}

/// The data of server-sent events as a provider streams them, without their frame; `None` when it is no such text.
pub(super) fn unframed(text: &str) -> Option<Vec<&str>> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_framed =
        ["data:", "event:", ":"].iter().any(|sign| lines().next().is_some_and(|line| line.starts_with(sign)));
    let data = lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim).filter(|data| *data != "[DONE]");
    is_framed.then(|| data.collect())
}

/// JSON lines, or server-sent events; a line that is no JSON is rejected alone.
fn lines(text: &str, context: Context<'_>, out: &mut Out<'_>) {
    let framed = unframed(text).filter(|lines| !lines.is_empty());
    let least = if framed.is_some() { 1 } else { 2 };
    let lines = framed.unwrap_or_else(|| text.lines().map(str::trim).filter(|line| !line.is_empty()).collect());
    let first = lines.first().map(|line| Node::parse(line));
    if lines.len() < least || !matches!(first, Some(Ok(Node::Object(_)))) {
        return out.reject(not_json(text.as_bytes(), &syntax_error(text)));
    }
    if lines.len() > context.limits.max_rows_per_message {
        let kept: Vec<Vec<u8>> =
            lines.iter().filter_map(|line| Node::parse(line).ok()).map(|node| strip::json(&node)).collect();
        return out.reject(too_many(lines.len(), context).keeping(Some(kept.join(b"\n".as_slice()))));
    }
    let nodes: Vec<Option<Node<'_>>> = lines.iter().map(|line| Node::parse(line).ok()).collect();
    let items: Vec<Option<&Node<'_>>> = nodes.iter().map(Option::as_ref).collect();
    for ((line, node), role) in lines.into_iter().zip(&items).zip(stream::roles(&items)) {
        if let Some(node) = node {
            in_role(node, &role, context, out);
        } else {
            let fault = Fault::new(Reason::NotJson, format!("a line is not JSON: {}", syntax_error(line)));
            out.reject(fault.keeping(Some(line.as_bytes().to_vec())));
        }
    }
}

fn not_json(payload: &[u8], why: &str) -> Reject {
    let length = payload.len();
    let detail =
        format!("the message of {length} bytes is not JSON: {why}; send one JSON object, an array, JSON lines or OTLP");
    Fault::new(Reason::NotJson, detail).keeping(None)
}

/// `serde_json` words its errors well; our own parser only says where.
fn syntax_error(text: &str) -> String {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Err(error) => error.to_string(),
        Ok(_) => Node::parse(text).err().map_or("expected a value", |error| error.what).to_owned(),
    }
}

fn one(node: &Node<'_>, context: Context<'_>, out: &mut Out<'_>) {
    finish(read(node, context), node, context, out);
}

/// Emits what an item turned out to be.
pub(super) fn finish<'n>(found: Result<Item<'n>, Fault>, node: &'n Node<'_>, context: Context<'n>, out: &mut Out<'_>) {
    let mut rows = Vec::new();
    let done = match found {
        Ok(Item::Spans) => return otlp::json(node, context, out),
        Ok(Item::Ignored(why)) => return out.ignore(why),
        Ok(Item::Call(call)) => call.finish(context, &mut rows),
        Err(fault) => Err(fault),
    };
    match done {
        Ok(()) => out.rows(&rows),
        Err(fault) => {
            let mapping = mapping::of(node, context.limits);
            let kept = strip::kept(node, fault.reason, mapping);
            out.reject(fault.without(&kept.left_out).keeping(Some(kept.json)));
        }
    }
}

/// Recognises an item and reads it as far as it goes.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn read<'n>(node: &'n Node<'_>, context: Context<'n>) -> Result<Item<'n>, Fault> {
    let has = |key: &str| node.get(key).is_some();
    if !node.is_object() {
        return Err(unknown(&format!("{} is no event", node.kind())));
    }
    if let Some(item) = signal(node)? {
        return Ok(item);
    }
    if event::is_complete(node) {
        return event::read(node).map(boxed);
    }
    if let Some(mapping) = mapping::of(node, context.limits) {
        return mapping::read(mapping, node).map(boxed);
    }
    if has("specversion") {
        return cloudevents::structured(node, context);
    }
    if event::recognises(node) {
        return event::read(node).map(boxed);
    }
    if let Some(call) = envelope(node)? {
        return Ok(boxed(call));
    }
    if !context.speaks_for_stream && stream::is_part(node) {
        return Ok(Item::Ignored(Ignored::StreamPart));
    }
    if is_failed_batch_line(node) {
        return Ok(Item::Ignored(Ignored::NoUsage));
    }
    if let Some(call) = response(node, context)? {
        return Ok(boxed(call));
    }
    // An event of ours that forgot something says so better than "unknown".
    if has("usage") || (has("id") && (has("time") || has("provider"))) {
        return event::read(node).map(boxed);
    }
    Err(unknown("no known envelope or usage was recognised"))
}

/// Signals of OTLP; an item that counts usage itself is none, whatever empty lists it carries.
fn signal<'n>(node: &Node<'_>) -> Result<Option<Item<'n>>, Fault> {
    let counts = ["usage", "usageMetadata"].iter().any(|key| node.get(key).is_some());
    match node.get("resourceSpans") {
        Some(spans) if counts && !spans.items().is_empty() => {
            let detail = "the item holds 'usage' and 'resourceSpans', which are different calls; send each alone";
            Err(Fault::new(Reason::UnknownShape, detail))
        }
        Some(_) if !counts => Ok(Some(Item::Spans)),
        None if !counts && (node.get("resourceLogs").is_some() || node.get("resourceMetrics").is_some()) => {
            Ok(Some(Item::Ignored(Ignored::NoUsage)))
        }
        _ => Ok(None),
    }
}

/// The envelopes of gateways and metering services, which tell themselves apart by their own names.
fn envelope<'n>(node: &'n Node<'_>) -> Result<Option<Call<'n>>, Fault> {
    let mut found = litellm::read(node)?;
    if found.is_none() {
        found = invocation_log::read(node)?;
    }
    if found.is_none() {
        found = metering::lago(node)?;
    }
    if found.is_none() {
        found = gateways::kong(node)?;
    }
    if found.is_none() {
        found = gateways::portkey(node)?;
    }
    if found.is_none() {
        found = gateways::envoy(node)?;
    }
    Ok(found)
}

/// A line of OpenAI's or Anthropic's batch files for a request that was refused or expired: nothing was answered, nothing is paid.
fn is_failed_batch_line(node: &Node<'_>) -> bool {
    if node.text_of("custom_id").is_none() {
        return false;
    }
    if let Some(kind) = node.get("result").and_then(|result| result.text_of("type")) {
        return matches!(kind, "errored" | "canceled" | "expired");
    }
    if body::is_vertex_line(node) && node.text_of("status") != Some("") {
        return node.get("response").is_none_or(|response| response.get("usage").is_none());
    }
    match node.get("response") {
        None => node.get("error").is_some() && node.get("usage").is_none(),
        Some(response) => {
            response.get("body").is_some_and(|body| body.get("usage").is_none() && body.has_object("error"))
        }
    }
}

pub(super) fn boxed(call: Call<'_>) -> Item<'_> {
    Item::Call(Box::new(call))
}

fn unknown(what: &str) -> Fault {
    let advice = "send event v1, a provider's response, CloudEvents, OTLP spans or LiteLLM's payload, or configure [[decode.mappings]]";
    Fault::new(Reason::UnknownShape, format!("{what}; {advice}"))
}

/// A provider's or gateway's whole response body without an envelope; its own id and time are the call's.
fn response<'n>(node: &'n Node<'_>, context: Context<'n>) -> Result<Option<Call<'n>>, Fault> {
    let known = [
        "object",
        "choices",
        "type",
        "modelVersion",
        "usageMetadata",
        "stopReason",
        "custom_id",
        "model",
        "meta",
        "usage_info",
    ];
    let is_batch_line = node.get("response").is_some_and(|response| response.get("usageMetadata").is_some());
    if !is_batch_line && !known.iter().any(|key| node.get(key).is_some()) {
        return Ok(None);
    }
    let Some(mut reading) = body::read(node, Hint::default())? else { return Ok(None) };
    let mut call = Call::of_kind("response");
    call.is_chunk = stream::is_chunk(node);
    let sent = node.text_of("provider");
    let batch_id = node.text_of("custom_id").and_then(|_| node.text_of("id"));
    call.row.texts.set_if_some(Text::EventId, batch_id.or(reading.response_id));
    call.row.texts.set_if_some(Text::ItemId, node.text_of("custom_id"));
    // OpenRouter names the upstream provider; the bill is its own.
    if sent.is_some() && reading.response_id.is_some_and(|id| id.starts_with("gen-")) {
        if reading.notes.contains(Note::BilledUpstream) {
            call.row.tags.push(("billed_by".into(), "upstream_provider".into()));
        }
        call.row.texts.set(Text::ProviderSent, "openrouter");
        call.row.tags.extend(sent.map(|upstream| ("upstream_provider".into(), upstream.into())));
    } else {
        call.row.texts.set_if_some(Text::ProviderSent, sent);
        if sent.is_none() && reading.provider == Some("openai") {
            let is_groqs = node.path("x_groq.usage").is_some();
            reading.provider = Some(if is_groqs { "groq" } else { vendor(reading.model.unwrap_or_default())? });
        }
    }
    call.take(reading);
    // Anthropic's and Bedrock's bodies carry no time; the message was written when the call had ended.
    call.time_micros = call.time_micros.or(context.message_ms.and_then(|millis| millis.checked_mul(1_000)));
    Ok(Some(call))
}

/// Who answered in OpenAI's shape, where no envelope says it.
///
/// # Errors
/// When the name is `maker/model`: makers call their own models by the second part, so some host served it, at prices of its own.
fn vendor(model: &str) -> Result<&'static str, Fault> {
    // Those who call their models so themselves.
    const HOSTS: [(&str, &str); 3] =
        [("openrouter/", "openrouter"), ("accounts/fireworks/", "fireworks"), ("models/gemini", "google")];
    if model.contains('/') {
        let host = HOSTS.iter().find(|(head, _)| model.starts_with(head)).map(|(_, host)| *host);
        let advice = "the model's name has a '/', so a host served it that the body does not name: send 'provider' beside it, or event v1";
        return host.ok_or_else(|| Fault::missing("provider", advice));
    }
    Ok(maker(model).unwrap_or("openai"))
}

/// Whose model it is, by how makers call theirs.
pub(super) fn maker(model: &str) -> Option<&'static str> {
    const BY_PREFIX: [(&str, &str); 15] = [
        ("grok", "xai"),
        ("deepseek", "deepseek"),
        ("mistral", "mistral"),
        ("codestral", "mistral"),
        ("magistral", "mistral"),
        ("claude", "anthropic"),
        ("gemini", "google"),
        ("sonar", "perplexity"),
        ("kimi-", "moonshotai"),
        ("gpt-", "openai"),
        ("chatgpt-", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4", "openai"),
        ("text-embedding-3-", "openai"),
    ];
    let found = BY_PREFIX.iter().find(|(prefix, _)| model.starts_with(prefix)).map(|(_, vendor)| *vendor);
    found.filter(|_| !model.contains('/'))
}
