//! What became of one attempt that did not deliver.

use std::time::Duration;

/// Why it failed, without any secret, and whether another attempt can help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One line.
    pub reason: String,
    pub verdict: Verdict,
}

/// What to do about a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after the usual wait.
    Retry,
    /// Try again, not before this long; the receiver asked for it.
    RetryAfter(Duration),
    /// The receiver, or a rule of ours, will say no again.
    Refused,
}

impl Failure {
    pub fn retry(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), verdict: Verdict::Retry }
    }

    pub fn refused(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), verdict: Verdict::Refused }
    }
}
