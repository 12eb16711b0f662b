//! Counts that no reader knows: left out without a word they would make a call look exact that may have cost more or less.

use super::super::field::amount;
use super::super::json::Node;
use super::super::parts::Parts;
use super::{Shape, mixed, openai, plain};

/// What a count of tokens, or of some kind of them, is called.
const SOUNDS: [&str; 5] = ["token", "cach", "reason", "thought", "thinking"];
/// What is called so and counts nothing that is paid.
const NO_COUNTS: [&str; 12] =
    ["cost", "price", "time", "second", "per_sec", "limit", "max", "rate", "discount", "saving", "budget", "ratio"];
/// Sums, and parts that cost what their whole does.
const SILENT: [&str; 16] = [
    "tokens",
    "total_tokens",
    "totalTokens",
    "totalTokenCount",
    "total_token_count",
    "prompt_cache_miss_tokens",
    "prompt_text_tokens",
    "prompt_image_tokens",
    "text_tokens",
    "text",
    "accepted_prediction_tokens",
    "rejected_prediction_tokens",
    "ttl_30m_tokens",
    "cache_miss_tokens",
    "noCacheTokens",
    "textTokens",
];
/// What the details of one's own dialect may hold.
const DETAILS: [&str; 18] = [
    "cached_tokens",
    "cache_read",
    "cache_write_tokens",
    "cache_creation_tokens",
    "cache_creation_input_tokens",
    "cache_creation",
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "ttl_12h_tokens",
    "audio_tokens",
    "audio",
    "image_tokens",
    "video_tokens",
    "reasoning_tokens",
    "thinking_tokens",
    "reasoning",
    "web_search_requests",
    "inputTokens",
];
/// Anthropic's counts of the cache, which everybody relays.
const CACHE: [&str; 2] = ["cache_read_input_tokens", "cache_creation_input_tokens"];

/// Whether some count of a usage object is under a name that the reader of the shape does not know.
pub(super) fn any(shape: Shape, usage: &Node<'_>, parts: &Parts<'_>) -> bool {
    usage.members().iter().any(|(key, value)| match value {
        Node::Object(_) | Node::Array(_) => {
            !is_whole(shape, key) && any_inside(value, is_details(shape, usage, key), parts)
        }
        value => !is_read(shape, key) && !mixed::is_total(key) && counts(key, value),
    })
}

fn counts(key: &str, value: &Node<'_>) -> bool {
    sounds(key) && amount(value).is_some_and(|amount| !amount.is_zero())
}

/// Whether something is called as a count of tokens is.
pub(in super::super) fn sounds(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    has(&SOUNDS) && !has(&NO_COUNTS) && !SILENT.contains(&key)
}

fn any_inside(node: &Node<'_>, known: bool, parts: &Parts<'_>) -> bool {
    let inside = node.members().iter().any(|(key, value)| match value {
        Node::Object(_) | Node::Array(_) => any_inside(value, known, parts),
        value => counts(key, value) && !(known && DETAILS.contains(&&**key)) && !repeats(key, value, parts),
    });
    inside || node.items().iter().any(|item| any_inside(item, known, parts))
}

/// Gateways tell the same part in several dialects, and Alibaba the totals once more in a list.
fn repeats(key: &str, value: &Node<'_>, parts: &Parts<'_>) -> bool {
    if mixed::is_total(key) {
        return [parts.input, parts.output].into_iter().flatten().any(|told| amount(value) == Some(told.into()));
    }
    let told = [
        parts.cache_read,
        parts.cache_write,
        parts.cache_write_1h,
        parts.reasoning,
        parts.audio_in,
        parts.image_in,
        parts.audio_out,
        parts.image_out,
    ];
    told.into_iter().any(|told| amount(value) == Some(told.into()))
}

/// Counts at the top that the shape reads.
fn is_read(shape: Shape, key: &str) -> bool {
    match shape {
        Shape::Chat => {
            openai::CACHED.contains(&key)
                || CACHE.contains(&key)
                || matches!(key, "reasoning_tokens" | "citation_tokens")
        }
        Shape::Responses => CACHE.contains(&key) || key == "cached_tokens",
        Shape::Anthropic => CACHE.contains(&key),
        Shape::Converse => matches!(
            key,
            "cacheReadInputTokens"
                | "cacheReadInputTokenCount"
                | "cacheWriteInputTokens"
                | "cacheWriteInputTokenCount"
                | "cachedInputTokens"
                | "cachedContentTokens"
                | "reasoningTokens"
                | "thoughtsTokens"
        ),
        Shape::Gemini => matches!(
            key,
            "toolUsePromptTokenCount"
                | "tool_use_prompt_token_count"
                | "thoughtsTokenCount"
                | "thoughts_token_count"
                | "cachedContentTokenCount"
                | "cached_content_token_count"
        ),
        Shape::Cohere => false,
        Shape::Plain => plain::is_plain(key) || key == "cached_tokens",
    }
}

/// Lists and objects that are read to the end, or tell again what the totals have (`details` of Pydantic AI, Cohere's `tokens`).
fn is_whole(shape: Shape, key: &str) -> bool {
    match shape {
        Shape::Cohere => matches!(key, "billed_units" | "tokens"),
        Shape::Gemini => key.ends_with("Details") || key.ends_with("_details"),
        _ => matches!(key, "iterations" | "details" | "cacheDetails"),
    }
}

/// Whether the shape reads its details here.
fn is_details(shape: Shape, usage: &Node<'_>, key: &str) -> bool {
    match shape {
        Shape::Chat | Shape::Responses => key == "cache_creation" || openai::details(shape, usage).contains(&key),
        Shape::Anthropic => matches!(key, "cache_creation" | "output_tokens_details" | "server_tool_use"),
        _ => false,
    }
}
