//! With `auth.mode = keys` a gateway gets its answers and its events into the lake by its key, and nobody else does.

use serde_json::{Value, json};

use crate::harness::components::need;
use crate::harness::events::femto;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::{broker, http, wait};

#[test]
fn a_producers_key_sends_and_asks_until_it_is_revoked() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let mut setup = Setup::new(broker, "keys", 1, &lake);
    setup.set("AUTH__MODE", "keys");
    let created = setup.run(&["keys", "create", "gateway", "--role", "producer"]);
    let secret = created.lines().next().expect("the key is on a line of its own");
    let mut instance = setup.start_ready();
    let address = instance.address();
    let post = |path: &str, secret: &str, body: &Value| {
        let key = format!("Bearer {secret}");
        let headers = [("Content-Type", "application/json"), ("Authorization", &key)];
        http::post_with(&address, path, &headers, body.to_string().as_bytes()).expect("it answers")
    };
    let question = json!({"provider": "openai", "model": "gpt-4o", "input_tokens": 4_000, "output_tokens": 0});
    let (status, answer) = post("/v1/decide", secret, &question);
    assert_eq!(status, 200, "{answer}");
    let event = json!({
        "id": "call-1", "time": "2026-11-22T10:00:00Z", "provider": "openai", "model": "gpt-4o",
        "usage": {"prompt_tokens": 4_000, "completion_tokens": 0, "total_tokens": 4_000}
    });
    assert_eq!(post("/v1/events", secret, &event).0, 202);
    for (path, key, expected) in [
        ("/v1/events", "ssk_wrong", 401),
        ("/v1/decide", "", 401),
        ("/v1/blocks", secret, 403),
        ("/metrics", secret, 403),
    ] {
        let (status, answer) = post(path, key, &event);
        assert_eq!(status, expected, "{path}: {answer}");
        assert!(answer.contains("application/problem+json") || answer.contains("\"detail\""), "{answer}");
    }
    instance.wait_rows(&lake, 1);
    assert_eq!(femto(&text(&lake.rows("SELECT cost FROM usage")[0]["cost"])), femto("0.01"));

    let id = setup.run(&["keys", "list", "--format", "json"]);
    let id = text(&serde_json::from_str::<Value>(&id).unwrap()[0]["id"]);
    setup.run(&["keys", "revoke", &id]);
    wait::until("the key is refused", || (post("/v1/decide", secret, &question).0 == 401).then_some(()));
    instance.stop();
    assert!(!setup.logs().contains(secret), "a key is nowhere in the logs");
}
