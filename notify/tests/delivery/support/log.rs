//! A log of deliveries in memory, with a clock that is set by hand: what the control store promises, without a database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_notify::log::{Claim, Log, LogError};
use spendstream_schemas::alert::Alert;
use tokio::sync::watch;

#[derive(Clone, Debug)]
pub struct Line {
    pub channel: String,
    pub claim: Claim,
    pub state: String,
    pub error: String,
    pub next: DateTime<Utc>,
    lease: Option<(String, DateTime<Utc>)>,
}

pub struct MemoryLog {
    lines: Mutex<BTreeMap<String, Line>>,
    clock: Mutex<DateTime<Utc>>,
    changes: watch::Sender<u64>,
}

impl MemoryLog {
    pub fn new(now: DateTime<Utc>) -> Arc<Self> {
        Arc::new(Self { lines: Mutex::default(), clock: Mutex::new(now), changes: watch::channel(0).0 })
    }

    pub fn add(&self, channel: &str, alert: Alert) {
        let id = format!("{}:{channel}", alert.id);
        let claim = Claim { id: id.clone(), alert, target: None, attempts: 0 };
        let next = *self.clock.lock().unwrap();
        let line =
            Line { channel: channel.into(), claim, state: "pending".into(), error: String::new(), next, lease: None };
        self.lines.lock().unwrap().insert(id, line);
    }

    pub fn now(&self) -> DateTime<Utc> {
        *self.clock.lock().unwrap()
    }

    pub fn set_clock(&self, now: DateTime<Utc>) {
        *self.clock.lock().unwrap() = now;
    }

    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap().values().cloned().collect()
    }

    /// Waits until the lines are as `test` wants them.
    pub async fn until(&self, test: impl Fn(&[Line]) -> bool) -> Vec<Line> {
        self.changes.subscribe().wait_for(|_| test(&self.lines())).await.unwrap();
        self.lines()
    }

    fn end(&self, id: &str, owner: &str, change: impl FnOnce(&mut Line)) -> Result<bool, LogError> {
        let mut lines = self.lines.lock().unwrap();
        let line = lines.get_mut(id).ok_or_else(|| LogError("no such line".into()))?;
        if line.lease.as_ref().is_none_or(|(by, _)| by != owner) {
            return Ok(false);
        }
        line.claim.attempts += 1;
        line.lease = None;
        change(line);
        drop(lines);
        self.changes.send_modify(|number| *number += 1);
        Ok(true)
    }
}

impl Log for MemoryLog {
    async fn waiting(&self) -> Result<BTreeSet<String>, LogError> {
        Ok(self.lines().into_iter().filter(waits).map(|line| line.channel).collect())
    }

    async fn claim_due(
        &self,
        channel: &str,
        now: DateTime<Utc>,
        owner: &str,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<Claim>, LogError> {
        let mut lines = self.lines.lock().unwrap();
        let due = lines.values_mut().filter(|line| {
            line.channel == channel
                && waits(line)
                && line.next <= now
                && line.lease.as_ref().is_none_or(|(_, end)| *end <= now)
        });
        let claimed = due.take(limit).map(|line| {
            line.lease = Some((owner.to_owned(), now + TimeDelta::from_std(lease).unwrap()));
            line.claim.clone()
        });
        Ok(claimed.collect())
    }

    async fn sent(&self, id: &str, owner: &str, _now: DateTime<Utc>) -> Result<bool, LogError> {
        self.end(id, owner, |line| line.state = "sent".into())
    }

    async fn failed(
        &self,
        id: &str,
        owner: &str,
        error: &str,
        next: DateTime<Utc>,
        _now: DateTime<Utc>,
    ) -> Result<bool, LogError> {
        self.end(id, owner, |line| {
            line.state = "failed".into();
            line.error = error.into();
            line.next = next;
        })
    }

    async fn given_up(&self, id: &str, owner: &str, error: &str, _now: DateTime<Utc>) -> Result<bool, LogError> {
        self.end(id, owner, |line| {
            line.state = "given_up".into();
            line.error = error.into();
        })
    }
}

fn waits(line: &Line) -> bool {
    line.state == "pending" || line.state == "failed"
}
