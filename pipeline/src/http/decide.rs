//! `POST /v1/decide`: in comes a call, out comes whether it may run. Always 200 for a request that can be read; the answer says what to
//! pass on. Nothing here waits: only a long text is counted on a thread of its own.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use spendstream_schemas::decision::{Answer, Request, RequestError};

use super::problem::{Refusal, problem};
use crate::budget::live::Live;
use crate::control::now;

/// The route, for whoever has its state; bodies are bounded by `decide.max_request_bytes`.
pub fn router(live: &Arc<Live>) -> Router {
    let limit = DefaultBodyLimit::max(live.config().max_request_bytes);
    Router::new().route("/v1/decide", post(answer)).layer(limit).with_state(Arc::clone(live))
}

async fn answer(State(live): State<Arc<Live>>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let most = live.config().max_request_bytes;
            let detail = format!("the body has more than decide.max_request_bytes = {most} bytes");
            let too_large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail);
            return Refusal::unread(&rejection, too_large).into_response();
        }
    };
    let request = match Request::parse(&body) {
        Ok(request) => request,
        Err(error) => return refused(&error),
    };
    if !Live::is_slow(&request) {
        return respond(live.decide(&request, now()));
    }
    let counted = tokio::task::spawn_blocking(move || {
        let request = Request::parse(&body)?;
        live.decide(&request, now())
    });
    match counted.await {
        Ok(answer) => respond(answer),
        Err(error) => {
            tracing::error!(%error, "a decision ended by a panic");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the decision failed; the log says why")
        }
    }
}

fn respond(answer: Result<Answer, RequestError>) -> Response {
    match answer {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(error) => refused(&error),
    }
}

fn refused(error: &RequestError) -> Response {
    problem(StatusCode::BAD_REQUEST, &error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt;

    use crate::budget::fixture::Desk;

    async fn post(config: &str, body: String) -> (StatusCode, serde_json::Value) {
        let router = super::router(&Arc::new(Desk::new(config, &[]).live));
        let request = Request::post("/v1/decide").body(Body::from(body)).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_call_is_answered_and_a_bad_request_gets_one_line() {
        let call = r#"{"provider": "acme", "model": "big", "input_tokens": 1000, "output_tokens": 0}"#;
        let (status, answer) = post("", call.to_owned()).await;
        assert_eq!(
            (status, &answer["allow"], &answer["estimated_cost"]),
            (StatusCode::OK, &true.into(), &"0.01".into())
        );
        for field in
            ["reasons", "violated", "warnings", "suggested_model", "basis", "retry_after_seconds", "as_of", "body"]
        {
            assert!(answer.get(field).is_some(), "{field}");
        }
        let (status, problem) = post("", "{}".to_owned()).await;
        assert_eq!((status, &problem["detail"]), (StatusCode::BAD_REQUEST, &"'model' is missing".into()));
        let (status, _) = post("max_request_bytes = 10", call.to_owned()).await;
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_long_text_is_counted_too() {
        let text = "spend ".repeat(2_000);
        let (status, answer) =
            post("", format!(r#"{{"model": "acme/big", "text": "{text}", "output_tokens": 0}}"#)).await;
        assert_eq!((status, &answer["input_basis"]), (StatusCode::OK, &"tokenizer_approximation".into()));
        let short = "max_tokenized_bytes = 100";
        let (_, answer) =
            post(short, format!(r#"{{"model": "acme/big", "text": "{text}", "output_tokens": 0}}"#)).await;
        assert_eq!((&answer["input_basis"], &answer["estimated_cost"]), (&"characters".into(), &"0.03".into()));
    }
}
