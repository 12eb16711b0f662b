//! Amazon Bedrock: Converse usage and the counts of its invocation log. Input excludes cache reads and writes.

use spendstream_schemas::note::{CostQuality, Note, Notes};

use super::super::field::{count_of, first_count, inner_count, object_of};
use super::super::json::Node;
use super::super::parts::{Parts, default_writes};
use super::super::reject::{Fault, Reason};
use super::{Hint, Reading};

/// `usage` of Converse and `ConverseStream`, and `amazon-bedrock-invocationMetrics`.
pub(super) fn converse<'n>(usage: &'n Node<'_>, hint: Hint<'n>) -> Result<Reading<'n>, Fault> {
    let (mut short, mut long) = (0_i64, 0_i64);
    for detail in usage.get("cacheDetails").map(Node::items).unwrap_or_default() {
        let writes = if detail.text_of("ttl") == Some("1h") { &mut long } else { &mut short };
        *writes = writes.saturating_add(count_of(detail, "inputTokens")?.unwrap_or(0));
    }
    let split = usage.get("cacheDetails").map(|_| long);
    let writes = first_count(usage, &["cacheWriteInputTokens", "cacheWriteInputTokenCount"])?;
    let told = default_writes(writes, short, long)?.saturating_add(long);
    let mut reading = from_counts(
        [
            first_count(usage, &["inputTokens", "inputTokenCount"])?,
            first_count(usage, &["cacheReadInputTokens", "cacheReadInputTokenCount"])?,
            writes.or(split.map(|_| told)),
            first_count(usage, &["outputTokens", "outputTokenCount"])?,
            count_of(usage, "totalTokens")?,
        ],
        split,
        hint,
    );
    kits(usage, hint, &mut reading)?;
    Ok(reading)
}

/// Cached input and thoughts as Genkit and Vercel's AI SDK name them beside the same totals.
fn kits(usage: &Node<'_>, hint: Hint<'_>, reading: &mut Reading<'_>) -> Result<(), Fault> {
    let parts = &mut reading.parts;
    let summed = |parts: &Parts<'_>| parts.input.unwrap_or(0).checked_add(parts.output.unwrap_or(0));
    if let Some(thoughts) = first_count(usage, &["reasoningTokens", "thoughtsTokens"])?.filter(|count| *count > 0) {
        parts.reasoning = thoughts;
        // Google counts thoughts beside the answer, others within it; the total tells which.
        if parts.total.is_none() || parts.total != summed(parts) {
            parts.output = Some(parts.output.unwrap_or(0).saturating_add(thoughts));
            if parts.total.is_none() {
                reading.notes.insert(Note::TokensUnexplained);
                reading.quality = CostQuality::Estimated;
            }
        }
    }
    if details(usage, reading)? {
        return Ok(());
    }
    let parts = &mut reading.parts;
    if let Some(cached) = first_count(usage, &["cachedInputTokens", "cachedContentTokens"])?.filter(|count| *count > 0)
    {
        // Converse's own name beside says the same.
        if parts.cache_read == cached {
            return Ok(());
        }
        if parts.cache_read > 0 {
            let read = parts.cache_read;
            let detail = format!("{read} and {cached} cached tokens are told by two names; send one of them");
            return Err(Fault::new(Reason::WrongType, detail));
        }
        parts.cache_read = cached;
        // The kits copy the provider's input, and Anthropic's is without what was cached.
        let beside =
            hint.model.is_some_and(|model| model.contains("claude")) || parts.input.is_none_or(|input| input < cached);
        if beside {
            parts.input = Some(parts.input.unwrap_or(0).saturating_add(cached));
            parts.total = None;
            reading.notes.insert(Note::InputConventionCorrected);
            reading.quality = CostQuality::Estimated;
        }
    }
    Ok(())
}

/// The details of Vercel's AI SDK 6, which say what was not cached too: so whether the input includes the rest. True where they are there.
fn details(usage: &Node<'_>, reading: &mut Reading<'_>) -> Result<bool, Fault> {
    let Some(input) = object_of(usage, "inputTokenDetails")? else { return Ok(false) };
    let [read, write, plain] = ["cacheReadTokens", "cacheWriteTokens", "noCacheTokens"].map(|key| count_of(input, key));
    let (read, write, plain) = (read?.unwrap_or(0), write?.unwrap_or(0), plain?);
    let parts = &mut reading.parts;
    if parts.reasoning == 0 {
        parts.reasoning = inner_count(usage, "outputTokenDetails", "reasoningTokens")?.unwrap_or(0);
    }
    if read == 0 && write == 0 {
        return Ok(false);
    }
    (parts.cache_read, parts.cache_write) = (read, write);
    if write > 0 {
        reading.notes.insert(Note::CacheTtlAssumed);
    }
    let sum = read.saturating_add(write).saturating_add(plain.unwrap_or(0));
    if plain.is_none() || parts.input != Some(sum) {
        // Without a sum that fits, the input is what was not cached.
        parts.input = Some(parts.input.unwrap_or(0).saturating_add(read).saturating_add(write));
        parts.total = None;
        reading.notes.insert(Note::InputConventionCorrected);
        reading.quality = CostQuality::Estimated;
    }
    Ok(true)
}

/// From input, cache reads, cache writes, output and total; `one_hour` writes where lifetimes are told.
pub(in super::super) fn from_counts<'n>(
    [input, read, write, output, total]: [Option<i64>; 5],
    one_hour: Option<i64>,
    hint: Hint<'_>,
) -> Reading<'n> {
    let (read, write) = (read.unwrap_or(0), write.unwrap_or(0));
    let mut reading = Reading::default();
    let mut uncached = input;
    let mut total = total;
    // ConverseStream counts the cache writes of OpenAI models in `inputTokens` too, and its total adds up with them
    // twice; Converse does not. Without the operation's name the figures decide, and the row says so.
    let counted_twice = write > 0
        && hint.model.is_some_and(|model| model.contains("openai."))
        && hint.operation.is_none_or(|operation| operation.ends_with("Stream"))
        && input.is_some_and(|input| input >= write);
    if counted_twice {
        uncached = input.map(|input| input - write);
        total = None;
        reading.notes.insert(Note::InputConventionCorrected);
        if hint.operation.is_none() {
            reading.quality = CostQuality::Estimated;
        }
    }
    if write > 0 && one_hour.is_none() && hint.model.is_none_or(|model| model.contains("anthropic")) {
        reading.notes = reading.notes.union(Notes::NONE.with(Note::CacheTtlAssumed));
    }
    let long = one_hour.unwrap_or(0);
    reading.parts = Parts {
        input: uncached.map(|uncached| uncached.saturating_add(read).saturating_add(write.max(long))),
        cache_read: read,
        cache_write: write.saturating_sub(long).max(0),
        cache_write_1h: long,
        output,
        total,
        ..Parts::default()
    };
    reading
}
