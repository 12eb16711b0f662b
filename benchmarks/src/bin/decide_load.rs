//! May this call run, over HTTP: a real broker and a binary come in, a Markdown table of latencies goes out.
//!
//! A pipeline is given budgets (one per user, per model of a team, and thousands by name) and events of a million users, so that it holds a
//! million cells. Then callers on connections of their own ask `POST /v1/decide` on loopback, each waiting for its answer, while further
//! events stream in at a steady pace. Every call has an id, so every allowed one is held. Between two questions each caller asks
//! `/healthz`, which looks at nothing: what that takes is the machine's, the connection's and the server's share.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use spendstream_benchmarks::http::Client;
use spendstream_benchmarks::instance::{Instance, LIMIT, Setup};
use spendstream_benchmarks::preload;
use spendstream_benchmarks::report::percentile;
use spendstream_benchmarks::stream::{Stream, now_ms};

/// Measure how fast a pipeline with many budgets answers.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Kafka brokers to use; topics of the benchmark are created there.
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// The binary to measure.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    #[arg(long, default_value_t = 10_000)]
    budgets: usize,
    /// Users, each with a sum of its own.
    #[arg(long, default_value_t = 1_000_000)]
    cells: u64,
    /// Events a second while it is asked.
    #[arg(long, default_value_t = 5_000)]
    rate: u64,
    /// Connections, one row each.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16")]
    callers: Vec<usize>,
    /// Seconds per row.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

const TEAMS: u64 = 24;

fn main() -> ExitCode {
    match benchmark(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("decide_load: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn benchmark(args: &Args) -> anyhow::Result<()> {
    let start_ms = now_ms();
    let topic = format!("bench-decide-{start_ms}");
    preload::create_topics(&args.brokers, &[(&topic, 4), (&format!("{topic}.dead"), 1)])?;
    let first = start_ms - i64::try_from(args.cells)?;
    preload::fill_with(&args.brokers, &topic, args.cells, |number, payload| event(number, first, payload))?;
    let files = [
        ("budgets.toml", budgets(args.budgets)),
        ("spendstream.toml", "[budgets]\nfile = \"budgets.toml\"\n".to_owned()),
    ];
    let keys = [("LIVE__MAX_CELLS", "8000000"), ("DETECT__ENABLED", "false")];
    let setup = Setup { binary: &args.binary, brokers: &args.brokers, topic: &topic, keys: &keys, files: &files };
    let mut instance = Instance::start(&setup)?;
    instance.wait_messages(args.cells)?;
    let address = instance.address.clone();
    let mut client = Client::new(&address)?;
    instance.process.until(LIMIT, || {
        let answer = client.post("/v1/decide", &question(0))?;
        Ok(!String::from_utf8_lossy(&answer).contains("not known yet"))
    })?;
    say(&format!("{} events read, all totals known", args.cells));
    let mut table = format!(
        "{} budgets, {} users with a sum of their own, {} events/s meanwhile\n\n\
         | callers | requests/s | healthz p50 | p99 | p99.9 | decide p50 | p99 | p99.9 | longest |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        args.budgets, args.cells, args.rate
    );
    let asked = AtomicU64::new(1);
    let mut next = args.cells;
    for callers in &args.callers {
        let stream = Stream::start(&args.brokers, &topic, args.rate, next)?;
        let (asked_health, times, took) =
            ask(&address, *callers, Duration::from_secs(args.seconds), args.cells, &asked)?;
        next += stream.stop()?;
        ensure!(instance.process.look()?, "the pipeline ended");
        let rate = (times.len() + asked_health.len()) as u128 * 1_000 / took.as_millis().max(1);
        write!(table, "| {callers} | {rate} |")?;
        for (times, shares) in [(&asked_health, &[500, 990, 999][..]), (&times, &[500, 990, 999, 1_000])] {
            for share in shares {
                write!(table, " {:.1?} |", percentile(times, *share))?;
            }
        }
        table.push('\n');
    }
    instance.process.terminate()?;
    let (took, _) = instance.finish()?;
    writeln!(table, "\nThe process had {} MB resident at most.", took.peak_bytes >> 20)?;
    Ok(std::io::stdout().write_all(table.as_bytes())?)
}

/// All latencies of `/healthz` and of decide, sorted, and how long it was asked.
fn ask(
    address: &str,
    callers: usize,
    time: Duration,
    users: u64,
    asked: &AtomicU64,
) -> anyhow::Result<(Vec<Duration>, Vec<Duration>, Duration)> {
    let (over, started) = (AtomicBool::new(false), Instant::now());
    let caller = || -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
        let (mut client, mut health, mut times) = (Client::new(address)?, Vec::new(), Vec::new());
        while !over.load(Ordering::Relaxed) {
            let body = question(asked.fetch_add(1, Ordering::Relaxed) * 7_919 % users);
            let sent = Instant::now();
            client.get("/healthz")?;
            health.push(sent.elapsed());
            let sent = Instant::now();
            let answer = client.post("/v1/decide", &body)?;
            times.push(sent.elapsed());
            ensure!(answer.starts_with(br#"{"allow":true"#), "{}", String::from_utf8_lossy(&answer));
        }
        Ok((health, times))
    };
    let (mut health, mut times) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(caller)).collect();
        // A caller that ends may wake this thread early.
        while started.elapsed() < time {
            std::thread::park_timeout(time.saturating_sub(started.elapsed()));
        }
        over.store(true, Ordering::Relaxed);
        for caller in callers {
            let asked = caller.join().map_err(|_| anyhow::anyhow!("a caller panicked"))?.context("a caller")?;
            health.extend(asked.0);
            times.extend(asked.1);
        }
        Ok(())
    })?;
    health.sort_unstable();
    times.sort_unstable();
    Ok((health, times, started.elapsed()))
}

fn question(number: u64) -> String {
    format!(
        r#"{{"id":"asked-{number}","organization":"acme","team":"team-{}","user":"user-{number}","provider":"openai","model":"gpt-5-mini","input_tokens":1200,"max_output_tokens":400,"tags":{{"env":"prod"}},"priority":"normal"}}"#,
        number % TEAMS
    )
}

fn event(number: u64, start_ms: i64, to: &mut String) {
    let time = start_ms.saturating_add_unsigned(number);
    // Ordinary writes to a String cannot fail.
    let _ = write!(
        to,
        r#"{{"id":"event-{number}","time":{time},"organization":"acme","team":"team-{}","user":"user-{number}","tags":{{"env":"prod"}},"provider":"openai","model":"gpt-5-mini","usage":{{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}}}"#,
        number % TEAMS
    );
}

/// One for everything, for each user, for each model of each team, for a tag, and the others by name.
fn budgets(count: usize) -> String {
    let mut all = String::new();
    let mut budget = |name: &str, scope: &str, period: &str, amount: &str| {
        let _ = write!(
            all,
            "[[budgets]]\nname = \"{name}\"\nscope = {scope}\nperiod = \"{period}\"\namount = \"{amount}\"\n\
             currency = \"USD\"\nthresholds = [\"80\", \"100\"]\nhard_limit = true\n"
        );
    };
    budget("everything", "{}", "monthly", "1000000000");
    budget("every user", "{ user = \"*\" }", "daily", "1000");
    budget("models of teams", "{ team = \"*\", model = \"*\" }", "monthly", "1000000");
    budget("production", "{ \"tags.env\" = \"prod\" }", "PT24H", "1000000000");
    for number in 4..count {
        budget(&format!("team {number}"), &format!("{{ team = \"team-{number}\" }}"), "monthly", "1000000");
    }
    all
}

fn say(text: &str) {
    // Progress for whoever watches; when nobody does, nothing is lost.
    let _ = writeln!(std::io::stderr(), "{text}");
}
