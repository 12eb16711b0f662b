//! Waiting between attempts. In: how often it failed. Out: a pause that grows to a bound, ended at once by a stop.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;

/// The pause after the first failure and the longest one; each is twice the one before.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    pub first: Duration,
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(50), longest: Duration::from_secs(5) }
    }
}

impl Backoff {
    /// The pause after `failures` failures (from 1).
    #[must_use]
    pub fn pause(self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).filter(|factor| *factor > 0).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// Becomes true when the work is to be given up, whatever its outcome. A dropped sender never stops.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    #[must_use]
    pub fn new(flag: watch::Receiver<bool>) -> Self {
        Self(flag)
    }

    /// One that never comes.
    #[must_use]
    pub fn never() -> Self {
        Self(watch::channel(false).1)
    }

    /// The result of `work`, or `None` when the stop came first.
    pub async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let stopped = async {
            if self.0.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => None,
            result = work => Some(result),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, Stop};

    #[test]
    fn pauses_double_up_to_a_bound() {
        let backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };
        for (failures, expected) in [(1, 50), (2, 100), (3, 200), (7, 3200), (8, 5000), (40, 5000), (1000, 5000)] {
            assert_eq!(backoff.pause(failures), Duration::from_millis(expected), "{failures}");
        }
    }

    #[tokio::test]
    async fn a_stop_ends_work_that_never_would() {
        let (sender, flag) = tokio::sync::watch::channel(false);
        let mut stop = Stop::new(flag);
        assert_eq!(stop.unless(async { 1 }).await, Some(1));
        sender.send(true).unwrap();
        assert_eq!(stop.unless(std::future::pending::<()>()).await, None);
        drop(sender);
        assert_eq!(Stop::never().unless(async { 2 }).await, Some(2));
    }
}
