//! A child process with its output in a file: started, signalled, waited for, gone when dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{reaper, wait};

/// A running (or ended) process.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    over: bool,
}

impl Process {
    /// Starts `command` with stdout and stderr in `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("the log can be written");
        let err = out.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        reaper::watch(child.id());
        Self { name: name.to_owned(), child, log: log.to_owned(), over: false }
    }

    /// Everything it wrote so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until `read` finds what it looks for in the output; panics if the process ends first.
    pub fn wait_for<T>(&mut self, what: &str, read: impl Fn(&str) -> Option<T>) -> T {
        wait::until(&format!("{} says {what}", self.name), || {
            let ended = self.ended();
            let found = read(&self.output());
            let going = found.is_some() || ended.is_none();
            assert!(going, "{} ended ({ended:?}) before it said {what}:\n{}", self.name, self.tail());
            found
        })
    }

    /// `STOP`, `CONT`, `TERM`, `KILL`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.child.id())]).status().unwrap();
        assert!(sent.success() || signal == "KILL", "{} was not there to be sent {signal}", self.name);
    }

    /// Its exit status if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child can be waited for");
        if status.is_some() && !self.over {
            self.over = true;
            reaper::forget(self.child.id());
        }
        status
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait::until(&what, || self.ended())
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            self.child.kill().expect("a child can be killed");
            self.wait();
        }
    }

    /// The last lines of its output.
    pub fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<_> = output.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- end of the output of {}:\n{}", self.name, self.tail());
        }
        if self.ended().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
            reaper::forget(self.child.id());
        }
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().unwrap().port()
}
