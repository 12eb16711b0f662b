//! The hot path: event v1 as one JSON object with a common usage shape, in one pass, borrowed, without a tree.
//!
//! It takes only what it understands completely. On any doubt (another shape, an unknown count, a repeated key, a wrong type)
//! it declines, and [`super::items`] reads the same bytes again and decides; so it can never reject, and never differ.

mod usage;
mod value;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::ReportedCost;

use super::Sink;
use super::call::{Call, Context};
use super::event::KIND;
use value::{Count, Flag, Key, Skip, Tags, Time, Word};

/// Decodes one message into one row; `false`: not understood, nothing was emitted.
pub(super) fn decode(payload: &[u8], context: Context<'_>, sink: &mut dyn Sink) -> bool {
    if payload.first() != Some(&b'{') {
        return false;
    }
    let mut call = Call::of_kind(KIND);
    let mut json = sonic_rs::Deserializer::from_slice(payload);
    let read = Event { call: &mut call }.deserialize(&mut json).and_then(|complete| json.end().map(|()| complete));
    if !matches!(read, Ok(true)) {
        return false;
    }
    let sealed = call.seal(context).is_ok();
    if sealed {
        sink.row(0, &call.row);
    }
    sealed
}

/// What a key of the event means here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Text(Text),
    Tenant,
    Time,
    Usage,
    Tags,
    Latency,
    CacheHit,
    ReportedCost,
    /// Another envelope: not for us.
    Foreign,
    Unknown,
}

fn field(key: &str) -> Field {
    let text = match (key.len(), key) {
        (2, "id") => Text::EventId,
        (3, "app") => Text::App,
        (4, "time") => return Field::Time,
        (4, "tags") => return Field::Tags,
        (4, "team") => Text::Team,
        (4, "user") => Text::UserId,
        (5, "usage") => return Field::Usage,
        (5, "model") => Text::Model,
        (5, "agent") => Text::Agent,
        (6, "source") => Text::EventSource,
        (6, "status") => Text::Status,
        (6, "region") => Text::Region,
        (6, "run_id") => Text::RunId,
        (6, "metric") => Text::Metric,
        (6, "tenant") => return Field::Tenant,
        (7, "project") => Text::Project,
        (7, "feature") => Text::Feature,
        (7, "item_id") => Text::ItemId,
        (8, "provider") => Text::ProviderSent,
        (8, "customer") => Text::Customer,
        (8, "endpoint") => Text::Endpoint,
        (9, "operation") => Text::Operation,
        (9, "task_type") => Text::TaskType,
        (9, "cache_hit") => return Field::CacheHit,
        (10, "department") => Text::Department,
        (10, "complexity") => Text::Complexity,
        (10, "session_id") => Text::SessionId,
        (10, "api_key_id") => Text::ApiKeyId,
        (10, "error_type") => Text::ErrorType,
        (10, "latency_ms") => return Field::Latency,
        (11, "environment") => Text::Environment,
        (11, "prompt_hash") => Text::PromptHash,
        (11, "response_id") => Text::ResponseId,
        (11, "specversion") | (12, "resourceLogs") | (13, "resourceSpans") | (15, "resourceMetrics") => {
            return Field::Foreign;
        }
        (12, "organization") => Text::Organization,
        (12, "service_tier") => Text::ServiceTier,
        (13, "reported_cost") => return Field::ReportedCost,
        (15, "billing_account") => Text::BillingAccount,
        _ => return Field::Unknown,
    };
    Field::Text(text)
}

/// Reads the object straight into the call; gives whether everything required was there.
struct Event<'c, 'de> {
    call: &'c mut Call<'de>,
}

impl<'de> DeserializeSeed<'de> for Event<'_, 'de> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Event<'_, 'de> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let call = self.call;
        let mut counted = None;
        let mut tenant = None;
        let mut tagged = false;
        while let Some(field) = map.next_key_seed(Key(field))? {
            match field {
                Field::Text(text) => {
                    let word = map.next_value::<Word<'de>>()?.0;
                    once(call.row.texts.get(text).is_none())?;
                    call.row.texts.set_if_some(text, word);
                }
                Field::Tenant => put(&mut tenant, map.next_value::<Word<'de>>()?.0)?,
                Field::Time => put(&mut call.time_micros, map.next_value::<Time>()?.0)?,
                Field::Latency => put(&mut call.row.latency_ms, map.next_value::<Count>()?.0)?,
                Field::CacheHit => put(&mut call.row.cache_hit, map.next_value::<Flag>()?.0)?,
                Field::Usage => put(&mut counted, map.next_value::<Option<usage::Usage<'de>>>()?)?,
                Field::Tags => {
                    once(!tagged)?;
                    tagged = true;
                    call.row.tags = map.next_value::<Option<Tags<'de>>>()?.map(|tags| tags.0).unwrap_or_default();
                }
                Field::ReportedCost => {
                    let cost = map.next_value::<Option<value::Cost<'de>>>()?;
                    put(
                        &mut call.row.reported_cost,
                        cost.map(|cost| ReportedCost { amount: cost.amount, currency: cost.currency }),
                    )?;
                }
                Field::Foreign => return Err(A::Error::custom("another envelope")),
                Field::Unknown => {
                    map.next_value_seed(Skip::ANY)?;
                }
            }
        }
        let known_status = matches!(call.row.texts.get(Text::Status), None | Some("ok" | "error"));
        let required = [Text::EventId, Text::ProviderSent, Text::Model];
        let complete =
            required.into_iter().all(|text| call.row.texts.get(text).is_some()) && call.time_micros.is_some();
        let Some(usage) = counted.filter(|_| known_status && complete) else { return Ok(false) };
        call.default_text(Text::Organization, tenant);
        Ok(usage.into_call(call))
    }
}

/// Declines a second value for the same thing: which of them counts is decided in one place only.
fn once<E: serde::de::Error>(first: bool) -> Result<(), E> {
    if first { Ok(()) } else { Err(E::custom("a repeated key")) }
}

fn put<T, E: serde::de::Error>(slot: &mut Option<T>, value: Option<T>) -> Result<(), E> {
    once(slot.is_none())?;
    *slot = value;
    Ok(())
}

#[cfg(test)]
mod tests;
