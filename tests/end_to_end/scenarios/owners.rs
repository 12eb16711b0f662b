//! Events that name only a key or a user are charged to the team that the directory says: in the lake, in budgets and in decisions, each
//! at the event's own time. What has no owner is told, and every alert is on the alerts topic.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::components::need;
use crate::harness::events::femto;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::producer::Producer;
use crate::harness::{broker, http, topics, wait};

const DIRECTORY: &str = "kind,name,team,department,cost_center
key,key-7,Search,,
user,ann,search,,
team,Search,,Product,4711
";

const CONFIG: &str = r#"
[budgets]
file = "budgets.toml"
[directory]
unallocated_interval = "200ms"
unallocated_minimum = "0.02"
[directory.required]
"*" = ["team"]
[detect]
enabled = false
"#;

const BUDGETS: &str = r#"
[[budgets]]
name = "search team"
scope = { team = "Search" }
period = "yearly"
amount = "0.04"
currency = "USD"
thresholds = ["75"]
hard_limit = true
"#;

#[test]
fn what_names_a_key_is_charged_to_its_team() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let mut setup = Setup::new(broker, "owners", 1, &lake);
    topics::create(broker, "owners.alerts", 1);
    setup.set("KAFKA__ALERTS_TOPIC", "owners.alerts");
    setup.file("spendstream.toml", CONFIG);
    setup.file("budgets.toml", BUDGETS);
    setup.file("directory.csv", DIRECTORY);
    setup.run(&["directory", "import", "directory.csv"]);
    let producer = Producer::new(broker, &setup.topic, setup.partitions);
    let mut instance = setup.start_ready();
    // One cent each: by key, by user in another spelling, by a team that the directory spells otherwise, and two of nobody.
    let events = [
        json!({"api_key_id": "key-7"}),
        json!({"user": "Ann"}),
        json!({"team": "SEARCH"}),
        json!({"user": "eve"}),
        json!({"user": "eve"}),
    ];
    let now = now();
    for (number, who) in events.iter().enumerate() {
        let id = format!("call-{number}");
        // A repeat is the same call, whatever was filled in.
        for _ in 0..2 {
            producer.send(&id, event(&id, now, who).to_string().as_bytes());
        }
    }
    producer.flush();
    instance.wait_rows(&lake, 5);
    let rows = lake.rows(
        "SELECT team, department, cost_center, array_to_string(dimensions_filled, '+') AS filled, count(*) AS n, \
         CAST(sum(cost) AS VARCHAR) AS cost FROM usage GROUP BY 1, 2, 3, 4 ORDER BY team, filled",
    );
    let shown = |row: &serde_json::Map<String, Value>| {
        ["team", "department", "cost_center", "filled", "n"].map(|name| text(&row[name])).join(" ")
    };
    let shown: Vec<String> = rows.iter().map(shown).collect();
    assert_eq!(shown[0], "Search Product 4711 team+department+cost_center 3", "{rows:?}");
    assert_eq!(femto(&text(&rows[0]["cost"])), femto("0.03"));
    assert_eq!(rows.len(), 2, "{rows:?}");

    wait::until("both alerts on the topic", || (told(broker).len() >= 2).then_some(()));
    let found: Vec<(String, String)> =
        told(broker).values().map(|alert| (text(&alert["kind"]), text(&alert["value"]))).collect();
    let mut found_sorted = found.clone();
    found_sorted.sort();
    assert_eq!(
        found_sorted,
        [("threshold_warning".into(), "0.03".into()), ("unallocated".into(), "0.02".into())],
        "75 % of four cents, and two cents of nobody"
    );
    let body = json!({"api_key_id": "key-7", "provider": "openai", "model": "gpt-4o", "input_tokens": 8_000, "output_tokens": 0});
    let address = instance.address();
    let refused = wait::until("the team's budget answers for its key", || {
        let (status, answer) = http::post(&address, "/v1/decide", "application/json", body.to_string().as_bytes())?;
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        (answer["allow"] == json!(false)).then_some(answer)
    });
    assert_eq!(refused["body"]["error"]["type"], json!("cost_limit_exceeded"), "{refused}");

    // After a restart repeats are repeats, though the directory changed meanwhile.
    instance.kill();
    setup.file("directory.csv", &DIRECTORY.replace("Search", "Finding").replace("search", "finding"));
    setup.run(&["directory", "import", "directory.csv"]);
    let mut instance = setup.start_ready();
    for (number, who) in events.iter().enumerate() {
        let id = format!("call-{number}");
        producer.send(&id, event(&id, now, who).to_string().as_bytes());
    }
    producer.send("last", event("last", now, &events[0]).to_string().as_bytes());
    producer.flush();
    instance.wait_rows(&lake, 6);
    let teams = lake.rows("SELECT team, count(*) AS n FROM usage GROUP BY team ORDER BY team");
    let teams: Vec<String> = teams.iter().map(|row| format!("{} {}", text(&row["team"]), text(&row["n"]))).collect();
    assert_eq!(teams[..2], ["Finding 1".to_owned(), "Search 3".to_owned()], "what was charged stays charged");
    assert_eq!(instance.metric("spendstream_rejected_total", &[]), 0, "none is a conflict");
    instance.stop();
    lake.assert_clean();
}

/// Alerts on the topic, by id.
fn told(broker: &broker::Broker) -> BTreeMap<String, Value> {
    let messages = topics::read(broker, "owners.alerts");
    let alerts =
        messages.iter().map(|message| serde_json::from_slice::<Value>(&message.payload).expect("an alert is JSON"));
    alerts.map(|alert| (text(&alert["id"]), alert)).collect()
}

fn event(id: &str, time: u128, who: &Value) -> Value {
    let mut event = json!({
        "id": id, "time": time, "provider": "openai", "model": "gpt-4o",
        "usage": {"prompt_tokens": 4_000, "completion_tokens": 0, "total_tokens": 4_000}
    });
    for (name, value) in who.as_object().expect("dimensions") {
        event[name] = value.clone();
    }
    event
}

#[expect(clippy::disallowed_methods, reason = "budgets are of now, and so are their events")]
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()
}
