//! Token counts in, the usage object that the provider would have sent out: each with its own names and its own idea of
//! what the input count includes.

use serde_json::{Value, json};

use super::cast::Shape;
use super::trace::{Call, Recording};

/// Size of a block of a prompt cache, tokens.
const BLOCK: u64 = 512;

/// What one call used, whatever the provider calls it; what the lake must add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All input tokens: uncached, read from and written to the cache.
    pub input: u64,
    pub cache_read: u64,
    /// Kept for five minutes.
    pub cache_write: u64,
    /// Kept for an hour.
    pub cache_write_1h: u64,
    /// All output tokens, reasoning included.
    pub output: u64,
    pub reasoning: u64,
}

impl Counts {
    /// The counts of a recorded call as a provider of this shape meters them. `chance` decides what the recording does not say.
    pub fn of(call: &Call, shape: Shape, chance: u64) -> Self {
        let mut counts = Counts { input: call.input, cache_read: call.cached, output: call.output, ..Self::default() };
        match shape {
            // Whole blocks that were not in the cache are written to it; one conversation in eight asks for an hour.
            Shape::Anthropic | Shape::BedrockConverse if call.recording == Recording::Contexts => {
                let written = (call.input / BLOCK * BLOCK).saturating_sub(call.cached);
                if shape == Shape::Anthropic && call.session.is_multiple_of(8) {
                    counts.cache_write_1h = written;
                } else {
                    counts.cache_write = written;
                }
            }
            // Between a fifth and four fifths of what a reasoning model writes is never shown.
            Shape::OpenAiResponses | Shape::Gemini => counts.reasoning = call.output * (20 + chance % 61) / 100,
            _ => {}
        }
        counts
    }

    fn uncached(&self) -> u64 {
        self.input - self.cache_read - self.cache_write - self.cache_write_1h
    }
}

/// The provider's own usage object.
pub fn body(counts: &Counts, shape: Shape) -> Value {
    let total = counts.input + counts.output;
    match shape {
        Shape::OpenAiChat => json!({
            "prompt_tokens": counts.input,
            "completion_tokens": counts.output,
            "total_tokens": total,
            "prompt_tokens_details": { "cached_tokens": counts.cache_read, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": counts.reasoning, "audio_tokens": 0 },
        }),
        Shape::OpenAiResponses => json!({
            "input_tokens": counts.input,
            "input_tokens_details": { "cached_tokens": counts.cache_read },
            "output_tokens": counts.output,
            "output_tokens_details": { "reasoning_tokens": counts.reasoning },
            "total_tokens": total,
        }),
        Shape::Anthropic => json!({
            "input_tokens": counts.uncached(),
            "cache_read_input_tokens": counts.cache_read,
            "cache_creation_input_tokens": counts.cache_write + counts.cache_write_1h,
            "cache_creation": {
                "ephemeral_5m_input_tokens": counts.cache_write,
                "ephemeral_1h_input_tokens": counts.cache_write_1h,
            },
            "output_tokens": counts.output,
            "service_tier": "standard",
        }),
        Shape::Gemini => json!({
            "promptTokenCount": counts.input,
            "cachedContentTokenCount": counts.cache_read,
            "candidatesTokenCount": counts.output - counts.reasoning,
            "thoughtsTokenCount": counts.reasoning,
            "totalTokenCount": total,
            "trafficType": "ON_DEMAND",
        }),
        Shape::BedrockConverse => json!({
            "inputTokens": counts.uncached(),
            "cacheReadInputTokens": counts.cache_read,
            "cacheWriteInputTokens": counts.cache_write,
            "cacheDetails": [{ "ttl": "5m", "inputTokens": counts.cache_write }],
            "outputTokens": counts.output,
            "totalTokens": total,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Counts, Shape, body};
    use crate::demo::trace::{Call, Recording};

    const CALL: Call =
        Call { at_ms: 0, recording: Recording::Contexts, input: 1_600, output: 100, cached: 512, session: 1 };

    #[test]
    fn each_provider_counts_its_own_way() {
        let check = |shape, expected| assert_eq!(body(&Counts::of(&CALL, shape, 0), shape), expected);
        check(
            Shape::Gemini,
            json!({"promptTokenCount": 1600, "cachedContentTokenCount": 512, "candidatesTokenCount": 80,
                   "thoughtsTokenCount": 20, "totalTokenCount": 1700, "trafficType": "ON_DEMAND"}),
        );
        check(
            Shape::BedrockConverse,
            json!({"inputTokens": 64, "cacheReadInputTokens": 512, "cacheWriteInputTokens": 1024,
                   "cacheDetails": [{"ttl": "5m", "inputTokens": 1024}], "outputTokens": 100, "totalTokens": 1700}),
        );
        check(
            Shape::OpenAiResponses,
            json!({"input_tokens": 1600, "input_tokens_details": {"cached_tokens": 512}, "output_tokens": 100,
                   "output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 1700}),
        );
    }

    #[test]
    fn parts_never_exceed_their_total() {
        for session in 0..8 {
            for cached in [0, 512, 1_024, 1_536, 1_599] {
                let counts = Counts::of(&Call { cached, session, ..CALL }, Shape::Anthropic, 60);
                assert!(counts.cache_read + counts.cache_write + counts.cache_write_1h <= counts.input, "{counts:?}");
            }
        }
    }
}
