//! Errors as clients see them: a status and one line in, `application/problem+json` (RFC 9457) out. Nothing else leaves this
//! server with a status of 400 or more.

use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Shared;

/// A problem with its `detail`.
pub fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({ "type": "about:blank", "title": status.canonical_reason(), "status": status.as_u16(), "detail": detail });
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

/// 413 for a body that is too large, 400 for one that broke off.
pub fn unread(State(shared): &State<Shared>, rejection: &BytesRejection) -> Response {
    let status = rejection.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        let most = shared.max_request_bytes;
        let detail =
            format!("the body has more than pipeline.max_request_bytes = {most} bytes; send fewer events at once");
        return problem(status, &detail);
    }
    problem(status, &format!("the body could not be read: {}", rejection.body_text()))
}
