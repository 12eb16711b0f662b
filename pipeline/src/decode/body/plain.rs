//! The plain names of event v1: totals that include their parts, and any other meter by its own name.

use std::borrow::Cow;

use rust_decimal::Decimal;
use spendstream_schemas::meter;

use super::super::field::{amount, count, count_of, quantity};
use super::super::json::Node;
use super::super::parts::Parts;
use super::super::reject::{Fault, Reason};
use super::{Reading, tools};

/// True when at least one member is a plain name.
pub(super) fn recognises(usage: &Node<'_>) -> bool {
    usage.members().iter().any(|(key, value)| !matches!(value, Node::Null) && is_plain(key))
}

/// True when a plain name is there beside the totals, which other shapes share.
pub(super) fn tells_parts(usage: &Node<'_>) -> bool {
    let is_part = |key: &str| !matches!(key, "input_tokens" | "output_tokens") && is_plain(key);
    usage.members().iter().any(|(key, value)| !matches!(value, Node::Null) && is_part(key))
}

pub(super) fn is_plain(key: &str) -> bool {
    canonical(key) != key
        || matches!(
            key,
            "input_tokens"
                | "output_tokens"
                | "cache_read_tokens"
                | "cache_write_tokens"
                | "cache_write_1h_tokens"
                | "audio_input_tokens"
                | "image_input_tokens"
                | "reasoning_tokens"
                | "audio_output_tokens"
                | "web_searches"
        )
        || (is_quantity(key) && !matches!(key, "input" | "output"))
}

fn canonical(key: &str) -> &str {
    meter::PLAIN_ALIASES.iter().find(|(alias, _)| *alias == key).map_or(key, |(_, name)| name)
}

/// A meter that stands for itself.
fn is_quantity(key: &str) -> bool {
    meter::is_known(key) || !meter::alternatives(key).is_empty() || tools::is_own(key)
}

/// What a name stands for: several names stand for one count.
fn meaning(key: &str) -> &str {
    let name = canonical(key);
    meter::alternatives(name).first().map_or(name, |meter| canonical(meter))
}

/// The counts that were named so far.
#[derive(Debug, Default)]
pub(in super::super) struct Told<'n>(Vec<(&'n str, Decimal)>);

impl<'n> Told<'n> {
    /// True unless another name told the same count before.
    ///
    /// # Errors
    /// When the other name told another figure: which of them is true, only the emitter knows.
    pub fn first(&mut self, key: &'n str, value: &Node<'_>) -> Result<bool, Fault> {
        let Some(amount) = amount(value).filter(|_| is_plain(key)) else { return Ok(true) };
        let Some((other, before)) = self.0.iter().find(|(other, _)| meaning(other) == meaning(key)) else {
            self.0.push((key, amount));
            return Ok(true);
        };
        if *before == amount {
            return Ok(false);
        }
        let detail =
            format!("'{other}' is {before} and '{key}' is {amount}, but both name one count; send one of them");
        Err(Fault::new(Reason::WrongType, detail))
    }
}

pub(super) fn usage<'n>(usage: &'n Node<'_>) -> Result<Reading<'n>, Fault> {
    let (mut parts, mut told) = (Parts::default(), Told::default());
    let members = usage.members();
    for (position, (key, value)) in members.iter().enumerate() {
        // The last of repeated keys counts, and null is absent.
        if matches!(value, Node::Null) || !is_plain(key) {
            continue;
        }
        if members[position + 1..].iter().any(|(later, _)| later == key) {
            continue;
        }
        if told.first(key, value)? {
            add(&mut parts, key, value)?;
        }
    }
    parts.total = count_of(usage, "total_tokens")?;
    let beside = count_of(usage, "cached_tokens")?.unwrap_or(0);
    let contradicts = beside > 0 && parts.cache_read > 0 && beside != parts.cache_read;
    if parts.cache_read == 0 {
        parts.cache_read = beside;
    }
    let mut reading = Reading { parts, ..Reading::default() };
    if contradicts {
        reading.unexplained();
    }
    Ok(reading)
}

/// Adds one plain name; names that are no meter are ignored.
pub(in super::super) fn add<'n>(parts: &mut Parts<'n>, key: &'n str, value: &Node<'_>) -> Result<bool, Fault> {
    let slot = match canonical(key) {
        "input_tokens" => {
            parts.input = Some(count(value, key)?);
            return Ok(true);
        }
        "output_tokens" => {
            parts.output = Some(count(value, key)?);
            return Ok(true);
        }
        "cache_read_tokens" => &mut parts.cache_read,
        "cache_write_tokens" => &mut parts.cache_write,
        "cache_write_1h_tokens" => &mut parts.cache_write_1h,
        "cache_write_12h" => {
            // Here each lifetime is a part of its own, as `cache_write_1h_tokens` is.
            let tokens = count(value, key)?;
            parts.cache_write_12h = parts.cache_write_12h.saturating_add(tokens);
            parts.cache_write = parts.cache_write.saturating_add(tokens);
            return Ok(true);
        }
        "audio_input_tokens" => &mut parts.audio_in,
        "image_input_tokens" => &mut parts.image_in,
        "video_in" => &mut parts.video_in,
        "reasoning_tokens" => &mut parts.reasoning,
        "audio_output_tokens" => &mut parts.audio_out,
        "image_out" => &mut parts.image_out,
        "video_out" => &mut parts.video_out,
        "web_searches" => &mut parts.web_searches,
        "cache_read_audio" => &mut parts.cached.get_or_insert_default()[0],
        "cache_read_image" => &mut parts.cached.get_or_insert_default()[1],
        "cache_read_video" => &mut parts.cached.get_or_insert_default()[2],
        "input" | "output" => return Ok(false),
        name if is_quantity(name) => {
            let amount = quantity(value, key)?;
            parts.add_quantity(Cow::Borrowed(name), amount);
            return Ok(true);
        }
        _ => return Ok(false),
    };
    // 12 hour writes are within the writes.
    *slot = slot.saturating_add(count(value, key)?);
    Ok(true)
}
