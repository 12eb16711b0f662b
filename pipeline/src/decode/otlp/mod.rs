//! OTLP spans of generative AI calls, JSON and protobuf: only operations that cost, one span of a call.
//!
//! [`json`] and [`proto`] bring both encodings to [`Span`]s, [`read`] turns a span into a call by the names in [`names`],
//! [`nesting`] decides which of them are charged.

mod json;
mod names;
mod nesting;
mod proto;
mod read;
mod usage;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use spendstream_schemas::usage_event::UsageRow;

use super::Ignored;
use super::call::Context;
use super::door::Trace;
use super::items::{Out, too_many};
use super::json::Node;
use super::reject::Fault;
use super::strip;
use crate::dedupe::call_facts::CallFacts;
use nesting::Verdict;
use read::Billing;

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

/// Where the spans are: the item itself, or what a `CloudEvent` holds.
pub(super) fn holder<'n, 'j>(node: &'n Node<'j>) -> &'n Node<'j> {
    match node.get("data").filter(|_| node.get("resourceSpans").is_none()) {
        Some(data) => holder(data),
        None => node,
    }
}

/// Decodes `{"resourceSpans": …}`.
pub(super) fn json(node: &Node<'_>, context: Context<'_>, out: &mut Out<'_>) {
    emit(&json::spans(holder(node)), "otlp.json", context, out);
}

/// Decodes protobuf if it is spans (the Collector sends no header that says so); `false` when it is something else.
pub(super) fn protobuf(payload: &[u8], context: Context<'_>, out: &mut Out<'_>) -> bool {
    let Some(message) = proto::decode(payload) else { return false };
    emit(&proto::spans(&message), "otlp.proto", context, out);
    true
}

/// The spans of a request in JSON, by trace.
pub(super) fn traces_of_json(node: &Node<'_>) -> Vec<Trace> {
    by_trace(&json::spans(holder(node)))
}

/// The spans of a request in protobuf, by trace; `None` when it is something else.
pub(super) fn traces_of_protobuf(payload: &[u8]) -> Option<Vec<Trace>> {
    proto::decode(payload).map(|message| by_trace(&proto::spans(&message)))
}

/// All spans of a request in JSON, with what is read of them only.
pub(super) fn handed_on(node: &Node<'_>) -> Vec<u8> {
    let spans = json::spans(holder(node));
    json::handed_on(&spans.spans.iter().collect::<Vec<_>>(), &spans)
}

/// Traces that tell of one response stay together, under the id of the largest: two instrumentations of one call may each begin a
/// trace, and only within one partition is it seen that they mean the same.
fn by_trace(spans: &Spans<'_>) -> Vec<Trace> {
    let mut groups: Vec<Vec<&Span<'_>>> = Vec::new();
    let (mut of_trace, mut of_response) = (HashMap::new(), HashMap::new());
    for span in &spans.spans {
        let new = groups.len();
        let mut at = *of_trace.entry(span.trace_id.as_str()).or_insert(new);
        if at == new {
            groups.push(Vec::new());
        }
        if let Some(response) = read::response_id(span) {
            let first = *of_response.entry(response).or_insert(at);
            if first != at {
                let moved = std::mem::take(&mut groups[at]);
                groups[first].extend(moved);
                let follow = |place: &mut usize| *place = if *place == at { first } else { *place };
                of_trace.values_mut().for_each(follow);
                of_response.values_mut().for_each(follow);
                at = first;
            }
        }
        groups[at].push(span);
    }
    groups.iter().filter(|group| !group.is_empty()).map(|group| trace(group, spans)).collect()
}

fn trace(group: &[&Span<'_>], spans: &Spans<'_>) -> Trace {
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for span in group {
        *sizes.entry(&span.trace_id).or_default() += 1;
    }
    let largest = sizes.iter().max_by_key(|(id, count)| (**count, Reverse(**id)));
    let id = largest.map(|(id, _)| (*id).to_owned()).unwrap_or_default();
    Trace { id, payload: json::handed_on(group, spans) }
}

fn emit(spans: &Spans<'_>, kind: &'static str, context: Context<'_>, out: &mut Out<'_>) {
    if spans.spans.len() > context.limits.max_rows_per_message {
        let billable: Vec<Vec<u8>> = spans.spans.iter().map(|span| json::kept(span, spans)).collect();
        return out.reject(too_many(spans.spans.len(), context).keeping(Some(strip::array(&billable))));
    }
    if spans.spans.is_empty() {
        return out.ignore(Ignored::NoUsage);
    }
    let reads: Vec<Read<'_>> = spans.spans.iter().map(|span| read(span, spans, kind, context)).collect();
    let nesting = nesting::judge(spans, &reads);
    for at in nesting.links {
        let span = &spans.spans[at];
        out.link(&span.trace_id, &span.id, &span.parent_id);
    }
    for ((span, read), verdict) in spans.spans.iter().zip(reads).zip(nesting.verdicts) {
        match (verdict, read.row) {
            (Verdict::Ignore(why), _) => out.ignore(why),
            (Verdict::Charge, Ok(row)) => out.rows(std::slice::from_ref(&row)),
            (Verdict::Charge, Err(Some(fault))) => out.reject(fault.keeping(Some(json::kept(span, spans)))),
            (Verdict::Charge, Err(None)) => out.ignore(Ignored::NotBillable),
        }
    }
}

/// A span, read before it is decided whether it is charged.
struct Read<'n> {
    billing: Billing,
    /// Without a fault, what costs nothing.
    row: Result<Box<UsageRow<'n>>, Option<Fault>>,
    facts: CallFacts,
}

fn read<'n>(span: &'n Span<'n>, spans: &'n Spans<'n>, kind: &'static str, context: Context<'_>) -> Read<'n> {
    let billing = read::billing(span);
    let row = match (billing, span.missing) {
        (Billing::Free, _) => Err(None),
        (_, Some(key)) => Err(Some(Fault::missing(key, "an OTLP span carries its ids"))),
        _ => row(span, spans, kind, context).map_err(Some),
    };
    let facts = row.as_ref().map_or_else(|_| read::facts(span), |row| CallFacts::of(row));
    Read { billing, row, facts }
}

fn row<'n>(
    span: &'n Span<'n>,
    spans: &'n Spans<'n>,
    kind: &'static str,
    context: Context<'_>,
) -> Result<Box<UsageRow<'n>>, Fault> {
    let resource = spans.resources.get(span.resource).map(Vec::as_slice).unwrap_or_default();
    let mut call = read::call(span, resource, kind)?;
    call.seal(context)?;
    Ok(Box::new(call.row))
}
