//! How long to wait before another attempt. Pure: the same seed, delivery and attempt give the same wait.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::failure::Verdict;

/// How patient deliveries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Upper end of the wait after the first attempt; doubles with each.
    pub first: Duration,
    /// No wait is longer, not even one that the receiver asked for.
    pub longest: Duration,
    /// Attempts in all.
    pub attempts: u32,
    /// Makes processes that start together wait differently.
    pub seed: u64,
}

impl Patience {
    /// The wait after the failed `attempt` (the first is 1) of delivery `id`; `None`: give up.
    #[must_use]
    pub fn wait(&self, id: &str, attempt: u32, verdict: Verdict) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let wait = self.jitter(id, attempt);
        match verdict {
            Verdict::Retry => Some(wait),
            Verdict::RetryAfter(asked) => Some(wait.max(asked).min(self.longest)),
            Verdict::Refused => None,
        }
    }

    /// Full jitter: anything from zero to the end of the interval, so that those who failed together do not return together.
    fn jitter(&self, id: &str, attempt: u32) -> Duration {
        let doubled = 1_u128 << (attempt - 1).min(64);
        let end = (self.first.as_millis() * doubled).min(self.longest.as_millis());
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(attempt.to_le_bytes());
        hash.update(id.as_bytes());
        let dice = hash.finalize().iter().take(8).fold(0_u64, |dice, byte| dice << 8 | u64::from(*byte));
        let wait = (u128::from(dice) * (end + 1)) >> 64;
        Duration::from_millis(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Patience;
    use crate::failure::Verdict::{Refused, Retry, RetryAfter};

    const SECOND: Duration = Duration::from_secs(1);

    fn patience(seed: u64) -> Patience {
        Patience { first: 5 * SECOND, longest: 60 * SECOND, attempts: 12, seed }
    }

    #[test]
    fn waits_grow_to_the_limit_and_spread_below_it() {
        for attempt in 1..12 {
            let end = (5 * SECOND * 2_u32.pow(attempt - 1)).min(60 * SECOND);
            let waits: Vec<_> = (0..200).map(|id| patience(1).wait(&id.to_string(), attempt, Retry).unwrap()).collect();
            assert!(waits.iter().all(|wait| *wait <= end), "attempt {attempt}");
            let (low, high) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*low < end / 10 && *high > end * 9 / 10, "attempt {attempt}: {low:?} to {high:?} of {end:?}");
        }
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let waits = |seed| (1..6).map(|attempt| patience(seed).wait("a", attempt, Retry)).collect::<Vec<_>>();
        assert_eq!(waits(7), waits(7));
        assert_ne!(waits(7), waits(8));
    }

    #[test]
    fn there_is_an_end() {
        assert_eq!(patience(1).wait("a", 12, Retry), None);
        assert_eq!(patience(1).wait("a", 12, RetryAfter(SECOND)), None);
        assert_eq!(patience(1).wait("a", 1, Refused), None);
    }

    #[test]
    fn what_the_receiver_asks_for_is_kept_within_the_limit() {
        assert_eq!(patience(1).wait("a", 1, RetryAfter(30 * SECOND)), Some(30 * SECOND));
        assert_eq!(patience(1).wait("a", 1, RetryAfter(9000 * SECOND)), Some(60 * SECOND));
    }
}
