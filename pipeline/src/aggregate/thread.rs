//! The live thread: the only one that changes [`Totals`]. In: groups of batches, commits, sums of the lake, the plan, the generation, ticks. Out: what
//! changed, to an [`Observer`]; requests to the [`Loader`]. It does no IO itself and never waits for whoever feeds it.
//!
//! Readers share a lock that it takes for at most [`SLICE`] groups at a time. It ends when the last sender of its channel is gone: decode
//! threads and committer first, then this.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use parking_lot::RwLock;
use spendstream_schemas::config::LiveConfig;
use spendstream_schemas::ids::SourcePartition;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::awaited::Arrival;
use super::group::Groups;
use super::join::{Reconciled, Snapshot};
use super::load::{BaseChunk, Loader};
use super::plan::{WatchId, WatchPlan};
use super::read::Spend;
use super::reading::Reading;
use super::share::{Batch, Position};
use super::totals::{Accepted, Limits, Totals, Touch};
use crate::batch::{Generation, PartitionProgress};
use crate::lake::LakeError;
use crate::metrics::Metrics;

/// Groups that are added under one lock: a reader waits some tens of microseconds at most.
pub const SLICE: usize = 512;
/// How often time is looked at when nothing comes.
const TICK: Duration = Duration::from_millis(250);
const TICK_MICROS: i64 = 250_000;
/// How soon the lake is read when batches of other instances are missing.
const BEHIND_MICROS: i64 = 1_000_000;

/// Totals, as readers share them.
pub type LiveView = Arc<RwLock<Totals>>;

/// What the live thread is told.
pub enum ToLive {
    /// A batch, before it goes to the writer.
    Groups(Arc<Groups>),
    /// A commit is in the lake.
    Committed(Vec<(Arc<SourcePartition>, Generation, i64)>),
    /// Sums of the lake.
    Base(Box<BaseChunk>),
    /// What another instance read of one of its partitions.
    Foreign(Box<Batch>),
    /// What another instance has committed.
    ForeignCommits(Vec<Position>),
    /// All of a request was read, or not.
    Loaded { load: u64, result: Result<Snapshot, LakeError> },
}

impl ToLive {
    /// What a commit of these partitions tells.
    #[must_use]
    pub fn committed(progress: &[PartitionProgress]) -> Self {
        let parts = progress.iter().map(|part| (Arc::clone(&part.source), part.generation, part.range.to()));
        Self::Committed(parts.collect())
    }
}

/// Who wants to know what changed. Called on the live thread, which waits: decide here, do elsewhere.
pub trait Observer: Send {
    /// Sums changed, by at most [`SLICE`] groups. A sum that changed twice is told twice.
    fn touched(&mut self, _totals: &Totals, _touched: &[Touch]) {}
    /// A watch became known, or was read again: any of its sums may have moved.
    fn loaded(&mut self, _totals: &Totals, _watch: WatchId) {}
    /// Events arrived that somebody waited for; their cost is in the totals. `here`: this instance read them.
    fn arrived(&mut self, _events: &[Arrival], _here: bool) {}
    /// Events of runs that somebody waits for came, and cost so much (units of an amount); it is in the totals.
    fn spent(&mut self, _runs: &[(Arrival, i128)]) {}
    /// Another instance read these, and sums before theirs are missing here: the lake is read soon.
    fn behind(&mut self, _events: &[Arrival]) {}
    /// A watch was compared with the lake; what differed is repaired.
    fn reconciled(&mut self, _totals: &Totals, _report: &Reconciled) {}
    /// About four times a second. `now`: microseconds since the epoch.
    fn tick(&mut self, _totals: &Totals, _now: i64) {}
}

/// Nobody wants to know.
pub struct Nobody;

impl Observer for Nobody {}

/// See the module.
pub struct LiveThread {
    pub(super) view: LiveView,
    plan: watch::Receiver<Arc<WatchPlan>>,
    generation: watch::Receiver<Generation>,
    pub(super) loader: Box<dyn Loader>,
    pub(super) observer: Box<dyn Observer>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) reconcile_every: i64,
    pub(super) reading: Option<Reading>,
    /// By source partition: up to where its events have drawn down the holds of runs.
    drawn: HashMap<SourcePartition, i64>,
    pub(super) last_load: u64,
    /// Not before that time; a commit ends the wait.
    pub(super) not_before: i64,
    pub(super) next_reconcile: i64,
    next_tick: i64,
    told: (u64, u64),
    touched: Vec<Touch>,
    /// Who passes on what is read here.
    share: Option<mpsc::Sender<ToPeers>>,
}

/// What other instances are told.
#[derive(Clone, Debug)]
pub enum ToPeers {
    Groups(Arc<Groups>),
    /// The lake has a partition up to that offset.
    Committed(Arc<SourcePartition>, i64),
}

/// What a live thread is wired to.
pub struct Wires {
    pub view: LiveView,
    pub plan: watch::Receiver<Arc<WatchPlan>>,
    pub generation: watch::Receiver<Generation>,
    pub loader: Box<dyn Loader>,
    pub observer: Box<dyn Observer>,
    pub metrics: Arc<Metrics>,
    /// Where batches go for other instances; what it cannot take they read from the lake.
    pub share: Option<mpsc::Sender<ToPeers>>,
}

/// The bounds that a configuration sets.
#[must_use]
pub fn limits(config: &LiveConfig) -> Limits {
    Limits {
        max_cells: config.max_cells,
        max_held_groups: config.max_held_groups,
        lateness: micros(config.allowed_lateness),
        idle: micros(config.idle_timeout),
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The one clock here: periods end by it, and the watermark never passes it.
#[expect(clippy::disallowed_methods, reason = "the edge: everything below takes the time as an argument")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    micros(since)
}

/// What the thread wakes up for.
enum Wake {
    Message(Option<ToLive>),
    Changed,
}

impl LiveThread {
    #[must_use]
    pub fn new(config: &LiveConfig, wires: Wires) -> Self {
        {
            let mut totals = wires.view.write();
            totals.set_plan(&wires.plan.borrow());
            totals.set_generation(*wires.generation.borrow());
        }
        Self {
            view: wires.view,
            plan: wires.plan,
            generation: wires.generation,
            loader: wires.loader,
            observer: wires.observer,
            metrics: wires.metrics,
            reconcile_every: micros(config.reconcile_interval),
            reading: None,
            drawn: HashMap::new(),
            last_load: 0,
            not_before: 0,
            next_reconcile: i64::MAX,
            next_tick: 0,
            told: (0, 0),
            share: wires.share,
            touched: Vec::with_capacity(SLICE * 2),
        }
    }

    /// Works until the last sender is gone.
    pub fn run(mut self, mut inbox: mpsc::Receiver<ToLive>, runtime: &Handle) {
        loop {
            let (mut plan, mut generation) = (self.plan.clone(), self.generation.clone());
            let woken = runtime.block_on(async {
                tokio::select! {
                    biased;
                    Ok(()) = generation.changed() => Wake::Changed,
                    Ok(()) = plan.changed() => Wake::Changed,
                    message = inbox.recv() => Wake::Message(message),
                    () = tokio::time::sleep(TICK) => Wake::Changed,
                }
            });
            let now = now();
            match woken {
                Wake::Message(None) => return,
                Wake::Message(Some(message)) => self.handle(message, now),
                Wake::Changed => {}
            }
            self.look(now);
        }
    }

    /// Takes one message.
    pub fn handle(&mut self, message: ToLive, now: i64) {
        match message {
            ToLive::Groups(groups) => self.add(&groups, now),
            ToLive::Committed(parts) => self.committed(&parts),
            ToLive::Foreign(batch) => self.add_foreign(&batch, now),
            ToLive::ForeignCommits(positions) => self.foreign_commits(&positions, now),
            ToLive::Base(chunk) => self.stage(&chunk),
            ToLive::Loaded { load, result } => self.loaded(load, result, now),
        }
    }

    /// Looks at plan, generation and time; starts to read what is unknown.
    pub fn look(&mut self, now: i64) {
        if self.generation.has_changed().unwrap_or(false) {
            let generation = *self.generation.borrow_and_update();
            self.view.write().set_generation(generation);
            self.forget_reading();
        }
        if self.plan.has_changed().unwrap_or(false) {
            let plan = Arc::clone(&self.plan.borrow_and_update());
            self.view.write().set_plan(&plan);
        }
        if now >= self.next_tick || now < self.next_tick - TICK_MICROS {
            self.next_tick = now + TICK_MICROS;
            self.tick(now);
        }
        self.sweep();
        self.read(now);
    }

    fn tick(&mut self, now: i64) {
        self.view.write().advance(now);
        let totals = self.view.read();
        self.observer.tick(&totals, now);
        let metrics = &self.metrics.live;
        let known = totals.plan().watches().iter().filter(|watch| totals.is_known(watch.id)).count();
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        metrics.watches.with_label_values(&["known"]).set(gauge(known));
        metrics.watches.with_label_values(&["unknown"]).set(gauge(totals.plan().watches().len() - known));
        metrics.cells.set(gauge(totals.held_cells()));
        metrics.watermark.set(totals.as_of().watermark.unwrap_or(0).div_euclid(1_000_000));
        let (full, late) = totals.left_out();
        metrics.left_out.with_label_values(&["full"]).inc_by(full - self.told.0);
        metrics.left_out.with_label_values(&["late"]).inc_by(late - self.told.1);
        if full > self.told.0 {
            tracing::error!(
                left_out = full - self.told.0,
                "live.max_cells is reached: new values are not watched, their budgets are unknown; raise it, or watch fewer dimensions"
            );
        }
        self.told = (full, late);
    }

    /// Releases what was given up, a little per message so that it never piles up.
    fn sweep(&mut self) {
        for _ in 0..4 {
            if !self.view.write().sweep(SLICE) {
                return;
            }
        }
    }

    fn add(&mut self, groups: &Arc<Groups>, now: i64) {
        let accepted = {
            let mut totals = self.view.write();
            let before = totals.generation();
            let accepted = totals.accept(groups, now);
            if totals.generation() != before {
                drop(totals);
                self.forget_reading();
            }
            accepted
        };
        if accepted == Accepted::Stale {
            return;
        }
        if let Some(share) = &self.share {
            // Full: they read it from the lake.
            let _ = share.try_send(ToPeers::Groups(Arc::clone(groups)));
        }
        self.sum(groups);
        self.tell_arrived(groups, true);
    }

    /// Holds first, runs then: what a call of a run held goes back to the run before the run is drawn down by what the call cost.
    fn tell_arrived(&mut self, groups: &Groups, here: bool) {
        if !groups.arrived.is_empty() {
            self.observer.arrived(&groups.arrived, here);
        }
        // An event that is read again, here or by another instance, has drawn already; a hold that is too large errs on the safe side.
        let drawn = self.drawn.entry((*groups.source).clone()).or_insert(i64::MIN);
        let is_new = groups.range.from() >= *drawn;
        *drawn = groups.range.to().max(*drawn);
        if is_new && !groups.runs.is_empty() {
            self.observer.spent(&groups.runs);
        }
    }

    /// What another instance read. A batch that does not follow what is held has the lake read soon: what is held meanwhile is whole up to an
    /// earlier offset.
    fn add_foreign(&mut self, batch: &Batch, now: i64) {
        let (plan, generation) = {
            let totals = self.view.read();
            (Arc::clone(totals.plan()), totals.generation())
        };
        let Some(groups) = batch.groups(&plan, generation).map(Arc::new) else {
            tracing::debug!(source = %batch.source(), "sums of another instance cannot be read");
            return;
        };
        let is_behind;
        {
            let mut totals = self.view.write();
            if !totals.accept_foreign(&groups, now) {
                return;
            }
            if let Some(committed) = batch.committed {
                totals.committed(&groups.source, committed);
            }
            is_behind = totals.is_behind(&groups);
            if is_behind {
                self.next_reconcile = self.next_reconcile.min(now + BEHIND_MICROS);
            }
        }
        self.sum(&groups);
        if is_behind {
            self.observer.behind(&groups.arrived);
            return;
        }
        self.tell_arrived(&groups, false);
    }

    /// What is in the lake and not here was missed, and is read there.
    fn foreign_commits(&mut self, positions: &[Position], now: i64) {
        let mut totals = self.view.write();
        for position in positions {
            let source = Arc::new(position.source());
            totals.committed(&source, position.offset);
            if totals.lacks(&source, position.offset) {
                self.next_reconcile = self.next_reconcile.min(now);
            }
        }
    }

    /// Adds the sums of a batch, a few under one lock.
    fn sum(&mut self, groups: &Arc<Groups>) {
        for (set, sums) in groups.sets.iter().enumerate() {
            for from in (0..sums.len()).step_by(SLICE) {
                self.touched.clear();
                self.view.write().add(groups, set, from, from + SLICE, &mut self.touched);
                if !self.touched.is_empty() {
                    self.observer.touched(&self.view.read(), &self.touched);
                }
            }
            self.metrics.live.groups.inc_by(sums.len() as u64);
        }
        self.view.write().added(groups);
    }

    fn committed(&mut self, parts: &[(Arc<SourcePartition>, Generation, i64)]) {
        let mut totals = self.view.write();
        let current = totals.generation();
        for (source, _, to) in parts.iter().filter(|(_, generation, _)| *generation == current) {
            totals.committed(source, *to);
            if let Some(share) = &self.share {
                let _ = share.try_send(ToPeers::Committed(Arc::clone(source), *to));
            }
        }
        // What did not join may do so now.
        self.not_before = 0;
    }
}
