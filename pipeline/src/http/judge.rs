//! What posted bodies hold, judged by the decoder that the consumer uses: bodies in, [`Item`]s or [`Spans`] out. Pure.
//!
//! What leaves never has prompts, completions or keys in it. What is handed on is decoded a second time, and the first of these goes on
//! that tells the same as what was posted:
//!
//! 1. only what decoders read, 2. the item as it is built, with its texts and figures gone: both must decode to the very same;
//! 3. the rows themselves as events ([`event_json`]): nothing is lost but the payload's kind, a span's ids and which assumption was
//!    made, and what was estimated stays so;
//! 4. whichever of them has the same charges for the same calls: names are lost, figures are not.
//!
//! If none does, the item is refused: better told to the caller, who can send an event, than charged wrong or written with its content.
//! What cannot be read is handed on (where the caller asks for that) as what is left of it, if that cannot be read either, else
//! as a word of how long it was.
//!
//! Two things only the consumer knows: that an item repeats one (dropped) and that its id came with other content
//! (`id_conflict`, a dead letter).

use std::collections::HashMap;

use axum::body::Bytes;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::note::{CostQuality, Notes};
use spendstream_schemas::usage_event::{Texts, UsageRow};

use super::problem::Refusal;
use crate::batch::{Headers, RawMessage};
use crate::columns::events::quantity_units;
use crate::dead_letter::event_json;
use crate::decode::reject::{Reason, Reject};
use crate::decode::secret::{REMOVED, looks_secret, masked};
use crate::decode::{Decoder, Ignored, Sink, door};

/// A longer text is no id.
const LONGEST_KEY: usize = 1_025;
/// By what a call is known and priced, beside its figures.
const CHARGED: [Text; 8] = [
    Text::EventId,
    Text::EventSource,
    Text::Organization,
    Text::ProviderSent,
    Text::Model,
    Text::Operation,
    Text::ServiceTier,
    Text::Region,
];

/// Why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub reason: Reason,
    /// One line, never content.
    pub detail: String,
}

/// One posted event: what the topic would get, and whether it can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it was in the body; where its chunks were, as those of one stream go together.
    pub indexes: Vec<usize>,
    pub key: String,
    pub payload: Bytes,
    /// `None`: it can be read.
    pub fault: Option<Fault>,
}

/// The spans of one OTLP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// Key and payload of what the topic would get: a message per trace.
    pub messages: Vec<(String, Bytes)>,
    pub faults: Vec<Fault>,
}

/// Judges what is posted at one moment.
pub struct Judge {
    decoder: Decoder,
    config: DecodeConfig,
    max_items: usize,
    now_ms: i64,
}

impl Judge {
    pub fn new(config: &DecodeConfig, max_items: usize, now_ms: i64) -> Self {
        Self { decoder: Decoder::new(config), config: config.clone(), max_items, now_ms }
    }

    /// One JSON value, the members of an array, or the lines of NDJSON, each judged alone.
    ///
    /// # Errors
    /// 400 when the body as a whole is no JSON, 413 when it holds too many.
    pub fn events(&mut self, body: &Bytes) -> Result<Vec<Item>, Refusal> {
        let parts = match parts(body) {
            Ok(parts) => parts,
            Err(why) => lines(body).ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, why))?,
        };
        if parts.len() > self.max_items {
            let (count, most) = (parts.len(), self.max_items);
            let detail = format!(
                "the body holds {count} events, more than pipeline.max_request_items = {most}; send fewer at once"
            );
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        let streams = door::streams(&parts);
        let mut is_alone = vec![true; parts.len()];
        let mut items: Vec<Item> = Vec::with_capacity(parts.len());
        for door::Stream { id, chunks } in streams {
            // As one message they are what they are: the last that counts is the call, and what it was found out by is there.
            let whole: Vec<&str> = chunks.iter().map(|index| parts[*index]).collect();
            let key = if id.is_empty() { key(whole[0]) } else { id };
            let item = self.item(key, format!("[{}]", whole.join(",")).into(), None);
            for index in &chunks {
                is_alone[*index] = false;
            }
            items.push(Item { indexes: chunks, ..item });
        }
        for (index, part) in parts.iter().enumerate().filter(|(index, _)| is_alone[*index]) {
            items.push(Item { indexes: vec![index], ..self.item(key(part), body.slice_ref(part.as_bytes()), None) });
        }
        items.sort_by_key(|item| item.indexes[0]);
        Ok(items)
    }

    /// A `CloudEvent` in binary mode is one message, whatever its body holds: one envelope cannot name many.
    pub fn binary(&mut self, id: Option<&str>, headers: &Headers, body: Bytes) -> Item {
        let key = id.filter(|id| !id.is_empty()).map_or_else(|| content_key(&body), ToOwned::to_owned);
        self.item(key, body, Some(headers))
    }

    /// All or nothing: an item with one thing in it that cannot be read is not taken by halves.
    fn item(&mut self, key: String, payload: Bytes, headers: Option<&Headers>) -> Item {
        let mut found = self.decode(&payload, headers);
        let stripped = self.stripped(&payload, headers, &found);
        let more = found.faults.len().saturating_sub(1);
        let mut fault = (!found.faults.is_empty()).then(|| found.faults.swap_remove(0));
        if let (Some(fault), true) = (&mut fault, more > 0) {
            fault.detail = format!("{} (and {more} more in this item)", fault.detail);
        }
        if stripped.is_none() {
            fault = fault.or_else(|| Some(untold()));
        }
        let payload = stripped.unwrap_or_else(|| instead(payload.len(), fault.as_ref()));
        Item { indexes: vec![0], key: harmless(key), payload, fault }
    }

    /// The payload without content, as the module says; `None`: nothing without content tells the same.
    fn stripped(&mut self, payload: &Bytes, headers: Option<&Headers>, found: &Found) -> Option<Bytes> {
        let rejected = found.faults.first().map(|fault| fault.reason);
        let item = door::item(payload, &self.config, rejected);
        if item.as_ref().is_some_and(|item| self.decode(item, headers).said == found.said) {
            return item.map(Bytes::from);
        }
        // Parts of streams are told by the text that they bring, searches by how many there were.
        let shape = door::shape(payload, &self.config);
        if shape.as_ref().is_some_and(|shape| self.decode(shape, headers).said == found.said) {
            return shape.map(Bytes::from);
        }
        // A row that was readable may be rejected as a whole; its event would not be.
        let rows = rejected.is_none().then(|| self.rows(payload, headers)).flatten();
        let others = [item.as_ref(), shape.as_ref(), rows.as_ref()];
        let attempts =
            [(Telling::ButKind, &others[2..]), (Telling::ButNotes, &others[2..]), (Telling::Charges, &others[..])];
        for (telling, forms) in attempts {
            let whole = self.decode_for(payload, headers, telling);
            for form in forms.iter().copied().flatten() {
                let without = self.decode_for(form, headers, telling);
                if without.said == whole.said && without.faults.is_empty() == whole.faults.is_empty() {
                    return Some(form.clone().into());
                }
            }
        }
        None
    }

    /// The rows of a payload as events; `None` when it has none.
    fn rows(&mut self, payload: &[u8], headers: Option<&Headers>) -> Option<Vec<u8>> {
        let mut events = Events::default();
        let message = RawMessage { payload, key: None, headers, timestamp_ms: Some(self.now_ms) };
        self.decoder.decode(&message, &mut events);
        let mut events = events.0;
        match events.len() {
            0 => None,
            1 => events.pop(),
            _ => Some([b"[".as_slice(), &events.join(b",".as_slice()), b"]"].concat()),
        }
    }

    /// The spans of an OTLP request; none when it has none and says nothing else.
    ///
    /// # Errors
    /// 400 when it is no OTLP request of spans, 413 when a trace in it is too large for one message.
    pub fn spans(&mut self, body: &Bytes) -> Result<Spans, Refusal> {
        let text = body.trim_ascii();
        if body.is_empty() || text == b"{}" {
            return Ok(Spans::default());
        }
        if text.first() == Some(&b'{') {
            is_otlp_json(text)?;
        }
        let Some(traces) = door::traces(body) else {
            let detail = "the body is no OTLP request of spans; events go to POST /v1/events";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, detail));
        };
        let mut spans = Spans::default();
        for trace in traces {
            self.fits(&trace.payload)?;
            let mut found = self.decode(&trace.payload, None);
            if let (0, [Fault { reason: Reason::TooManyRows, detail }]) = (found.readable, found.faults.as_slice()) {
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, &**detail));
            }
            spans.faults.append(&mut found.faults);
            // A retry must meet its first try: the same spans have the same key.
            let key = if trace.id.is_empty() { content_key(&trace.payload) } else { trace.id };
            spans.messages.push((key, trace.payload.into()));
        }
        Ok(spans)
    }

    fn fits(&self, payload: &[u8]) -> Result<(), Refusal> {
        let (length, most) = (payload.len(), self.config.max_message_bytes);
        if length <= most {
            return Ok(());
        }
        let detail = format!(
            "the spans of one trace have {length} bytes without content, more than decode.max_message_bytes = {most}; export fewer at once (OTEL_BSP_MAX_EXPORT_BATCH_SIZE)"
        );
        Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
    }

    fn decode(&mut self, payload: &[u8], headers: Option<&Headers>) -> Found {
        self.decode_for(payload, headers, Telling::All)
    }

    fn decode_for(&mut self, payload: &[u8], headers: Option<&Headers>, telling: Telling) -> Found {
        let mut found = Found { telling, ..Found::default() };
        let message = RawMessage { payload, key: None, headers, timestamp_ms: Some(self.now_ms) };
        self.decoder.decode(&message, &mut found);
        if telling != Telling::All {
            // Spans that were put in order by trace are the same spans.
            found.said.0.sort_unstable();
        }
        found
    }
}

/// What is said of an item whose figures hang on its content.
fn untold() -> Fault {
    let detail = "what it counts cannot be told without its content, which is not written to Kafka; send the call as event v1 (id, time, provider, model, usage)";
    Fault { reason: Reason::UnknownShape, detail: detail.to_owned() }
}

/// What stands for an item of which nothing may be handed on: as unreadable as it was.
fn instead(length: usize, fault: Option<&Fault>) -> Bytes {
    let told = format!("{length} bytes that cannot be read, and are not kept");
    let is_json = fault.is_some_and(|fault| fault.reason != Reason::NotJson);
    if is_json { format!("\"{told}\"").into() } else { told.into() }
}

/// An id that is a key of an API, or too long to be an id, is not written beside the event either; its hash still brings repeats
/// together.
fn harmless(key: String) -> String {
    match key.len() {
        LONGEST_KEY.. => content_key(key.as_bytes()),
        _ if looks_secret(&key) => masked(&key),
        _ => key,
    }
}

/// The headers of a `CloudEvent` in binary mode that are written: those that say what it is. An extension may hold anything.
pub fn attributes(headers: Vec<(String, String)>) -> Vec<(String, String)> {
    const KEPT: [&str; 9] = [
        "content-type",
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_subject",
        "ce_type",
        "ce_time",
        "ce_datacontenttype",
        "ce_dataschema",
    ];
    let kept = headers.into_iter().filter(|(name, _)| KEPT.contains(&name.as_str()));
    kept.map(|(name, value)| {
        let value = match name.as_str() {
            _ if !looks_secret(&value) => value,
            // As in a row.
            "ce_id" | "ce_source" => masked(&value),
            _ => REMOVED.to_owned(),
        };
        (name, value)
    })
    .collect()
}

/// What the decoder found in one message.
#[derive(Debug, Default)]
struct Found {
    telling: Telling,
    /// Rows, and what is nobody's cost.
    readable: usize,
    faults: Vec<Fault>,
    said: Said,
}

/// How much of what the decoder says is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Telling {
    /// Everything, in order.
    #[default]
    All,
    /// Rows but for the kind of payload, which an event has one of its own of, and the order of labels.
    ButKind,
    /// Nor which assumption was made; but whether one was.
    ButNotes,
    /// What is charged, to whose call.
    Charges,
}

/// All that the decoder said: equal for what the ledger cannot tell apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said(Vec<u128>);

impl Said {
    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.0.push(xxhash_rust::xxh3::xxh3_128(what.to_string().as_bytes()));
    }
}

impl Found {
    fn note_row(&mut self, row: &UsageRow<'_>) {
        if self.telling == Telling::All {
            return self.said.note(format_args!("{row:?}"));
        }
        let mut row = row.clone();
        row.texts.set(Text::PayloadKind, "");
        row.tags.sort();
        row.quantities.sort();
        if self.telling != Telling::ButKind {
            row.notes = Notes::NONE;
            row.quality = if row.quality == CostQuality::Exact { CostQuality::Exact } else { CostQuality::Estimated };
        }
        if self.telling == Telling::Charges {
            let mut texts = Texts::default();
            for text in CHARGED {
                texts.set_if_some(text, row.texts.get(text).map(str::to_owned));
            }
            row = UsageRow {
                texts,
                tags: SmallVec::new(),
                latency_ms: None,
                reported_cost: None,
                quality: CostQuality::Exact,
                ..row
            };
        }
        self.said.note(format_args!("{row:?}"));
    }
}

impl Sink for Found {
    fn row(&mut self, _index: u32, row: &UsageRow<'_>) {
        self.note_row(row);
        // The one thing that the consumer refuses after decoding.
        if let Some((meter, _)) = row.quantities.iter().find(|(_, amount)| quantity_units(*amount).is_none()) {
            let detail = format!("{meter}: the quantity does not fit 19 digits before and 9 after the point");
            return self.faults.push(Fault { reason: Reason::WrongType, detail });
        }
        self.readable += 1;
    }

    fn reject(&mut self, _index: u32, reject: Reject) {
        if self.telling == Telling::All {
            self.said.note(format_args!("{:?} {}", reject.reason, reject.detail));
        }
        self.faults.push(Fault { reason: reject.reason, detail: reject.detail });
    }

    fn ignore(&mut self, _index: u32, why: Ignored) {
        if self.telling == Telling::All {
            self.said.note(format_args!("{why:?}"));
        }
        self.readable += 1;
    }

    fn link(&mut self, trace_id: &str, span_id: &str, parent_id: &str) {
        if self.telling == Telling::All {
            self.said.note(format_args!("{trace_id} {span_id} {parent_id}"));
        }
    }
}

/// The rows of a message, as events.
#[derive(Debug, Default)]
struct Events(Vec<Vec<u8>>);

impl Sink for Events {
    fn row(&mut self, _index: u32, row: &UsageRow<'_>) {
        self.0.push(event_json(row));
    }

    fn reject(&mut self, _index: u32, _reject: Reject) {}

    fn ignore(&mut self, _index: u32, _why: Ignored) {}
}

/// The texts of the events in a body that is JSON throughout.
fn parts(body: &[u8]) -> Result<Vec<&str>, String> {
    let mut all = Vec::new();
    for (position, item) in serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>().enumerate() {
        let item = item.map_err(|error| format!("item {position} is not JSON: {error}"))?;
        if item.get().starts_with('[') {
            let members: Vec<&RawValue> =
                serde_json::from_str(item.get()).map_err(|error| format!("item {position}: {error}"))?;
            all.extend(members.into_iter().map(RawValue::get));
        } else {
            all.push(item.get());
        }
    }
    if all.is_empty() { Err("the body is empty; post one event, an array or NDJSON".to_owned()) } else { Ok(all) }
}

/// The data of server-sent events, or the lines of NDJSON of which some are broken; `None` when it does not look like NDJSON.
fn lines(body: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(body).ok()?;
    if let Some(data) = door::unframed(text).filter(|data| !data.is_empty()) {
        return Some(data);
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let object = |line: &&&str| line.starts_with('{') && serde_json::from_str::<&RawValue>(line).is_ok();
    (lines.len() > 1 && lines.iter().any(|line| object(&line))).then_some(lines)
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(rename = "resourceSpans", borrow)]
    spans: Option<&'a RawValue>,
}

fn is_otlp_json(text: &[u8]) -> Result<(), Refusal> {
    let refused = |detail: String| Err(Refusal::new(StatusCode::BAD_REQUEST, detail));
    match serde_json::from_slice::<Request<'_>>(text) {
        Ok(Request { spans: Some(_) }) => Ok(()),
        Ok(_) => refused("the body has no resourceSpans; events go to POST /v1/events".to_owned()),
        Err(error) => refused(format!("the body is not OTLP in JSON: {error}")),
    }
}

/// Fields that name a call, in the payloads that have no `id`.
const IDS: [&str; 7] = ["id", "requestId", "transaction_id", "request_id", "x-request-id", "responseId", "trace_id"];

/// Repeats must meet in one partition: the item's own id is the key, or else its content.
fn key(item: &str) -> String {
    let members = serde_json::from_str::<HashMap<&str, &RawValue>>(item).unwrap_or_default();
    // Spans by their trace, also within a CloudEvent.
    let inside = || members.get("data").is_some_and(|data| data.get().contains("\"resourceSpans\""));
    if members.contains_key("resourceSpans") || inside() {
        let first = door::traces(item.as_bytes()).and_then(|traces| traces.into_iter().next());
        return first.map(|trace| trace.id).filter(|id| !id.is_empty()).unwrap_or_else(|| content_key(item.as_bytes()));
    }
    let named = IDS.iter().find_map(|name| serde_json::from_str::<String>(members.get(name)?.get()).ok());
    named.filter(|id| !id.is_empty()).unwrap_or_else(|| content_key(item.as_bytes()))
}

fn content_key(content: &[u8]) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(content))
}

#[cfg(test)]
mod tests;
