//! The servers answer whatever their `OpenAPI` documents allow as these say: no failure inside, no status or content that is not documented.

use std::process::Command;

use crate::harness::components::{Component, need};
use crate::harness::feed::send;
use crate::harness::instance::Setup;
use crate::harness::lake::Lake;
use crate::harness::ledger::Ledger;
use crate::harness::producer::Producer;
use crate::harness::{broker, http};

/// Questions per address; `SPENDSTREAM_SCHEMATHESIS=1000` asks more.
const EXAMPLES: &str = "15";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

#[test]
fn both_servers_answer_as_their_documents_say() {
    need!(Kafka, Schemathesis);
    let (broker, lake) = (broker::shared(), Lake::file());
    let mut setup = Setup::new(broker, "openapi", 1, &lake);
    setup.set("QUERY__LISTEN", "127.0.0.1:0");
    let producer = Producer::new(broker, &setup.topic, 1);
    let mut ledger = Ledger::default();
    send(&producer, &mut ledger, "openapi", 0, 500);
    producer.flush();
    let mut ingest = setup.start_ready();
    ledger.wait_for(&lake, &mut ingest);
    let mut serve = setup.start_as(&["serve"]);
    let budget = br#"{"name": "all", "scope": {}, "period": "monthly", "amount": "100", "currency": "USD"}"#;
    let (status, said) = http::post(&serve.address(), "/v1/budgets", "application/json", budget).unwrap();
    assert_eq!(status, 201, "{said}");

    for address in [serve.address(), ingest.address()] {
        ask_everything(&address);
    }
    ingest.assert_alive();
    serve.assert_alive();
}

fn ask_everything(address: &str) {
    let mut schemathesis = Command::new(Component::Schemathesis.path().join("bin/schemathesis"));
    let examples = std::env::var("SPENDSTREAM_SCHEMATHESIS").unwrap_or_else(|_| EXAMPLES.to_owned());
    schemathesis.args(["run", &format!("http://{address}/openapi.json"), "--checks", CHECKS, "--no-color"]);
    // The same questions in every run.
    schemathesis.args(["--max-examples", &examples, "--seed", "1", "--generation-deterministic"]);
    // What it remembers of failures is for people, not for the next run.
    let folder = tempfile::tempdir().unwrap();
    let output = schemathesis.current_dir(folder.path()).output().expect("schemathesis starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "http://{address}/openapi.json:\n{said}");
}
