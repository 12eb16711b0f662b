//! Gemini's `usageMetadata`: the prompt includes the cached part; thoughts and tool-use prompts come on top.

use rust_decimal::Decimal;
use spendstream_schemas::meter::GOOGLE_MAPS_GROUNDING;

use super::super::field::{count, first_count};
use super::super::json::Node;
use super::super::parts::Parts;
use super::super::reject::Fault;
use super::Reading;

/// Tokens by modality: audio, image (documents are billed as images), video.
fn modalities(usage: &Node<'_>, keys: &[&str]) -> Result<Option<[i64; 3]>, Fault> {
    let Some(details) = keys.iter().find_map(|key| usage.get(key)) else { return Ok(None) };
    let mut sums = [0_i64; 3];
    for item in details.items() {
        let Some(tokens) = item.get("tokenCount").or_else(|| item.get("token_count")) else { continue };
        let tokens = count(tokens, keys[0])?;
        let slot = match item.text_of("modality").unwrap_or_default() {
            "AUDIO" => 0,
            "IMAGE" | "DOCUMENT" => 1,
            "VIDEO" => 2,
            _ => continue,
        };
        sums[slot] = sums[slot].saturating_add(tokens);
    }
    Ok(Some(sums))
}

pub(super) fn usage<'n>(usage: &'n Node<'_>) -> Result<Reading<'n>, Fault> {
    let prompt = first_count(usage, &["promptTokenCount", "prompt_token_count"])?;
    let tools = first_count(usage, &["toolUsePromptTokenCount", "tool_use_prompt_token_count"])?.unwrap_or(0);
    // Llama on Bedrock says `generation_token_count`, with Gemini's name for the prompt.
    let answer = [
        "candidatesTokenCount",
        "responseTokenCount",
        "candidates_token_count",
        "response_token_count",
        "generation_token_count",
    ];
    let candidates = first_count(usage, &answer)?;
    let thoughts = first_count(usage, &["thoughtsTokenCount", "thoughts_token_count"])?;
    let mut parts = Parts {
        input: prompt.map(|prompt| prompt.saturating_add(tools)),
        output: candidates.or(thoughts).map(|_| candidates.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
        reasoning: thoughts.unwrap_or(0),
        cache_read: first_count(usage, &["cachedContentTokenCount", "cached_content_token_count"])?.unwrap_or(0),
        total: first_count(usage, &["totalTokenCount", "total_token_count"])?,
        ..Parts::default()
    };
    parts.cached = modalities(usage, &["cacheTokensDetails", "cache_tokens_details"])?;
    let prompt =
        modalities(usage, &["promptTokensDetails", "promptTokenDetails", "prompt_tokens_details"])?.unwrap_or_default();
    let tools =
        modalities(usage, &["toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"])?.unwrap_or_default();
    [parts.audio_in, parts.image_in, parts.video_in] =
        std::array::from_fn(|slot| prompt[slot].saturating_add(tools[slot]));
    let answer =
        ["candidatesTokensDetails", "responseTokensDetails", "candidates_tokens_details", "response_tokens_details"];
    [parts.audio_out, parts.image_out, parts.video_out] = modalities(usage, &answer)?.unwrap_or_default();
    let traffic = usage.text_of("trafficType").or_else(|| usage.text_of("traffic_type"));
    Ok(Reading { parts, service_tier: traffic, ..Reading::default() })
}

/// Whether a model is charged for the grounded request, however many queries that made.
pub(super) fn pays_by_request(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    model.contains("gemini-1") || model.contains("gemini-2")
}

/// Grounding with Google Search: from Gemini 3 on each query is charged, before that each grounded request. With Google Maps each request
/// that was answered from it.
pub(super) fn grounding<'n>(body: &'n Node<'_>, model: Option<&str>, reading: &mut Reading<'n>) {
    let queries = queries(body);
    let searches = if reading.model.or(model).is_some_and(pays_by_request) { queries.min(1) } else { queries };
    reading.parts.web_searches = i64::try_from(searches).unwrap_or(i64::MAX);
    if has_maps(body) {
        reading.parts.add_quantity(GOOGLE_MAPS_GROUNDING, Decimal::ONE);
    }
}

/// How many queries its candidates tell.
pub(in super::super) fn queries(body: &Node<'_>) -> usize {
    let told = |candidate: &Node<'_>| {
        candidate.path("groundingMetadata.webSearchQueries").map_or(0, |queries| queries.items().len())
    };
    body.get("candidates").map(Node::items).unwrap_or_default().iter().map(told).sum()
}

/// Whether one of its candidates was found on a map.
pub(in super::super) fn has_maps(body: &Node<'_>) -> bool {
    let from_maps = |candidate: &Node<'_>| {
        let chunks = candidate.path("groundingMetadata.groundingChunks").map(Node::items).unwrap_or_default();
        chunks.iter().any(|chunk| chunk.get("maps").is_some())
    };
    body.get("candidates").map(Node::items).unwrap_or_default().iter().any(from_maps)
}
