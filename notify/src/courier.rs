//! Works through the log: claims what is due, sends it, says what became of it. One task per channel, each with its own
//! bound, so that a slow channel holds up none but itself.
//!
//! A stop claims nothing more and lets what is under way end, which the time-out of an attempt bounds. What is not
//! recorded then is claimed again after its lease: a receiver tells a repeat by the message's key.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_schemas::config::notify::NotifyConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::backoff::Patience;
use crate::desk::Desk;
use crate::failure::Failure;
use crate::log::{Claim, Log, LogError};
use crate::route::{Routes, digest_key};

/// How old an alert is when it is given up because nobody here knows its channel.
const STRAY_AFTER: TimeDelta = TimeDelta::days(1);

/// What became of one attempt; for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Sent,
    /// There will be another attempt.
    Failed,
    GivenUp,
}

/// Reads the clock.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;
/// Told of every delivery's outcome, with the channel's name.
pub type Observer = Arc<dyn Fn(&str, Outcome) + Send + Sync>;

/// How long, how many and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub timeout: Duration,
    pub lease: Duration,
    pub concurrency: usize,
    pub poll_interval: Duration,
    pub digest_alerts: usize,
    pub patience: Patience,
}

impl Limits {
    /// `seed` makes the waits of processes differ.
    #[must_use]
    pub fn new(config: &NotifyConfig, seed: u64) -> Self {
        Self {
            timeout: config.timeout,
            lease: config.lease,
            concurrency: config.channel_concurrency.max(1),
            poll_interval: config.poll_interval,
            digest_alerts: config.digest_alerts.max(1),
            patience: Patience {
                first: config.backoff,
                longest: config.backoff_max,
                attempts: config.max_attempts,
                seed,
            },
        }
    }
}

/// Delivers until it is told to stop.
pub struct Courier<L> {
    pub log: Arc<L>,
    pub desk: Arc<Desk>,
    pub routes: Arc<Routes>,
    pub limits: Limits,
    pub clock: Clock,
    pub observer: Observer,
    /// Names this process in the log; no two may share one.
    pub owner: String,
}

impl<L> Clone for Courier<L> {
    fn clone(&self) -> Self {
        Self {
            log: Arc::clone(&self.log),
            desk: Arc::clone(&self.desk),
            routes: Arc::clone(&self.routes),
            limits: self.limits,
            clock: Arc::clone(&self.clock),
            observer: Arc::clone(&self.observer),
            owner: self.owner.clone(),
        }
    }
}

impl<L: Log> Courier<L> {
    /// Runs until `stop` is true and what was under way has ended. A change of `wake` makes it look at the log at once.
    pub async fn run(self, stop: watch::Receiver<bool>, wake: watch::Receiver<u64>) {
        let mut channels = JoinSet::new();
        for channel in self.desk.channels() {
            let (courier, stop, wake) = (self.clone(), stop.clone(), wake.clone());
            let channel = channel.to_owned();
            channels.spawn(async move { Round { courier, channel, waiting: VecDeque::new() }.work(stop, wake).await });
        }
        self.give_up_strays().await;
        while channels.join_next().await.is_some() {}
    }

    /// Deliveries of channels that are not configured any more would wait for ever. What is young may be for a channel that another instance
    /// knows already.
    async fn give_up_strays(&self) {
        let waiting = match self.log.waiting().await {
            Ok(waiting) => waiting,
            Err(error) => return warn!(%error, "deliveries of removed channels are looked for at the next start"),
        };
        for channel in waiting.iter().filter(|name| !self.desk.channels().any(|known| known == name.as_str())) {
            while let Ok(strays) = self.claim(channel, self.limits.digest_alerts).await {
                if strays.is_empty() {
                    break;
                }
                for stray in strays {
                    let is_old = (self.clock)() - stray.alert.raised_at >= STRAY_AFTER;
                    let failure = if is_old {
                        Failure::refused(format!("the channel '{channel}' is not configured any more"))
                    } else {
                        Failure::retry(format!("the channel '{channel}' is not configured here"))
                    };
                    self.record(channel, &stray, Err(&failure)).await;
                }
            }
        }
    }

    async fn claim(&self, channel: &str, limit: usize) -> Result<Vec<Claim>, LogError> {
        self.log.claim_due(channel, (self.clock)(), &self.owner, self.limits.lease, limit).await
    }

    /// Sends one message and records what became of each of its deliveries.
    async fn deliver(self, channel: String, letter: Vec<Claim>) {
        let Some(first) = letter.first() else { return };
        let alerts: Vec<_> = letter.iter().map(|claim| claim.alert.clone()).collect();
        let result = self.desk.send(&channel, &alerts, first.target.as_deref(), (self.clock)()).await;
        for claim in &letter {
            self.record(&channel, claim, result.as_ref().copied()).await;
        }
    }

    async fn record(&self, channel: &str, claim: &Claim, result: Result<(), &Failure>) {
        let (attempt, now) = (claim.attempts.saturating_add(1), (self.clock)());
        let (recorded, outcome) = match result {
            Ok(()) => {
                info!(channel, delivery = claim.id, attempt, "alert delivered");
                (self.log.sent(&claim.id, &self.owner, now).await, Outcome::Sent)
            }
            Err(failure) => {
                if let Some(wait) = self.limits.patience.wait(&claim.id, attempt, failure.verdict) {
                    let next = now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
                    warn!(channel, delivery = claim.id, attempt, reason = failure.reason, %next, "alert not delivered");
                    (self.log.failed(&claim.id, &self.owner, &failure.reason, next, now).await, Outcome::Failed)
                } else {
                    let reason = &failure.reason;
                    error!(
                        channel,
                        delivery = claim.id,
                        attempt,
                        reason,
                        "alert given up: nobody was told by this channel"
                    );
                    (self.log.given_up(&claim.id, &self.owner, reason, now).await, Outcome::GivenUp)
                }
            }
        };
        (self.observer)(channel, outcome);
        match recorded {
            Ok(true) => {}
            Ok(false) => {
                warn!(channel, delivery = claim.id, "the lease ran out meanwhile: another process may repeat it");
            }
            Err(error) => {
                warn!(channel, delivery = claim.id, %error, "the outcome is not recorded: it may be repeated");
            }
        }
    }
}

/// The work of one channel.
struct Round<L> {
    courier: Courier<L>,
    channel: String,
    /// Messages that are claimed and not yet begun, with the end of their lease.
    waiting: VecDeque<(DateTime<Utc>, Vec<Claim>)>,
}

impl<L: Log> Round<L> {
    async fn work(mut self, mut stop: watch::Receiver<bool>, mut wake: watch::Receiver<u64>) {
        let mut under_way = JoinSet::new();
        let mut awake = true;
        while !*stop.borrow_and_update() {
            let free = self.courier.limits.concurrency.saturating_sub(under_way.len());
            if free > 0 && self.waiting.is_empty() && awake {
                wake.borrow_and_update();
                awake = self.fill().await;
            }
            self.begin(free, &mut under_way);
            if awake && under_way.len() < self.courier.limits.concurrency {
                continue;
            }
            tokio::select! {
                // The sender is gone: so is who would stop it.
                changed = stop.changed() => if changed.is_err() { break },
                Ok(()) = wake.changed() => awake = true,
                Some(_) = under_way.join_next() => awake = awake || !self.waiting.is_empty(),
                () = tokio::time::sleep(self.courier.limits.poll_interval) => awake = true,
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Claims what is due. Whether there may be more.
    async fn fill(&mut self) -> bool {
        let (limit, now) = (self.courier.limits.digest_alerts, (self.courier.clock)());
        match self.courier.claim(&self.channel, limit).await {
            Ok(claims) => {
                let full = claims.len() >= limit;
                let until = now + TimeDelta::from_std(self.courier.limits.lease).unwrap_or(TimeDelta::MAX);
                let letters = letters(&self.courier.routes, &self.channel, claims);
                self.waiting.extend(letters.into_iter().map(|letter| (until, letter)));
                full
            }
            Err(error) => {
                warn!(channel = self.channel, %error, "deliveries cannot be claimed; trying again");
                false
            }
        }
    }

    fn begin(&mut self, free: usize, under_way: &mut JoinSet<()>) {
        let timeout = TimeDelta::from_std(self.courier.limits.timeout).unwrap_or(TimeDelta::MAX);
        let now = (self.courier.clock)();
        // Begun too late, it would be sent by another process too: left to that one.
        self.waiting.retain(|(until, _)| now + timeout < *until);
        for (_, letter) in self.waiting.drain(..free.min(self.waiting.len())) {
            under_way.spawn(self.courier.clone().deliver(self.channel.clone(), letter));
        }
    }
}

/// Target and digest, which deliveries of one message share.
type Shared = (Option<String>, String);

/// Claims as messages: those of one digest and target together, every other by itself.
fn letters(routes: &Routes, channel: &str, claims: Vec<Claim>) -> Vec<Vec<Claim>> {
    let mut letters: Vec<(Option<Shared>, Vec<Claim>)> = Vec::new();
    for claim in claims {
        let key =
            digest_key(&claim.alert, routes, channel, claim.target.as_deref()).map(|key| (claim.target.clone(), key));
        match letters.iter_mut().find(|(known, _)| known.is_some() && *known == key) {
            Some((_, letter)) => letter.push(claim),
            None => letters.push((key, vec![claim])),
        }
    }
    letters.into_iter().map(|(_, letter)| letter).collect()
}
