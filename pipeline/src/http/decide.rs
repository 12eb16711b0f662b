//! `POST /v1/decide`: in comes a call, out comes whether it may run. Always 200 for a request that can be read; the answer says what to
//! pass on. Nothing here waits: only a long text is counted on a thread of its own.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use spendstream_schemas::decision::{Answer, Request, RequestError};

use super::problem::{Refusal, problem};
use crate::budget::live::Live;
use crate::control::now;
use crate::decode::secret::clean_request;
use crate::metrics::Metrics;

/// Who decides, and who counts it.
#[derive(Clone)]
struct Desk {
    live: Arc<Live>,
    metrics: Arc<Metrics>,
}

/// The route; bodies are bounded by `decide.max_request_bytes`.
pub fn router(live: &Arc<Live>, metrics: &Arc<Metrics>) -> Router {
    let limit = DefaultBodyLimit::max(live.config().max_request_bytes);
    let desk = Desk { live: Arc::clone(live), metrics: Arc::clone(metrics) };
    Router::new().route("/v1/decide", post(answer)).layer(limit).with_state(desk)
}

async fn answer(State(Desk { live, metrics }): State<Desk>, body: Result<Bytes, BytesRejection>) -> Response {
    let began = Instant::now();
    if live.is_closed() {
        let problem = problem(StatusCode::SERVICE_UNAVAILABLE, "this instance stops; ask another one, or again");
        return ([(RETRY_AFTER, "1")], problem).into_response();
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let most = live.config().max_request_bytes;
            let detail = format!("the body has more than decide.max_request_bytes = {most} bytes");
            let too_large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail);
            return Refusal::unread(&rejection, too_large).into_response();
        }
    };
    let request = match read(&body, &live) {
        Ok(request) => request,
        Err(error) => return refused(&error),
    };
    if !Live::is_slow(&request) {
        return respond(live.decide(&request, now()), began, &metrics);
    }
    let counted = tokio::task::spawn_blocking(move || {
        let request = read(&body, &live)?;
        live.decide(&request, now())
    });
    match counted.await {
        Ok(answer) => respond(answer, began, &metrics),
        Err(error) => {
            tracing::error!(%error, "a decision ended by a panic");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "the decision failed; the log says why")
        }
    }
}

/// Cleaned as events are: a key would be kept with the decision, and would not be found under the hash that events have.
fn read<'b>(body: &'b [u8], live: &Live) -> Result<Request<'b>, RequestError> {
    let mut request = Request::parse(body)?;
    clean_request(&mut request);
    live.cover(&mut request);
    Ok(request)
}

fn respond(answer: Result<Answer, RequestError>, began: Instant, metrics: &Metrics) -> Response {
    match answer {
        Ok(answer) => {
            metrics.http.decided(&answer, began.elapsed());
            axum::Json(answer).into_response()
        }
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
    use crate::metrics::Metrics;

    fn metrics() -> Arc<Metrics> {
        Arc::new(Metrics::new().unwrap())
    }

    async fn post(config: &str, body: String) -> (StatusCode, serde_json::Value) {
        let router = super::router(&Arc::new(Desk::new(config, &[]).live), &metrics());
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
    async fn a_key_in_a_question_is_never_kept_and_finds_its_budget() {
        let secret = "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl12Mn34Op56";
        let masked = crate::decode::secret::masked(secret);
        let desk = Desk::new(
            "sample_allows = 1",
            &[r#"{"name": "keys", "scope": {"api_key_id": "*"}, "amount": "1", "hard_limit": true}"#],
        );
        desk.spend("keys", &[Some(&masked)], "0.995");
        let live = Arc::new(desk.live);
        let body = format!(
            r#"{{"provider": "acme", "model": "big", "input_tokens": 1000, "output_tokens": 0, "api_key_id": "{secret}", "tags": {{"token": "{secret}"}}}}"#
        );
        let request = Request::post("/v1/decide").body(Body::from(body)).unwrap();
        let response = super::router(&live, &metrics()).oneshot(request).await.unwrap();
        let answer = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let answer = String::from_utf8(answer.to_vec()).unwrap();
        assert!(answer.contains("\"allow\":false") && answer.contains(&masked), "{answer}");
        let rows = format!("{:?}", live.take_decisions(10));
        assert!(rows.contains(&masked), "{rows}");
        assert!(!rows.contains(secret) && !answer.contains(secret));
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
