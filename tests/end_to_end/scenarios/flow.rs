//! From the first message to the last digit: all events of a topic are in the lake once, on a folder and on S3, and
//! readers that know nothing of spendstream see the same.

use crate::harness::components::need;
use crate::harness::events::femto;
use crate::harness::feed::send;
use crate::harness::gateway::Gateway;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::ledger::Ledger;
use crate::harness::producer::Producer;
use crate::harness::{broker, topics};

const EVENTS: u64 = 20_000;

#[test]
fn a_topic_becomes_a_lake_on_a_folder() {
    need!(Kafka, Python);
    flow("flow-file", &Lake::file());
}

#[test]
fn a_topic_becomes_a_lake_on_s3() {
    need!(Kafka, Versitygw, Python);
    let gateway = Gateway::start();
    flow("flow-s3", &Lake::s3(&gateway, "some/prefix"));
}

fn flow(name: &str, lake: &Lake) {
    let broker = broker::shared();
    let setup = Setup::new(broker, name, 4, lake);
    let producer = Producer::new(broker, &setup.topic, setup.partitions);
    let mut ledger = Ledger::default();
    send(&producer, &mut ledger, "first", 0, EVENTS / 2);
    producer.flush();
    let mut instance = setup.start_ready();
    send(&producer, &mut ledger, "second", 0, EVENTS / 2);
    producer.flush();
    ledger.wait_for(lake, &mut instance);
    instance.stop();

    ledger.assert_equals(lake);
    assert_eq!(ledger.count(), EVENTS);
    readers_agree(lake, &ledger);
    // The producer sent one in twenty twice; the repeats are the only messages that are no rows.
    let messages: i64 = topics::ends(broker, name).values().sum();
    assert_eq!(messages, i64::try_from(EVENTS + EVENTS / 20).unwrap());
    assert!(topics::read(broker, &setup.dead).is_empty(), "nothing was rejected");
    let dates = lake.rows("SELECT CAST(date AS VARCHAR) AS date, count(*) AS n FROM usage GROUP BY date ORDER BY date");
    let dates: Vec<_> = dates.iter().map(|row| (text(&row["date"]), text(&row["n"]))).collect();
    assert_eq!(dates, [("2026-11-02".into(), "10000".to_owned()), ("2026-11-03".into(), "10000".into())]);
}

fn readers_agree(lake: &Lake, ledger: &Ledger) {
    let answers = lake.readers();
    for (reader, answer) in &answers {
        assert_eq!(text(&answer["rows"]), ledger.count().to_string(), "rows by {reader}");
        assert_eq!(text(&answer["ids"]), ledger.count().to_string(), "ids by {reader}");
        assert_eq!(femto(&text(&answer["cost"])), ledger.sum(), "sum by {reader}");
    }
    let readers: Vec<_> = answers.keys().map(String::as_str).collect();
    let expected = if lake.uri().starts_with("file:") {
        vec!["deltalake", "duckdb", "polars"]
    } else {
        vec!["deltalake", "polars"]
    };
    assert_eq!(readers, expected);
}
