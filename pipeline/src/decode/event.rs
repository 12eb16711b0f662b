//! Event v1, read from a JSON tree: the reference that the fast path must agree with, and the one that says what is wrong.

use std::borrow::Cow;

use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::ReportedCost;

use super::body::{self, Hint};
use super::call::Call;
use super::field::{amount, count_of, text_of};
use super::json::Node;
use super::reject::Fault;
use super::time::{Unit, micros};

/// The word in `payload_kind`.
pub(super) const KIND: &str = "event.v1";

/// True when the object means to be an event of ours rather than a provider's own response.
pub(super) fn recognises(node: &Node<'_>) -> bool {
    let ours = ["time", "provider", "source", "organization", "tenant"].iter().any(|key| node.get(key).is_some());
    node.get("usage").is_some() && ours && (node.get("time").is_some() || !is_response(node))
}

/// True when everything required is there: then it is ours whatever else it resembles.
pub(super) fn is_complete(node: &Node<'_>) -> bool {
    ["id", "time", "provider", "model", "usage"].iter().all(|key| node.get(key).is_some())
        && node.get("specversion").is_none()
}

/// True for a provider's response body, or an envelope that also carries `usage`.
pub(super) fn is_response(node: &Node<'_>) -> bool {
    const THEIRS: [&str; 8] =
        ["object", "choices", "candidates", "stopReason", "call_type", "schemaType", "properties", "custom_id"];
    THEIRS.iter().any(|key| node.get(key).is_some())
        || matches!(node.text_of("type"), Some("message" | "response.completed"))
}

/// Reads an event; `id` and `time` may still be missing, because an envelope around it may say them.
///
/// # Errors
/// The first field that is not what the schema says.
pub(super) fn read<'n>(node: &'n Node<'_>) -> Result<Call<'n>, Fault> {
    let mut call = Call::of_kind(KIND);
    for text in Text::ALL {
        if !text.event_name().is_empty() {
            call.row.texts.set_if_some(text, text_of(node, text.event_name())?);
        }
    }
    call.default_text(Text::Organization, text_of(node, "tenant")?);
    if let Some(status) = call.row.texts.get(Text::Status).filter(|status| !matches!(*status, "ok" | "error")) {
        let found = if status.len() < 16 { "another word" } else { "a long text" };
        return Err(Fault::wrong_type("status", found, "ok or error"));
    }
    if let Some(time) = node.get("time") {
        call.time_micros = Some(micros(time, "time", Unit::Millis)?);
    }
    call.row.latency_ms = count_of(node, "latency_ms")?;
    call.row.cache_hit = match node.get("cache_hit") {
        None => None,
        Some(Node::Bool(hit)) => Some(*hit),
        Some(other) => return Err(Fault::wrong_type("cache_hit", other.kind(), "true or false")),
    };
    call.row.reported_cost = reported_cost(node)?;
    tags(node, &mut call)?;
    usage(node, &mut call)?;
    Ok(call)
}

fn usage<'n>(node: &'n Node<'_>, call: &mut Call<'n>) -> Result<(), Fault> {
    let Some(usage) = node.get("usage") else {
        return Err(Fault::missing("usage", "send the provider's usage object, or the plain names"));
    };
    if !usage.is_object() {
        return Err(Fault::wrong_type("usage", usage.kind(), "an object"));
    }
    let hint = Hint { model: text_of(node, "model")?, ..Hint::default() };
    if let Some(mut reading) = body::read(usage, hint)? {
        // The event says when the call ended; when the response was created is something else.
        reading.time_micros = None;
        call.take(reading);
    }
    Ok(())
}

fn reported_cost<'n>(node: &'n Node<'_>) -> Result<Option<ReportedCost<'n>>, Fault> {
    let Some(cost) = node.get("reported_cost") else { return Ok(None) };
    if !cost.is_object() {
        return Err(Fault::wrong_type("reported_cost", cost.kind(), "{\"amount\": \"0.0123\", \"currency\": \"USD\"}"));
    }
    let Some(value) = cost.get("amount") else {
        return Err(Fault::missing("reported_cost.amount", "send a decimal as a text"));
    };
    let Some(value) = amount(value) else {
        return Err(Fault::wrong_type("reported_cost.amount", value.kind(), "a decimal as a text, such as \"0.0123\""));
    };
    let currency = text_of(cost, "currency")?.unwrap_or("USD");
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(Fault::wrong_type("reported_cost.currency", "no currency", "an ISO 4217 code such as USD"));
    }
    Ok(Some(ReportedCost { amount: value, currency: Cow::Borrowed(currency) }))
}

fn tags<'n>(node: &'n Node<'_>, call: &mut Call<'n>) -> Result<(), Fault> {
    let Some(tags) = node.get("tags") else { return Ok(()) };
    if !tags.is_object() {
        return Err(Fault::wrong_type("tags", tags.kind(), "an object of texts"));
    }
    // In order, so that the last of repeated keys counts.
    for (key, value) in tags.members() {
        match value {
            Node::Null => call.untag(key),
            Node::Text(value) => call.tag(key.as_ref(), value.as_ref()),
            other => {
                return Err(Fault::wrong_type(
                    "tags",
                    &format!("an object with {}", other.kind()),
                    "an object of texts",
                ));
            }
        }
    }
    Ok(())
}
