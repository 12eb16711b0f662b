//! Sends one HTTP request and says what became of it. No redirect is followed, no proxy used, and no address reached that
//! the guard forbids; of an answer at most a few kilobytes are read. Errors never show the URL.

use std::error::Error as StdError;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::failure::{Failure, Verdict};
use crate::guard::{Forbidden, GuardedResolver, check_literal};
use crate::text::{one_line, shorten};

/// What a channel wants to be sent: always a POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub url: Url,
    pub content_type: &'static str,
    /// Name and value, in the order in which a preview shows them.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    #[must_use]
    pub fn json(url: &Url, body: &serde_json::Value) -> Self {
        Self { url: url.clone(), content_type: "application/json", headers: Vec::new(), body: body.to_string() }
    }

    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// Bytes of an answer that are read, and characters of it that an error shows.
const ANSWER_BYTES: usize = 4096;
const ANSWER_SHOWN: usize = 200;

/// Sends requests of all channels.
#[derive(Clone, Debug)]
pub struct Sender {
    client: Client,
    allow_private: bool,
}

impl Sender {
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(allow_private: bool, timeout: Duration) -> Result<Self, String> {
        // One provider for all TLS of the process; an error only says that there is one already.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("spendstream/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(std::sync::Arc::new(GuardedResolver { allow_private }))
            .timeout(timeout)
            .build()
            .map_err(|error| format!("making the HTTP client: {}", causes(&error)))?;
        Ok(Self { client, allow_private })
    }

    /// # Errors
    /// When the request was not taken; the verdict says whether to try again. `now` is for answers that name a date.
    pub async fn send(&self, request: &Request, now: DateTime<Utc>) -> Result<(), Failure> {
        check_literal(&request.url, self.allow_private).map_err(|error| Failure::refused(error.to_string()))?;
        let mut builder = self.client.post(request.url.clone()).header(CONTENT_TYPE, request.content_type);
        for (name, value) in &request.headers {
            let (name, value) = header(name, value)?;
            builder = builder.header(name, value);
        }
        let response = builder.body(request.body.clone()).send().await.map_err(|error| unsent(&error.without_url()))?;
        answered(response, now).await
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let name =
        HeaderName::try_from(name).map_err(|_| Failure::refused(format!("'{name}' cannot be a header's name")))?;
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| Failure::refused(format!("the value of header {name} has characters that no header may have")))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// No answer came.
fn unsent(error: &reqwest::Error) -> Failure {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            return Failure::refused(forbidden.to_string());
        }
        cause = inner.source();
    }
    if error.is_timeout() { Failure::retry("no answer in time") } else { Failure::retry(causes(error)) }
}

/// An error with what caused it, on one line.
fn causes(error: &dyn StdError) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        texts.push(inner.to_string());
        cause = inner.source();
    }
    texts.dedup();
    shorten(&one_line(&texts.join(": ")), 2 * ANSWER_SHOWN)
}

async fn answered(response: Response, now: DateTime<Utc>) -> Result<(), Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(Failure::refused(format!(
            "answered {status}: redirects are not followed, configure the final URL"
        )));
    }
    let after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?, now));
    let reason = match excerpt(response).await {
        text if text.is_empty() => format!("answered {status}"),
        text => format!("answered {status}: {text}"),
    };
    let temporary = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::TOO_EARLY);
    let verdict = match (temporary, after) {
        (false, _) => Verdict::Refused,
        (true, Some(after)) => Verdict::RetryAfter(after),
        (true, None) => Verdict::Retry,
    };
    Err(Failure { reason, verdict })
}

/// The beginning of an answer, for people.
async fn excerpt(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= ANSWER_BYTES {
            break;
        }
    }
    bytes.truncate(ANSWER_BYTES);
    shorten(&one_line(&String::from_utf8_lossy(&bytes)), ANSWER_SHOWN)
}

/// `Retry-After`: seconds, or a date.
fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value.trim()).ok()?.with_timezone(&Utc);
    Some((date - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::retry_after;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(retry_after(" 120 ", now), Some(Duration::from_mins(2)));
        assert_eq!(retry_after("Sun, 22 Nov 2026 12:01:30 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(retry_after("Sun, 22 Nov 2026 11:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }
}
