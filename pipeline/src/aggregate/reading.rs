//! How the live thread reads bases from the lake: when, for which watches, and what it does with the answer. In: the time, chunks, snapshots.
//! Out: requests to the loader, watches that are known. One reading at a time; the same way at a start and for the check, which gives way
//! to what has no figures at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::join::{Reconciled, Snapshot};
use super::load::{BaseChunk, LoadRequest};
use super::plan::WatchId;
use super::thread::{LiveThread, SLICE};
use crate::lake::LakeError;

/// Pause before the lake is read again: after a failure, or when a base did not join and no commit came.
const RETRY_MICROS: i64 = 2_000_000;

/// A reading of the lake under way.
pub(super) struct Reading {
    id: u64,
    watches: Vec<WatchId>,
    /// Of what is known already: when that was due.
    check: Option<i64>,
}

impl LiveThread {
    /// Starts to read what is unknown, or everything when it is time to compare.
    pub(super) fn read(&mut self, now: i64) {
        let checking = self.reading.as_ref().and_then(|reading| reading.check);
        if (self.reading.is_some() && checking.is_none()) || now < self.not_before {
            return;
        }
        let mut wanted: BTreeSet<WatchId> = self.view.read().wanting().into_iter().collect();
        if let Some(due) = checking {
            if wanted.is_empty() {
                return;
            }
            self.forget_reading();
            self.next_reconcile = due;
        }
        // What gave way for so long as a check is apart from the next gives way no more.
        let is_overdue = now.saturating_sub(self.reconcile_every) >= self.next_reconcile;
        let mut check = None;
        if is_overdue || (wanted.is_empty() && now >= self.next_reconcile) {
            wanted.extend(self.view.read().plan().watches().iter().map(|watch| watch.id));
            check = (!is_overdue).then_some(self.next_reconcile);
            self.next_reconcile = now + self.reconcile_every;
        }
        if wanted.is_empty() {
            return;
        }
        let mut totals = self.view.write();
        let plan = Arc::clone(totals.plan());
        let mut watches = Vec::with_capacity(wanted.len());
        for watch in plan.watches().iter().filter(|watch| wanted.contains(&watch.id)) {
            if let Some(cover) = totals.cover_of(watch.id, now) {
                totals.begin_reading(watch.id, cover.clone());
                watches.push((watch.clone(), cover));
            }
        }
        drop(totals);
        self.last_load += 1;
        self.reading = Some(Reading { id: self.last_load, watches: wanted.into_iter().collect(), check });
        self.loader.start(LoadRequest { id: self.last_load, watches, spellings: Arc::clone(plan.spellings()) });
    }

    pub(super) fn forget_reading(&mut self) {
        if self.reading.take().is_some() {
            self.view.write().end_reading();
        }
        self.not_before = 0;
    }

    pub(super) fn stage(&mut self, chunk: &BaseChunk) {
        if self.reading.as_ref().is_none_or(|reading| reading.id != chunk.load) {
            return;
        }
        for from in (0..chunk.rows.len()).step_by(SLICE) {
            self.view.write().stage(chunk.watch, &chunk.rows, &chunk.sources, from, from + SLICE);
        }
    }

    pub(super) fn loaded(&mut self, load: u64, result: Result<Snapshot, LakeError>, now: i64) {
        let Some(reading) = self.reading.take_if(|reading| reading.id == load) else { return };
        let loads = &self.metrics.live.loads;
        let snapshot = match result {
            Ok(snapshot) => Some(snapshot),
            Err(error) => {
                tracing::warn!(%error, "the base of live totals cannot be read; trying again");
                loads.with_label_values(&["failed"]).inc();
                None
            }
        };
        for id in reading.watches {
            if !snapshot.as_ref().is_some_and(|snapshot| self.join(id, snapshot)) {
                self.view.write().drop_staged(id);
                self.not_before = now + RETRY_MICROS;
            }
        }
        self.view.write().end_reading();
        if self.next_reconcile == i64::MAX {
            self.next_reconcile = now + self.reconcile_every;
        }
        let bytes = self.view.read().bytes();
        self.metrics.live.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Completes a base and puts it in place; false when it does not join yet.
    fn join(&mut self, id: WatchId, snapshot: &Snapshot) -> bool {
        let beyond = match self.view.write().beyond(id, snapshot) {
            Ok(beyond) => beyond,
            Err(why) => {
                tracing::debug!(watch = id.0, version = snapshot.version, %why, "the base does not join yet");
                self.metrics.live.loads.with_label_values(&["too_early"]).inc();
                return false;
            }
        };
        let set = self.view.read().plan().watch(id).map(|watch| watch.set);
        for (no, batch) in &beyond.batches {
            let Some(groups) = set.and_then(|set| batch.set(set)) else { continue };
            for from in (0..groups.len()).step_by(SLICE) {
                self.view.write().stage_batch(id, *no, groups, from, from + SLICE);
            }
        }
        let report = self.view.read().compare(id, &beyond, snapshot);
        self.view.write().put_in_place(id, beyond);
        self.metrics.live.loads.with_label_values(&["in_place"]).inc();
        if let Some(report) = report {
            self.report(&report);
        }
        self.observer.loaded(&self.view.read(), id);
        true
    }

    fn report(&mut self, report: &Reconciled) {
        self.metrics.live.compared.inc_by(report.compared);
        self.metrics.live.differences.inc_by(report.differences);
        if report.differences > 0 {
            tracing::error!(
                watch = report.watch.0,
                version = report.version,
                differences = report.differences,
                examples = ?report.examples,
                "live totals were not what the lake says; they are repaired. Please report this"
            );
        }
        self.observer.reconciled(&self.view.read(), report);
    }
}
