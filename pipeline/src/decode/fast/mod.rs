//! The hot path: event v1 as one JSON object with a common usage shape, in one pass, borrowed, without a tree.
//!
//! It takes only what it understands completely. On any doubt (another shape, an unknown count, a repeated key, a wrong type)
//! it declines, and [`super::items`] reads the same bytes again and decides; so it can never reject, and never differ.

mod cursor;
mod usage;
mod value;

use spendstream_schemas::dimension::Text;

use super::Sink;
use super::call::{Call, Context};
use super::event::KIND;
use cursor::Cursor;

/// Decodes one message into one row; `false`: not understood, nothing was emitted.
pub(super) fn decode(payload: &[u8], context: Context<'_>, sink: &mut dyn Sink) -> bool {
    if payload.first() != Some(&b'{') {
        return false;
    }
    let Ok(text) = simdutf8::basic::from_utf8(payload) else { return false };
    let mut call = Call::of_kind(KIND);
    if event(text, &mut call).is_none() {
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

/// Reads the object straight into the call; `None`: something is there that is not understood, or not there that is required.
fn event<'a>(text: &'a str, call: &mut Call<'a>) -> Option<()> {
    let mut cursor = Cursor::new(text);
    let (mut counted, mut tenant, mut tagged) = (None, None, false);
    cursor.object(|cursor, key| match field(&key) {
        Field::Text(text) => {
            let mut word = None;
            cursor.put(&mut word, Cursor::word)?;
            let first = call.row.texts.get(text).is_none();
            call.row.texts.set_if_some(text, word);
            first.then_some(())
        }
        Field::Tenant => cursor.put(&mut tenant, Cursor::word),
        Field::Time => cursor.put(&mut call.time_micros, Cursor::time),
        Field::Latency => cursor.put(&mut call.row.latency_ms, Cursor::count),
        Field::CacheHit => cursor.put(&mut call.row.cache_hit, Cursor::flag),
        Field::Usage => cursor.put(&mut counted, usage::read),
        Field::Tags => {
            let mut tags = None;
            cursor.put(&mut tags, value::tags)?;
            call.row.tags = tags.unwrap_or_default();
            (!std::mem::replace(&mut tagged, true)).then_some(())
        }
        Field::ReportedCost => cursor.put(&mut call.row.reported_cost, value::cost),
        Field::Foreign => None,
        Field::Unknown => cursor.skip(),
    })?;
    let known_status = matches!(call.row.texts.get(Text::Status), None | Some("ok" | "error"));
    let required = [Text::EventId, Text::ProviderSent, Text::Model];
    let complete = required.into_iter().all(|text| call.row.texts.get(text).is_some()) && call.time_micros.is_some();
    if !(cursor.is_end() && known_status && complete) {
        return None;
    }
    call.default_text(Text::Organization, tenant);
    counted?.into_call(call).then_some(())
}

#[cfg(test)]
mod tests;
