//! Who comes in. `auth.mode = keys`: in come requests, on go those whose key may do what they ask; the others get one line why not. Health and the
//! `OpenAPI` document are for everyone. `auth.mode = none`: only this machine, and no web page from elsewhere ([`spendstream_control::local`]).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use spendstream_control::gate::{Denied, Gate};
use spendstream_control::keys::Role;
use spendstream_control::local::refusal;

use super::blocks::{ACTOR, Opened};
use super::problem::problem;
use crate::control::now;

/// Who lets in.
#[derive(Clone)]
pub struct Door {
    gate: Arc<Gate>,
    store: Opened,
}

impl Door {
    #[must_use]
    pub fn new(store: &Opened) -> Self {
        Self { gate: Arc::default(), store: store.clone() }
    }
}

/// Who may; `None` is everyone.
fn roles(method: &Method, path: &str) -> Option<&'static [Role]> {
    Some(match path {
        "/openapi.json" | "/healthz" | "/readyz" => return None,
        "/v1/events" | "/v1/traces" | "/v1/decide" => &[Role::Admin, Role::Producer],
        "/metrics" | "/v1/recent" => &[Role::Admin, Role::Analyst],
        path if path.starts_with("/v1/blocks") && *method == Method::GET => &[Role::Admin, Role::Analyst],
        _ => &[Role::Admin],
    })
}

pub async fn enter(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let Some(roles) = roles(request.method(), request.uri().path()) else { return next.run(request).await };
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let entered = door.gate.enter(sent, roles, now(), async { door.store.borrow().clone() }).await;
    let key = match entered {
        Ok(key) => key,
        Err(denied) => return refuse(&denied),
    };
    // Who acts is whose key it is, whatever the request says.
    let actor = HeaderValue::from_str(&key.name).or_else(|_| HeaderValue::from_str(&key.id));
    request.headers_mut().remove(ACTOR);
    if let Ok(actor) = actor {
        request.headers_mut().insert(ACTOR, actor);
    }
    next.run(request).await
}

pub async fn only_local(request: Request, next: Next) -> Response {
    match refusal(text(request.headers(), &header::HOST), text(request.headers(), &header::ORIGIN)) {
        Some(why) => problem(StatusCode::FORBIDDEN, &why),
        None => next.run(request).await,
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn refuse(denied: &Denied) -> Response {
    let status = match denied {
        Denied::Missing | Denied::Unknown => StatusCode::UNAUTHORIZED,
        Denied::Role { .. } => StatusCode::FORBIDDEN,
        Denied::Away => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = problem(status, &denied.to_string()).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{HeaderMap, Request};
    use axum::middleware;
    use axum::routing::any;
    use spendstream_control::keys::Role;
    use spendstream_control::{Act, Store};
    use tokio::sync::watch;
    use tower::ServiceExt as _;

    use super::{ACTOR, Door, enter, now};

    #[tokio::test]
    async fn each_address_takes_the_keys_that_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("control.db").display())).await.unwrap();
        let act = Act { who: "ann", now: now() };
        let mut secrets = Vec::new();
        for role in [Role::Admin, Role::Analyst, Role::Producer] {
            secrets.push(store.keys().create(role.word(), role, &[], &act).await.unwrap().secret);
        }
        let (_opened, store) = watch::channel(Some(store));
        let echo = async |headers: HeaderMap| headers[ACTOR].to_str().unwrap().to_owned();
        let router = Router::new()
            .route("/healthz", any(async || "ok"))
            .fallback(any(echo))
            .layer(middleware::from_fn_with_state(Door::new(&store), enter));
        let ask = async |method: &str, path: &str, secret: Option<&str>| {
            let mut request = Request::builder().method(method).uri(path).header(ACTOR, "somebody else");
            if let Some(secret) = secret {
                request = request.header("authorization", format!("Bearer {secret}"));
            }
            let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let status = response.status().as_u16();
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(ask("GET", "/healthz", None).await.0, 200);
        assert_eq!(ask("GET", "/openapi.json", None).await.0, 200);
        assert_eq!(ask("POST", "/v1/events", None).await.0, 401);
        assert_eq!(ask("POST", "/v1/events", Some("ssk_wrong")).await.0, 401);
        for (method, path, expected) in [
            ("POST", "/v1/events", [200, 403, 200]),
            ("POST", "/v1/traces", [200, 403, 200]),
            ("POST", "/v1/decide", [200, 403, 200]),
            ("GET", "/metrics", [200, 200, 403]),
            ("GET", "/v1/blocks", [200, 200, 403]),
            ("POST", "/v1/blocks", [200, 403, 403]),
            ("DELETE", "/v1/blocks/b1", [200, 403, 403]),
        ] {
            for (secret, expected) in secrets.iter().zip(expected) {
                let (status, body) = ask(method, path, Some(secret)).await;
                assert_eq!(status, expected, "{method} {path}: {body}");
                assert!(!body.contains(secret.as_str()) && !body.contains("somebody"), "{body}");
            }
        }
        assert_eq!(ask("POST", "/v1/blocks", Some(&secrets[0])).await.1, "admin");
    }
}
