//! The start page with a box for SQL, and the `OpenAPI` document. In comes nothing, out come two files of this crate; no
//! assets from elsewhere.

use axum::http::header;
use axum::response::{Html, IntoResponse};

const PAGE: &str = include_str!("home.html");
const OPENAPI: &str = include_str!("openapi.json");

pub(super) async fn page() -> impl IntoResponse {
    // The page loads nothing from anywhere and talks to this server alone.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(PAGE))
}

pub(super) async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}
