//! What a message says, before any channel writes it: alerts in, a subject and one section per alert out.
//!
//! Figures are the alert's own texts, never computed or rounded here. Nothing is escaped yet: each channel does that for
//! its own format.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sha2::{Digest, Sha256};
use spendstream_schemas::alert::{Alert, Kind, Level};
use spendstream_schemas::hex::hex;

use crate::link::{Link, Links};
use crate::text::{one_line, shorten};

/// Longest subject, in characters.
const SUBJECT: usize = 150;

/// One message about one alert, or about several (a digest).
#[derive(Clone, Debug)]
pub struct Message {
    /// Names the message to its receiver: the alert's id, or for a digest a hash of all of theirs. A repeat has the same.
    pub key: String,
    /// The highest of its alerts.
    pub level: Level,
    /// One line.
    pub subject: String,
    /// When the newest of its alerts was raised.
    pub at: DateTime<Utc>,
    pub sections: Vec<Section>,
    /// Where all alerts are.
    pub all: Link,
}

/// What is said about one alert.
#[derive(Clone, Debug)]
pub struct Section {
    pub alert: Alert,
    /// One line.
    pub title: String,
    pub text: String,
    /// Label and value, in reading order.
    pub facts: Vec<(&'static str, String)>,
    /// What to do.
    pub advice: String,
    pub look: Link,
    pub switch_off: Link,
}

impl Message {
    /// `None` when there is no alert to tell of.
    #[must_use]
    pub fn new(alerts: &[Alert], links: &Links) -> Option<Self> {
        let first = alerts.first()?;
        let level = alerts.iter().map(|alert| alert.level).max()?;
        Some(Self {
            key: key(alerts),
            level,
            subject: if alerts.len() == 1 { subject(first) } else { digest_subject(alerts, level) },
            at: alerts.iter().map(|alert| alert.raised_at).max()?,
            sections: alerts.iter().map(|alert| section(alert, links)).collect(),
            all: links.all(),
        })
    }

    /// The message as plain text: for mail, and for whatever shows nothing else.
    #[must_use]
    pub fn plain(&self) -> String {
        // Writing to a text cannot fail.
        let mut out = String::new();
        for section in &self.sections {
            if self.sections.len() > 1 {
                let _ = write!(out, "== {}\n\n", heading(&section.alert));
            }
            let _ = write!(out, "{}\n\n", section.text);
            for (label, value) in &section.facts {
                let _ = writeln!(out, "{label}: {}", one_line(value));
            }
            let _ = write!(out, "\nWhat to do: {}\n", section.advice);
            let _ = write!(out, "Look here: {}\nSwitch off: {}\n\n", section.look.text(), section.switch_off.text());
        }
        out
    }
}

fn key(alerts: &[Alert]) -> String {
    if let [alert] = alerts {
        return alert.id.clone();
    }
    let mut ids: Vec<&str> = alerts.iter().map(|alert| alert.id.as_str()).collect();
    ids.sort_unstable();
    hex(Sha256::digest(ids.join("\n")).get(..16).unwrap_or_default())
}

fn subject(alert: &Alert) -> String {
    shorten(&format!("[spendstream] {}", heading(alert)), SUBJECT)
}

/// `CRITICAL: search team at 81 %`.
#[must_use]
pub fn heading(alert: &Alert) -> String {
    format!("{}: {}", label(alert), one_line(&alert.title))
}

fn label(alert: &Alert) -> String {
    if alert.kind == Kind::Recovery { "RECOVERED".to_owned() } else { alert.level.word().to_uppercase() }
}

fn digest_subject(alerts: &[Alert], highest: Level) -> String {
    let of_highest = alerts.iter().filter(|alert| alert.level == highest).count();
    format!("[spendstream] {} alerts, {of_highest} of them {highest}", alerts.len())
}

fn section(alert: &Alert, links: &Links) -> Section {
    Section {
        alert: alert.clone(),
        title: one_line(&alert.title),
        text: alert.message.trim().to_owned(),
        facts: facts(alert),
        advice: detail(alert, "advice").map_or_else(|| advice(alert.kind).to_owned(), String::from),
        look: links.look(alert),
        switch_off: links.switch_off(alert),
    }
}

/// A text among the alert's details: `used`, `amount`, `percent`, `timezone`, `advice`.
fn detail<'a>(alert: &'a Alert, key: &str) -> Option<&'a str> {
    alert.details.get(key)?.as_str().filter(|text| !text.is_empty())
}

fn facts(alert: &Alert) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Level", alert.level.to_string()), ("Kind", alert.kind.to_string())];
    if let (Some(used), Some(amount)) = (detail(alert, "used"), detail(alert, "amount")) {
        let percent = detail(alert, "percent").map(|percent| format!(" ({percent} %)")).unwrap_or_default();
        facts.push(("Used", format!("{used} of {amount} {}{percent}", alert.currency)));
    }
    if !alert.value.is_empty() {
        facts.push(("Value", alert.value.clone()));
    }
    if !alert.threshold.is_empty() {
        facts.push(("Threshold", alert.threshold.clone()));
    }
    if !alert.currency.is_empty() {
        facts.push(("Currency", alert.currency.clone()));
    }
    facts.push(("Scope", alert.scope.to_string()));
    let zone = detail(alert, "timezone").and_then(|name| name.parse::<Tz>().ok()).unwrap_or(Tz::UTC);
    let local = |time: DateTime<Utc>| time.with_timezone(&zone).format("%Y-%m-%d %H:%M").to_string();
    if let (Some(start), Some(end)) = (alert.period_start, alert.period_end) {
        facts.push(("Period", format!("{} to {} ({zone})", local(start), local(end))));
    }
    facts.push(("Seen at", format!("{} ({zone})", local(alert.event_time))));
    facts.extend(alert.owner.clone().map(|owner| ("Owner", owner)));
    facts
}

/// What to do where the alert itself does not say.
const fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::ThresholdWarning => {
            "See what drives the spend, then save or raise the budget: where its limit is a hard one, calls are refused from there on."
        }
        Kind::ThresholdExceeded => {
            "Calls still pass. See what drives the spend, then save, raise the budget or block it."
        }
        Kind::LimitReached => "Calls in this scope are refused. Raise the budget, or wait until the period ends.",
        Kind::ForecastBreach => "At this pace the budget will not last. See what grows, then save or raise the budget.",
        Kind::Anomaly => "See which model, team or user moved, and whether somebody meant it. Block it if not.",
        Kind::UnpricedUsage => {
            "This usage counts as tokens, not as money. Add a price for it: it holds for events that are read from then on."
        }
        Kind::Reconciliation => "Live totals were repaired from the lake. If it happens again, see the log.",
        Kind::DailySummary => "Nothing, if the figures are what you expected.",
        Kind::Recovery => "Nothing: the condition is over.",
        Kind::Unallocated => "Add an owner for this spend to the directory.",
    }
}
