//! A configured mapping from somebody's event to ours: paths in, a call out. Nothing is guessed here.

use std::borrow::Cow;

use spendstream_schemas::config::{DecodeConfig, MappingConfig};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::ReportedCost;

use super::body::{self, Hint, Told, add_plain};
use super::call::Call;
use super::field::{cost_of, count, loose_text};
use super::json::Node;
use super::reject::Fault;
use super::time::{Unit, micros};

/// The first configured mapping that applies to an item.
pub(super) fn of<'c>(node: &Node<'_>, limits: &'c DecodeConfig) -> Option<&'c MappingConfig> {
    limits.mappings.iter().find(|mapping| applies(mapping, node))
}

/// True when every path of `when` has its value; a mapping without conditions applies to everything.
fn applies(mapping: &MappingConfig, node: &Node<'_>) -> bool {
    mapping.when.iter().all(|(path, expected)| node.path(path).and_then(loose_text) == Some(expected.0.as_str()))
}

/// Where a mapped value comes from: their event, or a constant of the configuration.
enum Value<'n, 'j> {
    Node(&'n Node<'j>),
    Constant(&'n str),
}

impl<'n> Value<'n, '_> {
    fn text(&self) -> Option<&'n str> {
        match self {
            Value::Node(node) => loose_text(node),
            Value::Constant(text) => Some(text),
        }
    }
}

/// Reads an event by a mapping.
///
/// # Errors
/// The first mapped value that is not what its field needs.
pub(super) fn read<'n>(mapping: &'n MappingConfig, node: &'n Node<'_>) -> Result<Call<'n>, Fault> {
    let (mut call, mut told) = (Call::of_kind(mapping.name.as_str()), Told::default());
    for (field, path) in &mapping.fields {
        let value = match path.strip_prefix('=') {
            Some(constant) => Value::Constant(constant),
            None => match node.path(path) {
                Some(found) => Value::Node(found),
                None => continue,
            },
        };
        apply((&mut call, &mut told), field, &value, &mapping.fields, node)?;
    }
    Ok(call)
}

fn apply<'n>(
    (call, told): (&mut Call<'n>, &mut Told<'n>),
    field: &'n str,
    value: &Value<'n, '_>,
    fields: &'n std::collections::BTreeMap<String, String>,
    whole: &'n Node<'_>,
) -> Result<(), Fault> {
    if let Some(key) = field.strip_prefix("tags.") {
        if let Some(text) = value.text() {
            call.tag(key, text);
        }
        return Ok(());
    }
    if let Some(text) = Text::ALL.into_iter().find(|text| text.event_name() == field && !field.is_empty()) {
        let found = value.text().map(|value| if text == Text::Status { status(value) } else { value });
        call.row.texts.set_if_some(text, found);
        return Ok(());
    }
    match (field, value) {
        ("tenant", value) => call.default_text(Text::Organization, value.text()),
        ("time", Value::Node(node)) => call.time_micros = Some(micros(node, field, Unit::Any)?),
        ("latency_ms", Value::Node(node)) => call.row.latency_ms = Some(count(node, field)?),
        ("cache_hit", value) => {
            call.row.cache_hit = value.text().map(|text| matches!(text, "true" | "1" | "HIT" | "hit"));
        }
        ("reported_cost.amount", Value::Node(node)) => {
            let currency = fields.get("reported_cost.currency").map_or("USD", |path| match path.strip_prefix('=') {
                Some(constant) => constant,
                None => whole.path(path).and_then(Node::text).unwrap_or("USD"),
            });
            let is_currency = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
            call.row.reported_cost = cost_of(node)
                .filter(|_| is_currency)
                .map(|amount| ReportedCost { amount, currency: Cow::Borrowed(currency) });
        }
        ("usage", Value::Node(node)) => {
            let model = fields.get("model").and_then(|path| whole.path(path)).and_then(Node::text);
            if let Some(reading) = body::read(node, Hint { model, ..Hint::default() })? {
                call.take(reading);
            }
        }
        (meter, Value::Node(Node::Text(digits))) => {
            counted(call, told, meter, &Node::Number(digits))?;
        }
        (meter, Value::Node(node)) => {
            counted(call, told, meter, node)?;
        }
        (meter, Value::Constant(digits)) => {
            counted(call, told, meter, &Node::Number(digits))?;
        }
    }
    Ok(())
}

fn counted<'n>(call: &mut Call<'n>, told: &mut Told<'n>, meter: &'n str, value: &Node<'_>) -> Result<(), Fault> {
    if told.first(meter, value)? {
        add_plain(&mut call.parts, meter, value)?;
    }
    Ok(())
}

/// Their words and HTTP codes for success and failure.
fn status(sent: &str) -> &'static str {
    match sent {
        "error" | "failure" | "failed" | "false" => "error",
        code if code.parse::<u16>().is_ok_and(|code| code >= 400) => "error",
        _ => "ok",
    }
}
