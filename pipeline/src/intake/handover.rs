//! Batches on their way to the workers: sent when full or old, held while a queue is full, flushed when partitions are given back.
//! Nothing here waits for the lake without polling Kafka.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use tokio::sync::mpsc::error::{SendTimeoutError, TrySendError};

use super::batching::Batching;
use super::consumer::{Intake, now};
use crate::flush::FlushToken;
use crate::worker::ToWorker;

/// A full queue is waited for this long before consumption is paused.
const PATIENCE: Duration = Duration::from_secs(1);

impl Intake {
    pub(super) fn worker(&self, partition: i32) -> usize {
        usize::try_from(partition).unwrap_or(0) % self.wires.workers.len()
    }

    pub(super) fn send_all(&mut self) {
        self.last_flush = now();
        let waiting: Vec<i32> =
            self.partitions.iter().filter(|(_, batching)| !batching.is_empty()).map(|(id, _)| *id).collect();
        for id in waiting {
            self.send_partition(id);
        }
    }

    pub(super) fn send_partition(&mut self, id: i32) {
        if self.held.is_some() {
            return;
        }
        let worker = self.worker(id);
        let Some(batch) = self.partitions.get_mut(&id).and_then(Batching::take) else { return };
        match self.wires.workers[worker].try_send(ToWorker::Batch(batch)) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(batch)) => self.wait_for_room(worker, batch),
        }
    }

    /// A short wait costs nothing; a longer one pauses, so that the thread keeps polling.
    fn wait_for_room(&mut self, worker: usize, message: ToWorker) {
        let sender = &self.wires.workers[worker];
        match self.wires.runtime.block_on(sender.send_timeout(message, PATIENCE)) {
            Ok(()) | Err(SendTimeoutError::Closed(_)) => {}
            Err(SendTimeoutError::Timeout(message)) => {
                self.wires.metrics.paused.inc();
                tracing::info!("the lake is slower than Kafka: consumption pauses until there is room");
                self.held = Some((worker, message));
                self.pause(true);
            }
        }
    }

    pub(super) fn retry_held(&mut self) {
        let Some((worker, message)) = self.held.take() else { return };
        match self.wires.workers[worker].try_send(message) {
            Ok(()) => self.pause(false),
            Err(TrySendError::Full(message)) => self.held = Some((worker, message)),
            Err(TrySendError::Closed(_)) => {}
        }
    }

    pub(super) fn pause(&self, paused: bool) {
        let result = self.consumer.assignment().and_then(|assignment| {
            if paused { self.consumer.pause(&assignment) } else { self.consumer.resume(&assignment) }
        });
        if let Err(error) = result {
            tracing::warn!(%error, paused, "kafka: pausing or resuming");
        }
    }

    /// Commits what was read, within a bound; what does not make it is dropped and read again.
    pub(super) fn flush(&mut self, bound: Duration, why: &str) {
        // That a topic was re-created is written down, too.
        if self.partitions.is_empty() && self.recreated.is_empty() {
            return;
        }
        self.pause(true);
        let deadline = now() + bound;
        while self.held.is_some() && now() < deadline {
            self.retry_held();
            self.poll_quietly();
        }
        self.send_all();
        let (token, mut done) = FlushToken::new(self.wires.workers.len());
        let token = Arc::new(token);
        for worker in &self.wires.workers {
            let left = deadline.saturating_duration_since(now());
            let told = worker.send_timeout(ToWorker::Flush(Arc::clone(&token)), left);
            if self.wires.runtime.block_on(told).is_err() {
                break;
            }
        }
        drop(token);
        while !*done.borrow_and_update() && now() < deadline {
            self.poll_quietly();
            if done.has_changed().is_err() && !*done.borrow() {
                break;
            }
        }
        if *done.borrow() {
            tracing::info!(why, "what was read is committed");
        } else {
            tracing::warn!(why, bound = ?bound, "what was not committed in time is dropped; it will be read again");
        }
    }

    /// Keeps the membership alive; messages of paused partitions do not come, and would be read again anyway.
    fn poll_quietly(&self) {
        if let Some(Err(error)) = self.consumer.poll(Duration::from_millis(20)) {
            self.poll_error(&error);
        }
    }
}
