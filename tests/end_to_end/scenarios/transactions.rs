//! A transactional producer: what it aborted is never charged, and offsets pass the markers that its transactions leave.

use crate::harness::broker;
use crate::harness::components::need;
use crate::harness::events::event;
use crate::harness::instance::Setup;
use crate::harness::lake::Lake;
use crate::harness::ledger::Ledger;
use crate::harness::producer::{End, Producer};

#[test]
fn aborted_events_are_not_charged() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "transactions", 2, &lake);
    let producer = Producer::transactional(broker, &setup.topic, setup.partitions, "transactions");
    let mut ledger = Ledger::default();
    transaction(&producer, &mut ledger, End::Commit, "kept-1");
    transaction(&producer, &mut ledger, End::Abort, "dropped-1");
    transaction(&producer, &mut ledger, End::Commit, "kept-2");
    transaction(&producer, &mut ledger, End::Abort, "dropped-2");

    let mut instance = setup.start_ready();
    ledger.wait_for(&lake, &mut instance);
    instance.kill();
    // The topic ends with aborted events and a marker; the next instance starts somewhere there.
    let mut instance = setup.start_ready();
    transaction(&producer, &mut ledger, End::Abort, "dropped-3");
    transaction(&producer, &mut ledger, End::Commit, "kept-3");
    ledger.wait_for(&lake, &mut instance);
    instance.stop();
    assert_eq!(ledger.count(), 300);
    ledger.assert_equals(&lake);
}

fn transaction(producer: &Producer, ledger: &mut Ledger, end: End, series: &str) {
    producer.transaction(end, |producer| {
        for number in 0..100 {
            let event = event(series, number);
            producer.send(&event.id, event.json.as_bytes());
            if end == End::Commit {
                ledger.add(&event);
            }
        }
    });
}
