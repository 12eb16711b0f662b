//! Anthropic's usage: input excludes cache reads and writes; `iterations` that the totals leave out become rows of their own.

use std::borrow::Cow;

use rust_decimal::Decimal;
use spendstream_schemas::note::{CostQuality, Note, Notes};

use super::super::field::{count_of, inner_count, object_of};
use super::super::json::Node;
use super::super::parts::{Parts, default_writes};
use super::super::reject::Fault;
use super::{Extra, Reading};

pub(super) fn usage<'n>(usage: &'n Node<'_>) -> Result<Reading<'n>, Fault> {
    let (mut parts, mut notes) = counts(usage)?;
    let mut quality = CostQuality::Exact;
    let cached = parts.cache_read.saturating_add(parts.cache_write).saturating_add(parts.cache_write_1h);
    let sent = count_of(usage, "input_tokens")?;
    // Anthropic sends no total: somebody rewrote the body, and by their sum the cache is within the input.
    if cached > 0 && sent.is_some_and(|sent| cached <= sent) && total_leaves_out_cache(usage) {
        parts.input = sent;
        notes.insert(Note::InputConventionCorrected);
        quality = CostQuality::Estimated;
    }
    parts.web_searches = inner_count(usage, "server_tool_use", "web_search_requests")?.unwrap_or(0);
    if let Some(fetches) = inner_count(usage, "server_tool_use", "web_fetch_requests")? {
        parts.add_quantity("web_fetch", Decimal::from(fetches));
    }
    let mut reading = Reading { parts, notes, quality, ..Reading::default() };
    iterations(usage, &mut reading)?;
    Ok(reading)
}

/// True when the body has a total, and it is input and output without anything cached on top.
pub(super) fn total_leaves_out_cache(usage: &Node<'_>) -> bool {
    let of = |key| count_of(usage, key).ok().flatten();
    let (Some(total), Some(input)) = (of("total_tokens"), of("input_tokens")) else { return false };
    input.checked_add(of("output_tokens").unwrap_or(0)) == Some(total)
}

/// The counts of a message, or of one iteration, brought to totals that include the cache.
fn counts<'n>(usage: &Node<'_>) -> Result<(Parts<'n>, Notes), Fault> {
    let mut parts = Parts { output: count_of(usage, "output_tokens")?, ..Parts::default() };
    let mut notes = Notes::NONE;
    parts.cache_read = count_of(usage, "cache_read_input_tokens")?.unwrap_or(0);
    let writes = count_of(usage, "cache_creation_input_tokens")?;
    if let Some(split) = object_of(usage, "cache_creation")? {
        let short = count_of(split, "ephemeral_5m_input_tokens")?.unwrap_or(0);
        parts.cache_write_1h = count_of(split, "ephemeral_1h_input_tokens")?.unwrap_or(0);
        parts.cache_write = default_writes(writes, short, parts.cache_write_1h)?;
        // A stream's end may count more writes than its beginning split.
        if writes.is_some_and(|writes| writes > short.saturating_add(parts.cache_write_1h)) {
            notes.insert(Note::CacheTtlAssumed);
        }
    } else {
        parts.cache_write = writes.unwrap_or(0);
        if parts.cache_write > 0 {
            notes.insert(Note::CacheTtlAssumed);
        }
    }
    let cached = [parts.cache_read, parts.cache_write, parts.cache_write_1h];
    parts.input =
        count_of(usage, "input_tokens")?.map(|input| cached.iter().fold(input, |sum, part| sum.saturating_add(*part)));
    for key in ["thinking_tokens", "reasoning_tokens"] {
        if parts.reasoning == 0 {
            parts.reasoning = inner_count(usage, "output_tokens_details", key)?.unwrap_or(0);
        }
    }
    Ok((parts, notes))
}

/// Compaction, advisor and fallback runs are not in the message's totals, and may run on another model.
///
/// Where the figures show that a fallback's tokens are in the totals after all, they are taken out of them.
fn iterations<'n>(usage: &'n Node<'_>, reading: &mut Reading<'n>) -> Result<(), Fault> {
    let (mut messages, mut others) = ([0_i64; 2], [0_i64; 2]);
    for iteration in usage.get("iterations").map(Node::items).unwrap_or_default() {
        let (parts, notes) = counts(iteration)?;
        let size = [parts.input.unwrap_or(0), parts.output.unwrap_or(0)];
        let sum = if iteration.text_of("type") == Some("message") {
            &mut messages
        } else {
            let model = iteration.text_of("model").map(Cow::Borrowed);
            reading.extra.push(Extra { model, parts, notes, ..Extra::default() });
            &mut others
        };
        *sum = [sum[0].saturating_add(size[0]), sum[1].saturating_add(size[1])];
    }
    let totals = [reading.parts.input.unwrap_or(0), reading.parts.output.unwrap_or(0)];
    let with_others = [messages[0].saturating_add(others[0]), messages[1].saturating_add(others[1])];
    if !reading.extra.is_empty() && totals != messages && totals == with_others {
        let mut own = reading.parts.clone();
        for Extra { parts: theirs, .. } in &reading.extra {
            own.input = own.input.map(|input| input - theirs.input.unwrap_or(0));
            own.output = own.output.map(|output| output - theirs.output.unwrap_or(0));
            own.cache_read -= theirs.cache_read;
            own.cache_write -= theirs.cache_write;
            own.cache_write_1h -= theirs.cache_write_1h;
            own.reasoning -= theirs.reasoning;
        }
        reading.parts = own;
    }
    Ok(())
}
