//! OpenAI's shapes and those that copy them: chat completions, responses, realtime, embeddings, images, transcription.
//!
//! Input includes cache reads and writes, output includes reasoning — except where the body's own total proves otherwise.

use rust_decimal::Decimal;
use spendstream_schemas::meter::{CODE_INTERPRETER_SESSION, FILE_SEARCH};
use spendstream_schemas::note::{CostQuality, Note, Notes};

use super::super::field::{count_of, first_count, inner_count, object_of, quantity};
use super::super::json::Node;
use super::super::parts::{Parts, default_writes};
use super::super::reject::Fault;
use super::{Hint, Reading, Shape};

/// Details of the input as dialects call them, those of chat completions first.
pub(super) const INPUT_DETAILS: [&str; 4] =
    ["prompt_tokens_details", "prompt_token_details", "input_tokens_details", "input_token_details"];
pub(super) const OUTPUT_DETAILS: [&str; 4] =
    ["completion_tokens_details", "completion_token_details", "output_tokens_details", "output_token_details"];
/// Cache reads beside the totals of a chat completion; the last is Mistral's.
pub(super) const CACHED: [&str; 5] = [
    "cache_read_input_tokens",
    "prompt_cache_hit_tokens",
    "cached_tokens",
    "cached_prompt_text_tokens",
    "num_cached_tokens",
];

/// The names under which this body has the details of its input and output: its shape's own, else those of the other dialect.
pub(super) fn details(shape: Shape, usage: &Node<'_>) -> [&'static str; 2] {
    [INPUT_DETAILS, OUTPUT_DETAILS].map(|mut names| {
        if shape == Shape::Responses {
            names.rotate_left(2);
        }
        let told =
            |name: &&str| usage.get(name).is_some_and(|details| !details.is_object() || !details.members().is_empty());
        names.iter().copied().find(|name| told(name)).unwrap_or(names[0])
    })
}

/// The count under the first of `keys` that the object under `outer` has as a number.
fn inner_first(usage: &Node<'_>, outer: &str, keys: &[&str]) -> Result<Option<i64>, Fault> {
    for key in keys {
        if let Some(value) = inner_count(usage, outer, key)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// `prompt_tokens` and `completion_tokens`: chat completions, embeddings, and what LiteLLM, OpenRouter, xAI, DeepSeek, … make of them.
pub(super) fn chat<'n>(usage: &'n Node<'_>, hint: Hint<'n>) -> Result<Reading<'n>, Fault> {
    let mut parts =
        Parts { input: count_of(usage, "prompt_tokens")?, total: count_of(usage, "total_tokens")?, ..Parts::default() };
    let [prompt, answer] = details(Shape::Chat, usage);
    // Gateways fill details with 0 and tell the count beside them.
    parts.cache_read = match inner_first(usage, prompt, &["cached_tokens", "cache_read"])?.filter(|read| *read > 0) {
        Some(read) => read,
        None => first_count(usage, &CACHED)?.unwrap_or(0),
    };
    let mut notes = writes(usage, prompt, &mut parts)?;
    modalities(usage, prompt, &mut parts)?;
    completion(usage, answer, &mut parts)?;
    // LiteLLM once left Anthropic's exclusive input as it was.
    let cached = parts.cache_read.saturating_add(parts.cache_write).saturating_add(parts.cache_write_1h);
    if hint.lenient && parts.input.is_some_and(|input| cached > input) {
        parts.input = parts.input.map(|input| input.saturating_add(cached));
        parts.total = None;
        notes.insert(Note::InputConventionCorrected);
    }
    parts.web_searches = inner_count(usage, "server_tool_use", "web_search_requests")?.unwrap_or(0);
    search_fee(usage, &mut parts)?;
    for (key, meter) in [("num_search_queries", "query"), ("citation_tokens", "citation")] {
        if let Some(count) = count_of(usage, key)? {
            parts.add_quantity(meter, Decimal::from(count));
        }
    }
    Ok(Reading { parts, notes, ..Reading::default() })
}

/// Perplexity charges a request by how much it may read of the web; models that count their searches are charged by those instead.
fn search_fee(usage: &Node<'_>, parts: &mut Parts<'_>) -> Result<(), Fault> {
    if count_of(usage, "num_search_queries")?.is_some() {
        return Ok(());
    }
    match usage.text_of("search_context_size") {
        Some("low") => parts.add_quantity("web_search_low", Decimal::ONE),
        Some("medium") => parts.web_searches += 1,
        Some("high") => parts.add_quantity("web_search_high", Decimal::ONE),
        _ => {}
    }
    Ok(())
}

fn completion(usage: &Node<'_>, details: &str, parts: &mut Parts<'_>) -> Result<(), Fault> {
    let completion = count_of(usage, "completion_tokens")?;
    parts.output = completion;
    parts.audio_out = inner_first(usage, details, &["audio_tokens", "audio"])?.unwrap_or(0);
    parts.image_out = inner_count(usage, details, "image_tokens")?.unwrap_or(0);
    parts.video_out = inner_count(usage, details, "video_tokens")?.unwrap_or(0);
    parts.reasoning = inner_first(usage, details, &["reasoning_tokens", "thinking_tokens", "reasoning"])?.unwrap_or(0);
    let beside = completion.map(|completion| completion.saturating_add(parts.reasoning));
    // xAI and Gemini's OpenAI interface count reasoning beside the completion; only their total shows it.
    if parts.reasoning > 0
        && parts.total.is_some()
        && parts.total == parts.input.unwrap_or(0).checked_add(beside.unwrap_or(0))
    {
        parts.output = beside;
    }
    // At the top level (xAI's own SDK, Perplexity) reasoning is always beside, and Perplexity's total leaves it out.
    if parts.reasoning == 0
        && let Some(reasoning) = count_of(usage, "reasoning_tokens")?
    {
        parts.reasoning = reasoning;
        parts.output = completion.map(|completion| completion.saturating_add(reasoning));
        parts.total = None;
    }
    Ok(())
}

/// Cache writes, by lifetime where told. LiteLLM repeats the same writes under three names.
fn writes(usage: &Node<'_>, details: &str, parts: &mut Parts<'_>) -> Result<Notes, Fault> {
    let nested = object_of(usage, details)?;
    // LangChain's `cache_creation` is a count, and 0 where the lifetimes beside it say how many; DashScope's an object of them.
    let langchain = nested.and_then(|details| details.get("cache_creation"));
    let counted = matches!(langchain, Some(Node::Number(text)) if *text != "0");
    let names = ["cache_write_tokens", "cache_creation_tokens", "cache_creation_input_tokens", "cache_creation"];
    let inner = inner_first(usage, details, if counted { &names[..] } else { &names[..3] })?;
    let all = match inner.filter(|writes| *writes > 0) {
        Some(writes) => Some(writes),
        None => count_of(usage, "cache_creation_input_tokens")?.or(inner),
    };
    let has_lifetimes = |node: &&Node<'_>| {
        ["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"].iter().any(|key| node.get(key).is_some())
    };
    let by_lifetime = nested
        .and_then(|details| details.get("cache_creation_token_details"))
        .or(object_of(usage, "cache_creation")?)
        .or(langchain.filter(|created| created.is_object()))
        .or(nested.filter(has_lifetimes));
    let split = match by_lifetime {
        Some(split) => (
            count_of(split, "ephemeral_5m_input_tokens")?.unwrap_or(0),
            count_of(split, "ephemeral_1h_input_tokens")?.unwrap_or(0),
        ),
        None => (0, 0),
    };
    parts.cache_write_1h = split.1;
    parts.cache_write = default_writes(all, split.0, split.1)?;
    if let Some(lifetimes) = nested.and_then(|details| details.get("cache_write_tokens_details")) {
        parts.cache_write_12h = count_of(lifetimes, "ttl_12h_tokens")?.unwrap_or(0);
    }
    // Anthropic's name without a split of lifetimes.
    let named = counted || usage.get("cache_creation_input_tokens").is_some();
    let assumed = parts.cache_write > 0 && by_lifetime.is_none() && named;
    Ok(if assumed { Notes::NONE.with(Note::CacheTtlAssumed) } else { Notes::NONE })
}

fn modalities(usage: &Node<'_>, details: &str, parts: &mut Parts<'_>) -> Result<(), Fault> {
    parts.audio_in = inner_first(usage, details, &["audio_tokens", "audio"])?.unwrap_or(0);
    parts.image_in = inner_count(usage, details, "image_tokens")?.unwrap_or(0);
    parts.video_in = inner_count(usage, details, "video_tokens")?.unwrap_or(0);
    if let Some(cached) = usage.get(details).and_then(|details| details.get("cached_tokens_details")) {
        let of = |key| count_of(cached, key).map(Option::unwrap_or_default);
        parts.cached = Some([of("audio_tokens")?, of("image_tokens")?, of("video_tokens")?]);
    }
    Ok(())
}

/// `input_tokens` and `output_tokens` with details: responses, realtime (`…_token_details`, singular), images, transcription.
pub(super) fn responses<'n>(usage: &'n Node<'_>) -> Result<Reading<'n>, Fault> {
    let [input, output] = details(Shape::Responses, usage);
    let mut parts = Parts {
        input: count_of(usage, "input_tokens")?,
        output: count_of(usage, "output_tokens")?,
        total: count_of(usage, "total_tokens")?,
        cache_read: match inner_first(usage, input, &["cached_tokens", "cache_read"])?.filter(|read| *read > 0) {
            Some(read) => read,
            None => first_count(usage, &["cache_read_input_tokens", "cached_tokens"])?.unwrap_or(0),
        },
        reasoning: inner_first(usage, output, &["reasoning_tokens", "thinking_tokens", "reasoning"])?.unwrap_or(0),
        web_searches: inner_count(usage, "server_tool_use", "web_search_requests")?.unwrap_or(0),
        audio_out: inner_first(usage, output, &["audio_tokens", "audio"])?.unwrap_or(0),
        image_out: inner_count(usage, output, "image_tokens")?.unwrap_or(0),
        ..Parts::default()
    };
    let notes = writes(usage, input, &mut parts)?;
    modalities(usage, input, &mut parts)?;
    if let Some(seconds) = usage.get("seconds") {
        parts.add_quantity("audio_second", quantity(seconds, "seconds")?);
    }
    let operation = match usage.text_of("type") {
        Some("tokens" | "duration") => Some("audio"),
        _ => None,
    };
    Ok(Reading { parts, operation, notes, ..Reading::default() })
}

/// An image response without usage: each image is charged.
pub(super) fn images<'n>(body: &'n Node<'_>) -> Result<Option<Reading<'n>>, Fault> {
    let data = body.get("data").map(Node::items).unwrap_or_default();
    let images = data.iter().filter(|item| item.get("url").is_some() || item.get("b64_json").is_some()).count();
    if images == 0 {
        return Ok(None);
    }
    let mut reading = Reading { operation: Some("image"), ..Reading::default() };
    reading.parts.add_quantity("image_out_each", Decimal::from(images));
    super::around(Shape::Responses, body, &mut reading)?;
    Ok(Some(reading))
}

/// Calls of built-in tools that are charged by the call, from the response's `output`.
pub(super) fn tool_calls<'n>(body: &'n Node<'_>, reading: &mut Reading<'n>) {
    let mut containers: Vec<Option<&str>> = Vec::new();
    for item in body.get("output").map(Node::items).unwrap_or_default() {
        match item.text_of("type") {
            // Opening a page or searching in it is not charged.
            Some("web_search_call") => {
                let action = item.get("action").and_then(|action| action.text_of("type"));
                reading.parts.web_searches += i64::from(action.is_none_or(|action| action == "search"));
            }
            Some("file_search_call") => reading.parts.add_quantity(FILE_SEARCH, Decimal::ONE),
            Some("code_interpreter_call") => {
                let container = item.text_of("container_id");
                if container.is_none() || !containers.contains(&container) {
                    containers.push(container);
                }
            }
            // A picture is made by another model, whose tokens are not told.
            Some("image_generation_call") => {
                reading.notes.insert(Note::TokensUnexplained);
                reading.quality = CostQuality::Estimated;
            }
            _ => {}
        }
    }
    if !containers.is_empty() {
        // A container serves the calls of 20 minutes and is paid once; which call that was, none of them says.
        reading.notes.insert(Note::SessionAssumed);
        reading.quality = reading.quality.max(CostQuality::UpperBound);
        reading.parts.add_quantity(CODE_INTERPRETER_SESSION, Decimal::from(containers.len()));
    }
}
