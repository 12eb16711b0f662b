//! `/v1/blocks`: the emergency stop. In comes a scope with what to do and until when; out comes the stop as it is kept. Every instance that
//! shares the control store takes it within a second; it ends by itself, and every change is in the audit log.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use serde_json::json;
use spendstream_control::blocks::NewBlock;
use spendstream_control::{Act, Error, Store};
use tokio::sync::watch;

use super::problem::{Refusal, problem};
use crate::control::now;

/// Stops listed at most, the newest first.
const MOST_LISTED: u32 = 1_000;
/// A stop is a few hundred bytes.
const MOST_BYTES: usize = 64 << 10;
/// Who acts, for the audit log; where keys are asked for, they say it.
pub(super) const ACTOR: &str = "x-spendstream-actor";

/// The control store, once it is open.
pub type Opened = watch::Receiver<Option<Store>>;

/// The routes.
pub fn router(store: &Opened) -> Router {
    Router::new()
        .route("/v1/blocks", get(list).post(create))
        .route("/v1/blocks/{id}", delete(lift))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(store.clone())
}

async fn create(State(store): State<Opened>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            let detail = format!("a stop has at most {MOST_BYTES} bytes");
            let too_large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, detail);
            return Refusal::unread(&rejection, too_large).into_response();
        }
    };
    let new: NewBlock = match serde_json::from_slice(&body) {
        Ok(new) => new,
        Err(error) => {
            let example = r#"{"scope": {"endpoint": "/chat"}, "action": "block", "until": "2026-12-01T00:00:00Z", "reason": "…"}"#;
            return problem(StatusCode::BAD_REQUEST, &format!("the body is no stop: {error}; write {example}"));
        }
    };
    with(&store, async |store| {
        let block = store.blocks().create(new, &Act { who: &actor(&headers), now: now() }).await?;
        Ok((StatusCode::CREATED, axum::Json(block)).into_response())
    })
    .await
}

async fn list(State(store): State<Opened>) -> Response {
    with(&store, async |store| {
        let at = now();
        let blocks = store.blocks().list(MOST_LISTED).await?;
        let shown = blocks.into_iter().map(|block| json!({ "in_force": block.holds(at), "block": block }));
        Ok(axum::Json(json!({ "blocks": shown.collect::<Vec<_>>() })).into_response())
    })
    .await
}

async fn lift(State(store): State<Opened>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    with(&store, async |store| {
        let block = store.blocks().lift(&id, &Act { who: &actor(&headers), now: now() }).await?;
        Ok(axum::Json(block).into_response())
    })
    .await
}

fn actor(headers: &HeaderMap) -> String {
    let named = headers.get(ACTOR).and_then(|value| value.to_str().ok()).filter(|name| !name.is_empty());
    named.map_or_else(|| "http".to_owned(), |name| name.chars().take(128).collect())
}

async fn with(store: &Opened, act: impl AsyncFnOnce(Store) -> Result<Response, Error>) -> Response {
    let Some(store) = store.borrow().clone() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the control store is not open yet; try again shortly");
    };
    let error = match act(store).await {
        Ok(response) => return response,
        Err(error) => error,
    };
    let status = match &error {
        Error::Away(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Error::NotFound { .. } => StatusCode::NOT_FOUND,
        Error::Conflict(_) => StatusCode::CONFLICT,
        Error::Stale(_) => StatusCode::PRECONDITION_FAILED,
        Error::Unreadable(_) | Error::Refused(_) => {
            tracing::error!(%error, "an emergency stop");
            return problem(StatusCode::INTERNAL_SERVER_ERROR, "the control store refused; the log says why");
        }
    };
    problem(status, &error.to_string().replace('\n', "; "))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use serde_json::{Value, json};
    use spendstream_control::Store;
    use tokio::sync::watch;
    use tower::ServiceExt;

    use super::{Opened, router};

    async fn ask(store: &Opened, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let response = router(store).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[tokio::test]
    async fn a_stop_is_made_listed_and_lifted() {
        let (sender, store) = watch::channel(None);
        assert_eq!(ask(&store, "GET", "/v1/blocks", "").await.0, 503, "not open yet");
        sender.send_replace(Some(Store::open("sqlite::memory:").await.unwrap()));

        let body = r#"{"scope":{"endpoint":"/chat"},"action":"block","until":"2999-01-01T00:00:00Z","reason":"loop"}"#;
        let (status, said) = ask(&store, "POST", "/v1/blocks", body).await;
        assert_eq!((status, said["status"].clone()), (422, json!(422)), "{said}");
        let until = (super::now() + chrono::TimeDelta::hours(1)).to_rfc3339();
        let (status, block) = ask(&store, "POST", "/v1/blocks", &body.replace("2999-01-01T00:00:00Z", &until)).await;
        assert_eq!((status, block["created_by"].clone()), (201, json!("http")), "{block}");
        let id = block["id"].as_str().unwrap();

        let (_, listed) = ask(&store, "GET", "/v1/blocks", "").await;
        assert_eq!(listed["blocks"][0]["in_force"], json!(true), "{listed}");
        assert_eq!(ask(&store, "DELETE", &format!("/v1/blocks/{id}"), "").await.0, 200);
        let (_, listed) = ask(&store, "GET", "/v1/blocks", "").await;
        assert_eq!(listed["blocks"][0]["in_force"], json!(false), "{listed}");
        assert_eq!(ask(&store, "DELETE", "/v1/blocks/none", "").await.0, 404);
        let (status, said) = ask(&store, "POST", "/v1/blocks", "{}").await;
        assert!(said["detail"].as_str().unwrap().starts_with("the body is no stop: missing field"), "{status} {said}");
    }
}
