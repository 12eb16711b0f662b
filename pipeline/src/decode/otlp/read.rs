//! One span to a call, by the names of the attributes.

use spendstream_schemas::count::Counts;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::note::{CostQuality, Note};

use super::super::call::Call;
use super::super::items::maker;
use super::super::reject::Fault;
use super::{Span, Value, names, usage};
use crate::columns::interner::text_hash;
use crate::dedupe::call_facts::{CallFacts, model_hash};

/// Whether a span's operation costs anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Billing {
    Free,
    /// It costs, but does not say how much it used.
    Uncounted,
    Counted,
}

/// The first attribute of that many names.
fn find<'n>(attributes: &[(&'n str, Value<'n>)], names: &[&str]) -> Option<(&'n str, Value<'n>)> {
    names.iter().find_map(|name| attributes.iter().rev().find(|(key, _)| key == name).copied())
}

fn text<'n>(attributes: &[(&'n str, Value<'n>)], names: &[&str]) -> Option<&'n str> {
    names.iter().find_map(|name| match find(attributes, &[name])? {
        (_, Value::Text(text)) if !text.is_empty() => Some(text),
        (_, Value::Bool(true)) => Some("true"),
        _ => None,
    })
}

/// What a span that cannot be charged says about its call; its counts are none.
pub(super) fn facts(span: &Span<'_>) -> CallFacts {
    let hash = |found: Option<&str>| found.map_or(0, text_hash);
    let model = text(&span.attributes, names::MODEL).map_or(0, model_hash);
    CallFacts::new(model, hash(operation(span)), hash(response_id(span)), &Counts::default())
}

/// The provider's id of the response.
pub(super) fn response_id<'n>(span: &Span<'n>) -> Option<&'n str> {
    text(&span.attributes, names::RESPONSE_ID)
}

/// The operation in our words; `None` when it costs nothing.
fn operation(span: &Span<'_>) -> Option<&'static str> {
    let attributes = &span.attributes;
    if let Some(operation) = text(attributes, names::OPERATION) {
        return match operation {
            "chat" | "generate_content" | "message" | "messages" | "responses" | "response" => Some("chat"),
            "text_completion" | "completion" => Some("completion"),
            "embeddings" | "embedding" => Some("embeddings"),
            "image_generation" => Some("image"),
            "rerank" => Some("rerank"),
            other => (!is_wrapper(other)).then(|| by_counts(span, other)).flatten(),
        };
    }
    match text(attributes, names::KIND).map(str::to_ascii_uppercase).as_deref() {
        Some("LLM") => Some("chat"),
        Some("EMBEDDING") => Some("embeddings"),
        Some("RERANKER") => Some("rerank"),
        Some(_) => None,
        None => by_kit(span),
    }
}

/// The operation by what kits call a span; some emitters name none, but a model and what it used.
fn by_kit(span: &Span<'_>) -> Option<&'static str> {
    let kind = text(&span.attributes, names::LANGFUSE_KIND).map(str::to_ascii_lowercase);
    match (kind.as_deref(), text(&span.attributes, names::KIT_STEP)) {
        (Some(kind @ ("generation" | "embedding")), _) => by_counts(span, kind),
        (Some(_), _) => None,
        (None, Some(step)) => {
            let does = step.rsplit('.').next().filter(|last| last.starts_with("do"));
            does.and_then(|last| by_counts(span, last))
        }
        (None, None) => by_counts(span, ""),
    }
}

/// What an operation with a name of its own is, where it says which model it used, and how much of it.
fn by_counts(span: &Span<'_>, name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let operation = match () {
        () if lower.contains("embed") => "embeddings",
        () if lower.contains("rerank") => "rerank",
        () => "chat",
    };
    (text(&span.attributes, names::MODEL).is_some() && usage::has_counts(span)).then_some(operation)
}

/// Whether an operation is around calls, whose counts it sums up, or beside them.
fn is_wrapper(operation: &str) -> bool {
    const WORDS: [&str; 26] = [
        "agent",
        "tool",
        "workflow",
        "chain",
        "task",
        "graph",
        "pipeline",
        "team",
        "crew",
        "swarm",
        "retriev",
        "memory",
        "step",
        "plan",
        "session",
        "function",
        "guardrail",
        "handoff",
        "evaluat",
        "flow",
        "cycle",
        "loop",
        "turn",
        "thread",
        "parser",
        "runner",
    ];
    let lower = operation.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}

pub(super) fn billing(span: &Span<'_>) -> Billing {
    match (operation(span), usage::has_counts(span)) {
        (None, _) => Billing::Free,
        (Some(_), true) => Billing::Counted,
        (Some(_), false) => Billing::Uncounted,
    }
}

/// Reads a span that is to be charged.
///
/// # Errors
/// When a count is not one.
pub(super) fn call<'n>(
    span: &'n Span<'n>,
    resource: &'n [(&'n str, Value<'n>)],
    kind: &'static str,
) -> Result<Call<'n>, Fault> {
    let attributes = &span.attributes;
    let mut call = Call::of_kind(kind);
    let is_anthropics = text(attributes, names::PROVIDER).is_some_and(|provider| provider.contains("anthropic"))
        || text(attributes, names::MODEL).is_some_and(|model| model.contains("claude"));
    let used = usage::read(span, is_anthropics)?;
    (call.row.notes, call.row.quality) = (used.notes, used.quality);
    // This instrumentation drops the cached counts that OpenAI sends.
    let is_chat = operation(span) == Some("chat") && used.parts.input.is_some();
    if span.scope.ends_with("openai_v2") && !used.tells_cache && is_chat {
        call.row.notes.insert(Note::CacheUnknown);
        call.row.quality = CostQuality::UpperBound;
    }
    call.parts = used.parts;
    dimensions(span, resource, &mut call);
    let texts = &mut call.row.texts;
    texts.set(Text::EventId, format!("{}:{}", span.trace_id, span.id));
    texts.set(Text::TraceId, span.trace_id.as_str());
    texts.set(Text::SpanId, span.id.as_str());
    texts.set(Text::ParentSpanId, span.parent_id.as_str());
    texts.set_if_some(Text::ResponseId, response_id(span));
    texts.set_if_some(Text::Operation, operation(span));
    texts.set_if_some(Text::Model, text(attributes, names::MODEL));
    texts.set_if_some(Text::ServiceTier, text(attributes, names::TIER).filter(|tier| *tier != "auto"));
    texts.set_if_some(Text::Region, text(attributes, names::REGION).filter(|geo| *geo != "not_available"));
    provider(span, &mut call);
    let error = text(attributes, names::ERROR_TYPE);
    if span.failed || error.is_some() {
        call.row.texts.set(Text::Status, "error");
        call.row.texts.set_if_some(Text::ErrorType, error);
    }
    if span.end_nanos == 0 {
        return Err(Fault::missing("endTimeUnixNano", "export spans when they have ended"));
    }
    call.time_micros = i64::try_from(span.end_nanos / 1_000).ok();
    let took = span.end_nanos.checked_sub(span.start_nanos).filter(|_| span.start_nanos > 0);
    call.row.latency_ms = took.and_then(|nanos| i64::try_from(nanos / 1_000_000).ok());
    Ok(call)
}

fn dimensions<'n>(span: &Span<'n>, resource: &[(&'n str, Value<'n>)], call: &mut Call<'n>) {
    for (dimension, others) in names::DIMENSIONS {
        let own = [dimension.event_name()];
        let found = text(&span.attributes, &own)
            .or_else(|| text(&span.attributes, others))
            .or_else(|| text(resource, &own))
            .or_else(|| text(resource, others));
        call.row.texts.set_if_some(*dimension, found);
    }
    for attributes in [resource, &span.attributes] {
        for (name, value) in attributes {
            if let (Some(key), Value::Text(value)) = (name.strip_prefix("tags."), value) {
                call.tag(key, *value);
            }
        }
    }
}

/// Many emitters name the API's flavour; the address says who bills, and often where.
fn provider<'n>(span: &Span<'n>, call: &mut Call<'n>) {
    const BY_HOST: [(&str, &str); 11] = [
        ("openai.azure.com", "azure"),
        ("services.ai.azure.com", "azure"),
        ("api.x.ai", "xai"),
        ("api.groq.com", "groq"),
        ("api.deepseek.com", "deepseek"),
        ("openrouter.ai", "openrouter"),
        ("api.mistral.ai", "mistral"),
        ("api.perplexity.ai", "perplexity"),
        ("api.together.xyz", "together"),
        ("api.fireworks.ai", "fireworks"),
        ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ];
    let texts = &mut call.row.texts;
    texts.set_if_some(Text::ProviderSent, text(&span.attributes, names::PROVIDER));
    // Langfuse's own spans tell no provider: the makers' names tell theirs, as those of bodies without an envelope do.
    let is_langfuses = text(&span.attributes, names::LANGFUSE_KIND).is_some();
    if is_langfuses && texts.get(Text::ProviderSent).is_none() {
        texts.set_if_some(Text::ProviderSent, text(&span.attributes, names::MODEL).and_then(maker));
    }
    let Some(address) = text(&span.attributes, names::ADDRESS) else { return };
    let host = address.split("//").last().unwrap_or(address).split(['/', ':']).next().unwrap_or_default();
    if let Some((_, name)) = BY_HOST.iter().find(|(known, _)| host.ends_with(known)) {
        texts.set(Text::ProviderSent, *name);
    }
    let mut region = None;
    if let Some(rest) = host.strip_prefix("bedrock-runtime.") {
        texts.set(Text::ProviderSent, "aws.bedrock");
        region = rest.strip_suffix(".amazonaws.com");
    } else if let Some(place) = host.strip_suffix("-aiplatform.googleapis.com") {
        region = Some(place);
    }
    if texts.get(Text::Region).is_none() {
        texts.set_if_some(Text::Region, region.map(str::to_owned));
    }
}
