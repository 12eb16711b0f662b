//! The ends of live totals that other parts hold: decode threads feed them, readers ask them, budgets say what is watched.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};
use spendstream_schemas::config::LiveConfig;
use spendstream_schemas::directory::Spellings;
use tokio::sync::{mpsc, watch};

use super::awaited::Awaited;
use super::plan::{Request, WatchPlan};
use super::thread::{LiveView, ToLive, limits};
use super::totals::Totals;

/// What a decode thread needs to feed live totals.
#[derive(Clone)]
pub struct Feed {
    pub out: mpsc::Sender<ToLive>,
    pub plan: watch::Receiver<Arc<WatchPlan>>,
    pub awaited: Arc<Awaited>,
}

/// Live totals, for who reads them or says what to watch.
#[derive(Clone)]
pub struct Live {
    view: LiveView,
    plan: Arc<watch::Sender<Arc<WatchPlan>>>,
    awaited: Arc<Awaited>,
}

impl Live {
    /// Nothing is watched yet.
    #[must_use]
    pub fn new(config: &LiveConfig) -> Self {
        let (plan, _) = watch::channel(Arc::<WatchPlan>::default());
        let view = Arc::new(RwLock::new(Totals::new(limits(config))));
        Self { view, plan: Arc::new(plan), awaited: Arc::default() }
    }

    /// Watches exactly this from now on; what was watched before goes on without a break. New watches are unknown until the lake was read.
    pub fn watch(&self, requests: &[Request]) -> Arc<WatchPlan> {
        self.plan.send_modify(|plan| *plan = Arc::new(plan.next(requests)));
        self.plan()
    }

    /// The same, with values summed in these spellings; sums of other spellings are read anew.
    pub fn watch_spelled(&self, requests: &[Request], spellings: &Arc<Spellings>) -> Arc<WatchPlan> {
        self.plan.send_modify(|plan| *plan = Arc::new(plan.next_spelled(requests, spellings)));
        self.plan()
    }

    /// What is watched.
    #[must_use]
    pub fn plan(&self) -> Arc<WatchPlan> {
        Arc::clone(&self.plan.borrow())
    }

    /// The totals, as they are now. Hold it briefly: the live thread waits.
    pub fn read(&self) -> RwLockReadGuard<'_, Totals> {
        self.view.read()
    }

    /// Ids of events that are waited for.
    #[must_use]
    pub fn awaited(&self) -> &Arc<Awaited> {
        &self.awaited
    }

    /// The view itself, for the live thread.
    #[must_use]
    pub fn view(&self) -> LiveView {
        Arc::clone(&self.view)
    }

    /// Follows the plan.
    #[must_use]
    pub fn plans(&self) -> watch::Receiver<Arc<WatchPlan>> {
        self.plan.subscribe()
    }

    /// What a decode thread feeds.
    #[must_use]
    pub fn feed(&self, out: mpsc::Sender<ToLive>) -> Feed {
        Feed { out, plan: self.plans(), awaited: Arc::clone(&self.awaited) }
    }
}
