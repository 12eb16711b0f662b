//! The lake over the PostgreSQL protocol: the real psql and psycopg read the same figures that were sent, see the tables, and change nothing.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::broker;
use crate::harness::components::{Component, need};
use crate::harness::events::{event, femto};
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::process::Process;
use crate::harness::producer::Producer;

const EVENTS: u64 = 20;

/// What psql says of these commands, and whether it ended well.
fn psql(url: &str, commands: &[&str]) -> (bool, String) {
    let mut psql = Command::new(Component::Clients.path().join("bin/psql"));
    psql.args(["--no-psqlrc", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1", url]);
    psql.args(commands.iter().flat_map(|command| ["--command", command]));
    let output = psql.output().expect("psql starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

#[test]
fn psql_and_psycopg_read_what_was_sent() {
    need!(Kafka, Clients);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "wire", 1, &lake);
    let producer = Producer::new(broker, &setup.topic, 1);
    for number in 0..EVENTS {
        let event = event("wire", number);
        producer.send(&event.id, event.json.as_bytes());
    }
    producer.flush();
    let mut instance = setup.start_ready();
    instance.wait_rows(&lake, EVENTS);
    instance.stop();
    let row = &lake.rows("SELECT sum(cost) AS cost FROM usage")[0];
    let cost = text(&row["cost"]);

    let (mut server, url) = serve(&setup);
    let (is_well, said) = psql(
        &url,
        &[
            "SELECT count(*), sum(cost) FROM usage",
            "BEGIN; SELECT 1; COMMIT",
            "\\dt",
            "\\dv",
            "\\d usage",
            "\\l",
            "\\dn",
        ],
    );
    assert!(is_well, "{said}");
    for expected in [&format!("{EVENTS}|{cost}"), "public|usage|table", "public|spend_by_day|view", "cost|numeric"] {
        assert!(said.contains(expected), "no '{expected}' in: {said}");
    }
    let (is_well, said) = psql(&url, &["DELETE FROM usage"]);
    assert!(!is_well && said.contains("DELETE does not read"), "{said}");

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/psycopg_app.py");
    let python = Component::Clients.path().join("bin/python");
    let output = Command::new(python).arg(script).arg(&url).output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&found["count"], femto(&text(&found["cost"]))), (&Value::from(EVENTS), femto(&cost)));
    assert_eq!(found["refused"], "25006");
    assert!(found["tables"].as_array().is_some_and(|tables| tables.contains(&"usage".into())), "{found}");
    server.signal("TERM");
    assert!(server.wait().success());
    assert_eq!(lake.count(), EVENTS);
}

/// `spendstream serve` with the configuration of the scenario, and its address for clients that speak PostgreSQL.
fn serve(setup: &Setup) -> (Process, String) {
    let mut server = setup.command("serve", &["serve", "--listen", "127.0.0.1:0", "--pg-listen", "127.0.0.1:0"]);
    let address = server.wait_for("where it listens", |output| {
        let (_, rest) = output.split_once("PostgreSQL on ")?;
        Some(rest.split_whitespace().next()?.to_owned())
    });
    (server, format!("postgresql://ann@{address}/spendstream"))
}
