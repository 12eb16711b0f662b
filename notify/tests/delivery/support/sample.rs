//! Alerts and configurations to deliver.

use chrono::{DateTime, Utc};
use serde_json::json;
use spendstream_notify::desk::Desk;
use spendstream_schemas::alert::{Alert, Kind, Level};
use spendstream_schemas::budget::ResolvedScope;
use spendstream_schemas::config::Config;
use spendstream_schemas::config::notify::NotifyConfig;

pub fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn now() -> DateTime<Utc> {
    time("2026-06-10T12:00:30Z")
}

/// An alert whose texts attack every format.
pub fn alert() -> Alert {
    Alert {
        id: "9eca8858ec5acd45a2f7dbac8df8ff09".into(),
        kind: Kind::ThresholdWarning,
        level: Level::Critical,
        budget_id: Some("b1".into()),
        scope: ResolvedScope::new([("team".parse().unwrap(), Some("search & <b>ads</b>".to_owned()))]),
        title: "search at 81.25 %\r\nBcc: evil@example.org <!channel> *bold* [x](http://evil)".into(),
        message: "Spend reached 81.25 of 100.00 USD.\n<script>alert(1)</script> {to}".into(),
        value: "81.25".into(),
        threshold: "80".into(),
        currency: "USD".into(),
        period_start: Some(time("2026-05-31T22:00:00Z")),
        period_end: Some(time("2026-06-30T22:00:00Z")),
        event_time: time("2026-06-10T11:59:00Z"),
        raised_at: time("2026-06-10T12:00:00Z"),
        owner: Some("ann@example.org".into()),
        details: json!({"used": "81.25", "amount": "100.00", "percent": "81.25", "timezone": "Europe/Berlin"}),
    }
}

pub fn numbered(number: u32) -> Alert {
    Alert { id: format!("{number:032x}"), title: format!("alert {number}"), ..alert() }
}

pub fn config(text: &str) -> NotifyConfig {
    let config: Config = toml::from_str(text).unwrap();
    config.validate().unwrap();
    config.notify
}

pub fn desk(text: &str) -> Desk {
    Desk::new(&config(text), "https://spend.example.org", &|_| None).unwrap()
}

/// A webhook channel `hook` on a port of this machine, which is allowed.
pub fn hook(port: u16) -> String {
    format!(
        "[notify]\nallow_private_addresses = true\n[[notify.channels]]\nkind = 'webhook'\nname = 'hook'\n\
         url = 'http://127.0.0.1:{port}/hooks/T0kenInThePath?sig=Signature1'\nsecret = 'whsec_test'\n"
    )
}
