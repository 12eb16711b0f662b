//! Instances come, go, die and freeze while events flow; one wakes after another took its partitions (a zombie).

use crate::harness::components::need;
use crate::harness::feed::Feed;
use crate::harness::gateway::Gateway;
use crate::harness::instance::Setup;
use crate::harness::lake::Lake;
use crate::harness::{broker, topics, wait};

#[test]
fn instances_come_and_go_and_freeze_on_a_folder() {
    need!(Kafka);
    come_and_go("rebalance-file", &Lake::file());
}

#[test]
fn instances_come_and_go_and_freeze_on_s3() {
    need!(Kafka, Versitygw);
    let gateway = Gateway::start();
    come_and_go("rebalance-s3", &Lake::s3(&gateway, "shared"));
}

fn come_and_go(name: &'static str, lake: &Lake) {
    let broker = broker::shared();
    // Six seconds of session time-out are the harness's setting; a frozen instance is out of the group after them.
    let setup = Setup::new(broker, name, 6, lake);
    let members = |count: usize| {
        wait::until(&format!("{count} members"), || (topics::members(broker, &setup.group) == count).then_some(()));
    };
    let grows = |what: &str| {
        let before = lake.count();
        wait::until(what, || (lake.count() > before).then_some(()));
    };
    let feed = Feed::start(broker, &setup, name);

    let mut first = setup.start_ready();
    grows("rows by one instance");
    let second = setup.start_ready();
    members(2);
    grows("rows by two instances");

    first.process.signal("STOP");
    members(1);
    grows("rows while one is frozen");
    first.process.signal("CONT");
    members(2);
    grows("rows after it woke");

    let third = setup.start_ready();
    members(3);
    second.stop();
    members(2);
    grows("rows after one left");
    third.kill();
    members(1);
    grows("rows after one died");

    let ledger = feed.stop();
    ledger.wait_for(lake, &mut first);
    first.stop();
    ledger.assert_equals(lake);
}
