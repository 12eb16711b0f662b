//! The broker or the object store goes away and comes back: nothing is lost, nothing is double, nobody has to act.

use crate::harness::broker::{self, Broker};
use crate::harness::components::need;
use crate::harness::feed::{Feed, send};
use crate::harness::gateway::Gateway;
use crate::harness::instance::Setup;
use crate::harness::lake::Lake;
use crate::harness::ledger::Ledger;
use crate::harness::producer::Producer;
use crate::harness::tiny_disk::TinyDisk;
use crate::harness::{http, topics, wait};

#[test]
fn the_broker_goes_away_and_comes_back() {
    need!(Kafka);
    // Not the shared one: other scenarios need that.
    let (mut broker, lake) = (Broker::start(), Lake::file());
    let setup = Setup::new(&broker, "away", 2, &lake);
    let mut ledger = Ledger::default();
    let producer = Producer::new(&broker, &setup.topic, 2);
    send(&producer, &mut ledger, "before", 0, 2_000);
    producer.flush();
    let mut instance = setup.start_ready();
    ledger.wait_for(&lake, &mut instance);

    broker.kill();
    wait::until("the instance says that it is not ready", || (instance.readiness()? != 200).then_some(()));
    broker.restart();
    send(&producer, &mut ledger, "after", 0, 2_000);
    producer.flush();
    ledger.wait_for(&lake, &mut instance);
    instance.wait_ready();
    instance.stop();
    ledger.assert_equals(&lake);
}

#[test]
fn the_disk_is_full_until_there_is_room_again() {
    need!(Kafka);
    let Some(disk) = TinyDisk::mount(2) else { return };
    let (broker, lake) = (broker::shared(), Lake::below(disk.path()));
    let setup = Setup::new(broker, "disk-full", 2, &lake);
    let producer = Producer::new(broker, &setup.topic, 2);
    let mut ledger = Ledger::default();
    let mut instance = setup.start_ready();
    send(&producer, &mut ledger, "small", 0, 500);
    producer.flush();
    ledger.wait_for(&lake, &mut instance);

    // More than fits, in one commit after the other.
    let mut next = 0;
    wait::until("the instance says why it is not ready", || {
        instance.assert_alive();
        send(&producer, &mut ledger, "many", next, next + 2_000);
        next += 2_000;
        let (status, why) = http::get(&instance.address(), "/readyz")?;
        (status == 503).then(|| assert!(why.contains("No space left"), "{why}"))
    });
    producer.flush();
    disk.grow(500);
    ledger.wait_for(&lake, &mut instance);
    instance.wait_ready();
    instance.stop();
    ledger.assert_equals(&lake);
}

#[test]
fn the_object_store_goes_away_and_comes_back() {
    need!(Kafka, Versitygw);
    let (broker, mut gateway) = (broker::shared(), Gateway::start());
    let lake = Lake::s3(&gateway, "away");
    let setup = Setup::new(broker, "store-away", 2, &lake);
    let feed = Feed::start(broker, &setup, "store-away");
    let mut instance = setup.start_ready();
    wait::until("rows", || (lake.count() > 0).then_some(()));

    gateway.kill();
    let produced = |more: i64| {
        let target = topics::ends(broker, &setup.topic).values().sum::<i64>() + more;
        wait::until("more events", || {
            (topics::ends(broker, &setup.topic).values().sum::<i64>() >= target).then_some(())
        });
    };
    // Some seconds of events, so that commits fail and are tried again.
    produced(8_000);
    assert_eq!(instance.process.ended(), None, "it waits for the store:\n{}", instance.log());
    gateway.restart();
    produced(2_000);

    let ledger = feed.stop();
    ledger.wait_for(&lake, &mut instance);
    instance.stop();
    ledger.assert_equals(&lake);
}
