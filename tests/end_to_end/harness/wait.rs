//! Waiting for something to become true, with an end: the only place where a test sleeps.

use std::time::{Duration, Instant};

/// Generous, since a loaded machine is slow; it bounds a failure, it measures nothing.
pub const LONG: Duration = Duration::from_mins(2);

/// Asks until there is an answer; panics with `what` after [`LONG`].
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {LONG:?} in vain for: {what}");
        let_pass(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// Lets a random, seeded time pass: the moment of a fault, never a way to wait for something.
#[expect(clippy::disallowed_methods, reason = "a test has no shutdown to be late for")]
pub fn let_pass(time: Duration) {
    std::thread::sleep(time);
}
