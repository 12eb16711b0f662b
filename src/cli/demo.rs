//! `spendstream demo`: everything in one process and nothing else installed. An embedded broker, recorded traffic at a chosen
//! speed, the real pipeline into a local lake, the query API beside it, and tables at the end.

mod screen;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use chrono::DateTime;
use spendstream_control::{Act, Store};
use spendstream_pipeline::lake::status::clusters;
use spendstream_pipeline::{Running as Pipeline, Stats};
use spendstream_query_api::Engine;
use spendstream_schemas::config::{Config, KafkaConfig, LakeConfig, StoreConfig, millis};
use spendstream_storage::Lake;

use crate::demo::broker::Broker;
use crate::demo::live::{count, dollars};
use crate::demo::producer::{self, Totals};
use crate::demo::traffic::{Plan, Traffic};
use crate::demo::{budgets, dead_letters, report, trace};
use screen::{Screen, duration, say};

/// Show it working: an embedded broker, recorded traffic, the real pipeline, a local lake, dollars.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  spendstream demo --for 30s\n  spendstream demo --speed 600 --lake /tmp/lake")]
pub struct Args {
    /// End after this long (30s, 2m); without it the demo runs until Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = millis::parse)]
    run_for: Option<Duration>,
    /// Recorded seconds per second: at 120 the recorded hour takes half a minute.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    speed: u32,
    /// Folder of the lake. A second run adds to it; one that holds other events than the demo's is refused.
    #[arg(long, value_name = "DIR", default_value = "spendstream-demo-lake")]
    lake: String,
    /// Address of the query API [default: 127.0.0.1:8080, or another port if that is taken]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Other seeds give other people, conversations and accidents.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Reasons of dead letters, and how often each was given.
type Reasons = BTreeMap<String, u64>;

/// How the clusters of the demo's runs begin.
const CLUSTER: &str = "demo-";

/// Time between two looks at the figures.
const LOOK: Duration = Duration::from_millis(200);
/// How long what was sent may take to be in the lake after the last message.
const DRAIN: Duration = Duration::from_mins(1);

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !args.lake.contains("://"),
        "--lake {}: the demo writes to a folder; `spendstream pipeline` writes to an object store (lake.uri)",
        args.lake
    );
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(demo(&args));
    // After a second Ctrl-C threads of the pipeline still wait on the runtime: it ends with the process, never before them.
    std::mem::forget(runtime);
    outcome
}

async fn demo(args: &Args) -> anyhow::Result<ExitCode> {
    say(&format!(
        "spendstream demo: an hour of recorded LLM calls in {}, priced and written to a lake by the real pipeline.",
        duration(Duration::from_hours(1) / args.speed)
    ))?;
    let run = format!("{CLUSTER}{}", now_ms());
    let folder = Path::new(&args.lake);
    std::fs::create_dir_all(folder).with_context(|| format!("lake folder {}", folder.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("lake folder {}", folder.display()))?;
    own_lake(&folder).await?;
    let broker = Broker::start(&KafkaConfig::default().topic, &KafkaConfig::default().dead_letter_topic)?;
    let config = configure(args, &folder, &broker.address(), &run);
    let store = Store::open(&config.store.url).await.context("control store")?;
    let now = DateTime::from_timestamp_micros(super::now_micros()).context("the clock is out of range")?;
    budgets::prepare(&store, &Act { who: "demo", now }).await.context("control store")?;
    let query = spendstream_query_api::start(&config).await.context("query API")?;
    let pipeline = spendstream_pipeline::start(&config).await.context("pipeline")?;
    say(&format!("  broker     {} (embedded)", broker.address()))?;
    say(&format!("  lake       {} (Delta Lake; this run is {run})", folder.display()))?;
    say(&format!("  query API  http://{} (POST /v1/sql)", query.addr()))?;
    if let Some(postgres) = query.pg_addr() {
        say(&format!("  PostgreSQL psql \"{}\" (or any client that speaks it)", postgres_url(postgres)))?;
    }
    say(&format!(
        "  alerts     http://{}/alerts (two daily budgets: a team's, and one for each organisation)",
        query.addr()
    ))?;
    say(&format!("  metrics    http://{}/metrics", pipeline.listen_addr()))?;
    say(&args
        .run_for
        .map_or("Ctrl-C ends it.".to_owned(), |time| format!("Ends after {} of traffic.", duration(time))))?;

    let (sent, rejected) = replay(args, &config, &run, pipeline).await?;
    let letters = dead_letters::by_reason(&config.kafka.brokers, &config.kafka.dead_letter_topic, rejected)?;
    let agree = tell(&config, &run, &sent, &letters).await?;
    let told = budgets::told(&store).await.context("control store")?;
    if !told.is_empty() {
        say("\nAlerts, as mail, Slack, Teams, webhooks, SMS, push or PagerDuty would have them ([notify])")?;
        told.iter().try_for_each(|line| say(&format!("  {line}")))?;
    }
    store.close().await;
    query.stop().await;
    next_steps(&folder, &args.lake)?;
    Ok(if agree { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Refuses a lake with events of anybody else: nobody wants invented calls among their own.
async fn own_lake(folder: &Path) -> anyhow::Result<()> {
    let lake = Lake::open(&LakeConfig { uri: format!("file:{}", folder.display()), ..LakeConfig::default() })?;
    let clusters = clusters(&lake).await.with_context(|| format!("lake folder {}", folder.display()))?;
    if let Some(other) = clusters.iter().find(|cluster| !cluster.starts_with(CLUSTER)) {
        bail!(
            "{} holds events of kafka.cluster '{other}', and the demo writes invented ones: name an empty folder with --lake, or leave --lake out",
            folder.display()
        );
    }
    Ok(())
}

/// Sends traffic until the time is over or somebody asks to stop, then waits until all of it is in the lake. Gives what was
/// sent and how much of it was rejected.
async fn replay(args: &Args, config: &Config, run: &str, pipeline: Pipeline) -> anyhow::Result<(Totals, u64)> {
    tokio::select! {
        ready = joined(&pipeline) => ready?,
        _ = super::stop_signal() => bail!("stopped before the first event; nothing was written"),
    }
    let plan = Plan { seed: args.seed, run: run.to_owned(), start_ms: now_ms(), speed: args.speed };
    let traffic = Traffic::new(plan, trace::recorded()?);
    let producer = producer::Running::start(&config.kafka.brokers, &config.kafka.topic, traffic)?;
    let mut screen = Screen::new();
    let interrupted = watch(&mut screen, &pipeline, &producer, args.run_for).await?;
    if interrupted {
        screen.line("stopping; what was sent is still committed (Ctrl-C again leaves at once)")?;
    }
    let end = async {
        let sent = tokio::task::spawn_blocking(|| producer.stop()).await??;
        drain(&mut screen, &pipeline, &sent).await?;
        let rejected = pipeline.stats().rejected;
        pipeline.stop().await.context("stopping the pipeline")?;
        Ok((sent, rejected))
    };
    tokio::select! {
        done = end => done,
        _ = super::stop_signal() => bail!("left at once; the lake is whole, what was not committed yet is not in it"),
    }
}

/// The defaults, with the demo's own broker and lake. What the operator says of channels, budgets, keys or prices is not for the demo: what it makes
/// up pages nobody.
fn configure(args: &Args, folder: &Path, broker: &str, run: &str) -> Config {
    let mut config = Config {
        kafka: KafkaConfig { brokers: broker.to_owned(), cluster: run.to_owned(), ..KafkaConfig::default() },
        lake: LakeConfig {
            uri: format!("file:{}", folder.display()),
            commit_interval: Duration::from_secs(1),
            ..LakeConfig::default()
        },
        store: StoreConfig { url: format!("sqlite:{}", folder.join("control.db").display()) },
        ..Config::default()
    };
    config.query.listen = args.listen.clone().unwrap_or_else(|| free_or_any("127.0.0.1:8080"));
    config.query.pg_listen = free_or_any("127.0.0.1:5433");
    config.pipeline.listen = free_or_any("127.0.0.1:8081");
    // One instance, on a broker that ends with it.
    for topic in [&mut config.kafka.alerts_topic, &mut config.kafka.totals_topic, &mut config.kafka.holds_topic] {
        topic.clear();
    }
    config
}

fn postgres_url(address: SocketAddr) -> String {
    format!("postgresql://me@{address}/spendstream")
}

/// The address if nobody listens there, else one with a port that the system picks.
fn free_or_any(address: &str) -> String {
    if TcpListener::bind(address).is_ok() { address.to_owned() } else { "127.0.0.1:0".to_owned() }
}

/// Waits until the pipeline has its partitions, so that what is shown is its pace and not the wait for them.
async fn joined(pipeline: &Pipeline) -> anyhow::Result<()> {
    say("Joining the consumer group; the embedded broker takes three seconds for that …")?;
    let until = Instant::now() + DRAIN;
    while let Err(why) = pipeline.ready() {
        healthy(pipeline)?;
        if Instant::now() >= until {
            bail!("the pipeline is not ready after {}: {why}", duration(DRAIN));
        }
        tokio::time::sleep(LOOK / 4).await;
    }
    Ok(())
}

/// Shows the figures until the time is over (`false`) or Ctrl-C (`true`).
async fn watch(
    screen: &mut Screen,
    pipeline: &Pipeline,
    producer: &producer::Running,
    run_for: Option<Duration>,
) -> anyhow::Result<bool> {
    let interrupt = super::stop_signal();
    tokio::pin!(interrupt);
    let mut looks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            result = &mut interrupt => return result.map(|()| true),
            _ = looks.tick() => {}
        }
        let stats = healthy(pipeline)?;
        producer.committed(settled(&stats));
        screen.figures(&stats)?;
        if producer.is_finished() || run_for.is_some_and(|time| screen.elapsed() >= time) {
            return Ok(false);
        }
    }
}

/// Waits until everything that was sent is in the lake.
async fn drain(screen: &mut Screen, pipeline: &Pipeline, sent: &Totals) -> anyhow::Result<()> {
    let until = Instant::now() + DRAIN;
    loop {
        let stats = healthy(pipeline)?;
        if stats.messages >= sent.messages() && stats.committed_rows >= stats.rows {
            return screen.end(&stats);
        }
        screen.figures(&stats)?;
        if Instant::now() >= until {
            let (done, all) = (settled(&stats), sent.messages());
            bail!("only {done} of {all} messages were committed {} after the last was sent", duration(DRAIN));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The figures, unless a part of the pipeline ended by itself.
fn healthy(pipeline: &Pipeline) -> anyhow::Result<Stats> {
    if pipeline.has_failed() {
        let why = pipeline.ready().err().unwrap_or_else(|| "see the log".to_owned());
        bail!("the pipeline ended by itself: {why}");
    }
    Ok(pipeline.stats())
}

/// Messages that need no broker any more: their rows are committed, or they gave none.
fn settled(stats: &Stats) -> u64 {
    stats.committed_rows + stats.messages.saturating_sub(stats.rows)
}

/// Tables of this run, what was odd about it, and whether the books balance.
async fn tell(config: &Config, run: &str, sent: &Totals, letters: &Reasons) -> anyhow::Result<bool> {
    let engine = Engine::open(config)?;
    for (title, sql) in [("Spend by team", report::by_team(run)), ("Spend by model", report::by_model(run))] {
        table(title, &report::table(&engine, &sql).await?)?;
    }
    let unpriced = report::table(&engine, &report::unpriced(run)).await?;
    if !unpriced.rows.is_empty() {
        table("UNPRICED: kept and counted, never $0; once the book has a price, later calls are priced", &unpriced)?;
    }
    say(&format!(
        "Producers' retries sent: {}, each dropped. Dead letters: {}.",
        count(sent.repeats),
        reasons(letters)
    ))?;
    let held = report::held(&engine, Some(run)).await?;
    let all = report::held(&engine, None).await?;
    let agree = held.agrees_with(sent);
    let verdict = if agree { "the lake has exactly these" } else { "THE LAKE HAS SOMETHING ELSE" };
    say(&format!(
        "Sent: {} calls, {} input tokens, {} of them cached, {} output tokens; {verdict}.",
        count(sent.calls),
        count(sent.input),
        count(sent.cache_read),
        count(sent.output)
    ))?;
    if !agree {
        let (calls, input, cached, output) = (held.calls, held.input, held.cache_read, held.output);
        say(&format!(
            "In the lake: {calls} calls, {input} input tokens, {cached} of them cached, {output} output tokens."
        ))?;
    }
    say(&format!("All runs together: {} calls, {}.", count(all.calls), dollars(all.cost)))?;
    Ok(agree)
}

fn reasons(letters: &Reasons) -> String {
    if letters.is_empty() {
        return "none".to_owned();
    }
    letters.iter().map(|(reason, number)| format!("{} {reason}", count(*number))).collect::<Vec<_>>().join(", ")
}

fn table(title: &str, table: &report::Table) -> anyhow::Result<()> {
    say(title)?;
    for line in table.lines() {
        say(&line)?;
    }
    say("")
}

fn next_steps(folder: &Path, lake: &str) -> anyhow::Result<()> {
    let folder = folder.display();
    say(&format!(
        "\nThe lake is {folder}. Try next:\n\n  \
         cargo run -- sql --lake file:{lake} \"SELECT organization, user_id, SUM(cost) AS cost FROM usage GROUP BY 1, 2 ORDER BY 3 DESC NULLS LAST LIMIT 10\"\n  \
         cargo run -- serve --lake file:{lake}    # then: psql \"postgresql://me@127.0.0.1:5433/spendstream\" -c \"SELECT team, SUM(cost) FROM usage GROUP BY 1\"\n  \
         SPENDSTREAM__STORE__URL=sqlite:{folder}/control.db cargo run -- alerts list\n  \
         duckdb -c \"INSTALL delta; LOAD delta; SELECT organization, SUM(cost) FROM delta_scan('{folder}/usage') GROUP BY 1\""
    ))
}

/// Milliseconds since the epoch.
fn now_ms() -> i64 {
    super::now_micros() / 1_000
}
