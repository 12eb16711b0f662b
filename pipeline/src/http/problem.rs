//! Errors as clients see them: a status and one line in, `application/problem+json` (RFC 9457) out. Nothing else leaves this
//! server with a status of 400 or more.

use std::time::Duration;

use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A request that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: StatusCode,
    /// One line: what, where, why, what to do.
    pub detail: String,
    /// When it may work; whole seconds are said.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// One that the same request would meet again.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), retry_after: None }
    }

    /// One that passes.
    pub fn later(status: StatusCode, detail: impl Into<String>, retry_after: Duration) -> Self {
        Self { status, detail: detail.into(), retry_after: Some(retry_after) }
    }

    /// 413 for a body that is too large, 400 for one that broke off.
    pub fn unread(rejection: &BytesRejection, too_large: impl FnOnce() -> Self) -> Self {
        let status = rejection.status();
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return too_large();
        }
        Self::new(status, format!("the body could not be read: {}", rejection.body_text()))
    }
}

/// 413: the body, or what it unpacks to, is over the limit.
pub fn too_large(most: usize) -> Refusal {
    let detail = format!("the body has more than pipeline.max_request_bytes = {most} bytes; send fewer events at once");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = problem(self.status, &self.detail);
        if let Some(after) = self.retry_after {
            let seconds = after.as_millis().div_ceil(1_000).max(1);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        response
    }
}

/// A problem with its `detail`.
pub fn problem(status: StatusCode, detail: &str) -> Response {
    problem_with(status, detail, [])
}

/// A problem with members of its own beside `detail`.
pub fn problem_with<const N: usize>(status: StatusCode, detail: &str, members: [(&str, Value); N]) -> Response {
    let mut body = json!({ "type": "about:blank", "title": status.canonical_reason(), "status": status.as_u16(), "detail": detail });
    for (name, value) in members {
        body[name] = value;
    }
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

/// 404: nothing is at this address.
pub async fn not_found(uri: Uri) -> Response {
    let detail = format!("nothing is at {}; events go to POST /v1/events, OTLP spans to POST /v1/traces", uri.path());
    problem(StatusCode::NOT_FOUND, &detail)
}

/// 405: this address does not know the method; the header `Allow` names those it does.
pub async fn wrong_method(method: Method, uri: Uri) -> Response {
    let detail = format!("{} does not take {method}; the header Allow says what it takes", uri.path());
    problem(StatusCode::METHOD_NOT_ALLOWED, &detail)
}
