//! The end-to-end benchmark: a real broker and a release binary come in, a Markdown table goes out.
//!
//! Fills a topic, then in alternating rounds of one run: librdkafka alone reads it and throws the messages away; the pipeline
//! reads, decodes, prices and commits it to Parquet in a fresh lake. Both are processes of their own, both are timed from
//! their start to their end, and the lake must hold every event once or the benchmark fails.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use spendstream_benchmarks::instance::{Instance, LIMIT, Setup};
use spendstream_benchmarks::lake_log::{self, Written};
use spendstream_benchmarks::report::{Rounds, markdown, threads};
use spendstream_benchmarks::stream::now_ms;
use spendstream_benchmarks::watch::{Took, Watched};
use spendstream_benchmarks::{preload, raw};

/// Measure the pipeline beside raw consumption of the same topic.
#[derive(Clone, Debug, Parser)]
struct Args {
    /// Kafka brokers to use; topics of the benchmark are created there.
    #[arg(long, default_value = "127.0.0.1:9092")]
    brokers: String,
    /// The binary to measure, built with --release.
    #[arg(long, value_name = "FILE")]
    binary: PathBuf,
    #[arg(long, default_value_t = 2_000_000)]
    events: u64,
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A filled topic of an earlier run, to skip the filling.
    #[arg(long)]
    topic: Option<String>,
    /// Measure a third time without looking for duplicates.
    #[arg(long)]
    also_unwatched: bool,
    /// What the yardstick's own process is started with.
    #[arg(long, hide = true)]
    only_raw: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = match (&args.topic, args.only_raw) {
        (Some(topic), true) => raw::consume(&args.brokers, topic, args.events).map(drop),
        _ => benchmark(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("end_to_end: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn benchmark(args: &Args) -> anyhow::Result<()> {
    let topic = filled(args)?;
    let mut all = vec![named("librdkafka, messages thrown away"), named("spendstream, committed to Parquet")];
    if args.also_unwatched {
        all.push(named("spendstream, duplicates not watched"));
    }
    for round in 1..=args.rounds {
        for (place, one) in all.iter_mut().enumerate() {
            let took = if place == 0 {
                raw_round(args, &topic)?
            } else {
                let (took, written) = pipeline_round(args, &topic, place == 1)?;
                one.written = Some(written);
                took
            };
            say(&format!("round {round}, {}: {took:?}", one.name));
            one.took.push(took);
        }
    }
    print(&format!("{}\n{}", markdown(args.events, &all), threads(&all)))
}

fn named(name: &str) -> Rounds {
    Rounds { name: name.to_owned(), ..Rounds::default() }
}

/// The name of a topic with all events.
fn filled(args: &Args) -> anyhow::Result<String> {
    if let Some(topic) = &args.topic {
        return Ok(topic.clone());
    }
    let start_ms = now_ms();
    let topic = format!("bench-{start_ms}");
    preload::create_topics(&args.brokers, &[(&topic, args.partitions), (&format!("{topic}.dead"), 1)])?;
    let started = Instant::now();
    // In the past, so that no event is ahead of its message.
    let first = start_ms - i64::try_from(args.events)?;
    let bytes = preload::fill(&args.brokers, &topic, args.events, first)?;
    let (events, each) = (args.events, bytes / args.events.max(1));
    say(&format!("topic {topic}: {events} events of {each} bytes in {:?}", started.elapsed()));
    Ok(topic)
}

fn raw_round(args: &Args, topic: &str) -> anyhow::Result<Took> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--only-raw", "--topic", topic, "--brokers", &args.brokers]);
    command.args(["--events", &args.events.to_string(), "--binary", "-"]);
    let started = Instant::now();
    Watched::new(command.spawn()?, started).finish(LIMIT).context("raw consumption")
}

fn pipeline_round(args: &Args, topic: &str, watched: bool) -> anyhow::Result<(Took, Written)> {
    let horizon = [("DECODE__DUPLICATE_HORIZON", "0")];
    let keys = if watched { &horizon[..0] } else { &horizon[..] };
    let setup = Setup { binary: &args.binary, brokers: &args.brokers, topic, keys, files: &[] };
    let mut instance = Instance::start(&setup)?;
    instance.wait_messages(args.events)?;
    instance.process.terminate()?;
    let (took, folder) = instance.finish()?;
    let log = folder.log();
    let written = lake_log::written(&folder.table()).with_context(|| log.clone())?;
    ensure!(written.rows == args.events, "the lake has {} rows of {} events\n{log}", written.rows, args.events);
    Ok((took, written))
}

fn say(text: &str) {
    // Progress for whoever watches; when nobody does, nothing is lost.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
