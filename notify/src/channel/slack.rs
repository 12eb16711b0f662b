//! Slack: Block Kit through an incoming webhook.
//!
//! What others wrote (titles, messages, scopes) goes into `plain_text` objects, which know no markup; only the links are
//! mrkdwn, and those are ours.

use serde_json::{Value, json};
use spendstream_schemas::config::notify::HookConfig;
use url::Url;

use super::Secrets;
use crate::http::Request;
use crate::link::Link;
use crate::message::{Message, Section, heading};
use crate::text::{shorten, slack};

/// Slack's limits: characters of a header, of a section, of a field; fields of a section. A digest lists so many alerts.
const HEADER: usize = 150;
const SECTION: usize = 3000;
const FIELD: usize = 2000;
const FIELDS: usize = 10;
const LISTED: usize = 20;

/// A configured webhook.
#[derive(Debug)]
pub struct Slack {
    url: Url,
}

impl Slack {
    pub(super) fn new(config: &HookConfig, secrets: &mut Secrets<'_>) -> Result<Self, String> {
        Ok(Self { url: secrets.url(&config.url)? })
    }

    #[must_use]
    pub fn request(&self, message: &Message) -> Request {
        Request::json(&self.url, &body(message))
    }
}

fn body(message: &Message) -> Value {
    let mut blocks = vec![json!({"type": "header", "text": plain(&message.subject, HEADER)})];
    if let [section] = message.sections.as_slice() {
        blocks.extend(single(section));
    } else {
        blocks.extend(message.sections.iter().take(LISTED).flat_map(listed));
        let more = message.sections.len().saturating_sub(LISTED);
        if more > 0 {
            blocks.push(json!({"type": "section", "text": mrkdwn(&format!("and {more} more: {}", link(&message.all, "all alerts")))}));
        }
    }
    // What notifications and screen readers show.
    json!({"text": slack(&message.subject), "blocks": blocks})
}

fn single(section: &Section) -> Vec<Value> {
    let fields: Vec<Value> =
        section.facts.iter().take(FIELDS).map(|(label, value)| plain(&format!("{label}: {value}"), FIELD)).collect();
    let mut blocks = vec![json!({"type": "section", "fields": fields})];
    if !section.text.is_empty() {
        blocks.insert(0, json!({"type": "section", "text": plain(&section.text, SECTION)}));
    }
    blocks.push(json!({"type": "section", "text": plain(&format!("What to do: {}", section.advice), SECTION)}));
    blocks.push(json!({"type": "context", "elements": [mrkdwn(&links(section))]}));
    blocks
}

fn listed(section: &Section) -> [Value; 2] {
    let text = format!("{}\n{}\n{}", heading(&section.alert), section.alert.scope, section.text);
    [
        json!({"type": "section", "text": plain(&text, SECTION)}),
        json!({"type": "context", "elements": [mrkdwn(&links(section))]}),
    ]
}

fn links(section: &Section) -> String {
    format!("{} · {}", link(&section.look, "Look here"), link(&section.switch_off, "Switch off"))
}

fn link(link: &Link, label: &str) -> String {
    match link.url() {
        // `|` ends the address.
        Some(url) => format!("<{}|{label}>", slack(url).replace('|', "%7C")),
        None => format!("{label}: `{}`", slack(link.text())),
    }
}

fn plain(text: &str, limit: usize) -> Value {
    json!({"type": "plain_text", "text": shorten(text, limit), "emoji": false})
}

fn mrkdwn(text: &str) -> Value {
    json!({"type": "mrkdwn", "text": text})
}
