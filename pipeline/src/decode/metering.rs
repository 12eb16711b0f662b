//! Metering events with free properties, by the names their documentation uses: `OpenMeter` (inside a `CloudEvent`) and Lago.
//!
//! Other names are read by a configured mapping, which comes first.

use spendstream_schemas::dimension::Text;

use super::body::{self, Hint};
use super::call::Call;
use super::field::{count, loose_text};
use super::json::Node;
use super::parts::Parts;
use super::reject::{Fault, Reason};
use super::time::{Unit, micros};

/// `OpenMeter`'s usual `data`: `model` and `tokens` with `type`, or `input` and `output`. `None` when it is something else.
///
/// # Errors
/// When a count is not one.
pub(super) fn openmeter<'n>(data: &'n Node<'_>) -> Result<Option<Call<'n>>, Fault> {
    let counted = ["tokens", "total_tokens", "input", "output"].iter().any(|key| data.get(key).is_some_and(is_number));
    if data.text_of("model").is_none() || !counted || data.get("usage").is_some() || data.get("prompt_tokens").is_some()
    {
        return Ok(None);
    }
    free(data, "openmeter").map(Some)
}

/// Lago's event: `transaction_id` and free `properties`.
///
/// # Errors
/// When a count or the timestamp is not one.
pub(super) fn lago<'n>(node: &'n Node<'_>) -> Result<Option<Call<'n>>, Fault> {
    let (Some(id), Some(properties)) = (node.text_of("transaction_id"), node.get("properties")) else {
        return Ok(None);
    };
    let mut call = free(properties, "lago")?;
    let texts = &mut call.row.texts;
    texts.set(Text::EventId, id);
    texts.set_if_some(Text::EventSource, node.text_of("external_subscription_id"));
    texts.set_if_some(Text::Customer, node.text_of("external_subscription_id"));
    texts.set_if_some(Text::Organization, node.text_of("organization_id"));
    if texts.get(Text::Feature).is_none() {
        texts.set_if_some(Text::Feature, node.text_of("code"));
    }
    if let Some(time) = node.get("timestamp") {
        call.time_micros = Some(micros(time, "timestamp", Unit::Any)?);
    }
    Ok(Some(call))
}

fn is_number(node: &Node<'_>) -> bool {
    match node {
        Node::Number(_) => true,
        Node::Text(text) => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
        _ => false,
    }
}

/// Metering events often carry their numbers as texts.
fn loose_count(node: &Node<'_>, name: &str) -> Result<i64, Fault> {
    match node {
        Node::Text(text) if is_number(node) => count(&Node::Number(text), name),
        node => count(node, name),
    }
}

fn free<'n>(properties: &'n Node<'_>, kind: &'static str) -> Result<Call<'n>, Fault> {
    let mut call = Call::of_kind(kind);
    for text in Text::ALL {
        let skipped = matches!(text, Text::EventId | Text::Status | Text::ServiceTier) || text.event_name().is_empty();
        if !skipped {
            call.row.texts.set_if_some(text, properties.get(text.event_name()).and_then(loose_text));
        }
    }
    let hint = Hint { model: properties.text_of("model"), ..Hint::default() };
    let texts_only = properties.members().iter().all(|(_, value)| !matches!(value, Node::Number(_) | Node::Object(_)));
    if !texts_only && let Some(mut reading) = body::read(properties, hint)? {
        if reading.parts.cache_read == 0 {
            reading.parts.cache_read = cached(properties)?;
        }
        let tokens = properties.get("tokens").or_else(|| properties.get("total_tokens"));
        if reading.parts.input.is_some() || reading.parts.output.is_some() || tokens.is_none() {
            call.take(reading);
            return Ok(call);
        }
    }
    call.parts = counts(properties)?;
    Ok(call)
}

/// Input that was read from a cache, by the names of free properties; it is within the input.
fn cached(properties: &Node<'_>) -> Result<i64, Fault> {
    let found = ["cache_read_tokens", "cached_tokens"].iter().find_map(|key| Some((key, properties.get(key)?)));
    found.map_or(Ok(0), |(key, value)| loose_count(value, key))
}

fn counts<'n>(properties: &Node<'_>) -> Result<Parts<'n>, Fault> {
    let first = |keys: &[&str]| -> Result<Option<i64>, Fault> {
        let found = keys.iter().find_map(|key| properties.get(key).map(|value| (*key, value)));
        found.map(|(key, value)| loose_count(value, key)).transpose()
    };
    let mut parts = Parts {
        input: first(&["input_tokens", "prompt_tokens", "input"])?,
        output: first(&["output_tokens", "completion_tokens", "output"])?,
        cache_read: cached(properties)?,
        ..Parts::default()
    };
    if parts.input.is_none() && parts.output.is_none() {
        let tokens = first(&["tokens", "total_tokens"])?;
        match properties.text_of("type").or_else(|| properties.text_of("token_type")) {
            Some("input" | "system" | "prompt") => parts.input = tokens,
            Some("output" | "completion") => parts.output = tokens,
            _ if tokens.is_some() => {
                let detail = "'type' is missing; tokens are priced as input or output: send type = input or output, or both counts";
                return Err(Fault::new(Reason::MissingField, detail));
            }
            _ => {}
        }
    }
    Ok(parts)
}
