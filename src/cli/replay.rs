//! `spendstream replay`: sends dead letters, or a file of events, to the topic again. Reads one or the other, writes only to
//! `kafka.topic`. How far a whole replay of dead letters went is kept as offsets of the group `<kafka.group>.replay`, written when
//! every record is acknowledged; a replay that fails is repeated whole, and what was counted already is recognised by its id.

mod letters;
mod lines;
mod sender;
mod stretches;
mod verdict;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use spendstream_schemas::config::Config;
use spendstream_schemas::price_book::parse_instant;

use letters::{Letters, Wanted};
use sender::Sender;
use verdict::{Record, Skip};

/// How many skipped messages are named one by one.
const NAMED: usize = 20;

/// Send dead letters, or a file of events, to the topic again.
///
/// A replay goes on where the last whole one ended; Kafka forgets that `offsets.retention.minutes` (7 days unless set) after it,
/// and `--again` starts over. With --reason, --since, --limit or --dry-run nothing is remembered. Each letter is sent under its
/// own key, so that a repeat meets the first in one partition and is recognised by its id: replaying twice counts once, though what is
/// rejected again is set aside again. Letters of which only the beginning was kept cannot be sent and are listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  spendstream replay --dead-letters --dry-run
  spendstream replay --dead-letters --reason unknown_shape --since 2026-11-20
  spendstream replay --dead-letters --again
  spendstream replay --file events.ndjson
  zcat events.ndjson.gz | spendstream replay --file -")]
pub struct Args {
    /// From `kafka.dead_letter_topic` (the default).
    #[arg(long, conflicts_with = "file")]
    dead_letters: bool,
    /// From a file with one event per line; - reads standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only dead letters with this reason.
    #[arg(long, conflicts_with = "file")]
    reason: Option<String>,
    /// Only dead letters written at or after this date or RFC 3339 time.
    #[arg(long, value_name = "DATE", conflicts_with = "file")]
    since: Option<String>,
    /// Those too that an earlier replay sent.
    #[arg(long, conflicts_with = "file")]
    again: bool,
    /// Send at most so many.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Say what would be sent, send nothing.
    #[arg(long)]
    dry_run: bool,
}

/// What happened, for the last lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    /// Sent, or in a dry run what would be.
    sent: u64,
    /// Dead letters that were not asked for.
    filtered: u64,
    /// By reason of the letters that are sent.
    reasons: BTreeMap<String, u64>,
    skipped: BTreeMap<Skip, u64>,
    /// The first of the skipped ones, one line each.
    named: Vec<String>,
}

impl Count {
    fn skip(&mut self, place: &str, skip: Skip, detail: &str) {
        *self.skipped.entry(skip).or_insert(0) += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("skipped {place}: {skip}{detail}"));
        }
    }
}

pub fn run(args: Args, config: Config) -> anyhow::Result<ExitCode> {
    let since_millis = since_millis(&args)?;
    let mut sender = Sender::new(&config.kafka, args.dry_run)?;
    let mut count = Count::default();
    let limit = args.limit.unwrap_or(u64::MAX);
    let (read, letters) = if let Some(file) = &args.file {
        (lines::read(file, config.decode.max_message_bytes, limit, &mut sender, &mut count), None)
    } else {
        let wanted = Wanted { reason: args.reason.as_deref(), since_millis, limit, again: args.again };
        let mut letters = Letters::open(&config.kafka)?;
        (letters.read(&wanted, &mut sender, &mut count), Some(letters))
    };
    // What was sent before a failure is sent: wait for it and say so, whatever went wrong.
    let delivered = sender.finish();
    if delivered.is_ok() && (read.is_ok() || count.sent > 0) {
        report(&args, &config, &count);
    }
    read?;
    delivered?;
    if let Some(letters) = letters {
        println!("{}", remember(&args, &letters)?);
    }
    // A file is expected to be whole; letters that cannot be sent are expected to be there.
    let failed = args.file.is_some() && !count.skipped.is_empty();
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn since_millis(args: &Args) -> anyhow::Result<Option<i64>> {
    let Some(text) = args.since.as_deref() else { return Ok(None) };
    match parse_instant(text) {
        Some(micros) => Ok(Some(micros.div_euclid(1_000))),
        None => bail!("--since '{text}' is neither a date (2026-11-22) nor a time (2026-11-22T16:00:00Z)"),
    }
}

/// The option that makes this less than a whole replay.
fn partial(args: &Args) -> Option<&'static str> {
    let given = [
        ("--dry-run", args.dry_run),
        ("--reason", args.reason.is_some()),
        ("--since", args.since.is_some()),
        ("--limit", args.limit.is_some()),
    ];
    given.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
}

/// Remembers a whole replay, and says what the next one will do.
fn remember(args: &Args, letters: &Letters<'_>) -> anyhow::Result<String> {
    if let Some(option) = partial(args) {
        return Ok(format!("nothing is remembered with {option}: the next replay is the same as without this one"));
    }
    if letters.is_empty() {
        return Ok("there is none that was not replayed before; --again sends those too".to_owned());
    }
    letters.remember()?;
    Ok(format!("remembered by group {}: the next replay goes on from here, --again starts over", letters.group()))
}

/// Sends one record and shows progress.
fn send(record: &Record, sender: &mut Sender, count: &mut Count) -> anyhow::Result<()> {
    sender.send(record)?;
    count.sent += 1;
    if let Some(reason) = &record.reason {
        *count.reasons.entry(reason.clone()).or_insert(0) += 1;
    }
    Ok(())
}

fn report(args: &Args, config: &Config, count: &Count) {
    for line in &count.named {
        eprintln!("{line}");
    }
    let skipped: u64 = count.skipped.values().sum();
    if skipped > count.named.len() as u64 {
        eprintln!("… and {} more skipped", skipped - count.named.len() as u64);
    }
    for (reason, number) in &count.reasons {
        println!("{number:>10}  {reason}");
    }
    let verb = if args.dry_run { "would replay" } else { "replayed" };
    let what = if args.file.is_some() { "events" } else { "dead letters" };
    println!("{verb} {} {what} to {}{}", count.sent, config.kafka.topic, remainder(count));
}

/// What was not sent: `; skipped 2 (only its beginning was kept); left 3 that were not asked for`.
fn remainder(count: &Count) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (skip, number) in &count.skipped {
        // Writing to a text cannot fail.
        let _ = write!(text, "; skipped {number} ({skip})");
    }
    if count.filtered > 0 {
        let _ = write!(text, "; left {} that were not asked for", count.filtered);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Count, NAMED, Skip, remainder};

    #[test]
    fn the_last_line_says_everything() {
        let mut count = Count { sent: 3, filtered: 2, ..Count::default() };
        for place in 0..30 {
            count.skip(&place.to_string(), Skip::Truncated, "");
        }
        assert_eq!(count.named.len(), NAMED);
        assert_eq!(count.named[0], "skipped 0: only its beginning was kept");
        assert_eq!(remainder(&count), "; skipped 30 (only its beginning was kept); left 2 that were not asked for");
        assert_eq!(remainder(&Count::default()), "");
    }
}
