//! A runaway agent is told while its hour still runs, by everything it belongs to, with who did it; a restart after kill -9 reads the
//! history again, comes to the same, and tells nobody a second time.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::components::need;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::producer::Producer;
use crate::harness::receiver::Receiver;
use crate::harness::{broker, wait};

/// More than the day that the simple rule asks for.
const HOURS: u64 = 30;
const HOUR_MS: u128 = 3_600_000;

const CONFIG: &str = r#"
[live]
allowed_lateness = "1s"
[detect]
interval = "200ms"
settle = "0s"
[notify]
allow_private_addresses = true
default_channels = ["hook"]
lease = "5s"
timeout = "2s"
"#;

#[test]
fn a_runaway_agent_is_told_once_and_by_name() {
    need!(Kafka);
    let (broker, receiver, lake) = (broker::shared(), Receiver::start(), Lake::file());
    let setup = Setup::new(broker, "anomalies", 1, &lake);
    let hook = format!("[[notify.channels]]\nkind = \"webhook\"\nname = \"hook\"\nurl = \"{}\"\n", receiver.url());
    setup.file("spendstream.toml", &format!("{CONFIG}{hook}"));
    let producer = Producer::new(broker, &setup.topic, setup.partitions);
    let now = now();
    // One dollar an hour, by one user.
    for ago in (0..=HOURS).rev() {
        let time = now - u128::from(ago) * HOUR_MS;
        producer.send(&format!("usual-{ago}"), event(&format!("usual-{ago}"), time, "ann", 400_000).as_bytes());
    }
    let mut instance = setup.start_ready();
    instance.wait_rows(&lake, HOURS + 1);
    assert!(receiver.alerts().is_empty(), "a usual hour is no news");

    producer.send("runaway", event("runaway", now, "bob", 8_000_000).as_bytes());
    producer.flush();
    wait::until("three anomalies", || (told(&receiver).len() >= 3).then_some(()));
    let told_before = told(&receiver);
    let scopes: Vec<&str> = told_before.keys().map(String::as_str).collect();
    assert_eq!(scopes, ["", "model=gpt-4o", "team=search"]);
    for alerts in told_before.values() {
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        let alert = &alerts[0];
        assert_eq!((text(&alert["kind"]), text(&alert["level"])), ("anomaly".into(), "critical".into()), "{alert}");
        assert_eq!((text(&alert["value"]), text(&alert["threshold"])), ("21".into(), "10".into()));
        let message = text(&alert["message"]);
        assert!(message.contains("the mean of the 30 hours before is 1 USD"), "{message}");
        assert!(message.contains("user bob: 20 USD instead of 0 USD (+20 USD, 100 % of the change, new)"), "{message}");
    }

    instance.kill();
    let mut instance = setup.start_ready();
    wait::until("the restart finds the same", || {
        (instance.metric("spendstream_alerts_total", &["kind=\"anomaly\"", "outcome=\"known\""]) >= 3).then_some(())
    });
    assert_eq!(told(&receiver).values().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    instance.stop();
    lake.assert_clean();
}

/// What was told, by scope; a repeat of the same alert counts once.
fn told(receiver: &Receiver) -> BTreeMap<String, Vec<Value>> {
    let mut told = BTreeMap::<String, Vec<Value>>::new();
    for alert in receiver.alerts() {
        let scope = alert["scope"].as_object().expect("a scope is an object");
        let scope: Vec<String> = scope.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
        let known = told.entry(scope.join(", ")).or_default();
        if known.iter().all(|before| before["id"] != alert["id"]) {
            known.push(alert);
        }
    }
    told
}

fn event(id: &str, time: u128, user: &str, tokens: u64) -> String {
    json!({
        "id": id, "time": time, "provider": "openai", "model": "gpt-4o", "team": "search", "user": user,
        "usage": {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
    })
    .to_string()
}

#[expect(clippy::disallowed_methods, reason = "the hour that runs is of now, and so are its events")]
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}
