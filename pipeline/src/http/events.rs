//! `POST /v1/events` and `POST /v1/traces`: bodies become Kafka messages, answered when Kafka has them. Nothing is decoded
//! here: what the topic gets is what was posted (an array or NDJSON item by item, a binary `CloudEvent` with its headers), and the
//! consumer judges it.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use serde_json::json;
use serde_json::value::RawValue;
use spendstream_schemas::config::Config;

use super::Shared;
use super::cloudevent::{self, Binary};
use super::problem::{problem, unread};
use crate::intake::client;

const ACKNOWLEDGE: Duration = Duration::from_secs(30);

/// Writes what was posted to the source topic.
pub struct Producer {
    producer: FutureProducer,
    topic: String,
}

impl Producer {
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let producer = client::producer(&config.kafka)
            .set("enable.idempotence", "true")
            .set("message.max.bytes", "8388608")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .create()
            .map_err(client::refused)?;
        Ok(Self { producer, topic: config.kafka.topic.clone() })
    }

    async fn send(&self, key: String, payload: &[u8], headers: Option<OwnedHeaders>) -> Result<(), String> {
        let mut record = FutureRecord::<String, [u8]>::to(&self.topic).payload(payload).key(&key);
        record.headers = headers;
        self.producer.send(record, Timeout::After(ACKNOWLEDGE)).await.map(drop).map_err(|(error, _)| error.to_string())
    }
}

pub async fn post_events(shared: State<Shared>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return unread(&shared, &rejection),
    };
    match cloudevent::binary(&headers) {
        Ok(None) => {}
        Ok(Some(binary)) => return post_binary(&shared, &binary, &body).await,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    }
    let items = match items(&body) {
        Ok(items) => items,
        Err(why) => return problem(StatusCode::BAD_REQUEST, &why),
    };
    let sends = items.iter().map(|item| shared.events.send(key(item), item.get().as_bytes(), None));
    answer(futures::future::join_all(sends).await)
}

/// A `CloudEvent` in binary mode is one message, whatever its body holds: one envelope cannot name many.
async fn post_binary(shared: &Shared, binary: &Binary, body: &[u8]) -> Response {
    if body.is_empty() {
        return problem(StatusCode::BAD_REQUEST, "the body is empty; a CloudEvent in binary mode has its event in it");
    }
    let mut headers = OwnedHeaders::new();
    for (name, value) in &binary.headers {
        headers = headers.insert(Header { key: name, value: Some(value) });
    }
    let id = binary.attribute("id").filter(|id| !id.is_empty());
    let key = id.map_or_else(|| content_key(body), ToOwned::to_owned);
    answer(vec![shared.events.send(key, body, Some(headers)).await])
}

pub async fn post_traces(shared: State<Shared>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return unread(&shared, &rejection),
    };
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") && !kind.starts_with("application/x-protobuf") {
        let why = "content-type must be application/json or application/x-protobuf (OTLP/HTTP)";
        return problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    }
    // A retry must meet its first try: the same body has the same key, and so has the same trace.
    match shared.events.send(trace_key(&body), &body, None).await {
        // An OTLP exporter expects an (empty) ExportTraceServiceResponse in its own encoding.
        Ok(()) if kind.starts_with("application/json") => {
            ([(header::CONTENT_TYPE, "application/json")], "{}").into_response()
        }
        Ok(()) => ([(header::CONTENT_TYPE, "application/x-protobuf")], Bytes::new()).into_response(),
        Err(why) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, &format!("Kafka did not take the spans ({why}); send them again"))
        }
    }
}

/// One JSON value, the members of an array, or the lines of NDJSON.
fn items(body: &[u8]) -> Result<Vec<&RawValue>, String> {
    let mut all = Vec::new();
    for (position, item) in serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>().enumerate() {
        let item = item.map_err(|error| format!("item {position} is not JSON: {error}"))?;
        if item.get().starts_with('[') {
            let members: Vec<&RawValue> =
                serde_json::from_str(item.get()).map_err(|error| format!("item {position}: {error}"))?;
            all.extend(members);
        } else {
            all.push(item);
        }
    }
    if all.is_empty() { Err("the body is empty; post one event, an array or NDJSON".to_owned()) } else { Ok(all) }
}

/// Repeats must meet in one partition: the item's own id is the key, or else its content.
fn key(item: &RawValue) -> String {
    let members = serde_json::from_str::<HashMap<&str, &RawValue>>(item.get()).unwrap_or_default();
    let named = IDS.iter().find_map(|name| serde_json::from_str::<String>(members.get(name)?.get()).ok());
    named.filter(|id| !id.is_empty()).unwrap_or_else(|| content_key(item.get().as_bytes()))
}

/// Fields that name a call, in the payloads that have no `id`.
const IDS: [&str; 7] = ["id", "requestId", "transaction_id", "request_id", "x-request-id", "responseId", "trace_id"];

fn content_key(content: &[u8]) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(content))
}

/// The first trace id of an OTLP/JSON body; of anything else, its content.
fn trace_key(body: &[u8]) -> String {
    let text = std::str::from_utf8(body).unwrap_or_default();
    let after = text.split_once("\"traceId\"").and_then(|(_, rest)| rest.split('"').nth(1));
    after.filter(|id| id.len() == 32).map_or_else(|| content_key(body), ToOwned::to_owned)
}

fn answer(sent: Vec<Result<(), String>>) -> Response {
    let accepted = sent.iter().filter(|result| result.is_ok()).count();
    match sent.into_iter().find_map(Result::err) {
        None => (StatusCode::ACCEPTED, axum::Json(json!({ "accepted": accepted }))).into_response(),
        Some(why) => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("Kafka took {accepted} and then failed ({why}); send all of it again, repeats are counted once"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{items, key};

    #[test]
    fn one_value_an_array_and_lines_give_items() {
        let count = |body: &str| items(body.as_bytes()).map(|items| items.len());
        assert_eq!(count(r#"{"id":"a"}"#), Ok(1));
        assert_eq!(count(r#"[{"id":"a"},{"id":"b"}]"#), Ok(2));
        assert_eq!(count("{\"id\":\"a\"}\n{\"id\":\"b\"}\n"), Ok(2));
        assert!(count("").unwrap_err().contains("empty"));
        assert!(count("{").unwrap_err().contains("item 0 is not JSON"));
    }

    #[test]
    fn an_items_id_is_its_key() {
        let body = br#"[{"id":"a"},{"x":1}]"#;
        let items = items(body).unwrap();
        assert_eq!(key(items[0]), "a");
        assert_eq!(key(items[1]).len(), 32);
    }
}
