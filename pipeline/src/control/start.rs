//! Starts what connects the pipeline to its control store. In: the configuration and the live side; out: one task that ends after the live
//! totals have.

use std::sync::Arc;

use anyhow::Context;
use chrono::TimeDelta;
use spendstream_control::Store;
use spendstream_notify::desk::Desk;
use spendstream_schemas::alert::Alert;
use spendstream_schemas::config::Config;
use spendstream_schemas::directory::{Directory, Precedence};
use spendstream_schemas::pseudonym::{Cover, ErasedList, Pseudonyms};
use spendstream_storage::Lake;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::anomalies::{self, Anomalies};
use super::decisions::Decisions;
use super::erased::Erased;
use super::gauges;
use super::news::{self, News};
use super::past::Past;
use super::rules::{self, Rules};
use super::summary::Summary;
use super::topic::{self, AlertsTopic};
use super::unallocated::Unallocated;
use super::upkeep::Upkeep;
use crate::aggregate::live::Live as Totals;
use crate::budget::live::Live;
use crate::budget::observer::{Watchman, own_requests};
use crate::lake::decisions::Decisions as Table;
use crate::metrics::Metrics;
use crate::price::reload::CurrentBook;

/// Who decides, who watches, and where the watcher's alerts come out.
pub struct Ends {
    pub live: Arc<Live>,
    pub watchman: Watchman,
    /// What the watchman sends to; others may as well.
    pub found: mpsc::Sender<Alert>,
    pub alerts: mpsc::Receiver<Alert>,
    /// Says when the store is open.
    pub opened: watch::Sender<Option<Store>>,
    /// Who owns what, for the decode threads; empty until the store was read.
    pub directory: watch::Sender<Arc<Directory>>,
    /// Who is not to be named, for the decode threads; nobody is erased until the store was read.
    pub cover: watch::Sender<Arc<Cover>>,
}

/// The live side, without budgets yet.
#[must_use]
pub fn prepare(config: &Config, totals: &Totals, book: &CurrentBook, pseudonyms: &Pseudonyms) -> Ends {
    let live = Live::new(config.decide.clone(), totals.view(), book.clone(), Arc::clone(totals.awaited()));
    let live = Arc::new(live);
    let (sender, alerts) = mpsc::channel(config.alerts.queue);
    let lateness = TimeDelta::from_std(config.live.allowed_lateness).unwrap_or(TimeDelta::MAX);
    let found = sender.clone();
    let watchman = Watchman::new(Arc::clone(&live), sender, &config.alerts, lateness, super::now());
    let (opened, directory) = (watch::channel(None).0, watch::channel(Arc::default()).0);
    let cover = Arc::new(Cover::new(pseudonyms.clone(), ErasedList::default()));
    live.set_cover(Arc::clone(&cover));
    Ends { live, watchman, found, alerts, opened, directory, cover: watch::channel(cover).0 }
}

/// What the tasks work on.
pub struct Wires {
    pub live: Arc<Live>,
    pub totals: Totals,
    pub lake: Lake,
    pub found: mpsc::Sender<Alert>,
    pub alerts: mpsc::Receiver<Alert>,
    pub opened: watch::Sender<Option<Store>>,
    pub directory: watch::Sender<Arc<Directory>>,
    pub cover: watch::Sender<Arc<Cover>>,
    pub metrics: Arc<Metrics>,
    pub stop: watch::Receiver<bool>,
}

/// Opens the store and starts to follow it. A store that is away is waited for in the background.
///
/// # Errors
/// One line, when waiting cannot help: a wrong address, a wrong budget file, a channel that cannot be built.
pub async fn start(config: &Config, wires: Wires) -> anyhow::Result<JoinHandle<()>> {
    // Wrong settings are told at once, even where the database is away.
    let precedence = Precedence::new(config.directory.precedence.iter().map(String::as_str))
        .map_err(|problem| anyhow::anyhow!("directory.precedence is wrong: {problem}"))?;
    let mut desk = news::desk(config).map_err(anyhow::Error::msg)?;
    if let Some(topic) = AlertsTopic::new(&config.kafka, config.notify.timeout)? {
        desk = desk.with(Box::new(topic));
    }
    let first = match Store::open(&config.store.url).await {
        Ok(store) => {
            let store = ready(config, store).await?;
            // Before the first event: who owns it is not asked again later.
            let pseudonyms = wires.cover.borrow().pseudonyms().clone();
            match store.directory().list().await.map(|entries| pseudonyms.entries(entries)) {
                Ok(entries) => drop(wires.directory.send_replace(Arc::new(Directory::new(entries, &precedence)))),
                Err(error) => tracing::warn!(%error, "owners are not filled in until the control store answers"),
            }
            if let Err(error) = Erased::new(config, &wires).look(&store).await {
                tracing::warn!(%error, "who is erased is not known until the control store answers");
            }
            Some(store)
        }
        Err(error) if error.is_away() => None,
        Err(error) => return Err(error).context("store.url"),
    };
    let config = config.clone();
    Ok(tokio::spawn(async move {
        let mut stop = wires.stop.clone();
        let store = match first {
            Some(store) => store,
            None => match super::open(&config.store.url, &mut stop).await {
                Ok(Some(store)) => match ready(&config, store).await {
                    Ok(store) => store,
                    Err(error) => {
                        return tracing::error!(error = %format!("{error:#}"), "there are no budgets and no alerts");
                    }
                },
                Ok(None) => return,
                Err(error) => return tracing::error!(%error, "there are no budgets and no alerts"),
            },
        };
        run(&config, store, (precedence, desk), wires).await;
    }))
}

async fn ready(config: &Config, store: Store) -> anyhow::Result<Store> {
    if !config.budgets.file.is_empty() {
        rules::apply_file(&store, &config.budgets.file, &config.lake.currency).await?;
    }
    Ok(store)
}

async fn run(config: &Config, store: Store, (precedence, desk): (Precedence, Desk), wires: Wires) {
    let erased = Erased::new(config, &wires);
    let Wires { live, totals, lake, found, alerts, opened, directory, cover, metrics, stop } = wires;
    let pseudonyms = cover.borrow().pseudonyms().clone();
    opened.send_replace(Some(store.clone()));
    let (changed, changes) = watch::channel(0);
    let (wake, woken) = watch::channel(0);
    let mut tasks = JoinSet::new();
    tasks.spawn(erased.run(store.clone(), stop.clone()));
    let seen = (totals.clone(), Arc::clone(&metrics));
    if config.lake.maintenance.enabled {
        let upkeep = Upkeep::new(config, lake.clone(), store.clone(), Arc::clone(&metrics.maintenance));
        tasks.spawn(upkeep.run(stop.clone()));
    }
    tasks.spawn(Unallocated::new(config, lake.clone(), found.clone()).run(stop.clone()));
    tasks.spawn(
        Summary::new(config, lake.clone(), (Arc::clone(&live), Arc::clone(&metrics)), found.clone()).run(stop.clone()),
    );
    tasks.spawn(Anomalies::new(config, lake.clone(), seen, found).run(stop.clone()));
    tasks.spawn(gauges::run(Arc::clone(&live), store.clone(), Arc::clone(&metrics), stop.clone()));
    let (table, every) = (Table::new(&lake, &config.lake), config.decide.log_interval);
    tasks.spawn(Decisions::new(Arc::clone(&live), table, every, Arc::clone(&metrics)).run(stop.clone()));
    let lateness = TimeDelta::from_std(config.live.allowed_lateness).unwrap_or(TimeDelta::MAX);
    let past = Past {
        lake,
        memory: config.live.load_memory_bytes,
        live: Arc::clone(&live),
        totals: totals.clone(),
        every: config.live.reconcile_interval,
        lateness,
    };
    tasks.spawn(past.run(changes, stop.clone()));
    let routes = news::routes(config, live.prices());
    tasks.spawn(news::courier(config, (desk, Arc::clone(&routes)), &store, &metrics).run(stop.clone(), woken));
    let guard = TimeDelta::from_std(config.alerts.repeat_guard).unwrap_or(TimeDelta::MAX);
    let mut news = News::new(store.clone(), (routes, Arc::clone(&live)), directory.subscribe(), guard, metrics, wake);
    if !config.kafka.alerts_topic.is_empty() {
        news = news.always(topic::channel(&config.kafka));
    }
    tasks.spawn(news.run(alerts, stop.clone()));
    let mut own = own_requests();
    own.extend(anomalies::requests(&config.detect));
    tasks.spawn(
        Rules { store: store.clone(), live, totals, precedence, pseudonyms, lateness, own, directory, changed }
            .run(stop),
    );
    while tasks.join_next().await.is_some() {}
    store.close().await;
}
