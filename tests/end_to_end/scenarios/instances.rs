//! Several instances share a topic: each decides by the totals and the promises of all, whoever dies, freezes or joins; what is crossed
//! is told once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::broker::{self, Broker};
use crate::harness::budgets::{cent, configure, decide, decide_known, delivered, once, question};
use crate::harness::components::need;
use crate::harness::events::femto;
use crate::harness::instance::{Instance, Setup};
use crate::harness::lake::{Lake, text};
use crate::harness::producer::Producer;
use crate::harness::receiver::Receiver;
use crate::harness::{topics, wait};

const BUDGETS: &str = r#"
[[budgets]]
name = "search team"
scope = { team = "search" }
period = "yearly"
amount = "1.00"
currency = "USD"
thresholds = ["50", "80", "95", "100"]
hard_limit = true
"#;

/// Calls of one cent that the budget has room for.
const ROOM: usize = 100;
/// Cents of a call that needs more than one of two instances may grant without a word to the other.
const LARGE: usize = 60;

/// A topic that instances share, with the two by which they tell one another.
fn shared_setup(broker: &Broker, name: &str, lake: &Lake, receiver: &Receiver) -> Setup {
    let mut setup = Setup::new(broker, name, 4, lake);
    let (totals, holds) = (format!("{name}.totals"), format!("{name}.holds"));
    topics::create_with(broker, &totals, 1, &[("retention.ms", "600000")]);
    topics::create_with(broker, &holds, 1, &[("cleanup.policy", "compact")]);
    setup.set("KAFKA__TOTALS_TOPIC", totals);
    setup.set("KAFKA__HOLDS_TOPIC", holds);
    setup.set("KAFKA__CLIENT__SESSION_TIMEOUT_MS", "1500");
    setup.set("KAFKA__CLIENT__HEARTBEAT_INTERVAL_MS", "300");
    configure(&setup, receiver, None, BUDGETS);
    setup
}

fn members(broker: &Broker, setup: &Setup, count: usize) {
    wait::until(&format!("{count} members"), || (topics::members(broker, &setup.group) == count).then_some(()));
}

/// Two instances that share the partitions and know the budget, with their addresses.
fn two_that_know(broker: &Broker, setup: &Setup) -> ([Instance; 2], [String; 2]) {
    let mut both = [setup.start_ready(), setup.start_ready()];
    members(broker, setup, 2);
    let addresses = both.each_mut().map(Instance::address);
    for address in &addresses {
        decide_known(address, &question(None, "search", "normal"));
    }
    (both, addresses)
}

/// Calls that were allowed, by instance and when the answer came.
#[derive(Default)]
struct Granted {
    calls: Mutex<Vec<(String, usize, Instant)>>,
    /// Calls whose answer died with its instance: they may be held, and nobody makes them.
    unanswered: AtomicUsize,
}

impl Granted {
    fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    fn ids(&self) -> Vec<String> {
        self.calls.lock().unwrap().iter().map(|(id, ..)| id.clone()).collect()
    }

    /// How many an instance granted since a moment.
    fn since(&self, instance: usize, moment: Instant) -> usize {
        self.calls.lock().unwrap().iter().filter(|(_, by, at)| *by == instance && *at >= moment).count()
    }

    /// Asks for up to `calls` calls until `over`; ends when nobody answers.
    fn ask(&self, (instance, address): (usize, &str), name: &str, calls: usize, over: &AtomicBool) {
        for number in 0..calls {
            let id = format!("{name}-{number}");
            if over.load(Ordering::SeqCst) {
                return;
            }
            let Some(answer) = decide(address, &question(Some(&id), "search", "normal")) else {
                self.unanswered.fetch_add(1, Ordering::SeqCst);
                return;
            };
            if answer["allow"] == json!(true) {
                assert_eq!(answer["held"], json!(true), "{answer}");
                self.calls.lock().unwrap().push((id, instance, Instant::now()));
            }
        }
    }

    /// Four callers at each of these instances at once.
    fn burst(&self, round: &str, instances: &[(usize, &str)], calls: usize, meanwhile: impl FnOnce(&AtomicBool)) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for (number, address) in instances {
                for caller in 0..4 {
                    let (name, over) = (format!("{round}-{number}-{caller}"), &over);
                    scope.spawn(move || self.ask((*number, address), &name, calls, over));
                }
            }
            meanwhile(&over);
        });
    }
}

#[test]
fn a_burst_on_two_instances_stays_within_a_hard_limit_also_when_one_dies() {
    need!(Kafka);
    let (broker, receiver, lake) = (broker::shared(), Receiver::start(), Lake::file());
    let setup = shared_setup(broker, "instances-burst", &lake, &receiver);
    let ([mut first, second], addresses) = two_that_know(broker, &setup);

    // Two at once; one of them dies in the middle of it.
    let granted = Granted::default();
    let mut died = Instant::now();
    granted.burst("before", &[(1, &addresses[0]), (2, &addresses[1])], 40, |over| {
        wait::until("some calls are allowed", || (granted.count() >= ROOM / 4).then_some(()));
        died = Instant::now();
        second.kill();
        over.store(true, Ordering::SeqCst);
    });
    // What it granted in its last moments the others may not have heard: the bound that the documents tell of.
    let unheard = died.checked_sub(Duration::from_secs(1)).map_or(ROOM, |moment| granted.since(2, moment));

    // A new one decides by what was held before it was there.
    let mut third = setup.start_ready();
    let address = third.address();
    decide_known(&address, &question(None, "search", "normal"));
    granted.burst("after", &[(1, &addresses[0]), (3, &address)], 40, |_| {});
    let allowed = granted.count();
    assert!(allowed <= ROOM + unheard, "{allowed} calls of one cent in a dollar, {unheard} of them unheard of");
    // With nobody else granting, all but each other's share is given away.
    granted.ask((1, &addresses[0]), "rest", 3, &AtomicBool::new(false));

    // Held until the events come, then used: to the last cent what was allowed.
    let producer = Producer::new(broker, &setup.topic, setup.partitions);
    for id in granted.ids() {
        producer.send(&id, cent(&id, "user-0").as_bytes());
    }
    producer.flush();
    let allowed = granted.count();
    first.wait_rows(&lake, allowed as u64);
    let used = femto("0.01") * i128::try_from(allowed).unwrap();
    for address in [&addresses[0], &address] {
        let most = femto("0.01") * i128::try_from(granted.unanswered.load(Ordering::SeqCst)).unwrap();
        let is_spent = |(spent, held): (i128, i128)| spent == used && held <= most;
        wait::until("holds became spend", || standing(address).filter(|now| is_spent(*now)));
    }
    let sum = lake.rows("SELECT CAST(SUM(cost) AS VARCHAR) AS cost FROM usage WHERE team = 'search'");
    assert_eq!(femto(&text(&sum[0]["cost"])), used);
    let crossed = |at: usize| allowed >= at;
    wait::until("every alert", || (delivered(&receiver) == expected(crossed)).then_some(()));
    first.stop();
    third.stop();
    assert_eq!(delivered(&receiver), expected(crossed), "a stop tells nothing new");
    lake.assert_clean();
}

/// Where nobody dies there is no tolerance: what one instance grants the other has not heard of yet is never granted twice, and all there is can
/// be had.
#[test]
fn two_instances_grant_to_the_last_cent_and_none_twice() {
    need!(Kafka);
    let (broker, receiver, lake) = (broker::shared(), Receiver::start(), Lake::file());
    let setup = shared_setup(broker, "instances-share", &lake, &receiver);
    let ([first, second], addresses) = two_that_know(broker, &setup);
    // Its room is claimed, and there when it asks again.
    let mut large = question(Some("large"), "search", "normal");
    large["input_tokens"] = json!(LARGE * 4_000);
    let ask = || decide(&addresses[0], &large).unwrap();
    let first_time = ask();
    assert_eq!((&first_time["allow"], &first_time["retry_after_seconds"]), (&json!(false), &json!(3)), "{first_time}");
    wait::until("the large call is allowed", || (ask()["allow"] == json!(true)).then_some(()));

    let granted = Granted::default();
    granted.burst("both", &[(1, &addresses[0]), (2, &addresses[1])], 60, |_| {});
    let room = ROOM - LARGE;
    let allowed = granted.count();
    assert!((room / 2..=room).contains(&allowed), "{allowed} calls of one cent, room for {room}");
    // What was left for the other is free again once both have told what they granted; the last of it for who asks again by the same id.
    wait::until("the last cent is granted", || {
        let name = format!("rest-{}", granted.count());
        granted.ask((1, &addresses[0]), &name, 1, &AtomicBool::new(false));
        (granted.count() >= room).then_some(())
    });
    granted.burst("over", &[(1, &addresses[0]), (2, &addresses[1])], 5, |_| {});
    assert_eq!(granted.count(), room);
    first.stop();
    second.stop();
}

/// Who is asked to stop grants nothing any more, and goes only when the others can know of all that it granted.
#[test]
fn an_instance_that_stops_in_a_burst_leaves_no_promise_unheard() {
    need!(Kafka);
    let (broker, receiver, lake) = (broker::shared(), Receiver::start(), Lake::file());
    let setup = shared_setup(broker, "instances-stop", &lake, &receiver);
    let ([first, second], addresses) = two_that_know(broker, &setup);
    let granted = Granted::default();
    granted.burst("stop", &[(1, &addresses[0]), (2, &addresses[1])], 60, |_| {
        wait::until("some calls are allowed", || (granted.count() >= ROOM / 4).then_some(()));
        first.stop();
    });
    wait::until("the last cent is granted", || {
        let name = format!("rest-{}", granted.count());
        granted.ask((2, &addresses[1]), &name, 1, &AtomicBool::new(false));
        (granted.count() >= ROOM).then_some(())
    });
    granted.ask((2, &addresses[1]), "over", 5, &AtomicBool::new(false));
    assert_eq!(granted.count(), ROOM);
    second.stop();
}

#[test]
fn every_instance_knows_all_spend_before_it_is_committed_whoever_freezes_dies_or_joins() {
    need!(Kafka);
    let (broker, receiver, lake) = (broker::shared(), Receiver::start(), Lake::file());
    let mut setup = shared_setup(broker, "instances-totals", &lake, &receiver);
    // Nothing is committed by time: what an instance knows of the others' partitions it was told.
    setup.set("LAKE__COMMIT_INTERVAL", "1h");
    let producer = Producer::new(broker, &setup.topic, setup.partitions);
    let mut sent = 0;
    let mut send = |count: usize| {
        for _ in 0..count {
            let id = format!("call-{sent}");
            producer.send(&id, cent(&id, "user-0").as_bytes());
            sent += 1;
        }
        producer.flush();
    };
    let know = |cents: i128, instances: &mut [&mut Instance]| {
        for instance in instances {
            let address = instance.address();
            wait::until(&format!("{cents} cents are known"), || {
                instance.assert_alive();
                (standing(&address) == Some((femto("0.01") * cents, 0))).then_some(())
            });
        }
    };

    let (mut first, mut second) = (setup.start_ready(), setup.start_ready());
    members(broker, &setup, 2);
    know(0, &mut [&mut first, &mut second]);
    send(60);
    know(60, &mut [&mut first, &mut second]);
    assert_eq!(lake.count(), 0, "nothing was committed");

    first.process.signal("STOP");
    members(broker, &setup, 1);
    send(21);
    know(81, &mut [&mut second]);
    first.process.signal("CONT");
    members(broker, &setup, 2);
    know(81, &mut [&mut first, &mut second]);

    let mut third = setup.start_ready();
    members(broker, &setup, 3);
    send(15);
    know(96, &mut [&mut first, &mut second, &mut third]);
    third.kill();
    members(broker, &setup, 2);
    send(4);
    know(100, &mut [&mut first, &mut second]);
    wait::until("every alert", || (delivered(&receiver) == expected(|_| true)).then_some(()));
    second.stop();
    first.stop();
    assert_eq!(delivered(&receiver), expected(|_| true), "each threshold is told once");
    let sum = lake.rows("SELECT CAST(SUM(cost) AS VARCHAR) AS cost FROM usage");
    assert_eq!(femto(&text(&sum[0]["cost"])), femto("1"));
    lake.assert_clean();
}

/// What an instance says is used and held; `None` while it does not know.
fn standing(address: &str) -> Option<(i128, i128)> {
    // A call of a dollar more comes near the limit in any case, so the answer tells of the budget.
    let mut question = question(None, "search", "critical");
    question["input_tokens"] = json!(400_000);
    let answer = decide(address, &question)?;
    let line = answer["violated"].as_array()?.iter().chain(answer["warnings"].as_array()?).next()?.clone();
    Some((femto(&text(&line["used"])), femto(&text(&line["held"]))))
}

fn expected(crossed: impl Fn(usize) -> bool) -> BTreeMap<(String, String, String), usize> {
    let all = [
        (50, once("threshold_warning", "team=search", "0.5")),
        (80, once("threshold_warning", "team=search", "0.8")),
        (95, once("threshold_warning", "team=search", "0.95")),
        (100, once("limit_reached", "team=search", "1")),
    ];
    all.into_iter().filter(|(at, _)| crossed(*at)).map(|(_, alert)| alert).collect()
}
