//! Errors as clients see them: in comes whatever went wrong, out goes `application/problem+json` with one clear `detail`.
//!
//! Faults of ours are logged in full and sent without their inside.

use std::any::Any;

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::QueryError;

/// Every error of the query API.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: a request that does not say what it must, or SQL that cannot be planned or run.
    #[error("{0}")]
    Invalid(String),
    /// 401: no key, or none that is in force.
    #[error("{0}")]
    Unauthorized(String),
    /// 403: a key without the role for it, a statement that does more than read, or a request from a foreign page.
    #[error("{0}")]
    Forbidden(String),
    /// 404: nothing is at this address, or there is no such model.
    #[error("{0}")]
    NotFound(String),
    /// 405: this address does not know that method.
    #[error("{0}")]
    Method(String),
    /// 406: none of the forms of `Accept` can be made.
    #[error("{0}")]
    NotAcceptable(String),
    /// 409: it was changed meanwhile, or the name is taken.
    #[error("{0}")]
    Conflict(String),
    /// 412: it is not what `If-Match` says.
    #[error("{0}")]
    Precondition(String),
    /// 413: a longer statement or body than is allowed.
    #[error("{0}")]
    TooLarge(String),
    /// 415: a body of a type that is not read.
    #[error("{0}")]
    MediaType(String),
    /// 422: the query went over its limit of rows, bytes or memory.
    #[error("{0}")]
    Limit(String),
    /// 422: fields that cannot be accepted; one line each.
    #[error("{}", .0.join("; "))]
    Rejected(Vec<String>),
    /// 500: a fault of ours.
    #[error("{0}")]
    Internal(String),
    /// 503: no lake yet, a store that does not answer, or all queries busy.
    #[error("{0}")]
    Unavailable(String),
    /// 504: the query went over its time.
    #[error("{0}")]
    Timeout(String),
}

/// The media type of errors (RFC 9457).
pub const MEDIA_TYPE: &str = "application/problem+json";

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Precondition(_) => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Limit(_) | Self::Rejected(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// An error with the word that scripts match on.
#[derive(Debug)]
pub struct Problem {
    error: ApiError,
    kind: &'static str,
}

impl Problem {
    /// The last part of its `type`, for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let kind = match error {
            ApiError::Invalid(_) => "invalid_request",
            ApiError::Unauthorized(_) => "unauthorized",
            ApiError::Forbidden(_) => "forbidden",
            ApiError::NotFound(_) => "not_found",
            ApiError::Method(_) => "method_not_allowed",
            ApiError::NotAcceptable(_) => "not_acceptable",
            ApiError::Conflict(_) => "conflict",
            ApiError::Precondition(_) => "precondition_failed",
            ApiError::TooLarge(_) => "too_large",
            ApiError::MediaType(_) => "unsupported_media_type",
            ApiError::Limit(_) => "limit",
            ApiError::Rejected(_) => "rejected",
            ApiError::Internal(_) => "internal",
            ApiError::Unavailable(_) => "unavailable",
            ApiError::Timeout(_) => "timeout",
        };
        Self { error, kind }
    }
}

/// The answer where a handler panicked; the panic itself is on standard error.
#[must_use]
pub fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::from(ApiError::Internal("the server failed; its standard error says more".into())).into_response()
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        let detail = rejection.body_text();
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                ApiError::TooLarge("the body is larger than a statement may be (query.max_statement_bytes)".into())
            }
            _ => ApiError::Invalid(format!("the body cannot be read: {detail}")),
        }
        .into()
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        ApiError::Invalid(rejection.body_text()).into()
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let kind = error.kind();
        let detail = error.to_string();
        let error = match error {
            QueryError::Refused(_) => ApiError::Forbidden(detail),
            QueryError::StatementTooLarge { .. } => ApiError::TooLarge(detail),
            QueryError::Shape(_) | QueryError::Sql(_) | QueryError::Execution(_) => ApiError::Invalid(detail),
            QueryError::TooManyRows { .. } | QueryError::AnswerTooLarge { .. } | QueryError::Memory { .. } => {
                ApiError::Limit(detail)
            }
            QueryError::NoRoom { .. } => {
                tracing::warn!(%detail, "an answer was not made");
                ApiError::Unavailable(detail)
            }
            QueryError::Timeout { .. } => ApiError::Timeout(detail),
            QueryError::Busy { .. } | QueryError::NoLake { .. } | QueryError::Store => ApiError::Unavailable(detail),
            QueryError::Lake { .. } | QueryError::Config(_) => {
                tracing::warn!(%detail, "the lake does not answer");
                ApiError::Unavailable(detail)
            }
            QueryError::Internal(_) => {
                tracing::error!(%detail, "a query failed by a fault of the query engine");
                ApiError::Internal("the query engine failed; the server's log says more".into())
            }
        };
        Self { error, kind }
    }
}

impl From<spendstream_control::Error> for Problem {
    fn from(error: spendstream_control::Error) -> Self {
        use spendstream_control::Error;
        match error {
            Error::Away(detail) => {
                tracing::warn!(%detail, "the control store does not answer");
                let detail = "the control store (store.url) does not answer; SQL and reports of the lake still work";
                Self { error: ApiError::Unavailable(detail.into()), kind: "store_unavailable" }
            }
            Error::Invalid(problems) => ApiError::Rejected(problems).into(),
            Error::NotFound { .. } => ApiError::NotFound(error.to_string()).into(),
            Error::Conflict(detail) => ApiError::Conflict(detail).into(),
            Error::Stale(_) => ApiError::Precondition(format!("{error}; read it again and repeat the change")).into(),
            Error::Unreadable(_) | Error::Refused(_) => {
                tracing::error!(%error, "the control store failed");
                ApiError::Internal("the control store failed; the server's log says more".into()).into()
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.error.status();
        let mut body = json!({
            "type": format!("urn:spendstream:problem:{}", self.kind),
            "title": status.canonical_reason().unwrap_or("error"),
            "status": status.as_u16(),
            "detail": self.error.to_string(),
        });
        if let ApiError::Rejected(problems) = &self.error {
            body["problems"] = problems.as_slice().into();
        }
        let mut response = (status, body.to_string()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::{MEDIA_TYPE, panicked};

    #[test]
    fn a_panic_is_a_problem_without_its_inside() {
        let response = panicked(Box::new("a secret"));
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        assert!(!format!("{response:?}").contains("secret"));
    }
}
