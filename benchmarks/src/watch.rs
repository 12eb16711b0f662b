//! Watches a process from outside (Linux): its time, processor time and memory come out, also after it ended.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// What a process took, from its start to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Took {
    pub wall: Duration,
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Most memory it ever had resident, bytes.
    pub peak_bytes: u64,
    /// Processor time by name of thread, numbers left out of the names.
    pub threads: BTreeMap<String, Duration>,
}

/// How often the process is looked at; what it does after the last look and before its end is not seen.
const LOOK: Duration = Duration::from_millis(10);
/// Its threads are looked at less often: that costs more.
const LOOKS_PER_THREAD_LOOK: u32 = 10;
/// The kernel counts processor time in hundredths of a second for every process (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// A child process under watch.
pub struct Watched {
    child: Child,
    started: Instant,
    folder: PathBuf,
    took: Took,
    looks: u32,
    /// Processor time by thread: a thread that ended keeps what it had.
    by_thread: BTreeMap<String, (String, Duration)>,
}

impl Watched {
    /// `started` is the moment just before it was spawned.
    pub fn new(child: Child, started: Instant) -> Self {
        let folder = PathBuf::from(format!("/proc/{}", child.id()));
        Self { child, started, folder, took: Took::default(), looks: 0, by_thread: BTreeMap::new() }
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What it took up to the last look; threads are left out.
    pub fn so_far(&self) -> &Took {
        &self.took
    }

    /// Looks once; `false` when the process has ended.
    ///
    /// # Errors
    /// When the process failed.
    pub fn look(&mut self) -> anyhow::Result<bool> {
        if let Some(status) = self.child.try_wait()? {
            if !status.success() {
                bail!("the process ended with {status}");
            }
            return Ok(false);
        }
        self.took.wall = self.started.elapsed();
        if let Some(cpu) = std::fs::read_to_string(self.folder.join("stat")).ok().as_deref().and_then(cpu_of) {
            self.took.cpu = self.took.cpu.max(cpu);
        }
        if let Some(peak) = std::fs::read_to_string(self.folder.join("status")).ok().as_deref().and_then(peak_of) {
            self.took.peak_bytes = self.took.peak_bytes.max(peak);
        }
        if self.looks.is_multiple_of(LOOKS_PER_THREAD_LOOK) {
            self.look_at_threads();
        }
        self.looks += 1;
        Ok(true)
    }

    fn look_at_threads(&mut self) {
        // A thread may end between two lines of this: then it is as it was at the look before.
        for task in std::fs::read_dir(self.folder.join("task")).into_iter().flatten().flatten() {
            if let Some((name, cpu)) = thread_of(&task.path()) {
                self.by_thread.insert(task.file_name().to_string_lossy().into_owned(), (name, cpu));
            }
        }
    }

    /// Waits until `done` says so or the process ends, looking all the time.
    ///
    /// # Errors
    /// When the process failed, or nothing of that happened within `limit`.
    pub fn until(&mut self, limit: Duration, mut done: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        while self.look()? {
            if done()? {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("it took more than {limit:?}");
            }
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }

    /// Asks it to stop (SIGTERM).
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn terminate(&self) -> anyhow::Result<()> {
        let id = self.child.id().to_string();
        let status = std::process::Command::new("kill").args(["-TERM", &id]).status().context("kill")?;
        if status.success() { Ok(()) } else { bail!("kill -TERM {id} gave {status}") }
    }

    /// Waits for its end; what it took as a whole.
    ///
    /// # Errors
    /// When it failed or did not end within `limit`.
    pub fn finish(mut self, limit: Duration) -> anyhow::Result<Took> {
        self.until(limit, || Ok(false))?;
        let mut took = std::mem::take(&mut self.took);
        for (name, cpu) in std::mem::take(&mut self.by_thread).into_values() {
            *took.threads.entry(name).or_default() += cpu;
        }
        Ok(took)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Ended already, or somebody failed: nothing of ours may go on running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fields 14 and 15 of `/proc/PID/stat`; the name in field 2 may hold anything, so count from its closing bracket.
fn cpu_of(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?);
    Some(TICK * (user + system))
}

/// Name without its number, and processor time, of `/proc/PID/task/TID`.
fn thread_of(task: &Path) -> Option<(String, Duration)> {
    let stat = std::fs::read_to_string(task.join("stat")).ok()?;
    let name = stat.split_once('(')?.1.rsplit_once(')')?.0;
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || "-:/".contains(c));
    Some((name.to_owned(), cpu_of(&stat)?))
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{cpu_of, peak_of};

    #[test]
    fn reads_what_the_kernel_writes() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 150 25 7 8 20 0 4 0 99";
        assert_eq!(cpu_of(stat), Some(Duration::from_millis(1_750)));
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t   2048 kB\n"), Some(2_097_152));
        assert_eq!(peak_of("Name:\tx\n"), None);
    }
}
