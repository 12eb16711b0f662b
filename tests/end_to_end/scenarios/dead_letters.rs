//! What cannot be read goes to the dead-letter topic with its reason and place, is counted, stops nothing, is not sent
//! again after a restart, and can be replayed once the cause is gone, each letter once.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::harness::captures::assert_no_secrets;
use crate::harness::components::need;
use crate::harness::events::event;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::ledger::Ledger;
use crate::harness::producer::Producer;
use crate::harness::topics::Record;
use crate::harness::{broker, topics, wait};

const HEAD: &str = r#""time":"2026-11-02T00:00:00Z","provider":"openai","model":"gpt-4o""#;
const USAGE: &str = r#""usage":{"input_tokens":10,"output_tokens":1}"#;

/// Messages that cannot become rows, with the word that says why.
fn poison() -> Vec<(&'static str, Vec<u8>)> {
    let secret = r#""messages":[{"role":"user","content":"SECRET-PROMPT"}],"api_key":"sk-SECRET-KEY""#;
    let tags: Vec<String> = (0..100).map(|number| format!(r#""t{number}":"x""#)).collect();
    let texts = [
        ("not_json", "{oops".to_owned()),
        ("unknown_shape", r#"{"hello":"world"}"#.to_owned()),
        ("missing_field", format!(r#"{{"id":"p1","provider":"openai","model":"gpt-4o",{secret},{USAGE}}}"#)),
        ("wrong_type", format!(r#"{{"id":"p2",{HEAD},"latency_ms":"soon",{USAGE}}}"#)),
        ("negative_count", format!(r#"{{"id":"p3",{HEAD},"usage":{{"input_tokens":-1,"output_tokens":1}}}}"#)),
        (
            "part_exceeds_total",
            format!(r#"{{"id":"p4",{HEAD},"usage":{{"input_tokens":10,"cache_read_tokens":11,"output_tokens":1}}}}"#),
        ),
        ("time_too_old", format!(r#"{{"id":"p5",{},{USAGE}}}"#, HEAD.replace("2026-11-02", "2019-12-31"))),
        ("time_in_future", format!(r#"{{"id":"p6",{},{USAGE}}}"#, HEAD.replace("2026-11-02", "2999-01-01"))),
        ("text_too_long", format!(r#"{{"id":"p7",{HEAD},"team":"{}",{USAGE}}}"#, "x".repeat(2_000))),
        ("too_many_tags", format!(r#"{{"id":"p8",{HEAD},"tags":{{{}}},{USAGE}}}"#, tags.join(","))),
    ];
    texts.into_iter().map(|(reason, text)| (reason, text.into_bytes())).collect()
}

#[test]
fn poison_is_set_aside_with_reason_and_place() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "poison", 2, &lake);
    let producer = Producer::new(broker, &setup.topic, setup.partitions);
    let mut ledger = Ledger::default();
    for (number, (reason, payload)) in poison().iter().enumerate() {
        let good = event("between", number as u64);
        producer.send(&good.id, good.json.as_bytes());
        ledger.add(&good);
        producer.send(reason, payload);
    }
    producer.flush();
    let mut instance = setup.start_ready();
    ledger.wait_for(&lake, &mut instance);
    let dead = dead_letters(&setup, poison().len());
    assert_places(&setup, &dead);
    for (reason, _) in poison() {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(instance.metric("spendstream_rejected_total", &[&label]), 1, "{reason}");
    }
    instance.kill();

    // The topic may end with poison; who reads on must not set it aside a second time.
    let good = event("after", 0);
    producer.send(&good.id, good.json.as_bytes());
    ledger.add(&good);
    producer.flush();
    let mut instance = setup.start_ready();
    ledger.wait_for(&lake, &mut instance);
    instance.stop();
    assert_eq!(topics::read(broker, &setup.dead).len(), poison().len());
    ledger.assert_equals(&lake);
    assert_no_secrets(&setup, &lake);
}

/// Waits for exactly that many dead letters.
fn dead_letters(setup: &Setup, count: usize) -> Vec<Record> {
    let broker = broker::shared();
    wait::until(&format!("{count} dead letters"), || (topics::read(broker, &setup.dead).len() >= count).then_some(()));
    let dead = topics::read(broker, &setup.dead);
    assert_eq!(dead.len(), count);
    dead
}

/// Each dead letter names the message that it was, and why it is here.
fn assert_places(setup: &Setup, dead: &[Record]) {
    let sent = topics::read(broker::shared(), &setup.topic);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for letter in dead {
        let header = |name: &str| letter.headers[&format!("spendstream.{name}")].as_str();
        assert_eq!(header("topic"), setup.topic);
        let place = (header("partition").parse().unwrap(), header("offset").parse().unwrap());
        let original = sent.iter().find(|record| (record.partition, record.offset) == place).expect("it was sent");
        // The tests key poison by its reason.
        let reason = String::from_utf8(original.key.clone()).unwrap();
        assert!(header("reason").starts_with(&reason), "{reason} was set aside as {}", header("reason"));
        if reason == "not_json" {
            assert_eq!(letter.payload, original.payload, "unparsable bytes go as they came");
        }
        *reasons.entry(reason).or_default() += 1;
    }
    assert_eq!(reasons.len(), poison().len());
}

#[test]
fn an_oversized_message_leaves_its_beginning_and_hash() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let mut setup = Setup::new(broker, "oversized", 1, &lake);
    setup.set("DECODE__MAX_MESSAGE_BYTES", "100000");
    let producer = Producer::new(broker, &setup.topic, 1);
    let message = format!(r#"{{"id":"big",{HEAD},{USAGE},"filler":"{}"}}"#, "z".repeat(200_000));
    producer.send("big", message.as_bytes());
    producer.flush();
    let instance = setup.start_ready();
    let dead = dead_letters(&setup, 1);
    instance.stop();
    let header = |name: &str| dead[0].headers[&format!("spendstream.{name}")].clone();
    assert!(header("reason").starts_with("too_large"));
    assert_eq!(dead[0].payload, &message.as_bytes()[..65_536]);
    assert!(dead[0].headers.contains_key("spendstream.truncated"));
    let hash = format!("{:x}", Sha256::digest(message.as_bytes()));
    assert_eq!(header("sha256"), hash);
}

#[test]
fn dead_letters_are_replayed_once_the_cause_is_gone() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let mut setup = Setup::new(broker, "replay", 1, &lake);
    let producer = Producer::new(broker, &setup.topic, 1);
    let tags: Vec<String> = (0..100).map(|number| format!(r#""tag{number}":"value{number}""#)).collect();
    for id in ["many-1", "many-2"] {
        producer.send(id, format!(r#"{{"id":"{id}",{HEAD},"tags":{{{}}},{USAGE}}}"#, tags.join(",")).as_bytes());
    }
    producer.flush();
    let instance = setup.start_ready();
    dead_letters(&setup, 2);
    instance.stop();

    setup.set("DECODE__MAX_TAGS", "100");
    let mut instance = setup.start_ready();
    setup.run(&["replay"]);
    instance.wait_rows(&lake, 2);
    instance.stop();
    let rows = lake
        .rows("SELECT event_id, cost, cardinality(tags) AS tags, tags['tag99'] AS last FROM usage ORDER BY event_id");
    assert_eq!(rows.len(), 2);
    for (row, id) in rows.iter().zip(["many-1", "many-2"]) {
        // Ten tokens in, one out, of gpt-4o.
        let found = ["event_id", "cost", "tags", "last"].map(|column| text(&row[column]));
        assert_eq!(found, [id, "0.000035", "100", "value99"]);
    }
    assert_eq!(topics::read(broker, &setup.dead).len(), 2, "nothing was set aside a second time");
    lake.assert_clean();
}

#[test]
fn a_second_replay_sends_only_what_is_new() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "replay-again", 1, &lake);
    let producer = Producer::new(broker, &setup.topic, 1);
    producer.send("bad", format!(r#"{{"id":"bad",{HEAD},"usage":{{"input_tokens":-1}}}}"#).as_bytes());
    producer.flush();
    let instance = setup.start_ready();
    dead_letters(&setup, 1);
    instance.stop();

    let end = |args: &[&str], expected: &str| {
        let said = setup.run(&[&["replay"], args].concat());
        assert!(said.contains(expected), "{args:?}: {said}");
        topics::ends(broker, &setup.topic)[&0]
    };
    assert_eq!(end(&["--dry-run"], "nothing is remembered with --dry-run"), 1);
    assert_eq!(end(&["--limit", "5"], "nothing is remembered with --limit"), 2);
    assert_eq!(end(&["--reason", "other"], "left 1 that were not asked for"), 2);
    assert_eq!(end(&[], "replayed 1 dead letters"), 3, "what remembers nothing is no reason to leave a letter out");
    assert_eq!(end(&[], "there is none that was not replayed before"), 3);

    // Nothing was mended: both come back as letters of their own, and only those are new.
    let instance = setup.start_ready();
    dead_letters(&setup, 3);
    instance.stop();
    assert_eq!(end(&[], "remembered by group replay-again.group.replay"), 5);
    assert_eq!(end(&[], "replayed 0 dead letters"), 5);
    assert_eq!(end(&["--again"], "replayed 3 dead letters"), 8);
    assert_eq!(end(&[], "replayed 0 dead letters"), 8);
}
