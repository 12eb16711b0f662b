//! A repeat is counted once, a contradiction is a dead letter, and a restart decides the same.

use crate::harness::components::need;
use crate::harness::events::event;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::ledger::Ledger;
use crate::harness::producer::Producer;
use crate::harness::{broker, http, topics, wait};

#[test]
fn repeats_count_once_and_contradictions_are_dead_letters() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "duplicates", 3, &lake);
    let producer = Producer::new(broker, &setup.topic, setup.partitions);
    let repeat = |from: u64, to: u64| {
        for number in from..to {
            let event = event("once", number);
            producer.send(&event.id, event.json.as_bytes());
        }
    };
    let contradict = |number: u64, output: u64| {
        let id = event("once", number).id;
        let json = format!(
            r#"{{"id":"{id}","time":"2026-11-02T00:00:00Z","organization":"acme","provider":"openai","model":"gpt-4o","usage":{{"input_tokens":1,"output_tokens":{output}}}}}"#
        );
        producer.send(&id, json.as_bytes());
    };
    let mut ledger = Ledger::default();
    (0..300).for_each(|number| ledger.add(&event("once", number)));

    repeat(0, 300);
    repeat(0, 100);
    (0..5).for_each(|number| contradict(number, 1));
    producer.flush();
    let mut instance = setup.start_ready();
    ledger.wait_for(&lake, &mut instance);
    dead_letters(&setup, 5);
    wait::until("100 duplicates", || (instance.metric(DUPLICATES, &[]) == 100).then_some(()));
    instance.kill();

    // The next instance has to know from the lake alone what the first one charged.
    repeat(50, 100);
    (0..3).for_each(|number| contradict(number, 2));
    ledger.add(&event("twice", 0));
    let last = event("twice", 0);
    producer.send(&last.id, last.json.as_bytes());
    producer.flush();
    let mut instance = setup.start_ready();
    ledger.wait_for(&lake, &mut instance);
    dead_letters(&setup, 8);
    wait::until("50 more duplicates", || (instance.metric(DUPLICATES, &[]) == 50).then_some(()));
    instance.stop();
    ledger.assert_equals(&lake);
}

const DUPLICATES: &str = "spendstream_duplicates_total";

/// What is posted must meet its repeat from a Java producer: the partitions are those of Kafka's own `Utils.murmur2`
/// (-973932308 of "21", -790332482 of "foobar"); librdkafka's CRC32 would choose 6 for all three.
#[test]
fn an_event_over_http_lies_where_a_java_producer_puts_its_key() {
    need!(Kafka);
    let lake = Lake::file();
    let setup = Setup::new(broker::shared(), "murmur", 7, &lake);
    let mut instance = setup.start_ready();
    let address = instance.address();
    for id in ["21", "foobar", "call 2"] {
        let event = format!(
            r#"{{"id":"{id}","time":"2026-11-02T00:00:00Z","provider":"openai","model":"gpt-4o","usage":{{"input_tokens":1,"output_tokens":1}}}}"#
        );
        let answer = http::post(&address, "/v1/events", "application/json", event.as_bytes());
        assert_eq!(answer.expect("the instance answers").0, 202);
    }
    instance.wait_rows(&lake, 3);
    instance.stop();
    let rows = lake.rows("SELECT event_id, CAST(source_partition AS VARCHAR) AS place FROM usage ORDER BY event_id");
    let places: Vec<_> = rows.iter().map(|row| (text(&row["event_id"]), text(&row["place"]))).collect();
    let expected = [("21", "3"), ("call 2", "4"), ("foobar", "0")];
    assert_eq!(places, expected.map(|(id, place)| (id.to_owned(), place.to_owned())));
}

/// Waits for exactly `count` dead letters, all because of a contradiction.
fn dead_letters(setup: &Setup, count: usize) {
    let broker = broker::shared();
    wait::until(&format!("{count} dead letters"), || (topics::read(broker, &setup.dead).len() >= count).then_some(()));
    let dead = topics::read(broker, &setup.dead);
    assert_eq!(dead.len(), count);
    for letter in dead {
        assert!(letter.headers["spendstream.reason"].starts_with("id_conflict"), "{:?}", letter.headers);
    }
}

/// The identity is (organization, source, id): the same id of somebody else is another event.
#[test]
fn the_same_id_of_another_organization_or_source_counts() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "identity", 1, &lake);
    let producer = Producer::new(broker, &setup.topic, setup.partitions);
    for namespace in
        [r#""organization":"a""#, r#""organization":"b""#, r#""organization":"a","source":"app""#, r#""tenant":"b""#]
    {
        let json = format!(
            r#"{{"id":"same",{namespace},"time":"2026-11-02T00:00:00Z","provider":"openai","model":"gpt-4o","usage":{{"input_tokens":1,"output_tokens":1}}}}"#
        );
        producer.send("same", json.as_bytes());
    }
    producer.flush();
    let mut instance = setup.start_ready();
    instance.wait_rows(&lake, 3);
    instance.stop();
    // `tenant` is another name of `organization`, so the fourth repeats the second.
    assert_eq!(lake.count(), 3);
    lake.assert_clean();
    assert!(topics::read(broker, &setup.dead).is_empty());
}
