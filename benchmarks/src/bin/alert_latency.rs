//! From event to alert: a real broker and a binary come in, a Markdown table of latencies goes out.
//!
//! Events go to the topic at a steady pace. Now and then one of them has a tag that no other has, and a budget of one cent for each value of
//! that tag: it alone exceeds it. The time is taken from handing that event to the producer until its alert has reached an HTTP
//! receiver: Kafka, decode, price, live totals, control store (`SQLite`) and delivery are in it.

use std::collections::HashMap;
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use rdkafka::producer::{BaseRecord, Producer};
use spendstream_benchmarks::http;
use spendstream_benchmarks::instance::{Instance, LIMIT, Setup};
use spendstream_benchmarks::preload;
use spendstream_benchmarks::report::percentile;
use spendstream_benchmarks::stream::{Stream, now_ms, producer};

/// Measure how soon an event that exceeds a budget is told.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Kafka brokers to use; topics of the benchmark are created there.
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// The binary to measure.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    /// Events a second, one row each.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,50000")]
    rates: Vec<u64>,
    /// Seconds per row.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Alerts a second.
    #[arg(long, default_value_t = 20)]
    alerts: u64,
}

const BUDGETS: &str = "[[budgets]]\nname = \"probes\"\nscope = { \"tags.probe\" = \"*\" }\nperiod = \"daily\"\n\
                       amount = \"0.01\"\ncurrency = \"USD\"\nthresholds = [\"100\"]\n";
/// An alert that takes longer is missing.
const PATIENCE: Duration = Duration::from_mins(1);

fn main() -> ExitCode {
    match benchmark(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "alert_latency: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn benchmark(args: &Args) -> anyhow::Result<()> {
    let topic = format!("bench-alerts-{}", now_ms());
    preload::create_topics(&args.brokers, &[(&topic, 4), (&format!("{topic}.dead"), 1)])?;
    let (url, arrived) = receiver()?;
    let config = format!(
        "[budgets]\nfile = \"budgets.toml\"\n[notify]\nallow_private_addresses = true\ndefault_channels = [\"hook\"]\n\
         [[notify.channels]]\nkind = \"webhook\"\nname = \"hook\"\nurl = \"{url}\"\n"
    );
    let files = [("budgets.toml", BUDGETS.to_owned()), ("spendstream.toml", config)];
    let setup = Setup { binary: &args.binary, brokers: &args.brokers, topic: &topic, keys: &[], files: &files };
    let mut instance = Instance::start(&setup)?;
    let mut table = String::from("| events/s | alerts | p50 | p90 | p99 | longest |\n|---|---|---|---|---|---|\n");
    let (mut first, mut read) = (0, 0);
    // The first row warms up: totals are read from the empty lake, connections are made.
    for (row, rate) in [1_000].iter().chain(&args.rates).enumerate() {
        let stream = Stream::start(&args.brokers, &topic, *rate, first)?;
        let probes = if row == 0 { 20 } else { args.alerts * args.seconds };
        let sent = probe(args, &topic, row, probes)?;
        let times = latencies(sent, &arrived)
            .with_context(|| format!("at {rate} events/s; the pipeline's log:\n{}", instance.folder.log()))?;
        let streamed = stream.stop()?;
        first += streamed;
        read += streamed + probes;
        instance.wait_messages(read)?;
        if row == 0 {
            continue;
        }
        let at = |share| percentile(&times, share);
        let line =
            format!("| {rate} | {probes} | {:.0?} | {:.0?} | {:.0?} | {:.0?} |", at(500), at(900), at(990), at(1_000));
        table.push_str(&line);
        table.push('\n');
    }
    instance.process.terminate()?;
    instance.process.until(LIMIT, || Ok(false))?;
    Ok(std::io::stdout().write_all(table.as_bytes())?)
}

/// Sends events that exceed a budget of their own, at a steady pace; when each was handed over.
fn probe(args: &Args, topic: &str, row: usize, probes: u64) -> anyhow::Result<HashMap<String, Instant>> {
    let producer = producer(&args.brokers)?;
    let (started, mut sent) = (Instant::now(), HashMap::new());
    for number in 0..probes {
        let name = format!("p{row}-{number}");
        let event = format!(
            r#"{{"id":"{name}","time":{},"provider":"openai","model":"gpt-4o","tags":{{"probe":"{name}"}},"usage":{{"prompt_tokens":40000,"completion_tokens":0,"total_tokens":40000}}}}"#,
            now_ms()
        );
        sent.insert(name.clone(), Instant::now());
        let record = BaseRecord::to(topic).key(&name).payload(&event);
        ensure!(producer.send(record).is_ok(), "the producer's queue is full");
        while started.elapsed() < Duration::from_secs(1) * u32::try_from(number + 1)? / u32::try_from(args.alerts)? {
            producer.poll(Duration::from_millis(2));
        }
    }
    producer.flush(PATIENCE).context("waiting for acknowledgements")?;
    Ok(sent)
}

/// How long each took, sorted.
fn latencies(
    mut sent: HashMap<String, Instant>,
    arrived: &Receiver<(String, Instant)>,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(sent.len());
    while !sent.is_empty() {
        match arrived.recv_timeout(PATIENCE) {
            Ok((name, at)) => {
                // A second delivery of the same alert is no news.
                let sent = sent.remove(&name);
                times.extend(sent.map(|sent| at.saturating_duration_since(sent)));
            }
            Err(RecvTimeoutError::Timeout) => anyhow::bail!("{} alerts did not arrive", sent.len()),
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the receiver ended"),
        }
    }
    times.sort_unstable();
    Ok(times)
}

/// Takes webhooks: its address, and the probes whose alerts arrived.
fn receiver() -> anyhow::Result<(String, Receiver<(String, Instant)>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (sender, arrived) = sync_channel(10_000);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || take(stream, &sender));
        }
    });
    Ok((url, arrived))
}

fn take(stream: TcpStream, sender: &SyncSender<(String, Instant)>) -> anyhow::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some((_, body)) = http::message(&mut stream)? {
        let at = Instant::now();
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        for alert in body["alerts"].as_array().into_iter().flatten() {
            if let Some(name) = alert["scope"]["tags.probe"].as_str() {
                sender.send((name.to_owned(), at))?;
            }
        }
    }
    Ok(())
}
