//! The common usage shapes of the fast path: plain names, OpenAI chat and responses, Anthropic messages, Gemini.

use std::borrow::Cow;

use spendstream_schemas::note::Note;

use super::super::call::Call;
use super::super::parts::{Parts, default_writes};
use super::cursor::Cursor;

/// Counts by name, flat; the order groups them by shape.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Slot {
    // Plain.
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    AudioIn,
    ImageIn,
    Reasoning,
    AudioOut,
    WebSearches,
    // Shared by plain names, responses and Anthropic.
    Input,
    Output,
    // Chat.
    Prompt,
    Completion,
    // Chat and responses.
    Total,
    Cached,
    Written,
    PromptAudio,
    PromptImage,
    DetailReasoning,
    DetailAudio,
    // Anthropic.
    Creation,
    Read,
    Short,
    Long,
    Thinking,
    // Gemini.
    GeminiPrompt,
    GeminiTools,
    GeminiCached,
    Candidates,
    Thoughts,
    GeminiTotal,
}

const SLOTS: usize = Slot::GeminiTotal as usize + 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Count(Slot),
    /// Details of chat.
    PromptDetails,
    CompletionDetails,
    /// Details of responses.
    InputDetails,
    OutputDetails,
    Creation,
    Tier,
    /// Not understood here.
    Other,
}

fn field(key: &str) -> Field {
    Field::Count(match (key.len(), key) {
        (12, "input_tokens") => Slot::Input,
        (13, "output_tokens") => Slot::Output,
        (13, "prompt_tokens") => Slot::Prompt,
        (17, "completion_tokens") => Slot::Completion,
        (12, "total_tokens") => Slot::Total,
        (21, "prompt_tokens_details") => return Field::PromptDetails,
        (25, "completion_tokens_details") => return Field::CompletionDetails,
        (20, "input_tokens_details") => return Field::InputDetails,
        (21, "output_tokens_details") => return Field::OutputDetails,
        (17, "cache_read_tokens") => Slot::CacheRead,
        (18, "cache_write_tokens") => Slot::CacheWrite,
        (21, "cache_write_1h_tokens") => Slot::CacheWrite1h,
        (18, "audio_input_tokens") => Slot::AudioIn,
        (18, "image_input_tokens") => Slot::ImageIn,
        (16, "reasoning_tokens") => Slot::Reasoning,
        (19, "audio_output_tokens") => Slot::AudioOut,
        (12, "web_searches") => Slot::WebSearches,
        (27, "cache_creation_input_tokens") => Slot::Creation,
        (23, "cache_read_input_tokens") => Slot::Read,
        (14, "cache_creation") => return Field::Creation,
        (12, "service_tier") => return Field::Tier,
        (16, "promptTokenCount") => Slot::GeminiPrompt,
        (23, "toolUsePromptTokenCount") => Slot::GeminiTools,
        (23, "cachedContentTokenCount") => Slot::GeminiCached,
        (20, "candidatesTokenCount") => Slot::Candidates,
        (18, "thoughtsTokenCount") => Slot::Thoughts,
        (15, "totalTokenCount") => Slot::GeminiTotal,
        _ => return Field::Other,
    })
}

fn detail(key: &str) -> Field {
    Field::Count(match key {
        "cached_tokens" => Slot::Cached,
        "cache_write_tokens" => Slot::Written,
        "audio_tokens" => Slot::PromptAudio,
        "image_tokens" => Slot::PromptImage,
        _ => return Field::Other,
    })
}

fn output_detail(key: &str) -> Field {
    Field::Count(match key {
        "reasoning_tokens" => Slot::DetailReasoning,
        "audio_tokens" => Slot::DetailAudio,
        "thinking_tokens" => Slot::Thinking,
        _ => return Field::Other,
    })
}

fn lifetime(key: &str) -> Field {
    Field::Count(match key {
        "ephemeral_5m_input_tokens" => Slot::Short,
        "ephemeral_1h_input_tokens" => Slot::Long,
        _ => return Field::Other,
    })
}

/// Counts that name only a part of what is counted elsewhere.
fn is_silent(key: &str) -> bool {
    matches!(key, "accepted_prediction_tokens" | "rejected_prediction_tokens" | "text_tokens")
}

#[derive(Debug, Default)]
pub(super) struct Usage<'a> {
    counts: [Option<i64>; SLOTS],
    tier: Option<Cow<'a, str>>,
    /// Which nested objects were there.
    nested: [bool; 5],
}

/// The nested objects.
#[derive(Clone, Copy)]
enum Nested {
    Prompt,
    Completion,
    Input,
    Output,
    Creation,
}

/// Reads a usage object.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>) -> Option<Usage<'a>> {
    let mut usage = Usage::default();
    cursor.object(|cursor, key| match field(&key) {
        Field::Count(slot) => cursor.put(&mut usage.counts[slot as usize], Cursor::count),
        Field::PromptDetails => usage.details(cursor, Nested::Prompt, detail),
        Field::CompletionDetails => usage.details(cursor, Nested::Completion, output_detail),
        Field::InputDetails => usage.details(cursor, Nested::Input, detail),
        Field::OutputDetails => usage.details(cursor, Nested::Output, output_detail),
        Field::Creation => usage.details(cursor, Nested::Creation, lifetime),
        Field::Tier => cursor.put(&mut usage.tier, Cursor::word),
        Field::Other => None,
    })?;
    Some(usage)
}

impl<'a> Usage<'a> {
    /// Reads the counts of a nested object; one that comes twice is declined, for the last would have to replace the first.
    fn details(&mut self, cursor: &mut Cursor<'a>, which: Nested, names: fn(&str) -> Field) -> Option<()> {
        let counts = &mut self.counts;
        let mut there = None;
        cursor.put(&mut there, |cursor| {
            cursor.object(|cursor, key| match names(&key) {
                Field::Count(slot) => cursor.put(&mut counts[slot as usize], Cursor::count),
                _ if is_silent(&key) => cursor.skip(),
                _ => None,
            })
        })?;
        let first = !std::mem::replace(&mut self.nested[which as usize], there.is_some());
        first.then_some(())
    }

    fn has(&self, nested: [Nested; 2]) -> bool {
        nested.into_iter().any(|which| self.nested[which as usize])
    }

    fn get(&self, slot: Slot) -> i64 {
        self.counts[slot as usize].unwrap_or(0)
    }

    fn any(&self, from: Slot, to: Slot) -> bool {
        self.counts[from as usize..=to as usize].iter().any(Option::is_some)
    }

    /// Puts the counts into the call by their shape; `false` when shapes are mixed or nothing is known.
    pub fn into_call(self, call: &mut Call<'a>) -> bool {
        let plain = self.any(Slot::CacheRead, Slot::WebSearches);
        let shared = self.any(Slot::Input, Slot::Output);
        let chat = self.any(Slot::Prompt, Slot::Completion);
        let anthropic = self.any(Slot::Creation, Slot::Read) || self.has([Nested::Creation; 2]);
        let thinking = self.counts[Slot::Thinking as usize].is_some();
        let chat_details = self.has([Nested::Prompt, Nested::Completion]);
        let responses_details = self.has([Nested::Input, Nested::Output]);
        let detailed = responses_details || self.counts[Slot::Total as usize].is_some();
        let gemini = self.any(Slot::GeminiPrompt, Slot::GeminiTotal);
        let others = self.any(Slot::CacheRead, Slot::Thinking) || self.nested.contains(&true) || self.tier.is_some();
        let parts = match (chat, anthropic, detailed) {
            _ if gemini && !others && !shared && !chat && self.any(Slot::GeminiPrompt, Slot::GeminiPrompt) => {
                self.gemini()
            }
            _ if gemini => return false,
            (true, false, _) if !plain && !shared && !responses_details && !thinking => self.chat(),
            (false, true, _)
                if !plain && !chat_details && !self.any(Slot::Total, Slot::DetailAudio) && self.lifetimes_fit() =>
            {
                self.anthropic(call)
            }
            (false, false, true) if !plain && !chat_details && !thinking => self.responses(),
            (false, false, false) if (plain || shared) && !chat_details => self.plain(),
            _ => return false,
        };
        call.parts = parts;
        call.take_tier(self.tier);
        true
    }

    fn plain(&self) -> Parts<'a> {
        Parts {
            input: self.counts[Slot::Input as usize],
            output: self.counts[Slot::Output as usize],
            cache_read: self.get(Slot::CacheRead),
            cache_write: self.get(Slot::CacheWrite),
            cache_write_1h: self.get(Slot::CacheWrite1h),
            audio_in: self.get(Slot::AudioIn),
            image_in: self.get(Slot::ImageIn),
            reasoning: self.get(Slot::Reasoning),
            audio_out: self.get(Slot::AudioOut),
            web_searches: self.get(Slot::WebSearches),
            ..Parts::default()
        }
    }

    fn responses(&self) -> Parts<'a> {
        Parts {
            input: self.counts[Slot::Input as usize],
            output: self.counts[Slot::Output as usize],
            total: self.counts[Slot::Total as usize],
            cache_read: self.get(Slot::Cached),
            cache_write: self.get(Slot::Written),
            audio_in: self.get(Slot::PromptAudio),
            image_in: self.get(Slot::PromptImage),
            reasoning: self.get(Slot::DetailReasoning),
            audio_out: self.get(Slot::DetailAudio),
            ..Parts::default()
        }
    }

    fn chat(&self) -> Parts<'a> {
        let mut parts = self.responses();
        parts.input = self.counts[Slot::Prompt as usize];
        parts.output = self.counts[Slot::Completion as usize];
        let beside = parts.output.map(|output| output.saturating_add(parts.reasoning));
        if parts.reasoning > 0
            && parts.total.is_some()
            && parts.total == parts.input.unwrap_or(0).checked_add(beside.unwrap_or(0))
        {
            parts.output = beside;
        }
        parts
    }

    /// As `body::gemini` reads it, without modalities and traffic type, which are declined.
    fn gemini(&self) -> Parts<'a> {
        let (candidates, thoughts) = (self.counts[Slot::Candidates as usize], self.counts[Slot::Thoughts as usize]);
        let prompt = self.counts[Slot::GeminiPrompt as usize];
        Parts {
            input: prompt.map(|prompt| prompt.saturating_add(self.get(Slot::GeminiTools))),
            output: candidates.or(thoughts).map(|_| candidates.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
            total: self.counts[Slot::GeminiTotal as usize],
            cache_read: self.get(Slot::GeminiCached),
            reasoning: self.get(Slot::Thoughts),
            ..Parts::default()
        }
    }

    /// A split that is more than the whole is not for us.
    fn lifetimes_fit(&self) -> bool {
        default_writes(self.counts[Slot::Creation as usize], self.get(Slot::Short), self.get(Slot::Long)).is_ok()
    }

    fn anthropic(&self, call: &mut Call<'a>) -> Parts<'a> {
        let long = self.get(Slot::Long);
        let writes = self.counts[Slot::Creation as usize];
        let short = self.get(Slot::Short);
        let parts = Parts {
            output: self.counts[Slot::Output as usize],
            cache_read: self.get(Slot::Read),
            cache_write: writes.map_or(short, |writes| writes.saturating_sub(long).max(short)),
            cache_write_1h: long,
            reasoning: self.get(Slot::Thinking),
            ..Parts::default()
        };
        // A split may tell of fewer writes than there were.
        let told =
            self.nested[Nested::Creation as usize] && writes.is_none_or(|writes| short.saturating_add(long) >= writes);
        if parts.cache_write > 0 && !told {
            call.row.notes.insert(Note::CacheTtlAssumed);
        }
        let cached = [parts.cache_read, parts.cache_write, parts.cache_write_1h];
        let input = self.counts[Slot::Input as usize];
        Parts { input: input.map(|input| cached.iter().fold(input, |sum, part| sum.saturating_add(*part))), ..parts }
    }
}
