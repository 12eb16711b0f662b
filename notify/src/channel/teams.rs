//! Microsoft Teams: an Adaptive Card for a workflow's webhook.
//!
//! What others wrote goes into `TextRun`s, which know no markdown, unlike `TextBlock` and `FactSet`.

use serde_json::{Value, json};
use spendstream_schemas::alert::Level;
use spendstream_schemas::config::notify::HookConfig;
use url::Url;

use super::Secrets;
use crate::http::Request;
use crate::link::Link;
use crate::message::{Message, Section, heading};
use crate::text::shorten;

/// A card may have 28 KB: longest text, and alerts that a digest lists.
const TEXT: usize = 2000;
const LISTED: usize = 15;
const LISTED_TEXT: usize = 300;

/// A configured webhook.
#[derive(Debug)]
pub struct Teams {
    url: Url,
}

impl Teams {
    pub(super) fn new(config: &HookConfig, secrets: &mut Secrets<'_>) -> Result<Self, String> {
        Ok(Self { url: secrets.url(&config.url)? })
    }

    #[must_use]
    pub fn request(&self, message: &Message) -> Request {
        Request::json(&self.url, &body(message))
    }
}

fn body(message: &Message) -> Value {
    let mut lines = vec![json!({"type": "RichTextBlock", "inlines": [{
        "type": "TextRun", "text": message.subject, "size": "Large", "weight": "Bolder", "color": colour(message.level),
    }]})];
    let mut links = Vec::new();
    if let [section] = message.sections.as_slice() {
        lines.push(text(&section.text, TEXT));
        lines.extend(section.facts.iter().map(|(label, value)| labelled(label, value)));
        lines.push(labelled("What to do", &section.advice));
        links.extend([(&section.look, "Look here"), (&section.switch_off, "Switch off")]);
    } else {
        lines.extend(message.sections.iter().take(LISTED).map(listed));
        links.push((&message.all, "All alerts"));
    }
    let (urls, commands): (Vec<_>, Vec<_>) = links.into_iter().partition(|(link, _)| link.url().is_some());
    lines.extend(commands.into_iter().map(|(link, label)| labelled(label, link.text())));
    let actions: Vec<Value> = urls.into_iter().map(|(link, label)| open(link, label)).collect();
    json!({"type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": {"width": "Full"},
            "body": lines,
            "actions": actions,
        },
    }]})
}

const fn colour(level: Level) -> &'static str {
    match level {
        Level::Info => "Default",
        Level::Warning => "Warning",
        Level::Critical | Level::Emergency => "Attention",
    }
}

fn listed(section: &Section) -> Value {
    labelled(&heading(&section.alert), &format!("{} ({})", shorten(&section.text, LISTED_TEXT), section.alert.scope))
}

fn text(text: &str, limit: usize) -> Value {
    json!({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": shorten(text, limit)}]})
}

fn labelled(label: &str, value: &str) -> Value {
    json!({"type": "RichTextBlock", "inlines": [
        {"type": "TextRun", "text": format!("{}: ", shorten(label, LISTED_TEXT)), "weight": "Bolder"},
        {"type": "TextRun", "text": shorten(value, TEXT)},
    ]})
}

fn open(link: &Link, label: &str) -> Value {
    json!({"type": "Action.OpenUrl", "title": label, "url": link.text()})
}
