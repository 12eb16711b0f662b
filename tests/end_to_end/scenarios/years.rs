//! Ninety days in a minute: hot on a folder, warm and cold in two buckets of a real S3 server, while days are written, sealed, joined by late rows and moved,
//! and both processes that write are killed again and again, and now and then the S3 server. A reader beside it never sees a wrong total.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::harness::broker::{self, Broker};
use crate::harness::components::need;
use crate::harness::dice::{Dice, rounds};
use crate::harness::events::event_at;
use crate::harness::gateway::Gateway;
use crate::harness::instance::{Instance, Setup};
use crate::harness::lake::{Lake, Row};
use crate::harness::ledger::Ledger;
use crate::harness::offsets::{Offsets, Reached, TOTALS};
use crate::harness::producer::Producer;
use crate::harness::{clock, http, wait};

const FIRST_DAY: &str = "2026-07-01";
const DAYS: i64 = 90;
/// Calls of a day; every tenth is sent twice, and every 24th is of a day before, up to twelve days back.
const CALLS: u64 = 48;
/// How long a day takes.
const DAY: Duration = Duration::from_millis(600);
/// A day is cold at this age, by the days of this traffic.
const COLD: i64 = 30;
/// After so many kills the S3 server is killed, too, and away for up to `AWAY`.
const OUTAGE: u64 = 7;
const AWAY: Duration = Duration::from_secs(3);
/// Between two looks: who looks all the time takes the machine from what is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// Longer than a round takes to begin.
const WITHIN: Duration = Duration::from_secs(5);

#[test]
fn ninety_days_in_three_stores_with_kills() {
    need!(Kafka, Versitygw);
    let (broker, mut gateway) = (broker::shared(), Gateway::start());
    let buckets = [("warm", "0"), ("cold", "100000")].map(|(name, after_days)| {
        gateway.add_bucket(name);
        (name, after_days, format!("s3://{name}"))
    });
    let lake = Lake::tiered(&gateway, &buckets);
    let mut setup = Setup::new(broker, "years", 4, &lake);
    let settings = [
        ("LAKE__MAINTENANCE__INTERVAL", "300ms"),
        ("LAKE__MAINTENANCE__LEASE", "2s"),
        ("LAKE__MAINTENANCE__JOIN_INTERVAL", "10s"),
        ("LAKE__MAINTENANCE__COMPACT_FILES", "4"),
        ("LAKE__MAINTENANCE__VACUUM_INTERVAL", "4s"),
        ("LAKE__MAINTENANCE__VACUUM_AFTER", "60s"),
        ("LAKE__MAINTENANCE__LOG_RETENTION", "60s"),
        ("LIVE__ALLOWED_LATENESS", "1h"),
        ("LIVE__RECONCILE_INTERVAL", "5s"),
        ("QUERY__LISTEN", "127.0.0.1:0"),
        ("KAFKA__CLIENT__SESSION_TIMEOUT_MS", "1500"),
        ("KAFKA__CLIENT__HEARTBEAT_INTERVAL_MS", "300"),
    ];
    for (key, value) in settings {
        setup.set(key, value);
    }

    let mut ingest = setup.start_ready();
    let mut serve = setup.start_as(&["serve"]);
    let traffic = Traffic::start(broker, &setup);
    let watch = Watch::start(serve.address(), Arc::clone(&traffic.offsets));
    let mut upkeep = setup.start_as(&["lake", "maintain"]);
    let mut dice = Dice::new(0x90DA);
    let (mut kills, most) = (0, rounds("SPENDSTREAM_KILLS", 200));
    while !traffic.is_over() {
        wait::let_pass(dice.time(WITHIN));
        if kills == most {
            continue;
        }
        kills += 1;
        if kills % OUTAGE == 0 {
            gateway.kill();
            wait::let_pass(dice.time(AWAY));
            gateway.restart();
        }
        setup.set("LAKE__TIERS__COLD__AFTER_DAYS", traffic.cold_after().to_string());
        if kills % 2 == 0 {
            ingest.kill();
            ingest = setup.start();
        } else {
            upkeep.kill();
            upkeep = setup.start_as(&["lake", "maintain"]);
        }
    }
    upkeep.kill();
    ingest.kill();
    let (ledger, cold_after) = traffic.stop();
    setup.set("LAKE__TIERS__COLD__AFTER_DAYS", cold_after.to_string());
    let mut ingest = setup.start_ready();
    ledger.wait_for(&lake, &mut ingest);
    wait_for_tiers(&setup, &mut ingest);
    let (right, refused) = watch.stop(ledger.count());
    eprintln!("{kills} kills; the reader was right {right} times and refused {} times: {refused:?}", refused.len());
    assert!(right >= 20, "the reader read only {right} times");
    assert!(refused.len() * 5 <= right, "too often refused: {refused:?}");
    ingest.stop();
    ledger.assert_equals(&lake);
}

/// Waits until what is over is sealed and lies in the tier of its age: all but the last day, two thirds of it cold.
fn wait_for_tiers(setup: &Setup, ingest: &mut Instance) {
    let mut days = days_of_tiers(setup);
    while days[0] > 1 || days[1] > COLD + 1 {
        let before = days;
        days = wait::until(&format!("more days in their tiers than {before:?}"), || {
            ingest.assert_alive();
            wait::let_pass(PAUSE);
            Some(days_of_tiers(setup)).filter(|days| *days != before)
        });
    }
    assert!(days[1] >= COLD - 1 && days[2] >= DAYS - COLD - 1, "days in hot, warm and cold: {days:?}");
}

/// Days in hot, warm and cold.
fn days_of_tiers(setup: &Setup) -> [i64; 3] {
    let status: Row = serde_json::from_str(&setup.run(&["lake", "status", "--format", "json"])).unwrap();
    ["hot", "warm", "cold"].map(|name| {
        let tier = status["tiers"].as_array().unwrap().iter().find(|tier| tier["name"] == name);
        tier.map_or(0, |tier| tier["days"].as_i64().unwrap())
    })
}

/// Ninety days of calls, one day after the other.
struct Traffic {
    offsets: Arc<Mutex<Offsets>>,
    present: Arc<AtomicI64>,
    thread: JoinHandle<Ledger>,
}

impl Traffic {
    fn start(broker: &Broker, setup: &Setup) -> Self {
        let producer = Producer::new(broker, &setup.topic, setup.partitions);
        let (offsets, present) = (Arc::<Mutex<Offsets>>::default(), Arc::<AtomicI64>::default());
        let (books, today) = (Arc::clone(&offsets), Arc::clone(&present));
        let thread = std::thread::spawn(move || {
            let mut ledger = Ledger::default();
            for day in 0..=DAYS {
                today.store(day, Ordering::SeqCst);
                send_day(&producer, &mut ledger, &books, day);
                wait::let_pass(DAY);
            }
            ledger
        });
        Self { offsets, present, thread }
    }

    fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// The age by the clock on the wall at which a day is cold by that of the traffic.
    fn cold_after(&self) -> i64 {
        let present = self.present.load(Ordering::SeqCst);
        (clock::today() - first_day()).num_days() - (present - COLD).max(0)
    }

    fn stop(self) -> (Ledger, i64) {
        let cold_after = self.cold_after();
        (self.thread.join().expect("the traffic does not fail"), cold_after)
    }
}

fn first_day() -> NaiveDate {
    FIRST_DAY.parse().unwrap()
}

fn send_day(producer: &Producer, ledger: &mut Ledger, offsets: &Mutex<Offsets>, day: i64) {
    for call in 0..CALLS {
        let number = u64::try_from(day).unwrap() * CALLS + call;
        let back = if call % 24 == 15 { 1 + i64::try_from(number / 24 % 12).unwrap() } else { 0 };
        let start: DateTime<Utc> = first_day().and_hms_opt(0, 0, 0).unwrap().and_utc();
        let time = start + TimeDelta::days((day - back).max(0)) + TimeDelta::minutes(i64::try_from(call * 29).unwrap());
        let event = event_at("years", number, &time.to_rfc3339());
        let partition = producer.partition(&event.id);
        for repeat in 0..=u64::from(call % 10 == 9) {
            // In the books first: the reader must not see what they do not know.
            offsets.lock().unwrap().add(partition, (repeat == 0).then_some(&event));
            producer.send(&event.id, event.json.as_bytes());
        }
        ledger.add(&event);
    }
    producer.flush();
}

/// A reader that asks for the total all the time.
struct Watch {
    over: Arc<AtomicBool>,
    reached: Arc<AtomicI64>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Watch {
    fn start(address: String, offsets: Arc<Mutex<Offsets>>) -> Self {
        let (over, reached) = (Arc::<AtomicBool>::default(), Arc::<AtomicI64>::default());
        let (stop, seen) = (Arc::clone(&over), Arc::clone(&reached));
        let thread = std::thread::spawn(move || {
            let (mut right, mut refused, mut last) = (0, Vec::new(), Reached::default());
            while !stop.load(Ordering::SeqCst) {
                wait::let_pass(PAUSE / 4);
                match ask(&address) {
                    Ok(rows) => {
                        let now = offsets.lock().unwrap().check(&rows).unwrap_or_else(|wrong| panic!("{wrong}"));
                        assert!(now.calls >= last.calls, "fewer calls than before: {now:?} after {last:?}");
                        (right, last) = (right + 1, now);
                        seen.store(i64::try_from(now.calls).unwrap(), Ordering::SeqCst);
                    }
                    // Before the first commit there is no table.
                    Err(_) if right == 0 => {}
                    Err(why) => refused.push(why),
                }
            }
            (right, refused)
        });
        Self { over, reached, thread }
    }

    /// Waits until it has seen all calls; how often it was right, and why it was refused.
    fn stop(self, calls: u64) -> (usize, Vec<String>) {
        let all = i64::try_from(calls).unwrap();
        wait::until("the reader sees all calls", || {
            (self.thread.is_finished() || self.reached.load(Ordering::SeqCst) == all).then_some(())
        });
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().expect("the reader saw no wrong total")
    }
}

fn ask(address: &str) -> Result<Vec<Row>, String> {
    let (status, body) = http::post(address, "/v1/sql?format=json", "text/plain", TOTALS.as_bytes())
        .ok_or("the query API did not answer")?;
    if status != 200 {
        return Err(body);
    }
    serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))
}
