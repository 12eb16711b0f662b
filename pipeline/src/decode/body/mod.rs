//! What a provider says about one call: its usage object, or the whole response body around it, to a [`Reading`].
//!
//! The shape decides, not the provider's name: a gateway relays one provider's body under another's name. One file per shape.

mod anthropic;
mod bedrock;
mod cohere;
mod gemini;
mod misspelt;
mod mixed;
mod openai;
mod plain;
mod tools;
mod unread;

use std::borrow::Cow;

use rust_decimal::Decimal;
use spendstream_schemas::note::{CostQuality, Note, Notes};

use super::field::{cost_of, count_of};
use super::json::Node;
use super::parts::Parts;
use super::reject::{Fault, Reason};
use super::time::{Unit, micros};

pub(super) use bedrock::from_counts as bedrock_counts;
pub(super) use gemini::{has_maps, queries};
pub(super) use plain::{Told, add as add_plain};
pub(super) use tools::calls as tool_calls;
pub(super) use unread::sounds;

/// Members that a usage object may have: each is compared with every name that is known.
const MOST_MEMBERS: usize = 1_000;

/// What is known of the call beside the body; some shapes need it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hint<'n> {
    pub model: Option<&'n str>,
    /// The API operation where the envelope names it (`ConverseStream`).
    pub operation: Option<&'n str>,
    /// The emitter is known to mistake exclusive input for inclusive: correct it instead of refusing.
    pub lenient: bool,
}

/// Part of a call that is charged on its own, perhaps on another model or by another provider.
#[derive(Clone, Debug, Default)]
pub(super) struct Extra<'n> {
    pub provider: Option<Cow<'n, str>>,
    pub model: Option<Cow<'n, str>>,
    /// What this part alone is said to have cost, in USD.
    pub reported_usd: Option<Decimal>,
    /// Whether a cache answered this part; `None`: as the call.
    pub cache_hit: Option<bool>,
    pub parts: Parts<'n>,
    pub notes: Notes,
}

/// Everything a body tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading<'n> {
    pub parts: Parts<'n>,
    pub model: Option<&'n str>,
    pub response_id: Option<&'n str>,
    /// Whose body it is, where the body alone says so.
    pub provider: Option<&'static str>,
    pub operation: Option<&'static str>,
    pub service_tier: Option<&'n str>,
    /// It says that it was not served at the higher speed, which may have been asked for.
    pub is_not_fast: bool,
    pub region: Option<&'n str>,
    pub time_micros: Option<i64>,
    pub latency_ms: Option<i64>,
    pub failed: bool,
    pub notes: Notes,
    pub quality: CostQuality,
    /// In USD.
    pub reported_usd: Option<Decimal>,
    pub extra: Vec<Extra<'n>>,
}

impl Reading<'_> {
    /// Some count is not in the cost, or may be in it twice.
    fn unexplained(&mut self) {
        self.notes.insert(Note::TokensUnexplained);
        self.quality = self.quality.max(CostQuality::Estimated);
    }
}

/// Service tiers that were asked for, or stand where nothing is told: the call may have got any other.
pub(super) fn is_silent_tier(tier: &str) -> bool {
    const SILENT: [&str; 11] = [
        "",
        "auto",
        "default",
        "standard",
        "standardonly",
        "ondemand",
        "regular",
        "none",
        "notavailable",
        "paygo",
        "traffictypeunspecified",
    ];
    is_one_of(tier, &SILENT)
}

/// Of these the words that are an answer: the call got no tier of its own.
pub(super) fn is_standard_tier(tier: &str) -> bool {
    is_one_of(tier, &["default", "standard", "standardonly", "ondemand", "regular", "paygo"])
}

/// Whether a call that asked for a tier may have got the one that the answer tells, and then costs that: what is beyond a capacity of one's
/// own is served on demand. A batch is no wish, and of provisioned throughput `default` says nothing (Azure answers it from there too).
pub(super) fn falls_back(asked: &str, told: &str) -> bool {
    is_one_of(asked, &["priority", "flex", "reserved", "scale"])
        || is_one_of(asked, &["provisioned", "provisionedthroughput"]) && is_one_of(told, &["ondemand"])
        // OpenAI's word; Anthropic's `standard` is not about speed ([`Reading::is_not_fast`]).
        || is_one_of(asked, &["fast"]) && is_one_of(told, &["default", "priority", "flex"])
}

/// The tier of a higher speed.
pub(super) fn is_fast(tier: &str) -> bool {
    is_one_of(tier, &["fast"])
}

fn is_one_of(tier: &str, words: &[&str]) -> bool {
    let letters = || tier.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' '));
    words.iter().any(|word| letters().map(|byte| byte.to_ascii_lowercase()).eq(word.bytes()))
}

/// Of two tiers the first, unless only the other says something.
fn louder<'n>(one: Option<&'n str>, other: Option<&'n str>) -> Option<&'n str> {
    let says = |tier: &&str| !is_silent_tier(tier);
    one.filter(says).or(other.filter(says)).or(one).or(other)
}

/// The shapes of usage objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Chat,
    Responses,
    Anthropic,
    Gemini,
    Converse,
    Cohere,
    Plain,
}

fn shape_of(usage: &Node<'_>) -> Option<Shape> {
    let has = |keys: &[&str]| keys.iter().any(|key| usage.get(key).is_some());
    if has(&[
        "promptTokenCount",
        "candidatesTokenCount",
        "totalTokenCount",
        "responseTokenCount",
        "prompt_token_count",
        "candidates_token_count",
        "generation_token_count",
    ]) {
        return Some(Shape::Gemini);
    }
    if has(&["inputTokens", "outputTokens", "inputTokenCount", "outputTokenCount"]) {
        return Some(Shape::Converse);
    }
    if has(&["billed_units"]) {
        return Some(Shape::Cohere);
    }
    if has(&["prompt_tokens", "completion_tokens"]) {
        return Some(Shape::Chat);
    }
    if has(&[
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "server_tool_use",
        "iterations",
    ]) {
        // Details of the input are OpenAI's, and so is what they say of the cache.
        let included = has(&["input_tokens_details"]) && anthropic::total_leaves_out_cache(usage)
            || openai::details_tell_cache(usage);
        return Some(if included { Shape::Responses } else { Shape::Anthropic });
    }
    // Null caches say nothing, but whose thinking is told.
    let thinks = usage.get("output_tokens_details").is_some_and(|details| details.get("thinking_tokens").is_some());
    if thinks && usage.members().iter().any(|(key, _)| key.starts_with("cache_") && key.ends_with("_input_tokens")) {
        return Some(Shape::Anthropic);
    }
    let detailed = has(&openai::INPUT_DETAILS) || has(&openai::OUTPUT_DETAILS);
    // A sum beside plain names is only checked.
    let summed = has(&["total_tokens"]) && !plain::tells_parts(usage);
    if detailed || summed || usage.text_of("type") == Some("duration") {
        return Some(Shape::Responses);
    }
    // `seconds` alone is a transcription's duration; every other name is ours.
    plain::recognises(usage).then_some(Shape::Plain)
}

/// Reads a usage object or a whole response body; `None` when it is neither.
///
/// # Errors
/// When a field of the shape has a wrong type or a negative count.
pub(super) fn read<'n>(node: &'n Node<'_>, hint: Hint<'n>) -> Result<Option<Reading<'n>>, Fault> {
    whole(node)?;
    if let Some(reading) = unwrap(node, hint)? {
        return Ok(Some(reading));
    }
    let holders = ["usage", "usageMetadata", "usage_metadata", "usage_info", "amazon-bedrock-invocationMetrics"];
    let usage = holders.iter().find_map(|key| node.get(key)).filter(|usage| usage.is_object());
    if let Some(usage) = usage.or_else(|| chunk_usage(node)) {
        let Some(shape) = shape_of(usage) else { return Ok(None) };
        let mut hint = hint;
        hint.model = hint.model.or_else(|| model_of(node));
        let mut reading = usage_of(shape, usage, hint)?;
        around(shape, node, hint, &mut reading)?;
        return Ok(Some(reading));
    }
    if let Some(meta) = node.get("meta").filter(|meta| meta.get("billed_units").is_some()) {
        let mut reading = usage_of(Shape::Cohere, meta, hint)?;
        around(Shape::Cohere, node, hint, &mut reading)?;
        return Ok(Some(reading));
    }
    if let Some(reading) = openai::images(node)? {
        return Ok(Some(reading));
    }
    // A response that failed counted nothing.
    if node.text_of("object") == Some("response") && matches!(node.text_of("status"), Some("failed" | "cancelled")) {
        let mut reading = Reading::default();
        around(Shape::Responses, node, hint, &mut reading)?;
        return Ok(Some(reading));
    }
    shape_of(node).map(|shape| usage_of(shape, node, hint)).transpose()
}

/// Where the end of some providers' streams has its usage: Groq's under `x_groq`, Moonshot's in the choice.
pub(super) fn chunk_usage<'n, 'j>(node: &'n Node<'j>) -> Option<&'n Node<'j>> {
    let choices = node.get("choices")?.items();
    let in_choice = || choices.iter().find_map(|choice| choice.get("usage"));
    node.get("x_groq").and_then(|groq| groq.get("usage")).or_else(in_choice).filter(|usage| usage.is_object())
}

/// Refuses an event of Anthropic's stream that counts a part of the call only.
fn whole(node: &Node<'_>) -> Result<(), Fault> {
    let lacks = match node.text_of("type") {
        Some("message_start") if node.has_object("message") => "output",
        Some("message_delta") if node.get("usage").is_some_and(|usage| usage.get("input_tokens").is_none()) => "input",
        _ => return Ok(()),
    };
    let detail = format!(
        "a stream's event alone has not counted the {lacks}; send the final usage: the whole message, or message_start and message_delta together"
    );
    Err(Fault::new(Reason::MissingField, detail))
}

/// Looks through the envelopes that providers themselves put around a body.
fn unwrap<'n>(node: &'n Node<'_>, hint: Hint<'n>) -> Result<Option<Reading<'n>>, Fault> {
    if node.has_object("usage") || node.has_object("usageMetadata") {
        return Ok(None);
    }
    let result = || node.get("result").and_then(|result| result.get("message"));
    let inner = node.get("response").or_else(|| node.get("message")).or_else(result);
    let Some(response) = inner.filter(|inner| inner.is_object()) else { return Ok(None) };
    // A line of an OpenAI batch output file.
    if let Some(body) = response.get("body").filter(|body| body.is_object()) {
        let mut reading = read(body, hint)?.unwrap_or_default();
        reading.service_tier = Some("batch");
        reading.failed |= count_of(response, "status_code")?.is_some_and(|status| status >= 400);
        return Ok(Some(reading));
    }
    let mut reading = read(response, hint)?;
    // A line of Anthropic's message batches, or of a Gemini batch's output; others put an answer under `response` as well.
    let is_anthropics = || {
        let result = node.get("result").filter(|result| result.text_of("type") == Some("succeeded"));
        node.get("custom_id").is_some() && result.is_some_and(|result| result.get("message").is_some())
    };
    let is_geminis = || {
        response.get("usageMetadata").is_some() && (node.get("key").is_some() || node.get("processed_time").is_some())
    };
    let is_vertexs =
        is_vertex_line(node) && node.text_of("status") == Some("") && response.text_of("type") == Some("message");
    if let Some(reading) = reading.as_mut().filter(|_| is_vertexs || is_anthropics() || is_geminis()) {
        reading.service_tier = Some("batch");
        // Claude on Vertex AI is billed by Google.
        reading.provider = if is_vertexs { Some("gcp.vertex_ai") } else { reading.provider };
    }
    Ok(reading)
}

/// A line of what Vertex AI writes for a batch of another maker's model: the request beside the response, and a status, empty where all went
/// well. What gateways log of a call has neither a line's own id nor such a status.
pub(super) fn is_vertex_line(node: &Node<'_>) -> bool {
    node.text_of("custom_id").is_some() && node.has_object("request") && node.text_of("status").is_some()
}

fn usage_of<'n>(shape: Shape, usage: &'n Node<'_>, hint: Hint<'n>) -> Result<Reading<'n>, Fault> {
    if usage.members().len() > MOST_MEMBERS {
        let count = usage.members().len();
        return Err(Fault::new(
            Reason::WrongType,
            format!("'usage' has {count} members; no provider's has more than {MOST_MEMBERS}"),
        ));
    }
    misspelt::check(usage)?;
    mixed::check(shape, usage)?;
    let mut reading = match shape {
        Shape::Chat => openai::chat(usage, hint),
        Shape::Responses => openai::responses(usage),
        Shape::Anthropic => anthropic::usage(usage),
        Shape::Gemini => gemini::usage(usage),
        Shape::Converse => bedrock::converse(usage, hint),
        Shape::Cohere => cohere::usage(usage),
        Shape::Plain => plain::usage(usage),
    }?;
    tools::count_all(shape, usage, hint, &mut reading.parts)?;
    if unread::any(shape, usage, &reading.parts) {
        reading.unexplained();
    }
    let tier = usage.text_of("service_tier").or_else(|| usage.text_of("serviceTier"));
    reading.service_tier = louder(reading.service_tier, tier);
    // Anthropic's, but relayed in every shape, and told even where the cache is not.
    match usage.text_of("speed") {
        Some("fast") => reading.service_tier = Some("fast"),
        speed => reading.is_not_fast = speed == Some("standard"),
    }
    let place = usage.text_of("inference_geo").filter(|geo| *geo != "not_available");
    reading.region = reading.region.or(place);
    reported(usage, &mut reading);
    Ok(reading)
}

/// What gateways and providers say the call cost, in USD.
fn reported(usage: &Node<'_>, reading: &mut Reading<'_>) {
    let cost = usage.get("cost").and_then(|cost| cost_of(cost.get("total_cost").unwrap_or(cost)));
    // 1 USD = 10^10 ticks (docs.x.ai, "Cost Tracking").
    let ticks = || cost_of(usage.get("cost_in_usd_ticks")?)?.checked_div(Decimal::from(10_000_000_000_u64));
    reading.reported_usd = cost.or_else(ticks);
    if matches!(usage.get("is_byok"), Some(Node::Bool(true))) {
        // With the caller's own key the upstream bills it, at prices that OpenRouter repeats; what it says the call costs is its fee.
        reading.reported_usd = usage.path("cost_details.upstream_inference_cost").and_then(cost_of);
        reading.notes.insert(Note::BilledUpstream);
        reading.quality = reading.quality.max(CostQuality::Estimated);
    }
}

fn model_of<'n>(body: &'n Node<'_>) -> Option<&'n str> {
    ["model", "modelVersion", "model_version"]
        .iter()
        .find_map(|key| body.text_of(key))
        .filter(|model| !model.is_empty())
}

/// What stands beside the usage in a whole response body.
fn around<'n>(shape: Shape, body: &'n Node<'_>, hint: Hint<'_>, reading: &mut Reading<'n>) -> Result<(), Fault> {
    reading.model = model_of(body);
    reading.response_id = ["id", "responseId", "response_id", "generation_id"].iter().find_map(|key| body.text_of(key));
    let tier = body.get("serviceTier").and_then(|tier| tier.text_of("type")).or_else(|| body.text_of("service_tier"));
    reading.service_tier = louder(reading.service_tier, tier);
    // Bedrock's faster and dearer way to answer.
    if body.path("performanceConfig.latency").and_then(Node::text) == Some("optimized") {
        reading.service_tier = Some("latency_optimized");
    }
    for key in ["created", "created_at", "createTime"] {
        if let Some(time) = body.get(key) {
            reading.time_micros = Some(micros(time, key, Unit::Any)?);
        }
    }
    reading.latency_ms = match body.get("metrics") {
        Some(metrics) => count_of(metrics, "latencyMs")?,
        None => None,
    };
    let object = body.text_of("object").unwrap_or_default();
    reading.provider = match shape {
        Shape::Chat | Shape::Responses if !object.is_empty() => Some("openai"),
        Shape::Anthropic | Shape::Plain if body.text_of("type") == Some("message") => Some("anthropic"),
        Shape::Gemini => Some("google"),
        Shape::Converse => Some("aws"),
        Shape::Cohere => Some("cohere"),
        _ => None,
    };
    reading.failed |= object == "response" && matches!(body.text_of("status"), Some("failed" | "cancelled"));
    if object == "list" && reading.parts.output.unwrap_or(0) == 0 {
        reading.operation = Some("embeddings");
    } else if object.starts_with("text_completion") {
        reading.operation = Some("completion");
    }
    tools::xais(body, &mut reading.parts)?;
    match shape {
        Shape::Gemini => gemini::grounding(body, hint.model, reading),
        Shape::Responses | Shape::Plain => tools::calls(body, reading),
        _ => {}
    }
    Ok(())
}
