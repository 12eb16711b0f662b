//! Counts whose name is nearly one that is read: ignored they would make a call cheaper than it was, without a word.

use super::super::field::amount;
use super::super::json::Node;
use super::super::reject::{Fault, Reason};

/// The names of counts that usage objects of any shape have at their top.
const NAMES: [&str; 46] = [
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "cache_write_5m_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "audio_output_tokens",
    "image_output_tokens",
    "reasoning_tokens",
    "thinking_tokens",
    "web_searches",
    "web_search",
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "inputTokenCount",
    "outputTokenCount",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "cacheReadInputTokenCount",
    "cacheWriteInputTokenCount",
    "promptTokenCount",
    "candidatesTokenCount",
    "responseTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
    "cachedContentTokenCount",
    "prompt_token_count",
    "candidates_token_count",
    "response_token_count",
    "thoughts_token_count",
    "total_token_count",
    "generation_token_count",
    "num_cached_tokens",
    "reasoningTokens",
    "thoughtsTokens",
    "cachedInputTokens",
    "cachedContentTokens",
];
/// Two names this far apart may be the same; `input` and `output` are three apart.
const NEAR: usize = 2;

/// Refuses a usage object in which some figure stands under a name that is nearly one of those, unless the
/// right name is there too.
pub(super) fn check(usage: &Node<'_>) -> Result<(), Fault> {
    for (key, value) in usage.members() {
        if !key.contains("oken") && !key.contains("search") || amount(value).is_none_or(|amount| amount.is_zero()) {
            continue;
        }
        if let Some(meant) = meant(key).filter(|meant| usage.get(meant).is_none()) {
            let detail = format!("'usage.{meant}' is missing, but '{key}' is there; send the figure as '{meant}'");
            return Err(Fault::new(Reason::MissingField, detail));
        }
    }
    Ok(())
}

/// The name that was meant, unless the key is one itself.
fn meant(key: &str) -> Option<&'static str> {
    if NAMES.contains(&key) || super::plain::is_plain(key) {
        return None;
    }
    let near = NAMES.iter().map(|name| (strsim::damerau_levenshtein(key, name), *name));
    near.filter(|(far, _)| *far <= NEAR).min().map(|(_, name)| name)
}
