//! Watches live totals for budgets, usage without a price, and sums that were not what the lake says. In: what the live thread says has
//! changed; out: alerts to a bounded channel, arrived events to the holds. It decides nothing itself ([`super::crossing`],
//! [`super::unpriced`], [`super::reconciliation`]) and never waits: what the channel cannot take waits here, the most urgent first, and when
//! too much waits nothing more is judged until it is gone. Then all is looked at.
//!
//! Cells are looked at when they change; all cells of a watch when it was read anew or budgets have changed; and once a minute those
//! of watches whose figures move by time alone (forecasts, rolling windows), one watch per tick.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_schemas::alert::{Alert, Level};
use spendstream_schemas::budget::{Quarter, Span};
use spendstream_schemas::config::AlertsConfig;
use tokio::sync::mpsc;

use super::book::Book;
use super::crossing::{Crossings, Sight, Sum};
use super::live::Live;
use super::reconciliation;
use super::unpriced::{self, Moment, Unpriced};
use crate::aggregate::awaited::Arrival;
use crate::aggregate::cells::CellId;
use crate::aggregate::join::Reconciled;
use crate::aggregate::plan::{Bucketing, DimensionSet, Request, WatchId};
use crate::aggregate::read::Spend;
use crate::aggregate::thread::Observer;
use crate::aggregate::totals::{Totals, Touch};

/// How often figures that move by time alone are looked at.
const ROUND: TimeDelta = TimeDelta::minutes(1);
/// Cells that are judged in one go; the live thread waits for it.
const CELLS_AT_ONCE: usize = 5_000;
/// Alerts about repaired sums are left out while so many alerts wait: what is repaired is not found again. The log has them all.
const MOST_UNSENT: usize = 100;
/// As many times `alerts.queue` may wait here; after that nothing is judged until all are gone.
const QUEUES_UNSENT: usize = 20;

/// What is watched beside the budgets' sums.
#[must_use]
pub fn own_requests() -> Vec<Request> {
    // The last 60 minutes of everything, for who looks at them.
    vec![unpriced::request(), (DimensionSet::new([]), Bucketing::Quarters { keep: 4 })]
}

/// See the module.
pub struct Watchman {
    live: Arc<Live>,
    crossings: Crossings,
    unpriced: Unpriced,
    /// All of the usage is to be looked at for missing prices.
    is_unpriced_due: bool,
    /// What waits for room in the channel, emergencies apart: they go first.
    unsent: [VecDeque<Alert>; 2],
    most_unsent: usize,
    /// Sums changed that were not judged.
    has_missed: bool,
    lateness: TimeDelta,
    /// How long after that, by the clock, a period may still raise something.
    catch_up: TimeDelta,
    out: mpsc::Sender<Alert>,
    /// Of the last tick: sums that change between two ticks are judged at the earlier one.
    now: DateTime<Utc>,
    book: Arc<Book>,
    waiting: VecDeque<WatchId>,
    /// Cells of watches that are looked at as a whole, each with a quarter-hour of its period.
    cells: VecDeque<(WatchId, CellId, Quarter)>,
    next_round: DateTime<Utc>,
}

impl Watchman {
    /// `lateness`: how long after the watermark a period stays open.
    #[must_use]
    pub fn new(
        live: Arc<Live>,
        out: mpsc::Sender<Alert>,
        config: &AlertsConfig,
        lateness: TimeDelta,
        now: DateTime<Utc>,
    ) -> Self {
        let book = live.book();
        Self {
            live,
            crossings: Crossings::new(config.remembered),
            unpriced: Unpriced::new(config.remembered, config.unpriced_models),
            is_unpriced_due: false,
            unsent: Default::default(),
            most_unsent: config.queue.saturating_mul(QUEUES_UNSENT),
            has_missed: false,
            lateness,
            catch_up: TimeDelta::from_std(config.catch_up).unwrap_or(TimeDelta::MAX),
            out,
            now,
            book,
            waiting: VecDeque::new(),
            cells: VecDeque::new(),
            next_round: now,
        }
    }

    fn sight<T>(&mut self, totals: &Totals, look: impl FnOnce(&mut Crossings, &Sight<'_>) -> T) -> T {
        let closed = self.closed(totals);
        let Self { live, crossings, now, .. } = self;
        live.with_ground(totals, *now, |ground| look(crossings, &Sight { ground, now: *now, closed }))
    }

    fn send(&mut self, alerts: impl IntoIterator<Item = Alert>) {
        for alert in alerts {
            let [urgent, others] = &mut self.unsent;
            (if alert.level == Level::Emergency { urgent } else { others }).push_back(alert);
        }
        self.send_waiting();
    }

    fn send_waiting(&mut self) {
        for waiting in &mut self.unsent {
            while let Some(alert) = waiting.pop_front() {
                if let Err(refused) = self.out.try_send(alert) {
                    waiting.push_front(refused.into_inner());
                    return;
                }
            }
        }
        if std::mem::take(&mut self.has_missed) {
            self.look_at_all();
        }
    }

    fn waiting(&self) -> usize {
        self.unsent.iter().map(VecDeque::len).sum()
    }

    fn look_at_all(&mut self) {
        self.cells.clear();
        self.waiting = self.book.watches().collect();
        self.is_unpriced_due = true;
    }

    fn moment(&self, totals: &Totals) -> Moment {
        Moment { now: self.now, event_time: newest(totals, self.now) }
    }

    fn look_at_unpriced(&mut self, totals: &Totals) {
        self.is_unpriced_due = false;
        let found = self.unpriced.look(totals, self.moment(totals));
        self.send(found);
    }

    /// Every cell of a watch in the periods that are open: the one that runs, and those before it that are not closed yet. A part of them
    /// at once, the others at the next ticks.
    fn look_at(&mut self, totals: &Totals, watch: WatchId) {
        self.queue(totals, watch);
        self.look_at_cells(totals);
    }

    fn queue(&mut self, totals: &Totals, watch: WatchId) {
        let Some(known) = totals.plan().watch(watch) else { return };
        let now = Quarter::of(self.now);
        let spans: Vec<Span> = match &known.bucketing {
            Bucketing::Calendar(_) => {
                totals.held_spans(watch).iter().copied().filter(|span| span.from <= now).collect()
            }
            Bucketing::Quarters { keep } => {
                let to = now.plus(1);
                vec![Span { from: to.plus(-i32::try_from(*keep).unwrap_or(i32::MAX)), to }]
            }
        };
        let closed = self.closed(totals);
        for span in spans.into_iter().filter(|span| span.end() > closed) {
            let Ok(cells) = totals.cells_in(watch, span) else { continue };
            // One that was active in many quarter-hours is told for each of them.
            let mut cells: Vec<CellId> = cells.map(|(_, cell)| cell).collect();
            cells.sort_unstable();
            cells.dedup();
            // A period that is over is judged as of its last quarter-hour.
            let at = span.to.plus(-1).min(now);
            self.cells.extend(cells.into_iter().map(|cell| (watch, cell, at)));
        }
    }

    /// The next cells that wait.
    fn look_at_cells(&mut self, totals: &Totals) {
        let event_time = newest(totals, self.now);
        let part = self.cells.drain(..self.cells.len().min(CELLS_AT_ONCE)).collect::<Vec<_>>();
        let alerts: Vec<_> = self.sight(totals, |crossings, sight| {
            let judged = part.iter().flat_map(|(watch, cell, at)| {
                let values = totals.values(*watch, *cell);
                // The watch, or the cell, may be gone since.
                let width = totals.plan().watch(*watch).map(|known| known.keys.keys().len());
                if width != Some(values.len()) {
                    return Vec::new();
                }
                let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                crossings.tick(sight, Sum { watch: *watch, values: &values, event_time }, *at)
            });
            judged.collect()
        });
        self.send(alerts);
    }

    fn closed(&self, totals: &Totals) -> DateTime<Utc> {
        let watermark = totals.as_of().watermark.and_then(DateTime::from_timestamp_micros);
        // Event time stands still while nothing is read, and is not known before something was.
        let by_clock = self.now.checked_sub_signed(self.catch_up).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let reached = watermark.map_or(by_clock, |watermark| watermark.max(by_clock));
        reached.checked_sub_signed(self.lateness).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

impl Observer for Watchman {
    fn touched(&mut self, totals: &Totals, touched: &[Touch]) {
        if self.waiting() >= self.most_unsent {
            self.has_missed = true;
            return;
        }
        let event_time = newest(totals, self.now);
        let alerts: Vec<_> = self.sight(totals, |crossings, sight| {
            let judged = touched.iter().flat_map(|touch| {
                let values = totals.values(touch.watch, touch.cell);
                let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
                crossings.touched(sight, Sum { watch: touch.watch, values: &values, event_time }, touch.bucket)
            });
            judged.collect()
        });
        self.send(alerts);
        let found = self.unpriced.touched(totals, touched, self.moment(totals));
        self.send(found);
    }

    fn loaded(&mut self, totals: &Totals, watch: WatchId) {
        self.look_at(totals, watch);
        if self.unpriced.watch(totals.plan()) == Some(watch) {
            self.look_at_unpriced(totals);
        }
    }

    fn reconciled(&mut self, totals: &Totals, report: &Reconciled) {
        let Some(watch) = totals.plan().watch(report.watch) else { return };
        let currency = self.sight(totals, |_, sight| sight.ground.rates.prices.currency().to_owned());
        if self.waiting() < MOST_UNSENT {
            self.send(reconciliation::alert(report, watch, &currency, self.now));
        }
    }

    fn arrived(&mut self, events: &[Arrival], here: bool) {
        self.live.release(events.iter().copied(), here);
    }

    fn spent(&mut self, runs: &[(Arrival, i128)]) {
        self.live.draw(runs);
    }

    fn behind(&mut self, events: &[Arrival]) {
        self.live.release_behind(events, self.now);
    }

    fn tick(&mut self, totals: &Totals, now: i64) {
        if self.live.take_look_again() {
            self.crossings.forget();
            self.look_at_all();
        } else if self.live.take_look_soon() {
            self.look_at_all();
        }
        self.now = DateTime::from_timestamp_micros(now).unwrap_or(self.now);
        let newest = self.live.book();
        if !Arc::ptr_eq(&newest, &self.book) {
            self.book = newest;
            self.look_at_all();
        } else if self.now >= self.next_round && self.waiting.is_empty() && self.cells.is_empty() {
            self.next_round = self.now + ROUND;
            self.waiting = self.book.moving_watches().collect();
        }
        let to_tell = self.live.take_to_tell();
        self.send(to_tell);
        let known = self.live.take_told();
        if !known.is_empty() && self.crossings.recall(&self.book, &known) {
            self.look_at_all();
        }
        if self.waiting() > 0 {
            // What is looked at as a whole can wait, too.
        } else if !self.cells.is_empty() {
            self.look_at_cells(totals);
        } else if let Some(watch) = self.waiting.pop_front() {
            self.look_at(totals, watch);
        } else if self.is_unpriced_due {
            self.look_at_unpriced(totals);
        }
    }
}

fn newest(totals: &Totals, now: DateTime<Utc>) -> DateTime<Utc> {
    totals.as_of().newest.and_then(DateTime::from_timestamp_micros).map_or(now, |newest| newest.min(now))
}

#[cfg(test)]
#[path = "observer_tests.rs"]
mod tests;
