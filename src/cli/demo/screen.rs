//! What the demo shows while it runs: figures come in, a line that moves (on a terminal) or a line now and then goes out.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use spendstream_pipeline::Stats;

use crate::demo::live::{Live, Seen};

/// Time between two lines where a line cannot be written over.
const PLAIN_LINE: Duration = Duration::from_secs(5);

/// Standard output: one line that is written over on a terminal, plain lines now and then elsewhere.
pub struct Screen {
    terminal: bool,
    started: Instant,
    last: Instant,
    live: Live,
}

impl Screen {
    pub fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        Self { terminal, started: Instant::now(), last: Instant::now(), live: Live::default() }
    }

    /// Since the first event.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The figures of this moment, if it is time to show them.
    pub fn figures(&mut self, stats: &Stats) -> anyhow::Result<()> {
        let line = self.live.line(&seen(stats, self.elapsed()));
        if self.terminal {
            write!(std::io::stdout(), "\r{line}\x1b[K")?;
            return Ok(std::io::stdout().flush()?);
        }
        if self.last.elapsed() >= PLAIN_LINE {
            self.last = Instant::now();
            say(&line)?;
        }
        Ok(())
    }

    /// The last figures, which stay.
    pub fn end(&mut self, stats: &Stats) -> anyhow::Result<()> {
        let line = self.live.line(&seen(stats, self.elapsed()));
        self.line(&line)?;
        say("")
    }

    /// A line of its own.
    pub fn line(&self, text: &str) -> anyhow::Result<()> {
        say(&if self.terminal { format!("\r{text}\x1b[K") } else { text.to_owned() })
    }
}

fn seen(stats: &Stats, elapsed: Duration) -> Seen {
    Seen {
        elapsed,
        messages: stats.messages,
        committed_rows: stats.committed_rows,
        cost: stats.cost,
        unpriced: stats.unpriced,
        duplicates: stats.duplicates,
        rejected: stats.rejected,
    }
}

/// A line of standard output.
pub fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Whole seconds, or milliseconds below one.
pub fn duration(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} minutes", seconds / 60),
    }
}
