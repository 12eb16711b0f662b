//! Without keys, only this machine may ask ([`spendstream_control::local`]): in comes a request, out comes the same or a refusal.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use spendstream_control::local::refusal;

use super::problem::{ApiError, Problem};

pub(super) async fn only_local(request: Request, next: Next) -> Response {
    match refusal(text(request.headers(), &header::HOST), text(request.headers(), &header::ORIGIN)) {
        Some(why) => Problem::from(ApiError::Forbidden(why)).into_response(),
        None => next.run(request).await,
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}
