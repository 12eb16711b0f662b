//! What each channel sends, as files. `UPDATE_SNAPSHOTS=1` writes them anew; read the difference before committing it.

use std::path::Path;

use spendstream_schemas::alert::{Alert, Kind, Level};

use crate::support::sample::{alert, desk, now, numbered};

const CHANNELS: &str = r#"
[[notify.channels]]
kind = "email"
name = "email"
host = "smtp.example.org"
username = "alerts"
password = "hunter2"
from = "spendstream <alerts@example.org>"
to = ["finops@example.org", "Ann <ann@example.org>"]
[[notify.channels]]
kind = "slack"
name = "slack"
url = "https://hooks.slack.example/services/T0/B0/SlackToken99"
[[notify.channels]]
kind = "teams"
name = "teams"
url = "https://teams.example/workflows/TeamsToken99"
[[notify.channels]]
kind = "webhook"
name = "webhook"
url = "https://example.org/hooks/HookToken999"
secret = "whsec_test"
headers = { Authorization = "Bearer HeaderToken" }
[[notify.channels]]
kind = "sms"
name = "sms"
url = "https://gateway.example.org/send"
to = ["+491701234567"]
body = "to={to}&text={text}"
[[notify.channels]]
kind = "push"
name = "push"
url = "https://push.example.org/send"
token = "PushToken99"
topic = "spend"
[[notify.channels]]
kind = "pagerduty"
name = "pagerduty"
routing_key = "R0utingKey99"
"#;

fn check(name: &str, channel: &str, alert: &Alert) {
    let shown = desk(CHANNELS).preview(channel, alert, now()).unwrap();
    for secret in [
        "hunter2",
        "SlackToken99",
        "TeamsToken99",
        "HookToken999",
        "whsec_test",
        "HeaderToken",
        "PushToken99",
        "R0utingKey99",
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/delivery/snapshots").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &shown).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(shown, expected, "{} differs", path.display());
}

#[test]
fn every_channel_sends_what_its_snapshot_says() {
    for channel in ["email", "slack", "teams", "webhook", "sms", "push", "pagerduty"] {
        check(channel, channel, &alert());
    }
}

#[test]
fn a_recovery_resolves_the_incident_that_its_alert_opened() {
    let recovery = Alert { kind: Kind::Recovery, level: Level::Info, ..numbered(2) };
    check("pagerduty_recovery", "pagerduty", &recovery);
    let key = |alert: &Alert| {
        let shown = desk(CHANNELS).preview("pagerduty", alert, now()).unwrap();
        let body: serde_json::Value = serde_json::from_str(shown.split_once("\n\n").unwrap().1).unwrap();
        body["dedup_key"].as_str().unwrap().to_owned()
    };
    assert_eq!(key(&alert()), key(&recovery));
    // Each threshold of a budget, and each period, is an incident of its own.
    let of = |occurrence: &str, basis: &str, threshold: &str, kind: Kind| Alert {
        kind,
        details: serde_json::json!({"occurrence": occurrence, "basis": basis, "threshold_percent": threshold}),
        ..alert()
    };
    let exceeded = of("2026-06-01T00:00:00Z", "actual", "100", Kind::ThresholdExceeded);
    assert_eq!(key(&exceeded), key(&of("2026-06-01T00:00:00Z", "actual", "100", Kind::Recovery)));
    for other in [
        of("2026-07-01T00:00:00Z", "actual", "100", Kind::ThresholdExceeded),
        of("2026-06-01T00:00:00Z", "actual", "95", Kind::ThresholdWarning),
        of("2026-06-01T00:00:00Z", "forecast", "100", Kind::ForecastBreach),
    ] {
        assert_ne!(key(&exceeded), key(&other));
    }
}

#[test]
fn no_text_breaks_out_of_its_format() {
    let preview = |channel: &str| desk(CHANNELS).preview(channel, &alert(), now()).unwrap();
    let mail = preview("email");
    assert!(!mail.lines().any(|line| line.starts_with("Bcc:")), "{mail}");
    let page = mail.split_once("<!doctype html>").unwrap().1;
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
    let slack: serde_json::Value = serde_json::from_str(preview("slack").split_once("\n\n").unwrap().1).unwrap();
    assert!(!slack["text"].as_str().unwrap().contains("<!channel>"));
    assert!(!preview("sms").lines().last().unwrap().contains("{to}"));
}
