//! Budgets are watched while the process is killed: every threshold that is crossed reaches the receiver, each alert under one
//! id, with the figures of the ledger; a call that no longer fits a hard limit is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use crate::harness::budgets::{cent, configure, decide_known, delivered, now, once, question};
use crate::harness::components::need;
use crate::harness::dice::Dice;
use crate::harness::events::femto;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::mail::Mail;
use crate::harness::producer::Producer;
use crate::harness::receiver::Receiver;
use crate::harness::{broker, http, wait};

/// Calls of one cent each.
const EVENTS: u64 = 100;
const USERS: u64 = 4;

const BUDGETS: &str = r#"
[[budgets]]
name = "search team"
scope = { team = "search" }
period = "yearly"
amount = "1.00"
currency = "USD"
thresholds = ["50", "80", "95", "100"]
hard_limit = true

[[budgets]]
name = "every user"
scope = { user = "*" }
period = "yearly"
amount = "0.50"
currency = "USD"
thresholds = ["50", "100"]

[[budgets]]
name = "everything"
scope = {}
period = "yearly"
amount = "10.00"
currency = "USD"
thresholds = ["50", "100"]
"#;

#[test]
fn thresholds_are_told_once_whenever_the_process_dies() {
    need!(Kafka, Mail);
    let (broker, receiver, mail, lake) = (broker::shared(), Receiver::start(), Mail::start(), Lake::file());
    let mut setup = Setup::new(broker, "budgets-killed", 4, &lake);
    setup.set("KAFKA__CLIENT__SESSION_TIMEOUT_MS", "1500");
    setup.set("KAFKA__CLIENT__HEARTBEAT_INTERVAL_MS", "300");
    configure(&setup, &receiver, Some(&mail), BUDGETS);
    let producer = Producer::new(broker, &setup.topic, setup.partitions);
    let mut dice = Dice::new(0xB0D6);
    for round in 0..10 {
        let instance = setup.start();
        for number in round * EVENTS / 10..(round + 1) * EVENTS / 10 {
            let event = cent(&format!("call-{number}"), &format!("user-{}", number % USERS));
            producer.send(&format!("call-{number}"), event.as_bytes());
            // A producer that got no answer sends again: it is one call.
            producer.send(&format!("call-{number}"), event.as_bytes());
        }
        wait::let_pass(dice.time(Duration::from_secs(4)));
        instance.kill();
    }
    producer.flush();

    let mut instance = setup.start_ready();
    instance.wait_rows(&lake, EVENTS);
    wait::until("every alert", || (delivered(&receiver).len() >= expected().len()).then_some(()));
    assert_eq!(delivered(&receiver), expected());
    assert_same_id_same_alert(&receiver);
    let told: BTreeSet<String> = receiver.alerts().iter().map(|alert| text(&alert["id"])).collect();
    wait::until("the same alerts by mail", || (mail.ids() == told).then_some(()));
    let sum = lake.rows("SELECT CAST(SUM(cost) AS VARCHAR) AS cost FROM usage WHERE team = 'search'");
    assert_eq!(femto(&text(&sum[0]["cost"])), femto("1"));

    let address = instance.address();
    let ask = |team: &str, priority: &str| decide_known(&address, &question(Some("call-7"), team, priority));
    let (normal, critical) = (ask("search", "normal"), ask("search", "critical"));
    assert_eq!((&normal["allow"], &normal["strategy"]), (&json!(false), &json!("block")), "{normal}");
    assert_eq!(normal["body"]["error"]["type"], json!("cost_limit_exceeded"), "{normal}");
    assert_eq!(critical["allow"], json!(true), "{critical}");
    let minute = lake.rows(&format!("SELECT CAST(to_timestamp_seconds({}) AS VARCHAR) AS t", now().as_secs() + 600));
    let until = format!("{}Z", text(&minute[0]["t"]).trim_end_matches('Z'));
    let block = json!({ "scope": {"team": "other"}, "action": "block", "until": until, "reason": "loop" });
    let (status, said) = http::post(&address, "/v1/blocks", "application/json", block.to_string().as_bytes()).unwrap();
    assert_eq!(status, 201, "{said}");
    wait::until("the stop is in force", || (ask("other", "normal")["allow"] == json!(false)).then_some(()));
    instance.stop();
    assert_eq!(delivered(&receiver), expected(), "a stop tells nothing new");
    let refused = "SELECT count(*) > 0 AS found FROM decisions WHERE team = 'search' AND priority = 'normal' AND NOT allow \
                   AND strategy = 'block' AND estimated_cost = 0.01 AND used = 1";
    assert_eq!(lake.rows(refused)[0]["found"], json!(true));
    let charged = "SELECT DISTINCT allow, CAST(actual_cost AS VARCHAR) AS cost FROM decisions_with_cost \
                   WHERE event_id = 'call-7' AND priority = 'critical'";
    let charged = lake.rows(charged);
    assert_eq!((charged.len(), &charged[0]["allow"]), (1, &json!(true)), "{charged:?}");
    assert_eq!(femto(&text(&charged[0]["cost"])), femto("0.01"));
}

fn expected() -> BTreeMap<(String, String, String), usize> {
    let mut all: BTreeMap<_, _> = [
        once("threshold_warning", "team=search", "0.5"),
        once("threshold_warning", "team=search", "0.8"),
        once("threshold_warning", "team=search", "0.95"),
        once("limit_reached", "team=search", "1"),
    ]
    .into();
    // 25 calls of one cent are half of 50 cents.
    all.extend((0..USERS).map(|user| once("threshold_warning", &format!("user=user-{user}"), "0.25")));
    all
}

/// At least once: a repeat is the same alert word for word.
fn assert_same_id_same_alert(receiver: &Receiver) {
    let mut seen = BTreeMap::new();
    for alert in receiver.alerts() {
        let before = seen.insert(text(&alert["id"]), alert.clone());
        assert!(before.is_none_or(|before| before == alert), "{alert}");
    }
}
