//! Budgets of a scenario: calls of one cent each, a receiver that is told, a desk that is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::http;
use super::instance::Setup;
use super::lake::text;
use super::mail::{ADDRESS, Mail};
use super::receiver::Receiver;
use super::wait;

/// The time that budgets and their events are of.
#[expect(clippy::disallowed_methods, reason = "budgets are of now, and so are their events")]
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// Instances started from now on follow these budgets and tell `receiver`, and by mail.
pub fn configure(setup: &Setup, receiver: &Receiver, mail: Option<&Mail>, budgets: &str) {
    setup.file("budgets.toml", budgets);
    let mut config = String::from(
        "[budgets]\nfile = \"budgets.toml\"\n[decide]\nsample_allows = 1\n[notify]\nallow_private_addresses = true\n",
    );
    let channels = if mail.is_some() { "\"hook\", \"mail\"" } else { "\"hook\"" };
    writeln!(config, "default_channels = [{channels}]\nlease = \"5s\"\ntimeout = \"2s\"").unwrap();
    writeln!(config, "[[notify.channels]]\nkind = \"webhook\"\nname = \"hook\"\nurl = \"{}\"", receiver.url()).unwrap();
    if let Some(mail) = mail {
        config
            .push_str("[[notify.channels]]\nkind = \"email\"\nname = \"mail\"\nhost = \"127.0.0.1\"\ntls = \"none\"\n");
        writeln!(config, "port = {}\nfrom = \"spend@example.org\"\nto = [\"{ADDRESS}\"]", mail.smtp).unwrap();
    }
    setup.file("spendstream.toml", &config);
}

/// A call of exactly one cent: 4 000 input tokens of gpt-4o.
pub fn cent(id: &str, user: &str) -> String {
    json!({
        "id": id, "time": now().as_millis(), "provider": "openai", "model": "gpt-4o", "team": "search", "user": user,
        "usage": {"prompt_tokens": 4_000, "completion_tokens": 0, "total_tokens": 4_000}
    })
    .to_string()
}

/// What is asked before such a call; without an id nothing is held.
pub fn question(id: Option<&str>, team: &str, priority: &str) -> Value {
    json!({
        "id": id, "team": team, "user": "user-0", "provider": "openai", "model": "gpt-4o", "input_tokens": 4_000,
        "output_tokens": 0, "priority": priority
    })
}

/// The answer to a question; `None` when nobody answers, or whoever does is about to stop.
pub fn decide(address: &str, question: &Value) -> Option<Value> {
    let (status, answer) = http::post(address, "/v1/decide", "application/json", question.to_string().as_bytes())?;
    if status == 503 && answer.contains("this instance stops") {
        return None;
    }
    assert_eq!(status, 200, "{answer}");
    Some(serde_json::from_str(&answer).unwrap())
}

/// The same, once what it depends on is known.
pub fn decide_known(address: &str, question: &Value) -> Value {
    wait::until("a decision on known totals", || {
        decide(address, question).filter(|answer| !answer["reasons"].to_string().contains("not known yet"))
    })
}

/// What was told: kind, scope and the amount that was reached → how often under different ids.
pub fn delivered(receiver: &Receiver) -> BTreeMap<(String, String, String), usize> {
    let mut ids = BTreeMap::<_, BTreeSet<String>>::new();
    for alert in receiver.alerts() {
        let key = (text(&alert["kind"]), scope(&alert), text(&alert["threshold"]));
        ids.entry(key).or_default().insert(text(&alert["id"]));
    }
    ids.into_iter().map(|(key, ids)| (key, ids.len())).collect()
}

/// One alert that was told once.
pub fn once(kind: &str, scope: &str, threshold: &str) -> ((String, String, String), usize) {
    ((kind.to_owned(), scope.to_owned(), threshold.to_owned()), 1)
}

fn scope(alert: &Value) -> String {
    let scope = alert["scope"].as_object().expect("a scope is an object");
    let parts: Vec<String> = scope.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    parts.join(", ")
}
