//! `auth.mode = keys`: in come requests, on go those whose key may do what they ask; the others get a problem. Health and the
//! interface's own description are for everyone.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use spendstream_control::gate::{Denied, Gate};
use spendstream_control::keys::Role;

use super::App;
use super::parameters::ACTOR;
use super::problem::{ApiError, Problem};

/// Who lets in.
#[derive(Clone)]
pub(super) struct Door {
    gate: Arc<Gate>,
    app: Arc<App>,
}

impl Door {
    pub fn new(app: &Arc<App>) -> Self {
        Self { gate: Arc::default(), app: Arc::clone(app) }
    }
}

/// Who may; `None` is everyone. A member's rows are not told from others' yet, so a member reads nothing.
fn roles(method: &Method, path: &str) -> Option<&'static [Role]> {
    Some(match path {
        "/" | "/openapi.json" | "/healthz" | "/readyz" => return None,
        // Pages without data, which then ask with the reader's key.
        _ if ["/alerts", "/budgets/"].iter().any(|page| path.starts_with(page)) => return None,
        "/v1/sql" | "/v1/estimate" => &[Role::Admin, Role::Analyst],
        _ if matches!(*method, Method::GET | Method::HEAD) => &[Role::Admin, Role::Analyst],
        _ => &[Role::Admin],
    })
}

pub(super) async fn enter(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let Some(roles) = roles(request.method(), request.uri().path()) else { return next.run(request).await };
    let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let store = async { door.app.control.get().await.ok() };
    let key = match door.gate.enter(sent, roles, door.app.now(), store).await {
        Ok(key) => key,
        Err(denied) => return refuse(&denied),
    };
    // Who acts is whose key it is, whatever the request says.
    request.headers_mut().remove(ACTOR);
    if let Ok(actor) = HeaderValue::from_str(&key.name).or_else(|_| HeaderValue::from_str(&key.id)) {
        request.headers_mut().insert(ACTOR, actor);
    }
    next.run(request).await
}

fn refuse(denied: &Denied) -> Response {
    let why = denied.to_string();
    let (error, challenge) = match denied {
        Denied::Missing | Denied::Unknown => (ApiError::Unauthorized(why), true),
        Denied::Role { .. } => (ApiError::Forbidden(why), false),
        Denied::Away => (ApiError::Unavailable(why), false),
    };
    let mut response = Problem::from(error).into_response();
    if challenge {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
