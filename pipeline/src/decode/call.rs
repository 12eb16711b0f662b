//! One call on its way to a row: what an envelope and a body said is gathered here, checked once, and emitted whole or not at all.

use std::borrow::Cow;

use rust_decimal::Decimal;
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::money::Amount;
use spendstream_schemas::note::{CostQuality, Note};
use spendstream_schemas::usage_event::{ReportedCost, UsageRow};

use super::body::{self, Extra, Reading};
use super::parts::Parts;
use super::reject::{Fault, Reason};
use super::secret;
use super::time;

/// What every item of a message is judged by.
#[derive(Clone, Copy)]
pub(super) struct Context<'c> {
    pub limits: &'c DecodeConfig,
    /// The Kafka record's timestamp, milliseconds.
    pub message_ms: Option<i64>,
    /// The item is the last of several chunks of one stream: it is the call even if it says that the stream goes on.
    pub speaks_for_stream: bool,
}

/// Tags that are looked at; one more is read, so that they are too many.
const MOST_TAGS: usize = spendstream_schemas::config::MOST_TAGS;

/// A call under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Call<'n> {
    pub row: UsageRow<'n>,
    pub time_micros: Option<i64>,
    pub parts: Parts<'n>,
    pub extra: Vec<Extra<'n>>,
    /// The end of a stream: its own id is the call's, whatever is around it.
    pub is_chunk: bool,
}

impl<'n> Call<'n> {
    pub fn of_kind(kind: impl Into<Cow<'n, str>>) -> Self {
        let mut call = Self::default();
        call.row.texts.set(Text::PayloadKind, kind);
        call
    }

    /// Sets a text unless something more explicit did.
    pub fn default_text(&mut self, text: Text, value: Option<impl Into<Cow<'n, str>>>) {
        if self.row.texts.get(text).is_none() {
            self.row.texts.set_if_some(text, value);
        }
    }

    /// Takes the service tier that a body told, unless the call has one already. What was asked for with `auto` is not yet what was got:
    /// a word that says nothing gives way to one that does, and a tier that providers fall back from to what the answer says.
    pub fn take_tier(&mut self, told: Option<impl Into<Cow<'n, str>>>) {
        let told: Option<Cow<'n, str>> = told.map(Into::into);
        let says = told.as_deref().is_some_and(|told| !body::is_silent_tier(told));
        let answered = told.as_deref().filter(|told| says || body::is_standard_tier(told));
        let gives_way = |own: &str| answered.is_some_and(|told| body::falls_back(own, told));
        match self.row.texts.get(Text::ServiceTier) {
            Some(own) if !(says && body::is_silent_tier(own) || gives_way(own)) => {}
            _ => self.row.texts.set_if_some(Text::ServiceTier, told),
        }
    }

    pub fn tag(&mut self, key: impl Into<Cow<'n, str>>, value: impl Into<Cow<'n, str>>) {
        // More are too many whatever the limit is, and looking for each among all of them would take minutes.
        if self.row.tags.len() > MOST_TAGS {
            return;
        }
        let (key, value) = (key.into(), value.into());
        match self.row.tags.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => self.row.tags.push((key, value)),
        }
    }

    /// Removes a tag.
    pub fn untag(&mut self, key: &str) {
        if self.row.tags.len() <= MOST_TAGS {
            self.row.tags.retain(|(name, _)| name != key);
        }
    }

    /// Takes over what a body said; what the envelope said before stays.
    pub fn take(&mut self, reading: Reading<'n>) {
        self.default_text(Text::Model, reading.model);
        if self.row.model_answered.is_none() && reading.model != self.row.texts.get(Text::Model) {
            self.row.model_answered = reading.model.map(Cow::Borrowed);
        }
        self.default_text(Text::ProviderSent, reading.provider);
        self.default_text(Text::ResponseId, reading.response_id);
        self.default_text(Text::Operation, reading.operation);
        if reading.is_not_fast && self.row.texts.get(Text::ServiceTier).is_some_and(body::is_fast) {
            self.row.texts.set(Text::ServiceTier, "standard");
        }
        self.take_tier(reading.service_tier);
        self.default_text(Text::Region, reading.region);
        if reading.failed {
            self.row.texts.set(Text::Status, "error");
        }
        self.time_micros = self.time_micros.or(reading.time_micros);
        self.row.latency_ms = self.row.latency_ms.or(reading.latency_ms);
        self.row.notes = self.row.notes.union(reading.notes);
        self.row.quality = self.row.quality.max(reading.quality);
        if self.row.reported_cost.is_none() {
            self.row.reported_cost =
                reading.reported_usd.map(|amount| ReportedCost { amount, currency: Cow::Borrowed("USD") });
        }
        self.parts = reading.parts;
        self.extra = reading.extra;
    }

    pub fn failed(&self) -> bool {
        self.row.texts.get(Text::Status) == Some("error")
    }

    /// A copy that borrows from nothing.
    pub fn into_owned<'o>(self) -> Call<'o> {
        let mut row = UsageRow {
            time_micros: self.row.time_micros,
            latency_ms: self.row.latency_ms,
            cache_hit: self.row.cache_hit,
            counts: self.row.counts,
            committed: self.row.committed,
            notes: self.row.notes,
            quality: self.row.quality,
            model_answered: self.row.model_answered.map(owned),
            ..UsageRow::default()
        };
        for (text, value) in self.row.texts.iter() {
            row.texts.set_if_some(text, value.map(str::to_owned));
        }
        row.tags = self.row.tags.into_iter().map(|(key, value)| (owned(key), owned(value))).collect();
        row.reported_cost =
            self.row.reported_cost.map(|cost| ReportedCost { amount: cost.amount, currency: owned(cost.currency) });
        let extra = |extra: Extra<'n>| Extra {
            provider: extra.provider.map(owned),
            model: extra.model.map(owned),
            parts: extra.parts.into_owned(),
            notes: extra.notes,
            reported_usd: extra.reported_usd,
            cache_hit: extra.cache_hit,
        };
        let extra = self.extra.into_iter().map(extra).collect();
        Call { row, time_micros: self.time_micros, parts: self.parts.into_owned(), extra, is_chunk: self.is_chunk }
    }

    /// Checks everything and hands the rows over: the call itself, then what it charges beside.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing was handed over then.
    pub fn finish(mut self, context: Context<'_>, rows: &mut Vec<UsageRow<'n>>) -> Result<(), Fault> {
        self.check(context)?;
        let template = (!self.extra.is_empty()).then(|| self.row.clone());
        charge(&mut self.row, self.parts)?;
        let mut made = vec![self.row];
        for (extra, number) in self.extra.into_iter().zip(1..) {
            if let Some(template) = &template {
                let mut row = beside(template, &extra, number);
                charge(&mut row, extra.parts)?;
                made.push(row);
            }
        }
        rows.extend(made);
        Ok(())
    }

    /// Completes the row of a call that charges nothing beside, in place.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn seal(&mut self, context: Context<'_>) -> Result<(), Fault> {
        self.check(context)?;
        charge(&mut self.row, std::mem::take(&mut self.parts))
    }

    fn check(&mut self, context: Context<'_>) -> Result<(), Fault> {
        // Vectors have no output: the sum of Voyage and Jina is the input.
        if self.parts.says_nothing() && self.makes_vectors() {
            self.parts.input = self.parts.total;
        }
        let nothing = self.parts.says_nothing() && self.extra.is_empty();
        if nothing && !self.failed() && self.row.cache_hit != Some(true) {
            let advice = "send the provider's usage object, or the plain names such as input_tokens and output_tokens";
            return Err(Fault::new(Reason::MissingField, format!("'usage' has no count that is known; {advice}")));
        }
        self.defaults()?;
        let Some(time) = self.time_micros else { return Err(Fault::missing("time", "send when the call ended")) };
        time::check(time, context.message_ms)?;
        self.row.time_micros = time;
        let all = std::iter::once(&self.parts).chain(self.extra.iter().map(|extra| &extra.parts));
        all.into_iter().try_for_each(|parts| parts.within(context.limits.max_count))?;
        let most = context.limits.max_text_bytes;
        self.row.model_answered = self.row.model_answered.take().filter(|model| model.len() <= most);
        bounded(&self.row, context.limits)?;
        secret::clean(&mut self.row);
        reported_fits(&self.row)
    }

    fn makes_vectors(&self) -> bool {
        let provider = self.row.texts.get(Text::ProviderSent).unwrap_or_default().to_ascii_lowercase();
        let operation = self.row.texts.get(Text::Operation).unwrap_or_default();
        ["voyage", "jina"].iter().any(|name| provider.starts_with(name))
            || ["embed", "rerank"].iter().any(|name| operation.starts_with(name))
    }

    fn defaults(&mut self) -> Result<(), Fault> {
        let texts = &mut self.row.texts;
        if texts.get(Text::EventId).is_none() {
            return Err(Fault::missing("id", "send a text that is unique per call"));
        }
        if texts.get(Text::ProviderSent).is_none() {
            return Err(Fault::missing("provider", "send the provider's name, such as openai or anthropic"));
        }
        if texts.get(Text::Model).is_none() {
            return Err(Fault::missing("model", "send the model's name as the provider knows it"));
        }
        if texts.get(Text::Operation).is_none() {
            texts.set(Text::Operation, "chat");
        }
        if texts.get(Text::Status).is_none() {
            texts.set(Text::Status, "ok");
        }
        self.row.committed |=
            is_committed(texts.get(Text::ProviderSent), texts.get(Text::Model), texts.get(Text::ServiceTier));
        Ok(())
    }
}

fn owned<'o>(text: Cow<'_, str>) -> Cow<'o, str> {
    Cow::Owned(text.into_owned())
}

/// Service tiers that run on capacity which is paid for otherwise.
fn is_commitment(tier: &str) -> bool {
    // `provisioned-throughput` is the same word.
    let same =
        |sent: u8, known: u8| sent.eq_ignore_ascii_case(&known) || (known == b'_' && matches!(sent, b'-' | b' '));
    ["scale", "reserved", "provisioned", "provisioned_throughput"].iter().any(|known| {
        known.len() == tier.len() && tier.bytes().zip(known.bytes()).all(|(sent, known)| same(sent, known))
    })
}

/// Whether a call ran on capacity that is paid for otherwise, by what was sent. Besides the tiers of that name a provider sells it under names of its
/// own: Bedrock's provisioned models; Anthropic's priority tier, which answers only who committed to it, and says `standard` for what goes beyond.
pub fn is_committed(provider: Option<&str>, model: Option<&str>, tier: Option<&str>) -> bool {
    let is = |sent: Option<&str>, word: &str| sent.is_some_and(|sent| sent.eq_ignore_ascii_case(word));
    tier.is_some_and(is_commitment)
        || model.is_some_and(|model| model.contains(":provisioned-model/"))
        || (is(tier, "priority") && is(provider, "anthropic"))
}

/// Puts checked counts into a row.
fn charge<'n>(row: &mut UsageRow<'n>, parts: Parts<'n>) -> Result<(), Fault> {
    let checked = parts.check()?;
    row.counts = checked.counts;
    row.quantities = checked.quantities;
    row.notes = row.notes.union(checked.notes);
    row.quality = row.quality.max(checked.quality);
    // The longer lifetime costs more: by the default one the cost may be too low.
    if row.notes.contains(Note::CacheTtlAssumed) {
        row.quality = row.quality.max(CostQuality::Estimated);
    }
    if row.cache_hit == Some(true) {
        row.notes.insert(Note::ResponseCacheHit);
    }
    if row.texts.get(Text::Status) == Some("error") && row.counts.is_zero() && row.quantities.is_empty() {
        row.notes.insert(Note::NoUsage);
    }
    Ok(())
}

/// The row of something that the call charges beside its own totals.
fn beside<'n>(call: &UsageRow<'n>, extra: &Extra<'n>, number: usize) -> UsageRow<'n> {
    let mut row = call.clone();
    let id = format!("{}#{number}", row.texts.get(Text::EventId).unwrap_or_default());
    row.texts.set(Text::EventId, id);
    row.texts.set_if_some(Text::ProviderSent, extra.provider.clone());
    if extra.model.is_some() {
        row.texts.set_if_some(Text::Model, extra.model.clone());
        row.model_answered = None;
    }
    secret::clean(&mut row);
    // The response and its reported cost belong to the first row; counted once, they stay true in sums.
    row.texts.set(Text::ResponseId, "");
    row.reported_cost = extra.reported_usd.map(|amount| ReportedCost { amount, currency: Cow::Borrowed("USD") });
    row.latency_ms = None;
    row.cache_hit = extra.cache_hit.or(row.cache_hit);
    row.notes = row.notes.union(extra.notes);
    row
}

fn bounded(row: &UsageRow<'_>, limits: &DecodeConfig) -> Result<(), Fault> {
    let most = limits.max_text_bytes;
    let long = |name: &str, length: usize| {
        Fault::new(
            Reason::TextTooLong,
            format!("'{name}' has {length} bytes, more than decode.max_text_bytes = {most}"),
        )
    };
    for (text, value) in row.texts.iter() {
        if let Some(value) = value.filter(|value| value.len() > most) {
            let name = if text.event_name().is_empty() { text.column() } else { text.event_name() };
            return Err(long(name, value.len()));
        }
    }
    if row.tags.len() > limits.max_tags {
        let (count, more) = (row.tags.len(), if row.tags.len() > MOST_TAGS { " or more" } else { "" });
        let detail = format!("'tags' has {count}{more} entries, more than decode.max_tags = {}", limits.max_tags);
        return Err(Fault::new(Reason::TooManyTags, detail));
    }
    for (key, value) in &row.tags {
        if key.len().max(value.len()) > most {
            return Err(long("tags", key.len().max(value.len())));
        }
    }
    Ok(())
}

fn reported_fits(row: &UsageRow<'_>) -> Result<(), Fault> {
    match &row.reported_cost {
        Some(cost) if cost.amount < Decimal::ZERO || Amount::from_decimal(cost.amount).is_err() => {
            Err(Fault::wrong_type("reported_cost.amount", "out of range", "a decimal from 0 to below 10^13"))
        }
        _ => Ok(()),
    }
}
