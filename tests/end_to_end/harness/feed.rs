//! A producer in the background: sends events at a steady pace, some of them twice, until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::broker::Broker;
use super::events::event;
use super::instance::Setup;
use super::ledger::Ledger;
use super::producer::Producer;
use super::wait;

/// Events per step, and how long a step takes: about 2 000 a second.
const STEP: u64 = 40;
const PACE: Duration = Duration::from_millis(20);
/// Every so many events an earlier one is sent again, as a producer does that got no answer.
const RETRY_EVERY: u64 = 20;

/// A producer at work.
pub struct Feed {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Ledger>,
}

impl Feed {
    /// Starts to send events of `series`.
    pub fn start(broker: &Broker, setup: &Setup, series: &'static str) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let producer = Producer::new(broker, &setup.topic, setup.partitions);
        let stop = Arc::clone(&over);
        Self { over, thread: std::thread::spawn(move || send_until(&stop, &producer, series)) }
    }

    /// Stops, waits for the broker's last acknowledgement, and hands over the books.
    pub fn stop(self) -> Ledger {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().expect("the feed does not fail")
    }
}

fn send_until(over: &AtomicBool, producer: &Producer, series: &str) -> Ledger {
    let mut ledger = Ledger::default();
    let mut next = 0;
    while !over.load(Ordering::SeqCst) {
        send(producer, &mut ledger, series, next, next + STEP);
        next += STEP;
        wait::let_pass(PACE);
    }
    producer.flush();
    ledger
}

/// Sends the events `from..to` of a series and enters them in the books; every twentieth repeats an earlier one.
pub fn send(producer: &Producer, ledger: &mut Ledger, series: &str, from: u64, to: u64) {
    for number in from..to {
        let event = event(series, number);
        producer.send(&event.id, event.json.as_bytes());
        ledger.add(&event);
        if number % RETRY_EVERY == RETRY_EVERY - 1 {
            let again = super::events::event(series, number.saturating_sub(number * 7 % 1_000));
            producer.send(&again.id, again.json.as_bytes());
        }
    }
}
