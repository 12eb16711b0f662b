//! One span to a call, by the names of the attributes.

use spendstream_schemas::count::Counts;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::note::{CostQuality, Note};

use super::super::call::Call;
use super::super::parts::{Parts, default_writes};
use super::super::reject::{Fault, Reason};
use super::{Span, Value, names};
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

fn count(attributes: &[(&str, Value<'_>)], names: &[&str]) -> Result<Option<i64>, Fault> {
    match find(attributes, names) {
        None => Ok(None),
        Some((name, Value::Int(value))) if value < 0 => {
            Err(Fault::new(Reason::NegativeCount, format!("'{name}' is {value}; a count is never negative")))
        }
        Some((_, Value::Int(value))) => Ok(Some(value)),
        Some((name, _)) => Err(Fault::wrong_type(name, "not an intValue", "a whole number as intValue")),
    }
}

/// What a span that cannot be charged says about its call; its counts are none.
pub(super) fn facts(span: &Span<'_>) -> CallFacts {
    let hash = |found: Option<&str>| found.map_or(0, text_hash);
    let model = text(&span.attributes, names::MODEL).map_or(0, model_hash);
    CallFacts::new(model, hash(operation(span)), hash(response_id(span)), &Counts::default())
}

fn response_id<'n>(span: &Span<'n>) -> Option<&'n str> {
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
            _ => None,
        };
    }
    match text(attributes, names::KIND).map(str::to_ascii_uppercase).as_deref() {
        Some("LLM") => Some("chat"),
        Some("EMBEDDING") => Some("embeddings"),
        Some("RERANKER") => Some("rerank"),
        Some(_) => None,
        // Some emitters name no operation, but a model and what it used.
        None => (text(attributes, names::MODEL).is_some() && has_counts(span)).then_some("chat"),
    }
}

fn has_counts(span: &Span<'_>) -> bool {
    find(&span.attributes, names::INPUT).or_else(|| find(&span.attributes, names::OUTPUT)).is_some()
}

pub(super) fn billing(span: &Span<'_>) -> Billing {
    match (operation(span), has_counts(span)) {
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
    call.parts = parts(span, &mut call)?;
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

fn parts<'n>(span: &Span<'n>, call: &mut Call<'n>) -> Result<Parts<'n>, Fault> {
    let of = |names| count(&span.attributes, names);
    let zero = |names| of(names).map(Option::unwrap_or_default);
    let (read, write) = (of(names::CACHE_READ)?, of(names::CACHE_WRITE)?);
    let (short, long) = (of(names::CACHE_WRITE_5M)?, of(names::CACHE_WRITE_1H)?);
    let long_writes = long.unwrap_or(0);
    let mut parts = Parts {
        input: of(names::INPUT)?,
        output: of(names::OUTPUT)?,
        total: of(names::TOTAL)?,
        cache_read: read.unwrap_or(0),
        cache_write: default_writes(write, short.unwrap_or(0), long_writes)?,
        cache_write_1h: long_writes,
        reasoning: zero(names::REASONING)?,
        audio_in: zero(names::AUDIO_IN)?,
        audio_out: zero(names::AUDIO_OUT)?,
        image_in: zero(names::IMAGE_IN)?,
        video_in: zero(names::VIDEO_IN)?,
        image_out: zero(names::IMAGE_OUT)?,
        web_searches: zero(names::WEB_SEARCHES)?,
        ..Parts::default()
    };
    let anthropic = text(&span.attributes, names::PROVIDER).is_some_and(|provider| provider.contains("anthropic"))
        || text(&span.attributes, names::MODEL).is_some_and(|model| model.contains("claude"));
    if anthropic && parts.cache_write > 0 && short.is_none() && long.is_none() {
        call.row.notes.insert(Note::CacheTtlAssumed);
    }
    // The convention's input includes the cache; who copies Anthropic's raw value shows it by sums that cannot be.
    let cached = parts.cache_read.saturating_add(parts.cache_write).saturating_add(parts.cache_write_1h);
    if let Some(input) = parts.input.filter(|input| cached > *input) {
        parts.input = Some(input.saturating_add(cached));
        parts.total = None;
        call.row.notes.insert(Note::InputConventionCorrected);
    }
    // This instrumentation drops the cached counts that OpenAI sends.
    if span.scope.ends_with("openai_v2") && read.is_none() && operation(span) == Some("chat") && parts.input.is_some() {
        call.row.notes.insert(Note::CacheUnknown);
        call.row.quality = CostQuality::UpperBound;
    }
    Ok(parts)
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
