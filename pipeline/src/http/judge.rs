//! What posted bodies hold, judged by the decoder that the consumer uses: bodies in, [`Item`]s or [`Spans`] out. Pure.
//!
//! Two things only the consumer knows: that an item repeats one (dropped) and that its id came with other content
//! (`id_conflict`, a dead letter).

use std::collections::HashMap;

use axum::body::Bytes;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use spendstream_schemas::config::DecodeConfig;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::usage_event::UsageRow;

use super::problem::Refusal;
use crate::batch::{Headers, RawMessage};
use crate::columns::events::quantity_units;
use crate::decode::reject::{Reason, Reject};
use crate::decode::{Decoder, Ignored, Sink};

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
    pub key: String,
    pub payload: Bytes,
    /// `None`: it can be read.
    pub fault: Option<Fault>,
}

/// The spans of one OTLP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    pub key: String,
    pub faults: Vec<Fault>,
}

/// Judges what is posted at one moment.
pub struct Judge {
    decoder: Decoder,
    max_message_bytes: usize,
    max_items: usize,
    now_ms: i64,
}

impl Judge {
    pub fn new(config: &DecodeConfig, max_items: usize, now_ms: i64) -> Self {
        Self { decoder: Decoder::new(config), max_message_bytes: config.max_message_bytes, max_items, now_ms }
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
        Ok(parts.into_iter().map(|part| self.item(key(part), body.slice_ref(part.as_bytes()), None)).collect())
    }

    /// A `CloudEvent` in binary mode is one message, whatever its body holds: one envelope cannot name many.
    pub fn binary(&mut self, id: Option<&str>, headers: &Headers, body: Bytes) -> Item {
        let key = id.filter(|id| !id.is_empty()).map_or_else(|| content_key(&body), ToOwned::to_owned);
        self.item(key, body, Some(headers))
    }

    /// All or nothing: an item with one thing in it that cannot be read is not taken by halves.
    fn item(&mut self, key: String, payload: Bytes, headers: Option<&Headers>) -> Item {
        let mut found = self.decode(&payload, headers);
        let more = found.faults.len().saturating_sub(1);
        let mut fault = (!found.faults.is_empty()).then(|| found.faults.swap_remove(0));
        if let (Some(fault), true) = (&mut fault, more > 0) {
            fault.detail = format!("{} (and {more} more in this item)", fault.detail);
        }
        Item { key, payload, fault }
    }

    /// The spans of an OTLP request; `None` when it has none and says nothing else.
    ///
    /// # Errors
    /// 400 when it is no OTLP request of spans, 413 when it is too large for one message.
    pub fn spans(&mut self, body: &Bytes) -> Result<Option<Spans>, Refusal> {
        let text = body.trim_ascii();
        if body.is_empty() || text == b"{}" {
            return Ok(None);
        }
        if body.len() > self.max_message_bytes {
            let (length, most) = (body.len(), self.max_message_bytes);
            let detail = format!(
                "the spans have {length} bytes, more than decode.max_message_bytes = {most}; export fewer at once (OTEL_BSP_MAX_EXPORT_BATCH_SIZE) or without message content"
            );
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        if text.first() == Some(&b'{') {
            is_otlp_json(text)?;
        }
        let found = self.decode(body, None);
        if let (0, [fault]) = (found.readable, found.faults.as_slice()) {
            match fault.reason {
                Reason::NotJson => {
                    let detail = "the body is no OTLP request of spans; events go to POST /v1/events";
                    return Err(Refusal::new(StatusCode::BAD_REQUEST, detail));
                }
                Reason::TooManyRows => return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, &*fault.detail)),
                _ => {}
            }
        }
        // A retry must meet its first try: the same body has the same key.
        let key = found.trace.or_else(|| trace_key(body)).unwrap_or_else(|| content_key(body));
        Ok(Some(Spans { key, faults: found.faults }))
    }

    fn decode(&mut self, payload: &[u8], headers: Option<&Headers>) -> Found {
        let mut found = Found::default();
        let message = RawMessage { payload, key: None, headers, timestamp_ms: Some(self.now_ms) };
        self.decoder.decode(&message, &mut found);
        found
    }
}

/// What the decoder found in one message.
#[derive(Debug, Default)]
struct Found {
    /// Rows, and what is nobody's cost.
    readable: usize,
    faults: Vec<Fault>,
    /// Of the first row that has one.
    trace: Option<String>,
}

impl Sink for Found {
    fn row(&mut self, _index: u32, row: &UsageRow<'_>) {
        // The one thing that the consumer refuses after decoding.
        if let Some((meter, _)) = row.quantities.iter().find(|(_, amount)| quantity_units(*amount).is_none()) {
            let detail = format!("{meter}: the quantity does not fit 19 digits before and 9 after the point");
            return self.faults.push(Fault { reason: Reason::WrongType, detail });
        }
        self.readable += 1;
        if self.trace.is_none() {
            self.trace = row.texts.get(Text::TraceId).filter(|id| !id.is_empty()).map(str::to_owned);
        }
    }

    fn reject(&mut self, _index: u32, reject: Reject) {
        self.faults.push(Fault { reason: reject.reason, detail: reject.detail });
    }

    fn ignore(&mut self, _index: u32, _why: Ignored) {
        self.readable += 1;
    }
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

/// The lines of NDJSON of which some are broken; `None` when it does not look like NDJSON.
fn lines(body: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(body).ok()?;
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
    let named = IDS.iter().find_map(|name| serde_json::from_str::<String>(members.get(name)?.get()).ok());
    named.filter(|id| !id.is_empty()).unwrap_or_else(|| content_key(item.as_bytes()))
}

fn content_key(content: &[u8]) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(content))
}

/// The first trace id of an OTLP/JSON body none of whose spans is charged.
fn trace_key(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let after = text.split_once("\"traceId\"").and_then(|(_, rest)| rest.split('"').nth(1));
    after.filter(|id| id.len() == 32).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use spendstream_schemas::config::DecodeConfig;

    use super::{Item, Judge};
    use crate::decode::reject::Reason;

    // 2026-11-22T10:00:00Z.
    const NOW_MS: i64 = 1_795_341_600_000;

    fn judge(body: &str) -> Result<Vec<Item>, String> {
        let mut judge = Judge::new(&DecodeConfig::default(), 3, NOW_MS);
        judge.events(&Bytes::from(body.to_owned())).map_err(|refusal| format!("{} {}", refusal.status, refusal.detail))
    }

    fn event(id: &str, input: i64, time: &str) -> String {
        format!(
            r#"{{"id":"{id}","time":"{time}","provider":"openai","model":"gpt-4o","usage":{{"input_tokens":{input},"output_tokens":1}}}}"#
        )
    }

    #[test]
    fn one_value_an_array_and_lines_give_items_with_their_ids_as_keys() {
        let (a, b) = (event("a", 1, "2026-11-22T09:00:00Z"), event("b", 2, "2026-11-22T09:00:00Z"));
        for (body, keys) in [
            (a.clone(), &["a"][..]),
            (format!("[{a}, {b}]"), &["a", "b"]),
            (format!("{a}\n{b}\n"), &["a", "b"]),
            (format!("[{a}]\n{b}"), &["a", "b"]),
        ] {
            let items = judge(&body).unwrap();
            assert_eq!(items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(), keys, "{body}");
            assert!(items.iter().all(|item| item.fault.is_none()), "{items:?}");
        }
    }

    #[test]
    fn each_item_is_judged_as_the_consumer_will() {
        let good = event("a", 1, "2026-11-22T09:00:00Z");
        let negative = event("b", -1, "2026-11-22T09:00:00Z");
        let future = event("c", 1, "2030-01-01T00:00:00Z");
        let items = judge(&format!("[{good},{negative},{future}]")).unwrap();
        let reasons: Vec<_> = items.iter().map(|item| item.fault.as_ref().map(|fault| fault.reason)).collect();
        assert_eq!(reasons, [None, Some(Reason::NegativeCount), Some(Reason::TimeInFuture)]);
        let items = judge(r#"["text", {"x": 1}]"#).unwrap();
        assert!(items.iter().all(|item| item.fault.as_ref().is_some_and(|fault| fault.reason == Reason::UnknownShape)));
    }

    #[test]
    fn a_broken_line_is_refused_alone() {
        let good = event("a", 1, "2026-11-22T09:00:00Z");
        let items = judge(&format!("{good}\n{{\"id\": NaN}}\n")).unwrap();
        assert_eq!(items[0].fault, None);
        assert_eq!(items[1].fault.as_ref().map(|fault| fault.reason), Some(Reason::NotJson));
    }

    #[test]
    fn a_body_that_is_no_json_or_holds_too_much_is_refused_whole() {
        assert!(judge("").unwrap_err().starts_with("400 Bad Request the body is empty"));
        assert!(judge("{").unwrap_err().starts_with("400 Bad Request item 0 is not JSON"));
        assert!(judge("[1,2,3,4]").unwrap_err().contains("pipeline.max_request_items = 3"));
    }

    #[test]
    fn only_otlp_is_taken_as_spans() {
        let mut judge = Judge::new(&DecodeConfig::default(), 3, NOW_MS);
        let mut spans =
            |body: &[u8]| judge.spans(&Bytes::copy_from_slice(body)).map_err(|refusal| refusal.status.as_u16());
        assert_eq!(spans(b""), Ok(None));
        assert_eq!(spans(b" {}\n"), Ok(None));
        assert_eq!(spans(b"{\"id\":1}"), Err(400));
        assert_eq!(spans(b"{\"resourceSpans\":"), Err(400));
        assert_eq!(spans(b"\x0a\x03abc"), Err(400));
        assert_eq!(spans(&vec![b' '; (1 << 20) + 1]), Err(413));
    }
}
