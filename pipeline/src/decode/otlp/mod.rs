//! OTLP spans of generative AI calls, JSON and protobuf: only operations that cost, only the innermost span of a call.
//!
//! [`json`] and [`proto`] bring both encodings to [`Span`]s, [`nesting`] decides which of them are charged, [`read`] turns
//! such a span into a call by the names in [`names`].

mod json;
mod names;
mod nesting;
mod proto;
mod read;

use super::Ignored;
use super::call::Context;
use super::items::{Out, too_many};
use super::json::Node;
use super::reject::Fault;
use super::strip;
use nesting::Verdict;

/// A value of an attribute, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'n> {
    Text(&'n str),
    Int(i64),
    Bool(bool),
    /// Never a count; only told again when the span is rejected.
    Double(f64),
    /// An array or map: never a count or a name.
    Other,
}

/// Attributes in the order they came.
pub(super) type Attributes<'n> = Vec<(&'n str, Value<'n>)>;

/// One span with what its resource and scope say.
#[derive(Clone, Debug, Default)]
pub(super) struct Span<'n> {
    /// The id that is not there or is none; such a span is rejected.
    pub missing: Option<&'static str>,
    /// Hexadecimal, lower case.
    pub trace_id: String,
    pub id: String,
    /// Empty at the root.
    pub parent_id: String,
    pub start_nanos: u64,
    pub end_nanos: u64,
    pub failed: bool,
    pub scope: &'n str,
    /// Position in the list of resources.
    pub resource: usize,
    pub attributes: Attributes<'n>,
}

/// All spans of a message.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans<'n> {
    pub resources: Vec<Attributes<'n>>,
    pub spans: Vec<Span<'n>>,
}

/// Decodes `{"resourceSpans": …}`.
pub(super) fn json(node: &Node<'_>, context: Context<'_>, out: &mut Out<'_>) {
    emit(&json::spans(node), "otlp.json", context, out);
}

/// Decodes protobuf if it is spans (the Collector sends no header that says so); `false` when it is something else.
pub(super) fn protobuf(payload: &[u8], context: Context<'_>, out: &mut Out<'_>) -> bool {
    let Some(message) = proto::decode(payload) else { return false };
    emit(&proto::spans(&message), "otlp.proto", context, out);
    true
}

fn emit(spans: &Spans<'_>, kind: &'static str, context: Context<'_>, out: &mut Out<'_>) {
    if spans.spans.len() > context.limits.max_rows_per_message {
        let billable: Vec<Vec<u8>> = spans.spans.iter().map(|span| json::kept(span, spans)).collect();
        return out.reject(too_many(spans.spans.len(), context).keeping(Some(strip::array(&billable))));
    }
    if spans.spans.is_empty() {
        return out.ignore(Ignored::NoUsage);
    }
    for (span, verdict) in spans.spans.iter().zip(nesting::verdicts(spans)) {
        match verdict {
            Verdict::Ignore(why) => out.ignore(why),
            Verdict::Charge => {
                let mut rows = Vec::new();
                let resource = spans.resources.get(span.resource).map(Vec::as_slice).unwrap_or_default();
                let whole = match span.missing {
                    Some(key) => Err(Fault::missing(key, "an OTLP span carries its ids")),
                    None => Ok(()),
                };
                let read = whole.and_then(|()| read::call(span, resource, kind));
                let done: Result<(), Fault> = read.and_then(|call| call.finish(context, &mut rows));
                match done {
                    Ok(()) => out.rows(&rows),
                    Err(fault) => out.reject(fault.keeping(Some(json::kept(span, spans)))),
                }
            }
        }
    }
}
