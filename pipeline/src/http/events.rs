//! `POST /v1/events`: bodies become Kafka messages, answered when Kafka has them, with those that cannot be read and why.
//!
//! What the topic gets is what was posted without its content (an array or NDJSON item by item, a binary `CloudEvent` with its
//! attributes, but no extensions). What cannot be read is not sent, since the caller can mend it: the answer names it. A caller that
//! does not look at answers asks with `?unreadable=dead_letter` for it to be sent all the same, so that the consumer keeps it in the
//! dead-letter topic.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Shared;
use super::cloudevent::{self, Binary};
use super::judge::{Fault, Item, Judge, attributes};
use super::problem::{Refusal, problem_with};
use super::produce::{Message, Sent};
use super::read::{self, Posted};
use crate::batch::Headers;
use crate::decode::reject::Reason;

pub async fn post(State(shared): State<Shared>, request: Request) -> Response {
    take(&shared, request).await.unwrap_or_else(Refusal::into_response)
}

async fn take(shared: &Shared, request: Request) -> Result<Response, Refusal> {
    let posted = read::take(shared, request).await?;
    let to_dead_letters = unreadable_is_sent(&posted.query)?;
    let bad_request = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
    let binary = cloudevent::binary(&posted.headers).map_err(bad_request)?;
    if binary.is_some() && posted.body.is_empty() {
        let why = "the body is empty; a CloudEvent in binary mode has its event in it";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
    }
    let now_ms = read::now_ms();
    let items = judged(shared, &posted, binary.as_ref(), now_ms).await?;
    let headers = binary.map(|binary| attributes(binary.headers)).unwrap_or_default();
    let mut answer = Answer::default();
    let mut positions = Vec::with_capacity(items.len());
    let mut messages = Vec::with_capacity(items.len());
    for item in items {
        let readable = item.fault.is_none();
        if let Some(fault) = item.fault {
            answer.rejected.extend(item.indexes.iter().map(|index| (*index, fault.clone())));
        }
        if readable || to_dead_letters {
            positions.push((item.indexes, readable));
            messages.push(Message { key: item.key, payload: item.payload, headers: headers.clone() });
        }
    }
    let sent = shared.events.send(&messages, now_ms).await;
    answer.finish(sent, &positions)?;
    shared.metrics.count_refused_items(answer.rejected.iter().map(|(_, fault)| fault.reason));
    Ok(answer.into_response())
}

async fn judged(shared: &Shared, posted: &Posted, binary: Option<&Binary>, now_ms: i64) -> Result<Vec<Item>, Refusal> {
    let body = posted.body.clone();
    let mut judge = Judge::new(&shared.decode, shared.limits.max_request_items, now_ms);
    let envelope = binary.map(|binary| {
        let bytes = |(name, value): &(String, String)| (name.clone(), value.clone().into_bytes());
        (binary.attribute("id").map(ToOwned::to_owned), Headers(binary.headers.iter().map(bytes).collect()))
    });
    read::aside(body.len(), move || match envelope {
        Some((id, headers)) => Ok(vec![judge.binary(id.as_deref(), &headers, body)]),
        None => judge.events(&body),
    })
    .await?
}

/// Reads `unreadable=…` of the query; other parameters are somebody else's.
fn unreadable_is_sent(query: &str) -> Result<bool, Refusal> {
    match query.split('&').find_map(|pair| pair.strip_prefix("unreadable=")) {
        None | Some("refuse") => Ok(false),
        Some("dead_letter") => Ok(true),
        Some(_) => {
            let why = "the parameter unreadable is refuse (the answer names it) or dead_letter (it is sent on, too)";
            Err(Refusal::new(StatusCode::BAD_REQUEST, why))
        }
    }
}

/// What became of each item.
#[derive(Debug, Default)]
struct Answer {
    accepted: usize,
    /// Sent on although unreadable; the consumer dead-letters them.
    dead_lettered: usize,
    rejected: Vec<(usize, Fault)>,
}

impl Answer {
    /// `positions`: the indexes in the body, and whether it is readable, of every message sent.
    fn finish(&mut self, sent: Sent, positions: &[(Vec<usize>, bool)]) -> Result<(), Refusal> {
        if let Some(mut refusal) = sent.failed {
            if sent.taken > 0 {
                refusal.detail = format!("Kafka took {} and then no more: {}", sent.taken, refusal.detail);
            }
            return Err(refusal);
        }
        for (position, (indexes, readable)) in positions.iter().enumerate() {
            match (sent.too_large.contains(&position), readable) {
                (false, true) => self.accepted += indexes.len(),
                (false, false) => self.dead_lettered += indexes.len(),
                (true, true) => {
                    let detail = "the broker refuses a message of this size (its message.max.bytes)".to_owned();
                    let fault = Fault { reason: Reason::TooLarge, detail };
                    self.rejected.extend(indexes.iter().map(|index| (*index, fault.clone())));
                }
                (true, false) => {}
            }
        }
        self.rejected.sort_by_key(|(index, _)| *index);
        Ok(())
    }

    fn into_response(self) -> Response {
        let entry = |(index, fault): &(usize, Fault)| json!({ "index": index, "reason": fault.reason.as_str(), "detail": fault.detail });
        let rejected: Value = self.rejected.iter().map(entry).collect();
        if self.accepted + self.dead_lettered > 0 {
            let mut body = json!({ "accepted": self.accepted, "rejected": rejected });
            if self.dead_lettered > 0 {
                body["dead_lettered"] = self.dead_lettered.into();
            }
            return (StatusCode::ACCEPTED, axum::Json(body)).into_response();
        }
        let first = self.rejected.first().map(|(_, fault)| fault.detail.as_str()).unwrap_or_default();
        let detail = format!("none of {} items can be read; the first: {first}", self.rejected.len());
        let members = [("accepted", json!(0)), ("rejected", rejected)];
        problem_with(StatusCode::UNPROCESSABLE_ENTITY, &detail, members)
    }
}
