//! Pushes to telephones: one JSON object for an HTTP endpoint.

use std::fmt;

use serde_json::json;
use spendstream_schemas::alert::Level;
use spendstream_schemas::config::notify::PushConfig;
use url::Url;

use super::Secrets;
use crate::http::Request;
use crate::message::Message;
use crate::text::{one_line, shorten};

/// What a telephone's lock screen shows.
const BODY: usize = 500;

/// A configured endpoint.
pub struct Push {
    url: Url,
    token: String,
    topic: String,
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Push {
    pub(super) fn new(config: &PushConfig, secrets: &mut Secrets<'_>) -> Result<Self, String> {
        let token = secrets.text("token", &config.token)?;
        Ok(Self { url: secrets.url(&config.url)?, token, topic: config.topic.clone() })
    }

    #[must_use]
    pub fn request(&self, message: &Message) -> Request {
        let text = match message.sections.as_slice() {
            [section] => section.text.clone(),
            sections => sections.iter().map(|section| section.title.as_str()).collect::<Vec<_>>().join("; "),
        };
        let (look, off) = match message.sections.as_slice() {
            [section] => (section.look.text(), section.switch_off.text()),
            _ => (message.all.text(), message.all.text()),
        };
        let body = json!({
            "id": message.key,
            "topic": self.topic,
            "title": message.subject,
            "body": shorten(&one_line(&text), BODY),
            "level": message.level,
            "priority": if message.level >= Level::Critical { "high" } else { "normal" },
            "url": look,
            "switch_off": off,
        });
        let request = Request::json(&self.url, &body).header("Idempotency-Key", &message.key);
        if self.token.is_empty() { request } else { request.header("Authorization", format!("Bearer {}", self.token)) }
    }
}
