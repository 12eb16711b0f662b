//! Maintains the lake, as long as it is this process's turn. In: the control store, where a lease says whose turn it is; the lake; the configuration.
//! Out: rounds of [`crate::lake::maintenance`], erasures done once more, metrics, and an entry of the audit log for whatever was deleted.
//!
//! The lease only keeps processes from doing the same work; that none of them does harm is seen to by the number in the tables.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_control::{Act, Store};
use spendstream_schemas::config::Config;
use spendstream_storage::Lake;
use tokio::sync::watch;
use uuid::Uuid;

use super::again::again;
use crate::lake::maintenance::metrics::MaintenanceMetrics;
use crate::lake::maintenance::{Maintainer, deleted};
use crate::lake::rewriter::RewriteError;
use crate::lake::statements::adjust::adjust;
use crate::lake::table::now_ms;

/// See the module.
pub struct Upkeep {
    lake: Lake,
    config: Config,
    store: Store,
    metrics: Arc<MaintenanceMetrics>,
    /// Names this process in the lease.
    holder: String,
    lease: String,
    maintainer: Option<Maintainer>,
    vacuumed_ms: Option<i64>,
    trouble: watch::Sender<Option<String>>,
    /// Whether the control store did not answer when it was asked last.
    is_blind: bool,
}

/// The one clock here: how long a step took.
fn now() -> Instant {
    Instant::now()
}

impl Upkeep {
    #[must_use]
    pub fn new(config: &Config, lake: Lake, store: Store, metrics: Arc<MaintenanceMetrics>) -> Self {
        let lease = format!("lake {}", lake.url());
        let holder = format!("{}/{}", std::process::id(), Uuid::new_v4().simple());
        Self {
            lake,
            config: config.clone(),
            store,
            metrics,
            holder,
            lease,
            maintainer: None,
            vacuumed_ms: None,
            trouble: watch::Sender::new(None),
            is_blind: false,
        }
    }

    /// Why the last round did not get through; `None`: it did, or it is not this process's turn.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// Works until the stop; a round under way is given up, which harms nothing.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let interval = self.config.lake.maintenance.interval;
        let mut pause = interval;
        loop {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = tokio::time::sleep(pause) => {}
            }
            pause = interval;
            let turn = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                turn = self.turn() => turn,
            };
            self.tell(turn.as_ref().err());
            match turn {
                Ok(()) => {}
                Err(RewriteError::Fenced { place, own, found }) => {
                    tracing::info!(place, own, found, "another process maintains the lake now");
                    self.maintainer = None;
                    self.metrics.leads.set(0);
                    // Whoever took over by hand is given that time, and the turn, if it wants to keep it for longer.
                    self.release().await;
                    pause = self.config.lake.maintenance.lease;
                }
                Err(error) => {
                    tracing::warn!(%error, "the lake's maintenance did not get through; nothing is half done, and the next round goes on");
                    self.metrics.failures.inc();
                }
            }
        }
        self.release().await;
    }

    async fn release(&self) {
        if let Err(error) = self.store.leases().release(&self.lease, &self.holder).await {
            tracing::debug!(%error, "the lease of the lake's maintenance ends by itself");
        }
    }

    fn tell(&self, failed: Option<&RewriteError>) {
        let is_away =
            || "the control store does not answer: whose turn it is to maintain the lake is not known".to_owned();
        self.trouble.send_replace(match failed {
            // It is another's turn.
            None | Some(RewriteError::Fenced { .. }) => self.is_blind.then(is_away),
            Some(error) => Some(error.to_string()),
        });
    }

    /// One round, if it is this process's turn.
    async fn turn(&mut self) -> Result<(), RewriteError> {
        if !self.is_mine().await {
            self.maintainer = None;
            self.metrics.leads.set(0);
            return Ok(());
        }
        let every = self.config.lake.maintenance.lease / 3;
        let (store, lease, holder) = (self.store.clone(), self.lease.clone(), self.holder.clone());
        let ttl = TimeDelta::from_std(self.config.lake.maintenance.lease).unwrap_or(TimeDelta::MAX);
        let renew = async move {
            loop {
                tokio::time::sleep(every).await;
                if let Err(error) = store.leases().take(&lease, &holder, at(now_ms()), ttl).await {
                    tracing::debug!(%error, "the lease of the lake's maintenance was not renewed");
                }
            }
        };
        tokio::select! {
            done = self.round() => done,
            () = renew => Ok(()),
        }
    }

    async fn is_mine(&mut self) -> bool {
        let ttl = TimeDelta::from_std(self.config.lake.maintenance.lease).unwrap_or(TimeDelta::MAX);
        let taken = self.store.leases().take(&self.lease, &self.holder, at(now_ms()), ttl).await;
        self.is_blind = taken.is_err();
        match taken {
            Ok(mine) => mine,
            Err(error) => {
                tracing::warn!(%error, "whose turn it is to maintain the lake is not known: the control store does not answer");
                false
            }
        }
    }

    async fn round(&mut self) -> Result<(), RewriteError> {
        if self.maintainer.is_none() {
            let times = (self.config.live.allowed_lateness, self.config.live.idle_timeout);
            self.maintainer = Some(Maintainer::take(&self.lake, &self.config.lake, times).await?);
        }
        let Some(maintainer) = self.maintainer.as_mut() else { return Ok(()) };
        self.metrics.leads.set(1);
        let (metrics, mut since) = (Arc::clone(&self.metrics), now());
        let mut gone = Vec::new();
        let round = maintainer
            .round(now_ms(), |_| true, |step, done| match done {
                None => since = now(),
                Some(done) => {
                    metrics.step(step, done, now().duration_since(since));
                    tracing::info!(%step, files = done.added_files, bytes = done.added_bytes, removed_rows = done.removed_rows, "the lake");
                    gone.extend(deleted(step, done));
                }
            })
            .await;
        let round = round.inspect(|round| self.metrics.looked(round.oldest_unsealed));
        self.audit(gone).await;
        round?;
        if let Some(maintainer) = self.maintainer.as_mut() {
            again(&self.store, &self.config, maintainer, at(now_ms())).await?;
        }
        self.vacuum().await
    }

    async fn vacuum(&mut self) -> Result<(), RewriteError> {
        let (now, every) = (now_ms(), self.config.lake.maintenance.vacuum_interval);
        let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        if self.vacuumed_ms.is_some_and(|last| now.saturating_sub(last) < every) {
            return Ok(());
        }
        let Some(maintainer) = self.maintainer.as_mut() else { return Ok(()) };
        let removed = maintainer.vacuum(now).await?;
        self.vacuumed_ms = Some(now);
        self.metrics.vacuumed(&removed);
        self.carry(at(now)).await;
        Ok(())
    }

    /// What was found for closed months since counts in the open one. That it did not get there is no fault of the lake: `report adjust` and the
    /// next round go on.
    async fn carry(&self, now: DateTime<Utc>) {
        let known = match self.store.statements().list().await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(%error, "which months are closed is not known: nothing is carried out of them");
                return;
            }
        };
        let memory = self.config.query.memory_bytes;
        match Box::pin(adjust(&self.lake, memory, &known, now, self.config.reports.zone())).await {
            Ok(done) => {
                for one in done {
                    let act = Act { who: "lake maintenance", now };
                    let told = self
                        .store
                        .audit()
                        .record(&act, "adjust", ("statement", &one.month), Some(&one.details()))
                        .await;
                    tracing::info!(
                        month = one.month,
                        into = one.into,
                        lines = one.lines,
                        audited = told.is_ok(),
                        "a closed month"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "what was found for closed months is not carried into the open one"),
        }
    }

    /// What was deleted is written down; that it was, the lake's log says too.
    async fn audit(&self, gone: Vec<(String, serde_json::Value)>) {
        for (id, details) in gone {
            let act = Act { who: "lake maintenance", now: at(now_ms()) };
            if let Err(error) = self.store.audit().record(&act, "expire", ("lake", &id), Some(&details)).await {
                tracing::warn!(%error, id, "what was deleted is in the lake's log, but not in the audit log");
            }
        }
    }
}

fn at(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
