//! OpenAI's shapes and those that copy them: chat completions, responses, realtime, embeddings, images, transcription.
//!
//! Input includes cache reads and writes, output includes reasoning — except where the body's own total proves otherwise.

use rust_decimal::Decimal;
use spendstream_schemas::note::{Note, Notes};

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

/// The count under the first of `keys` that the object under `outer` has and that is not 0.
fn inner_first(usage: &Node<'_>, outer: &str, keys: &[&str]) -> Result<Option<i64>, Fault> {
    let mut found = None;
    for key in keys {
        match inner_count(usage, outer, key)? {
            Some(0) => found = Some(0),
            None => {}
            counted => return Ok(counted),
        }
    }
    Ok(found)
}

/// Cache reads: those of the details, else of the first name beside the totals that counts any. Also whether another name tells another
/// figure: which of them is true, only the emitter knows.
fn cache_read(usage: &Node<'_>, details: &str, beside: &[&str]) -> Result<(i64, bool), Fault> {
    let within = inner_first(usage, details, &["cached_tokens", "cache_read"])?.filter(|read| *read > 0);
    let read = within.or(first_count(usage, beside)?).unwrap_or(0);
    // Of text alone, which may be less than all.
    let comparable = beside.iter().filter(|key| **key != "cached_prompt_text_tokens");
    let differs = |key: &&str| count_of(usage, key).ok().flatten().is_some_and(|told| told > 0 && told != read);
    Ok((read, comparable.copied().any(|key| differs(&key))))
}

/// `prompt_tokens` and `completion_tokens`: chat completions, embeddings, and what LiteLLM, OpenRouter, xAI, DeepSeek, … make of them.
pub(super) fn chat<'n>(usage: &'n Node<'_>, hint: Hint<'n>) -> Result<Reading<'n>, Fault> {
    let mut parts =
        Parts { input: count_of(usage, "prompt_tokens")?, total: count_of(usage, "total_tokens")?, ..Parts::default() };
    let [prompt, answer] = details(Shape::Chat, usage);
    let (read, contradicts) = cache_read(usage, prompt, &CACHED)?;
    parts.cache_read = read;
    let mut notes = writes(usage, prompt, &mut parts)?;
    modalities(usage, prompt, &mut parts)?;
    let is_guess = completion(usage, answer, hint, &mut parts)?;
    // LiteLLM once left Anthropic's exclusive input as it was.
    let cached = parts.cache_read.saturating_add(parts.cache_write).saturating_add(parts.cache_write_1h);
    if hint.lenient && parts.input.is_some_and(|input| cached > input) {
        parts.input = parts.input.map(|input| input.saturating_add(cached));
        parts.total = None;
        notes.insert(Note::InputConventionCorrected);
    }
    search_fee(usage, &mut parts)?;
    for (key, meter) in [("num_search_queries", "query"), ("citation_tokens", "citation")] {
        if let Some(count) = count_of(usage, key)? {
            parts.add_quantity(meter, Decimal::from(count));
        }
    }
    let mut reading = Reading { parts, notes, ..Reading::default() };
    if contradicts || is_guess {
        reading.unexplained();
    }
    Ok(reading)
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

/// The output. True when nothing proves whether reasoning is within it.
fn completion(usage: &Node<'_>, details: &str, hint: Hint<'_>, parts: &mut Parts<'_>) -> Result<bool, Fault> {
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
    let Some(reasoning) = count_of(usage, "reasoning_tokens")?.filter(|count| *count > 0 && parts.reasoning == 0)
    else {
        return Ok(false);
    };
    // At the top level it is within the completion (SGLang) or beside it (xAI's own SDK, Perplexity); the total tells, but Perplexity's
    // leaves it out.
    parts.reasoning = reasoning;
    let with = |output: i64| parts.input.unwrap_or(0).checked_add(output).filter(|sum| Some(*sum) == parts.total);
    let output = completion.unwrap_or(0);
    let within = with(output).is_some() && reasoning <= output && !is_perplexitys(usage, hint);
    if within {
        return Ok(false);
    }
    let beside = output.saturating_add(reasoning);
    let proven = with(beside).is_some() || is_perplexitys(usage, hint) || reasoning > output;
    parts.output = completion.map(|_| beside);
    parts.total = None;
    Ok(!proven)
}

fn is_perplexitys(usage: &Node<'_>, hint: Hint<'_>) -> bool {
    ["citation_tokens", "num_search_queries", "search_context_size"].iter().any(|key| usage.get(key).is_some())
        || hint.model.is_some_and(|model| model.contains("sonar"))
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
        reasoning: inner_first(usage, output, &["reasoning_tokens", "thinking_tokens", "reasoning"])?.unwrap_or(0),
        audio_out: inner_first(usage, output, &["audio_tokens", "audio"])?.unwrap_or(0),
        image_out: inner_count(usage, output, "image_tokens")?.unwrap_or(0),
        ..Parts::default()
    };
    let (read, contradicts) = cache_read(usage, input, &["cache_read_input_tokens", "cached_tokens"])?;
    parts.cache_read = read;
    let notes = writes(usage, input, &mut parts)?;
    modalities(usage, input, &mut parts)?;
    // Beside tokens they tell the same audio once more; a model is charged by one of them.
    let by_tokens = [parts.input, parts.output].into_iter().flatten().any(|count| count > 0);
    if let Some(seconds) = usage.get("seconds").filter(|_| !by_tokens) {
        parts.add_quantity("audio_second", quantity(seconds, "seconds")?);
    }
    let operation = match usage.text_of("type") {
        Some("tokens" | "duration") => Some("audio"),
        _ => None,
    };
    let mut reading = Reading { parts, operation, notes, ..Reading::default() };
    if contradicts {
        reading.unexplained();
    }
    Ok(reading)
}

/// True when OpenAI's details of the input tell the same cache reads as Anthropic's name does, nothing was written and no total shows
/// that they are beside the input.
pub(super) fn details_tell_cache(usage: &Node<'_>) -> bool {
    let of = |node: &Node<'_>, key| count_of(node, key).ok().flatten().filter(|count| *count > 0);
    let [details, _] = details(Shape::Responses, usage);
    let told = usage.get(details).filter(|details| details.is_object());
    let within = told.and_then(|details| of(details, "cached_tokens").or_else(|| of(details, "cache_read")));
    within.is_some()
        && within == of(usage, "cache_read_input_tokens")
        && within <= of(usage, "input_tokens")
        && of(usage, "cache_creation_input_tokens").is_none()
        && usage.get("total_tokens").is_none()
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
    super::around(Shape::Responses, body, Hint::default(), &mut reading)?;
    Ok(Some(reading))
}
