//! CloudEvents around any other shape: structured (the JSON carries `specversion`) and binary (headers `ce_…`).
//!
//! The envelope's id, source and time are the call's unless the event inside says its own.

use std::borrow::Cow;

use base64::Engine as _;
use spendstream_schemas::dimension::Text;

use super::call::{Call, Context};
use super::items::{Item, Out, boxed, finish, many, read};
use super::json::Node;
use super::reject::{Fault, Reason};
use super::time::{Unit, micros, rfc3339};
use super::{event, metering, otlp};
use crate::batch::Headers;

/// True when headers say that the value is not simply an event.
pub(super) fn concerned(headers: &Headers) -> bool {
    headers.get("ce_specversion").is_some() || headers.get("ce_id").is_some()
}

/// The attributes that matter here.
#[derive(Clone, Debug, Default)]
pub(super) struct Envelope<'n> {
    id: Option<&'n str>,
    source: Option<&'n str>,
    subject: Option<&'n str>,
    time_micros: Option<i64>,
}

impl<'n> Envelope<'n> {
    /// Of binary mode; `None` when the headers are not those of a `CloudEvent`.
    pub fn from_headers(headers: &'n Headers) -> Option<Self> {
        concerned(headers).then(|| Self {
            id: headers.get("ce_id"),
            source: headers.get("ce_source"),
            subject: headers.get("ce_subject"),
            time_micros: headers.get("ce_time").and_then(rfc3339),
        })
    }

    fn around(&self, call: &mut Call<'n>) {
        let kind = call.row.texts.get(Text::PayloadKind).unwrap_or_default();
        let kind =
            if kind.is_empty() { Cow::Borrowed("cloudevents") } else { Cow::Owned(format!("cloudevents+{kind}")) };
        // A response's own id is not the envelope's: it stays as `response_id`. But chunks of one stream are one call, whatever their envelopes.
        let own_id = kind == "cloudevents+event.v1" && call.row.texts.get(Text::EventId).is_some();
        let is_chunk = call.is_chunk && call.row.texts.get(Text::EventId).is_some_and(|id| !id.is_empty());
        if !own_id && !is_chunk {
            call.row.texts.set_if_some(Text::EventId, self.id);
        }
        call.row.texts.set(Text::PayloadKind, kind);
        call.default_text(Text::EventSource, self.source);
        call.default_text(Text::Customer, self.subject);
        if call.time_micros.is_none() || !own_id {
            call.time_micros = self.time_micros.or(call.time_micros);
        }
    }
}

/// Structured mode: the JSON is the envelope, `data` the item.
///
/// # Errors
/// Those of the item inside, or that there is none.
pub(super) fn structured<'n>(node: &'n Node<'_>, context: Context<'n>) -> Result<Item<'n>, Fault> {
    let time_micros = node.get("time").map(|time| micros(time, "time", Unit::Any)).transpose()?;
    let envelope = Envelope {
        id: node.text_of("id"),
        source: node.text_of("source"),
        subject: node.text_of("subject"),
        time_micros,
    };
    if let Some(encoded) = node.text_of("data_base64") {
        return encoded_data(encoded, &envelope, context);
    }
    let Some(data) = node.get("data") else {
        return Err(Fault::missing("data", "a CloudEvent carries its event in data or data_base64"));
    };
    inside(data, &envelope, context)
}

fn inside<'n>(data: &'n Node<'_>, envelope: &Envelope<'n>, context: Context<'n>) -> Result<Item<'n>, Fault> {
    let mut item = bare(data, context)?;
    if let Item::Call(call) = &mut item {
        envelope.around(call);
    }
    Ok(item)
}

/// The item inside, before the envelope fills what it leaves open.
fn bare<'n>(data: &'n Node<'_>, context: Context<'n>) -> Result<Item<'n>, Fault> {
    Ok(match metering::openmeter(data)? {
        Some(call) => boxed(call),
        // The envelope may say what the event then need not: id, source and time.
        None if data.get("usage").is_some() && !event::is_response(data) => boxed(event::read(data)?),
        None => read(data, context)?,
    })
}

/// JSON in base64 has to live somewhere while it is read; it is rare enough to be read as a text of its own.
fn encoded_data<'n>(encoded: &str, envelope: &Envelope<'n>, context: Context<'n>) -> Result<Item<'n>, Fault> {
    let fault = |what: &str| Fault::new(Reason::NotJson, format!("'data_base64' {what}"));
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).map_err(|_| fault("is not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| fault("is not UTF-8 text"))?;
    let node =
        Node::parse(&text).map_err(|error| fault(&format!("is not JSON: {} at byte {}", error.what, error.at)))?;
    match bare(&node, context)? {
        Item::Call(call) => {
            let mut owned = call.into_owned();
            envelope.around(&mut owned);
            Ok(boxed(owned))
        }
        Item::Ignored(why) => Ok(Item::Ignored(why)),
        Item::Spans => Err(fault("holds OTLP; send it as data")),
    }
}

/// Binary mode: the value is the item itself.
pub(super) fn binary(envelope: &Envelope<'_>, payload: &[u8], context: Context<'_>, out: &mut Out<'_>) {
    if !matches!(payload.first(), Some(b'{' | b'[')) && otlp::protobuf(payload, context, out) {
        return;
    }
    let parsed = std::str::from_utf8(payload).ok().and_then(|text| Node::parse(text).ok());
    let Some(node) = parsed else {
        let fault = Fault::new(Reason::NotJson, "the value of a CloudEvent in binary mode is not JSON");
        return out.reject(fault.keeping(None));
    };
    match &node {
        // One envelope cannot name many events: each must say its own id.
        Node::Array(nodes) => many(nodes, context, out),
        node => finish(inside(node, envelope, context), node, context, out),
    }
}
