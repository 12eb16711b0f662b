//! Incidents: Events API v2 of `PagerDuty`, which others speak too.
//!
//! An incident is a threshold of a budget in a scope and a period, or a series: a recovery has the `dedup_key` of what it ends, so that it
//! closes that and nothing else, and what another period opens is an incident of its own.

use std::fmt;

use chrono::SecondsFormat;
use serde_json::json;
use sha2::{Digest, Sha256};
use spendstream_schemas::alert::{Alert, Kind, Level};
use spendstream_schemas::config::notify::PagerDutyConfig;
use spendstream_schemas::hex::hex;
use url::Url;

use super::Secrets;
use crate::http::Request;
use crate::message::{Message, Section};
use crate::text::shorten;

/// The longest summary and key that the API takes.
const SUMMARY: usize = 1024;
const KEY: usize = 255;

/// A configured service.
pub struct PagerDuty {
    url: Url,
    routing_key: String,
}

impl fmt::Debug for PagerDuty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagerDuty").finish_non_exhaustive()
    }
}

impl PagerDuty {
    pub(super) fn new(config: &PagerDutyConfig, secrets: &mut Secrets<'_>) -> Result<Self, String> {
        let routing_key = secrets.text("routing_key", &config.routing_key)?;
        Ok(Self { url: secrets.url(&config.url)?, routing_key })
    }

    /// Of the first alert: routes never make digests of incidents.
    #[must_use]
    pub fn request(&self, message: &Message) -> Option<Request> {
        let section = message.sections.first()?;
        let key = dedup_key(&section.alert);
        if section.alert.kind == Kind::Recovery {
            let body = json!({"routing_key": self.routing_key, "event_action": "resolve", "dedup_key": key});
            return Some(Request::json(&self.url, &body));
        }
        let body = json!({
            "routing_key": self.routing_key,
            "event_action": "trigger",
            "dedup_key": key,
            "client": "spendstream",
            "client_url": section.look.url(),
            "links": links(section),
            "payload": payload(message, section),
        });
        Some(Request::json(&self.url, &body))
    }
}

fn payload(message: &Message, section: &Section) -> serde_json::Value {
    let alert = &section.alert;
    let facts: serde_json::Map<_, _> = section
        .facts
        .iter()
        .map(|(label, value)| ((*label).to_owned(), value.clone().into()))
        .chain([
            ("Message".to_owned(), section.text.clone().into()),
            ("What to do".to_owned(), section.advice.clone().into()),
        ])
        .collect();
    json!({
        "summary": shorten(&message.subject, SUMMARY),
        "source": shorten(&alert.scope.to_string(), SUMMARY),
        "severity": severity(alert.level),
        "timestamp": alert.event_time.to_rfc3339_opts(SecondsFormat::Millis, true),
        "component": alert.budget_id,
        "group": "spendstream",
        "class": alert.kind,
        "custom_details": facts,
    })
}

const fn severity(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Critical => "error",
        Level::Emergency => "critical",
    }
}

fn links(section: &Section) -> Vec<serde_json::Value> {
    [(&section.look, "Look here"), (&section.switch_off, "Switch off")]
        .into_iter()
        .filter_map(|(link, text)| link.url().map(|url| json!({"href": url, "text": text})))
        .collect()
}

/// `BUDGET/SCOPE/PERIOD/BASIS-THRESHOLD`; for what is no budget `KIND/SCOPE`, in its recovery by `details.recovers.kind`.
fn dedup_key(alert: &Alert) -> String {
    let detail = |key: &str| alert.details.get(key).and_then(serde_json::Value::as_str);
    let threshold = match (detail("occurrence"), detail("basis"), detail("threshold_percent")) {
        // A rolling window has no periods: what goes on is one incident.
        (Some(_), Some(basis), Some(threshold)) if alert.details["rolling"] == true => format!("/{basis}-{threshold}"),
        (Some(period), Some(basis), Some(threshold)) => format!("/{period}/{basis}-{threshold}"),
        _ => String::new(),
    };
    let recovered = alert.details.get("recovers").and_then(|of| of.get("kind")).and_then(serde_json::Value::as_str);
    let about = match (&alert.budget_id, recovered) {
        (Some(budget), _) => budget.as_str(),
        (None, Some(kind)) => kind,
        (None, None) => alert.kind.word(),
    };
    let key = format!("spendstream/{about}/{}{threshold}", alert.scope);
    if key.len() <= KEY {
        return key;
    }
    format!("spendstream/{}", hex(&Sha256::digest(key)))
}
