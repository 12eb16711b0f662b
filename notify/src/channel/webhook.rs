//! A receiver of JSON: the alerts as they are stored, with links, signed.
//!
//! `Spendstream-Timestamp` is the time of sending in seconds since 1970; `Spendstream-Signature` is `v1=` and the
//! hexadecimal HMAC-SHA256 of `TIMESTAMP.BODY` with the channel's `secret`; `Idempotency-Key` is the alert's id, the same
//! in every repeat (for a digest a hash of the ids). A receiver in Python:
//!
//! ```python
//! expected = "v1=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
//! assert hmac.compare_digest(expected, signature) and abs(time.time() - int(timestamp)) < 300
//! ```

use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use spendstream_schemas::config::notify::WebhookConfig;
use spendstream_schemas::hex::hex;
use url::Url;

use super::Secrets;
use crate::http::Request;
use crate::message::{Message, Section};

pub const TIMESTAMP: &str = "Spendstream-Timestamp";
pub const SIGNATURE: &str = "Spendstream-Signature";
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// A configured receiver.
pub struct Webhook {
    url: Url,
    secret: String,
    headers: Vec<(String, String)>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Webhook {
    pub(super) fn new(config: &WebhookConfig, secrets: &mut Secrets<'_>) -> Result<Self, String> {
        Ok(Self {
            url: secrets.url(&config.url)?,
            secret: secrets.text("secret", &config.secret)?,
            headers: secrets.headers(&config.headers)?,
        })
    }

    #[must_use]
    pub fn request(&self, message: &Message, now: DateTime<Utc>) -> Request {
        let mut request = Request::json(&self.url, &body(message)).header(IDEMPOTENCY_KEY, &message.key);
        request.headers.extend(self.headers.iter().cloned());
        let timestamp = now.timestamp().to_string();
        match signature(&self.secret, &timestamp, &request.body) {
            Some(signature) => request.header(TIMESTAMP, timestamp).header(SIGNATURE, signature),
            None => request.header(TIMESTAMP, timestamp),
        }
    }
}

fn body(message: &Message) -> Value {
    json!({
        "version": 1,
        "key": message.key,
        "subject": message.subject,
        "level": message.level,
        "alerts": message.sections.iter().map(alert).collect::<Vec<_>>(),
    })
}

fn alert(section: &Section) -> Value {
    let mut value = serde_json::to_value(&section.alert).unwrap_or_default();
    for key in ["period_start", "period_end", "event_time", "raised_at"] {
        // The same spelling whatever the precision of the clock.
        let time = value.get(key).and_then(Value::as_str).and_then(|text| text.parse::<DateTime<Utc>>().ok());
        if let Some(time) = time {
            value[key] = time.to_rfc3339_opts(SecondsFormat::AutoSi, true).into();
        }
    }
    value["what_to_do"] = section.advice.clone().into();
    value["links"] = json!({"look": section.look.text(), "switch_off": section.switch_off.text()});
    value
}

/// `v1=…`; `None` without a secret.
fn signature(secret: &str, timestamp: &str, body: &str) -> Option<String> {
    if secret.is_empty() {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    Some(format!("v1={}", hex(&mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::signature;

    /// Computed with Python's `hmac` and with `openssl dgst -sha256 -hmac`.
    #[test]
    fn the_signature_is_what_others_compute() {
        assert_eq!(
            signature("whsec_test", "1790000000", "{\"a\":1}").as_deref(),
            Some("v1=f08690bbaaecbd1607eb9af71f092a9f7054e2b83f8b9d6a0690744d24fc6059")
        );
        assert_eq!(signature("", "1", "x"), None);
    }
}
