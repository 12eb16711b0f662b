//! The holds of [`Live`], for whoever reads events and whoever tells other instances. In: arrived events, what others tell; out: what they
//! have to know. Each call is one lock; nothing here decides.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};
use spendstream_schemas::money::Amount;

use super::holds::{Change, HoldId};
use super::live::Live;
use crate::aggregate::awaited::Arrival;

impl Live {
    /// Events have arrived. Call it after their sums were applied, never before: a hold may count twice for a moment, never not at all.
    /// `here`: this instance read them, and so tells the others.
    pub fn release(&self, events: impl IntoIterator<Item = Arrival>, here: bool) {
        let mut promises = self.promises.lock();
        events.into_iter().for_each(|event| promises.holds.release(event, here));
    }

    /// Events of runs that are held as a whole came and cost so much. Call it after their sums were applied.
    pub fn draw(&self, runs: &[(Arrival, i128)]) {
        let mut promises = self.promises.lock();
        for (run, cost) in runs {
            promises.holds.draw(*run, Amount::saturating(*cost));
        }
    }

    /// Events were read by another instance, whose sums here do not reach them yet.
    pub fn release_behind(&self, events: &[Arrival], now: DateTime<Utc>) {
        self.promises.lock().holds.release_behind(events, now.timestamp_micros());
    }

    /// Remembers what is held for other instances, and for this one after a restart, to be taken by [`Live::take_changes`]. No budget has
    /// figures until [`Live::heard_all`].
    /// `settle`: how long sums may take to be read from the lake where they do not come otherwise.
    pub fn share_holds(&self, settle: Duration) {
        let mut promises = self.promises.lock();
        promises.holds.share(settle);
        promises.is_told = false;
        self.awaited.remember(true);
    }

    /// What others hold, and what was held before this process started, was heard; or cannot be.
    pub fn heard_all(&self) {
        let mut promises = self.promises.lock();
        promises.is_told = true;
        self.awaited.remember(promises.others > 0);
    }

    /// What others told until now is heard.
    pub fn heard(&self, now: DateTime<Utc>) {
        self.promises.lock().holds.heard(now.timestamp_micros());
    }

    /// The broker has all changes that were taken.
    pub fn told(&self, now: DateTime<Utc>) {
        self.promises.lock().holds.told(now.timestamp_micros());
    }

    /// The broker did not take changes of these.
    pub fn tell_again(&self, ids: impl IntoIterator<Item = HoldId>) {
        self.promises.lock().holds.tell_again(ids);
    }

    /// What is held here, or no longer, since this was asked last; then say [`Live::told`] or [`Live::tell_again`].
    #[must_use]
    pub fn take_changes(&self) -> VecDeque<Change> {
        self.promises.lock().holds.take_changes()
    }

    /// What was told of a hold, by another instance or by this one before it started anew. One whose time is up counts no longer.
    pub fn hear(&self, change: Change, now: DateTime<Utc>) {
        let mut promises = self.promises.lock();
        match change {
            Change::Placed(id, hold) if hold.expires > now.timestamp_micros() => {
                // In this order: an event that is read meanwhile is found by one of both.
                if promises.holds.place_foreign(id, hold).is_err() {
                    tracing::debug!("decide.max_holds is reached: a hold of another instance does not count");
                } else if self.awaited.came_lately(id.event()) {
                    promises.holds.end_soon(id, now.timestamp_micros(), true);
                }
            }
            Change::Gone(id) => promises.holds.end_soon(id, now.timestamp_micros(), false),
            // A claim ends here by itself.
            Change::Placed(..) | Change::Unclaimed(_) => {}
        }
    }

    /// How many instances decide beside this one.
    pub fn set_others(&self, others: u32) {
        let mut promises = self.promises.lock();
        promises.others = others;
        self.awaited.remember(others > 0 || !promises.is_told);
    }

    /// Forgets holds whose time is up; decide does so as well.
    pub fn expire(&self, now: DateTime<Utc>) {
        self.promises.lock().holds.expire(now.timestamp_micros());
    }

    /// Estimates that are held.
    #[must_use]
    pub fn holds(&self) -> usize {
        self.promises.lock().holds.len()
    }
}
