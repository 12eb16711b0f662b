//! `POST /v1/traces`: OTLP/HTTP of an exporter becomes one Kafka message per trace, answered when Kafka has them all.
//!
//! Keyed by trace, so that nested spans meet in one partition in whatever requests they come; traces of one request that tell of one
//! response are one message. An exporter cannot mend a span, so all
//! of them go to the topic: those that cannot be read become dead letters there, and the answer counts them (`partialSuccess`) in the
//! encoding that came.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message as _;
use serde_json::json;

use super::Shared;
use super::judge::{Fault, Judge};
use super::problem::Refusal;
use super::produce::Message;
use super::read;

/// How a request, and so its answer, is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Json,
    Protobuf,
}

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Exported {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`.
#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

pub async fn post(State(shared): State<Shared>, request: Request) -> Response {
    take(&shared, request).await.unwrap_or_else(Refusal::into_response)
}

async fn take(shared: &Shared, request: Request) -> Result<Response, Refusal> {
    let posted = read::take(shared, request).await?;
    let encoding = encoding(&posted.headers)?;
    let now_ms = read::now_ms();
    let mut judge = Judge::new(&shared.decode, shared.limits.max_request_items, now_ms);
    let body = posted.body.clone();
    let spans = read::aside(body.len(), move || judge.spans(&body)).await??;
    let message = |(key, payload)| Message { key, payload, headers: Vec::new() };
    let messages: Vec<Message> = spans.messages.into_iter().map(message).collect();
    let sent = shared.events.send(&messages, now_ms).await;
    if let Some(refusal) = sent.failed {
        return Err(refusal);
    }
    if !sent.too_large.is_empty() {
        let detail = "the broker refuses a message of this size (its message.max.bytes); export fewer spans at once (OTEL_BSP_MAX_EXPORT_BATCH_SIZE)";
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    shared.metrics.count_refused_items(spans.faults.iter().map(|fault| fault.reason));
    Ok(answer(encoding, &spans.faults))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        Ok(Encoding::Json)
    } else if kind.starts_with("application/x-protobuf") {
        Ok(Encoding::Protobuf)
    } else {
        let why = "content-type must be application/json or application/x-protobuf (OTLP/HTTP)";
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
    }
}

/// An `ExportTraceServiceResponse`; empty when every span can be read.
fn answer(encoding: Encoding, faults: &[Fault]) -> Response {
    let partial_success = faults.first().map(|first| PartialSuccess {
        rejected_spans: i64::try_from(faults.len()).unwrap_or(i64::MAX),
        error_message: format!("kept as dead letters; the first: {}: {}", first.reason.as_str(), first.detail),
    });
    match encoding {
        Encoding::Json => {
            // 64-bit integers are texts in protobuf's JSON.
            let body = partial_success.map_or_else(
                || json!({}),
                |partial| {
                    let spans = partial.rejected_spans.to_string();
                    json!({ "partialSuccess": { "rejectedSpans": spans, "errorMessage": partial.error_message } })
                },
            );
            axum::Json(body).into_response()
        }
        Encoding::Protobuf => {
            let body = Exported { partial_success }.encode_to_vec();
            ([(header::CONTENT_TYPE, "application/x-protobuf")], body).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::{Encoding, Exported, answer};
    use crate::decode::reject::Reason;
    use crate::http::judge::Fault;

    async fn body(encoding: Encoding, faults: &[Fault]) -> Vec<u8> {
        let response = answer(encoding, faults);
        assert_eq!(response.status(), 200);
        axum::body::to_bytes(response.into_body(), 1_000).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn rejected_spans_are_counted_in_the_encoding_that_came() {
        assert_eq!(body(Encoding::Json, &[]).await, b"{}");
        assert_eq!(body(Encoding::Protobuf, &[]).await, b"");
        let fault = |detail: &str| Fault { reason: Reason::NegativeCount, detail: detail.to_owned() };
        let faults = [fault("-1 tokens"), fault("-2 tokens")];
        let said = "kept as dead letters; the first: negative_count: -1 tokens";
        let json: serde_json::Value = serde_json::from_slice(&body(Encoding::Json, &faults).await).unwrap();
        assert_eq!(json, serde_json::json!({ "partialSuccess": { "rejectedSpans": "2", "errorMessage": said } }));
        let proto = Exported::decode(&*body(Encoding::Protobuf, &faults).await).unwrap().partial_success.unwrap();
        assert_eq!((proto.rejected_spans, proto.error_message.as_str()), (2, said));
    }
}
