//! The loop over the log: retries across restarts, giving up, digests, channels that do not wait for each other, stopping.

use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use spendstream_control::Store;
use spendstream_control::notifications::DeliveryState;
use spendstream_notify::courier::{Courier, Limits, Outcome};
use spendstream_notify::route::{Routes, plan};
use spendstream_notify::store_log::to_log;
use spendstream_schemas::alert::Alert;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::log::{Line, MemoryLog};
use crate::support::receiver::{Answer, OK, Receiver};
use crate::support::sample::{config, desk, hook, now, numbered};

const BROKEN: Answer =
    Answer::Say("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
const GONE: Answer = Answer::Say("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
const LATER: Answer =
    Answer::Say("HTTP/1.1 429 Too Many Requests\r\nretry-after: 600\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");

struct Running {
    stop: watch::Sender<bool>,
    wake: watch::Sender<u64>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(text: &str, log: &Arc<MemoryLog>, owner: &str) -> Self {
        let config = config(text);
        let ((stop, stopped), (wake, woken)) = (watch::channel(false), watch::channel(0));
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let (clock, told) = (Arc::clone(log), Arc::clone(&outcomes));
        let courier = Courier {
            log: Arc::clone(log),
            desk: Arc::new(desk(text)),
            routes: Arc::new(Routes::new(&config)),
            limits: Limits::new(&config, 7),
            clock: Arc::new(move || clock.now()),
            observer: Arc::new(move |_, outcome| told.lock().unwrap().push(outcome)),
            owner: owner.into(),
        };
        Self { stop, wake, outcomes, task: tokio::spawn(courier.run(stopped, woken)) }
    }

    async fn stop(self) -> Vec<Outcome> {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
        self.outcomes.lock().unwrap().clone()
    }
}

fn all(state: &'static str) -> impl Fn(&[Line]) -> bool {
    move |lines| lines.iter().all(|line| line.state == state)
}

#[tokio::test]
async fn what_failed_is_sent_after_a_restart() {
    let receiver = Receiver::start(vec![BROKEN, OK]).await;
    let log = MemoryLog::new(now());
    log.add("hook", numbered(1));
    let first = Running::start(&hook(receiver.port), &log, "first");
    let failed = log.until(all("failed")).await.remove(0);
    assert_eq!((failed.claim.attempts, failed.error.as_str()), (1, "answered 503 Service Unavailable"));
    assert!(failed.next > now() && failed.next <= now() + TimeDelta::seconds(5), "{}", failed.next);
    assert_eq!(first.stop().await, [Outcome::Failed]);

    log.set_clock(failed.next);
    let second = Running::start(&hook(receiver.port), &log, "second");
    log.until(all("sent")).await;
    assert_eq!(second.stop().await, [Outcome::Sent]);
    let requests = receiver.got(2).await;
    let keys: Vec<_> = requests.iter().map(|request| request.matches(&numbered(1).id).count() > 1).collect();
    assert_eq!(keys, [true, true]);
}

#[tokio::test]
async fn the_receiver_says_when_to_return() {
    let receiver = Receiver::start(vec![LATER]).await;
    let log = MemoryLog::new(now());
    log.add("hook", numbered(1));
    let running = Running::start(&hook(receiver.port), &log, "one");
    let failed = log.until(all("failed")).await.remove(0);
    assert_eq!(failed.next, now() + TimeDelta::seconds(600));
    running.stop().await;
}

#[tokio::test]
async fn refusals_and_the_last_attempt_are_given_up() {
    let receiver = Receiver::start(vec![GONE, BROKEN]).await;
    let log = MemoryLog::new(now());
    log.add("hook", numbered(1));
    let text = hook(receiver.port).replace("[notify]", "[notify]\nmax_attempts = 2");
    let running = Running::start(&text, &log, "one");
    let refused = log.until(all("given_up")).await.remove(0);
    assert_eq!((refused.claim.attempts, refused.error.as_str()), (1, "answered 410 Gone"));
    log.add("hook", numbered(2));
    running.wake.send(1).unwrap();
    let failed = log.until(|lines| lines[1].state == "failed").await.remove(1);
    log.set_clock(failed.next);
    running.wake.send(2).unwrap();
    let last = log.until(all("given_up")).await.remove(1);
    assert_eq!(last.claim.attempts, 2);
    assert_eq!(running.stop().await, [Outcome::GivenUp, Outcome::Failed, Outcome::GivenUp]);
}

#[tokio::test]
async fn a_channel_that_hangs_holds_up_no_other_and_a_stop_waits_for_it() {
    let (slow, quick) = (Receiver::start(vec![Answer::Hang]).await, Receiver::start(vec![OK]).await);
    let text = hook(slow.port)
        .replace("[notify]", "[notify]\ntimeout = '500ms'\nlease = '10s'\nchannel_concurrency = 2")
        + hook(quick.port).replace("'hook'", "'quick'").split_once("true\n").unwrap().1;
    let log = MemoryLog::new(now());
    for number in 0..5 {
        log.add("hook", numbered(number));
        log.add("quick", numbered(number));
    }
    let running = Running::start(&text, &log, "one");
    log.until(|lines| lines.iter().filter(|line| line.channel == "quick").all(|line| line.state == "sent")).await;
    slow.got(2).await;
    running.stop().await;
    // What was under way ended and is recorded; what was not begun is there for the next.
    let failed = log.lines().iter().filter(|line| line.state == "failed").count();
    assert_eq!(failed, slow.so_far(), "{:?}", log.lines());
    assert_eq!(quick.so_far(), 5);
}

#[tokio::test]
async fn a_digest_is_one_message() {
    let receiver = Receiver::start(vec![OK]).await;
    let text = hook(receiver.port)
        + "[[notify.routes]]\nname = 'd'\nchannels = ['hook']\ndigest = '15m'\nhold_critical = true\n";
    let log = MemoryLog::new(now());
    for number in 1..=3 {
        log.add("hook", numbered(number));
    }
    let running = Running::start(&text, &log, "one");
    log.until(all("sent")).await;
    running.stop().await;
    let requests = receiver.got(1).await;
    assert_eq!(requests.len(), 1);
    assert!(requests[0].contains("[spendstream] 3 alerts, 3 of them critical"));
}

#[tokio::test]
async fn deliveries_of_a_removed_channel_are_given_up() {
    let log = MemoryLog::new(now());
    let old = now() - TimeDelta::days(1);
    log.add("gone", Alert { raised_at: old, ..numbered(1) });
    let running = Running::start(&hook(1), &log, "one");
    let line = log.until(all("given_up")).await.remove(0);
    assert_eq!(line.error, "the channel 'gone' is not configured any more");
    assert_eq!(running.stop().await, [Outcome::GivenUp]);
}

/// Another instance may know a channel that this one does not know yet.
#[tokio::test]
async fn a_young_delivery_of_an_unknown_channel_waits() {
    let log = MemoryLog::new(now());
    log.add("new", Alert { raised_at: now(), ..numbered(1) });
    let running = Running::start(&hook(1), &log, "one");
    let line = log.until(all("failed")).await.remove(0);
    assert_eq!(line.error, "the channel 'new' is not configured here");
    assert_eq!(running.stop().await, [Outcome::Failed]);
}

/// From a raised alert to what the log in the control store says, as the process does it.
#[tokio::test]
async fn the_control_store_is_the_log() {
    let receiver = Receiver::start(vec![BROKEN, OK]).await;
    let text = hook(receiver.port) + "[[notify.routes]]\nname = 'all'\nchannels = ['hook']\n";
    let folder = tempfile::TempDir::new().unwrap();
    let store = Store::open(&format!("sqlite:{}", folder.path().join("control.db").display())).await.unwrap();
    let alert = Alert { raised_at: now(), ..numbered(1) };
    let deliveries = to_log(plan(&alert, &Routes::new(&config(&text)), now()));
    store.alerts().raise(&alert, TimeDelta::hours(1), &deliveries).await.unwrap();

    let mut at = now();
    for (state, error) in
        [(DeliveryState::Failed, Some("answered 503 Service Unavailable")), (DeliveryState::Sent, None)]
    {
        let (outcome, mut told) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let (_wake, woken) = watch::channel(0);
        let courier = Courier {
            log: Arc::new(store.clone()),
            desk: Arc::new(desk(&text)),
            routes: Arc::new(Routes::new(&config(&text))),
            limits: Limits::new(&config(&text), 7),
            clock: Arc::new(move || at),
            observer: Arc::new(move |_, _| outcome.send_modify(|count| *count += 1)),
            owner: "one".into(),
        };
        let task = tokio::spawn(courier.run(stopped, woken));
        told.wait_for(|count| *count == 1).await.unwrap();
        stop.send(true).unwrap();
        task.await.unwrap();
        let line = store.notifications().list(None, None, 10).await.unwrap().remove(0);
        assert_eq!((line.state, line.error.as_deref()), (state, error));
        at = line.next_attempt;
    }
    assert_eq!(receiver.so_far(), 2);
}
