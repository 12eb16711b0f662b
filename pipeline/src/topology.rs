//! All wiring: which thread runs what, which channel joins them and how much it holds, in which order things start and stop.
//!
//! intake (thread) → workers (threads) → writer (thread) → committer (task). Workers and committer also feed the live totals
//! (thread). A stop flushes from the front; closing a channel ends what is behind it; the live totals end last, when workers and
//! committer are gone. Every channel is bounded, so a slow lake slows the intake and Kafka keeps the rest.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use parking_lot::{Mutex, RwLock};
use spendstream_schemas::config::Config;
use spendstream_schemas::directory::Directory;
use spendstream_schemas::money::Amount;
use spendstream_storage::{Lake, privacy};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::aggregate::live::{Feed, Live};
use crate::aggregate::load::LakeLoader;
use crate::aggregate::thread::{self, LiveThread, ToLive};
use crate::batch::Generation;
use crate::budget::live::Live as Deciding;
use crate::budget::observer::Watchman;
use crate::buffers::Buffers;
use crate::committer::{self, CommitLoop, Question, ToCommitter};
use crate::control::{self, start::Ends};
use crate::dead_letter::DeadLetters;
use crate::http;
use crate::intake::client;
use crate::intake::consumer::{self, Intake};
use crate::intake::context::IntakeContext;
use crate::lake::Committer as LakeCommitter;
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::price::archive::Keeper;
use crate::price::reload::{CurrentBook, Look, Reloader};
use crate::price::source::BookSource;
use crate::status::Status;
use crate::worker::{CurrentCover, ToWorker, ToWriter, Worker};
use crate::writer::Writer;

/// Cuts that may wait while one is under way.
const CUTS: usize = 1;
/// Questions about positions that may wait; old ones are dropped unanswered.
const QUESTIONS: usize = 16;
/// Decode threads when the configuration leaves it open.
const MOST_WORKERS: usize = 4;

/// Figures since the start, for a live line.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub messages: u64,
    /// Events priced, or kept as unpriced.
    pub rows: u64,
    pub committed_rows: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub unpriced: u64,
    /// Sum of `cost` of the rows priced, in the lake's currency.
    pub cost: Amount,
}

/// A pipeline at work.
pub struct Running {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    status: Arc<Status>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
    live: Live,
    live_thread: JoinHandle<()>,
    deciding: Arc<Deciding>,
    committer: tokio::task::JoinHandle<()>,
    control: tokio::task::JoinHandle<()>,
    server: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Where `/metrics`, `/healthz` and `/readyz` are.
    #[must_use]
    pub fn listen_addr(&self) -> SocketAddr {
        self.address
    }

    /// What was spent by whatever is watched, a moment after it was read.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    #[must_use]
    pub fn stats(&self) -> Stats {
        let metrics = &self.metrics;
        Stats {
            messages: metrics.messages.get(),
            rows: metrics.rows.get(),
            committed_rows: metrics.committed_rows.get(),
            duplicates: metrics.duplicate_items(),
            rejected: metrics.rejected_items(),
            unpriced: metrics.unpriced_rows(),
            cost: metrics.cost(),
        }
    }

    /// Ready, or one line why not.
    ///
    /// # Errors
    /// The line.
    pub fn ready(&self) -> Result<(), String> {
        self.status.ready()
    }

    /// True once a stage ended by itself, which it only does on a fault.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
            || self.committer.is_finished()
            || self.live_thread.is_finished()
    }

    /// Commits what was read, bounded by `pipeline.shutdown_timeout`, and ends.
    ///
    /// # Errors
    /// When a stage had panicked.
    pub async fn stop(self) -> anyhow::Result<()> {
        // First: what is granted now nobody might hear of.
        self.deciding.close();
        self.stop.send_replace(true);
        let threads = self.threads;
        tokio::task::spawn_blocking(move || {
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a pipeline thread panicked")))
        })
        .await
        .context("waiting for the pipeline's threads")??;
        self.committer.await.context("waiting for the committer")?;
        let live = self.live_thread;
        tokio::task::spawn_blocking(move || live.join().map_err(|_| anyhow::anyhow!("the live totals panicked")))
            .await
            .context("waiting for the live totals")??;
        self.control.await.context("waiting for the control store's tasks")?;
        self.server.abort();
        Ok(())
    }
}

/// Starts everything; returns once the lake is open, the prices are loaded and the address is bound.
///
/// # Errors
/// When a part cannot start: one line that names it.
pub async fn start(config: &Config) -> anyhow::Result<Running> {
    let metrics = Arc::new(Metrics::new().context("metrics")?);
    let status = Arc::new(Status::default());
    let pseudonyms = privacy::pseudonyms(&config.privacy).map_err(anyhow::Error::msg)?;
    let (reloader, book) = open_book(config).await?;
    let lake = Lake::open(&config.lake)?;
    let lake_committer = LakeCommitter::open(&lake, &config.lake).await?;

    let context = IntakeContext::new(Arc::clone(&metrics));
    let kafka = Arc::new(RwLock::new(consumer::connect(&config.kafka, context)?));
    let dead_letters =
        DeadLetters::new(client::producer(&config.kafka), &config.kafka.dead_letter_topic, Arc::clone(&status))
            .map_err(client::refused)?;

    let live = Live::new(&config.live);
    let Ends { live: budgets, watchman, found, alerts, opened, directory, cover } =
        control::start::prepare(config, &live, &book, &pseudonyms);
    // The last things that can fail for a reason outside: before any thread runs.
    let (address, server) = http::serve(config, &metrics, &status, &budgets, (&opened.subscribe(), &live)).await?;
    let (stop, stopping) = watch::channel(false);
    let (directories, covers) = (directory.subscribe(), cover.subscribe());
    let deciding = Arc::clone(&budgets);
    let wires = control::start::Wires {
        live: budgets,
        totals: live.clone(),
        lake: lake.clone(),
        found,
        alerts,
        opened,
        directory,
        cover,
        metrics: Arc::clone(&metrics),
        stop: stopping.clone(),
    };
    let control = control::start::start(config, wires).await?;

    let (generation, generations) = watch::channel(Generation(0));
    let (fence, fenced) = watch::channel(None);
    let (cut_sender, cuts) = mpsc::channel::<ToCommitter>(CUTS);
    let (question_sender, questions) = mpsc::channel::<Question>(QUESTIONS);
    let (row_sender, rows) = mpsc::channel::<ToWriter>(config.pipeline.queue_batches);

    let parts = LiveParts {
        config,
        lake: &lake,
        live: &live,
        deciding: &deciding,
        generations: &generations,
        metrics: &metrics,
    };
    let (live_thread, live_sender) = parts.start(watchman, &stopping)?;

    let commit_loop = CommitLoop::new(
        lake_committer,
        committer::Wires {
            keeper: Keeper::new(lake.clone()),
            lake,
            dead_letters,
            consumer: Arc::clone(&kafka),
            generation: generations.clone(),
            fenced: fence,
            status: Arc::clone(&status),
            metrics: Arc::clone(&metrics),
            live: live_sender.clone(),
            horizon: (config.decode.duplicate_horizon, config.decode.duplicate_identities),
        },
    );
    let committer = tokio::spawn(commit_loop.run(cuts, questions));
    let queues = (row_sender.downgrade(), cut_sender.downgrade(), live_sender.downgrade());
    let writer = Writer::new(&config.lake, Handle::current(), generations, cut_sender);
    let buffers = Buffers::default();
    let mut threads = vec![spawn("writer", move || writer.run(rows))?];
    let workers = spawn_workers(
        config,
        (&book, &directories, &covers),
        &metrics,
        (row_sender, live.feed(live_sender), buffers.clone()),
        &mut threads,
    )?;
    watch_queues(&metrics, queues, &workers);
    let wires = consumer::Wires {
        workers,
        questions: question_sender,
        generation,
        fenced,
        stop: stopping,
        status: Arc::clone(&status),
        metrics: Arc::clone(&metrics),
        runtime: Handle::current(),
        buffers,
    };
    let intake = Intake::new(kafka, config.clone(), wires);
    threads.push(spawn("intake", move || intake.run())?);
    watch_book(reloader, config, &metrics);
    Ok(Running { address, metrics, status, stop, threads, live, live_thread, deciding, committer, control, server })
}

/// What the live totals are made from.
struct LiveParts<'a> {
    config: &'a Config,
    lake: &'a Lake,
    live: &'a Live,
    deciding: &'a Arc<Deciding>,
    generations: &'a watch::Receiver<Generation>,
    metrics: &'a Arc<Metrics>,
}

impl LiveParts<'_> {
    /// Starts their thread, and what tells other instances of them; gives the way to the thread, which ends when the last copy of that is gone.
    fn start(
        self,
        watchman: Watchman,
        stopping: &watch::Receiver<bool>,
    ) -> anyhow::Result<(JoinHandle<()>, mpsc::Sender<ToLive>)> {
        let Self { config, lake, live, deciding, generations, metrics } = self;
        let (sender, inbox) = mpsc::channel::<ToLive>(config.live.queue_batches);
        let loader = LakeLoader {
            lake: lake.clone(),
            memory: config.live.load_memory_bytes,
            runtime: Handle::current(),
            out: sender.downgrade(),
            running: Mutex::default(),
        };
        let peers = Peers::new(config, deciding, sender.downgrade())?;
        let (share, shared) = mpsc::channel(config.live.queue_batches);
        let wires = thread::Wires {
            share: peers.is_some().then_some(share),
            view: live.view(),
            plan: live.plans(),
            generation: generations.clone(),
            loader: Box::new(loader),
            observer: Box::new(watchman),
            metrics: Arc::clone(metrics),
        };
        let (thread, runtime) = (LiveThread::new(&config.live, wires), Handle::current());
        let thread = spawn("live", move || thread.run(inbox, &runtime))?;
        if let Some(peers) = &peers {
            peers.start(shared, stopping);
        }
        Ok((thread, sender))
    }
}

async fn open_book(config: &Config) -> anyhow::Result<(Reloader, CurrentBook)> {
    let source = BookSource::new(&config.prices, &config.lake.currency);
    tokio::task::spawn_blocking(move || Reloader::open(source)).await?.context("the price book")
}

fn watch_book(reloader: Reloader, config: &Config, metrics: &Arc<Metrics>) {
    let metrics = Arc::clone(metrics);
    tokio::spawn(reloader.run(config.prices.reload_interval, move |look| {
        let outcome = match look {
            Look::Changed(_) => "taken",
            Look::Refused(_) => "refused",
            Look::Unchanged | Look::Settling => return,
        };
        metrics.book_reloads.with_label_values(&[outcome]).inc();
    }));
}

type Queues = (mpsc::WeakSender<ToWriter>, mpsc::WeakSender<ToCommitter>, mpsc::WeakSender<ToLive>);

/// Shows once a second how many batches wait, until the stages before are gone.
fn watch_queues(metrics: &Arc<Metrics>, (rows, cuts, live): Queues, workers: &[mpsc::Sender<ToWorker>]) {
    let metrics = Arc::clone(metrics);
    let workers: Vec<mpsc::WeakSender<ToWorker>> = workers.iter().map(mpsc::Sender::downgrade).collect();
    tokio::spawn(async move {
        loop {
            let decode: Option<Vec<usize>> = workers.iter().map(waiting).collect();
            let stages = [
                ("decode", decode.map(|waiting| waiting.into_iter().sum())),
                ("encode", waiting(&rows)),
                ("commit", waiting(&cuts)),
                ("live", waiting(&live)),
            ];
            for (stage, waiting) in stages {
                let Some(waiting) = waiting else { return };
                metrics.queue_depth.with_label_values(&[stage]).set(i64::try_from(waiting).unwrap_or(i64::MAX));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
}

/// What waits in a queue; `None` when nobody fills it any more.
fn waiting<T>(queue: &mpsc::WeakSender<T>) -> Option<usize> {
    queue.upgrade().map(|queue| queue.max_capacity() - queue.capacity())
}

fn spawn_workers(
    config: &Config,
    (book, directories, covers): (&CurrentBook, &watch::Receiver<Arc<Directory>>, &CurrentCover),
    metrics: &Arc<Metrics>,
    (out, feed, buffers): (mpsc::Sender<ToWriter>, Feed, Buffers),
    threads: &mut Vec<JoinHandle<()>>,
) -> anyhow::Result<Vec<mpsc::Sender<ToWorker>>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let count = match config.pipeline.decode_threads {
        0 => cores.min(MOST_WORKERS),
        fixed => fixed,
    };
    let mut senders = Vec::with_capacity(count);
    for number in 0..count {
        let (sender, inbox) = mpsc::channel(config.pipeline.queue_batches);
        let ends = (feed.clone(), buffers.clone());
        let follows = (book.clone(), directories.clone(), covers.clone());
        let worker = Worker::new(config, follows, Arc::clone(metrics), out.clone(), ends);
        threads.push(spawn(&format!("decode-{number}"), move || worker.run(inbox))?);
        senders.push(sender);
    }
    Ok(senders)
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).context("starting a thread")
}
