//! What a span says it used. In: its attributes, by the names of many kits; out: parts of a call, and what had to be assumed.
//!
//! One count may stand under several names, and a kit may have names of its own: a count without a reader is said, never left out.

use std::borrow::Cow;

use spendstream_schemas::note::{CostQuality, Note, Notes};

use super::super::body::{self, Hint};
use super::super::field;
use super::super::json::Node;
use super::super::parts::{Parts, default_writes};
use super::super::reject::{Fault, Reason};
use super::{Span, Value, names};

/// More members of an object in a text are not read.
const MOST_MEMBERS: usize = 100;

/// Counts with what had to be assumed of them.
#[derive(Debug, Default)]
pub(super) struct Used<'n> {
    pub parts: Parts<'n>,
    pub notes: Notes,
    pub quality: CostQuality,
    /// Whether cache reads were told at all.
    pub tells_cache: bool,
}

impl Used<'_> {
    fn estimated(&mut self, note: Note) {
        self.notes.insert(note);
        self.quality = self.quality.max(CostQuality::Estimated);
    }
}

/// Whether a span counts what it used.
pub(super) fn has_counts(span: &Span<'_>) -> bool {
    let names = [names::INPUT, names::OUTPUT, names::LANGFUSE_USAGE];
    span.attributes.iter().any(|(name, _)| names.iter().any(|names| names.contains(name)))
}

/// Reads what a span used; `is_anthropics`: by the conventions of Anthropic's API where a name alone does not tell.
///
/// # Errors
/// When a count is not one.
pub(super) fn read<'n>(span: &Span<'n>, is_anthropics: bool) -> Result<Used<'n>, Fault> {
    let told = Told::of(span);
    let of = |names| told.count(names);
    if of(names::INPUT)?.is_none()
        && of(names::OUTPUT)?.is_none()
        && let Some(Value::Text(text)) = told.find(names::LANGFUSE_USAGE[0])
        && let Some(used) = langfuse(text)?
    {
        return Ok(used);
    }
    let zero = |names| of(names).map(Option::unwrap_or_default);
    let (read, beside) = (of(names::CACHE_READ)?, of(names::CACHE_READ_OF_KIT)?);
    // LangChain's count of writes is 0 where the lifetimes say how many.
    let write = of(names::CACHE_WRITE)?.filter(|write| *write > 0);
    let (short, long) = (of(names::CACHE_WRITE_5M)?, of(names::CACHE_WRITE_1H)?);
    let long_writes = long.unwrap_or(0);
    let parts = Parts {
        input: of(names::INPUT)?,
        output: of(names::OUTPUT)?,
        total: of(names::TOTAL)?,
        cache_read: read.filter(|read| *read > 0).or(beside).unwrap_or(0),
        cache_write: default_writes(write, short.unwrap_or(0), long_writes)?,
        cache_write_1h: long_writes,
        reasoning: zero(names::REASONING)?,
        audio_in: zero(names::AUDIO_IN)?,
        audio_out: zero(names::AUDIO_OUT)?,
        image_in: zero(names::IMAGE_IN)?,
        video_in: zero(names::VIDEO_IN)?,
        image_out: zero(names::IMAGE_OUT)?,
        web_searches: zero(names::WEB_SEARCHES)?,
        ..Parts::default()
    };
    let mut used = Used { parts, tells_cache: read.or(beside).is_some(), ..Used::default() };
    if is_anthropics && write.is_some_and(|write| write > short.unwrap_or(0).saturating_add(long_writes)) {
        used.notes.insert(Note::CacheTtlAssumed);
    }
    // Google counts thoughts beside the answer, and some kits copy that; the total tells.
    let Parts { input, output, reasoning, .. } = used.parts;
    let sum = [input.unwrap_or(0), output.unwrap_or(0), reasoning]
        .iter()
        .try_fold(0, |sum: i64, part| sum.checked_add(*part));
    if reasoning > 0 && sum.is_some() && sum == used.parts.total {
        used.parts.output = Some(output.unwrap_or(0).saturating_add(reasoning));
    }
    let by_kit = read.unwrap_or(0) == 0 && beside.is_some_and(|beside| beside > 0);
    convention(&mut used, of(names::NO_CACHE)?, by_kit && is_anthropics);
    if told.has_unread(&used.parts) {
        used.estimated(Note::TokensUnexplained);
    }
    Ok(used)
}

/// The convention's input includes the cache. Who copies Anthropic's raw value shows it by sums that cannot be, by a count of what was not
/// cached, or by being a kit (`is_raw`) that did so before it had such a count.
fn convention(used: &mut Used<'_>, plain: Option<i64>, is_raw: bool) {
    let parts = &used.parts;
    let cached = parts.cache_read.saturating_add(parts.cache_write).saturating_add(parts.cache_write_1h);
    let Some(input) = parts.input.filter(|_| cached > 0) else { return };
    let is_certain = match plain {
        Some(plain) if plain.checked_add(cached) == Some(input) => return,
        Some(plain) => plain == input,
        None if cached > input => true,
        None if is_raw => false,
        None => return,
    };
    used.parts.input = Some(input.saturating_add(cached));
    used.parts.total = None;
    used.notes.insert(Note::InputConventionCorrected);
    if !is_certain {
        used.estimated(Note::InputConventionCorrected);
    }
}

/// The attributes of a span, and the counts within texts that are objects.
struct Told<'n>(Vec<(Cow<'n, str>, Value<'n>)>);

impl<'n> Told<'n> {
    fn of(span: &Span<'n>) -> Self {
        let mut told = Vec::with_capacity(span.attributes.len());
        for (name, value) in &span.attributes {
            if let Value::Text(text) = value
                && names::DETAILS.contains(name)
                && let Ok(node) = Node::parse(text)
            {
                let counts = node.members().iter().take(MOST_MEMBERS).filter(|(_, value)| !matches!(value, Node::Null));
                told.extend(counts.map(|(key, value)| {
                    let count = field::count(value, key).map_or(Value::Other, Value::Int);
                    (Cow::Owned(format!("{name}.{key}")), count)
                }));
            } else {
                told.push((Cow::Borrowed(*name), *value));
            }
        }
        Self(told)
    }

    /// The last attribute of that name.
    fn find(&self, name: &str) -> Option<Value<'n>> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// The count under the first of the names that has one which is not 0.
    fn count(&self, names: &[&str]) -> Result<Option<i64>, Fault> {
        let mut found = None;
        for name in names {
            match self.find(name).map(|value| whole(name, value)).transpose()? {
                Some(0) => found = Some(0),
                None => {}
                counted => return Ok(counted),
            }
        }
        Ok(found)
    }

    /// Whether something sounds like a count of a part that is neither read nor repeats what was.
    fn has_unread(&self, parts: &Parts<'_>) -> bool {
        let writes = parts.cache_write.saturating_add(parts.cache_write_1h);
        let uncached = parts.input.unwrap_or(0).saturating_sub(parts.cache_read).saturating_sub(writes);
        let read = [
            parts.input.unwrap_or(0),
            parts.output.unwrap_or(0),
            parts.output.unwrap_or(0).saturating_sub(parts.reasoning),
            parts.total.unwrap_or(0),
            uncached,
            parts.cache_read,
            writes,
            parts.cache_write,
            parts.cache_write_1h,
            parts.reasoning,
            parts.audio_in,
            parts.audio_out,
            parts.image_in,
            parts.image_out,
            parts.video_in,
            parts.web_searches,
        ];
        self.0.iter().any(|(name, value)| {
            let is_part = names::PARTS.iter().any(|names| names.contains(&&**name));
            (is_part || names::sounds_like_a_part(name))
                && whole(name, *value).is_ok_and(|count| count > 0 && !read.contains(&count))
        })
    }
}

/// A count; a fraction of zero is none.
fn whole(name: &str, value: Value<'_>) -> Result<i64, Fault> {
    let count = match value {
        Value::Int(count) => Some(count),
        Value::Double(value) => value.to_string().parse().ok(),
        _ => None,
    };
    match count {
        Some(count) if count < 0 => {
            Err(Fault::new(Reason::NegativeCount, format!("'{name}' is {count}; a count is never negative")))
        }
        Some(count) => Ok(count),
        None => Err(Fault::wrong_type(name, "not an intValue", "a whole number as intValue")),
    }
}

/// Langfuse's `usage_details`: parts that exclude each other under names of one's own, told apart by what they contain; or a usage object
/// as OpenAI's API has it. `None` where it is neither.
fn langfuse<'n>(text: &str) -> Result<Option<Used<'n>>, Fault> {
    let Ok(node) = Node::parse(text) else { return Ok(None) };
    let as_sent = node.get("prompt_tokens").is_some() || node.members().iter().any(|(_, value)| value.is_object());
    if as_sent {
        let reading = body::read(&node, Hint::default())?;
        return Ok(reading.map(|reading| Used {
            parts: reading.parts.into_owned(),
            notes: reading.notes,
            quality: reading.quality,
            tells_cache: true,
        }));
    }
    let mut used = Used { tells_cache: true, ..Used::default() };
    let (mut input, mut output, mut whole) = (0_i64, 0_i64, [0_i64; 2]);
    let (mut total, mut is_unread) = (None, false);
    let parts = &mut used.parts;
    for (key, value) in node.members().iter().take(MOST_MEMBERS).filter(|(_, value)| !matches!(value, Node::Null)) {
        let lower = key.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        let count = field::count(value, key)?;
        let slot = match () {
            () if has(&["total"]) => {
                total = Some(count);
                continue;
            }
            () if has(&["output", "completion", "reason"]) => {
                output = output.saturating_add(count);
                match () {
                    () if has(&["reason", "think"]) => &mut parts.reasoning,
                    () if has(&["audio"]) => &mut parts.audio_out,
                    () if has(&["image"]) => &mut parts.image_out,
                    () => &mut whole[1],
                }
            }
            () if has(&["input", "prompt", "cach"]) => {
                input = input.saturating_add(count);
                match () {
                    () if has(&["creat", "write"]) && has(&["1h"]) => &mut parts.cache_write_1h,
                    () if has(&["creat", "write"]) => &mut parts.cache_write,
                    () if has(&["cach"]) => &mut parts.cache_read,
                    () if has(&["audio"]) => &mut parts.audio_in,
                    () if has(&["image"]) => &mut parts.image_in,
                    () => &mut whole[0],
                }
            }
            () => {
                is_unread |= count > 0;
                continue;
            }
        };
        *slot = slot.saturating_add(count);
    }
    // Whoever sends parts beside the totals that include them shows it by the sum.
    if total.is_some() && total == whole[0].checked_add(whole[1]) {
        [input, output] = whole;
    }
    (parts.input, parts.output, parts.total) = (Some(input), Some(output), total);
    if used.parts.cache_write > 0 && used.parts.cache_write_1h == 0 {
        used.notes.insert(Note::CacheTtlAssumed);
    }
    if is_unread {
        used.estimated(Note::TokensUnexplained);
    }
    Ok(Some(used))
}
