//! The start page with a box for SQL, the page that messages about alerts link to, and the `OpenAPI` document. In comes nothing, out come
//! files of this crate; no assets from elsewhere. Pages hold no data: they ask the interface, with the reader's key where one is needed.

use axum::http::header;
use axum::response::{Html, IntoResponse};

const PAGE: &str = include_str!("home.html");
const ALERTS: &str = include_str!("alerts.html");
const OPENAPI: &str = include_str!("openapi.json");

/// A page loads nothing from anywhere, talks to this server alone and stands in no other's frame.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

pub(super) async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE))
}

/// One page for all alerts, one of them, and a budget: it reads from its own address which.
pub(super) async fn alerts() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(ALERTS))
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}
