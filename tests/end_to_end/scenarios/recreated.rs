//! A topic that was deleted and created again has other messages at the same offsets: the partition stops and says what
//! to do; a new `kafka.cluster` identity starts it afresh in the same lake.

use crate::harness::broker::{self, Broker};
use crate::harness::components::need;
use crate::harness::feed::send;
use crate::harness::instance::{Instance, Setup};
use crate::harness::lake::Lake;
use crate::harness::ledger::Ledger;
use crate::harness::producer::Producer;
use crate::harness::{http, topics, wait};

#[test]
fn a_recreated_topic_stops_loudly_until_it_has_a_new_identity() {
    // The lake's offset lies beyond the new topic: the broker's range says so.
    recreated("recreated", 40, &["recreated", "105", "0", "42"]);
}

#[test]
fn a_recreated_topic_that_outgrew_the_old_one_is_told_by_its_last_message() {
    // The lake's offset exists again, with another message before it.
    recreated("outgrown", 400, &["outgrown", "104"]);
}

/// A hundred events in the topic, all of them read and committed.
fn read_once(broker: &Broker, setup: &Setup, lake: &Lake) -> (Ledger, Instance) {
    let mut ledger = Ledger::default();
    let producer = Producer::new(broker, &setup.topic, 1);
    send(&producer, &mut ledger, "before", 0, 100);
    producer.flush();
    let mut instance = setup.start_ready();
    ledger.wait_for(lake, &mut instance);
    (ledger, instance)
}

/// Without a restart: the consumer is told by a rebalance, or goes on at its offset in the new topic, where what lies before would be lost
/// without a word.
#[test]
fn a_topic_that_is_recreated_while_it_is_read_stops_loudly() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "recreated-live", 1, &lake);
    let (_, mut instance) = read_once(broker, &setup, &lake);

    topics::delete(broker, &setup.topic);
    topics::create(broker, &setup.topic, 1);
    let producer = Producer::new(broker, &setup.topic, 1);
    send(&producer, &mut Ledger::default(), "after", 0, 4_000);
    producer.flush();
    wait::until("the instance says that the topic is another one", || {
        instance.assert_alive();
        let (status, why) = http::get(&instance.address(), "/readyz")?;
        (status == 503 && why.contains("kafka.cluster")).then_some(())
    });
    // Nor is it forgotten: by the messages where nothing of the new topic is committed, else by what is written down beside it.
    instance.stop();
    let mut again = setup.start();
    again.process.wait_for("that the topic was another one", |output| {
        output.lines().find(|line| line.contains("start again with a new kafka.cluster")).map(str::to_owned)
    });
    again.kill();
}

fn recreated(name: &str, events_after: u64, said_figures: &[&str]) {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let mut setup = Setup::new(broker, name, 1, &lake);
    let (mut ledger, instance) = read_once(broker, &setup, &lake);
    instance.stop();
    // 100 events and the 5 repeats that `send` mixes in.
    assert_eq!(topics::ends(broker, &setup.topic)[&0], 105);

    topics::delete(broker, &setup.topic);
    topics::create(broker, &setup.topic, 1);
    let producer = Producer::new(broker, &setup.topic, 1);
    send(&producer, &mut ledger, "after", 0, events_after);
    producer.flush();
    let mut stopped = setup.start();
    let said = stopped.process.wait_for("that the topic is another one", |output| {
        output.lines().find(|line| line.contains("kafka.cluster")).map(str::to_owned)
    });
    for figure in said_figures {
        assert!(said.contains(figure), "{figure} is not in: {said}");
    }
    stopped.kill();
    assert_eq!(lake.count(), 100, "nothing was read at offsets that mean something else");

    setup.set("KAFKA__CLUSTER", "main-2");
    let mut instance = setup.start_ready();
    ledger.wait_for(&lake, &mut instance);
    instance.stop();
    ledger.assert_equals(&lake);
}
