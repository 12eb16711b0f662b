//! A pipeline under test: a binary, a topic and a configuration file come in, a running process on a fresh lake comes out.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::TempDir;

use crate::http::Client;
use crate::watch::{Took, Watched};

/// Nothing here takes longer unless something is broken.
pub const LIMIT: Duration = Duration::from_mins(10);

/// What is started.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    pub binary: &'a Path,
    pub brokers: &'a str,
    pub topic: &'a str,
    /// Further keys: `DECODE__DUPLICATE_HORIZON`.
    pub keys: &'a [(&'a str, &'a str)],
    /// Files of its folder: `spendstream.toml`, what that names.
    pub files: &'a [(&'a str, String)],
}

/// A process at work.
pub struct Instance {
    pub process: Watched,
    /// Where it listens, `host:port`.
    pub address: String,
    pub folder: Folder,
}

/// Where it works: its lake and its log.
pub struct Folder(TempDir);

impl Folder {
    /// Its table `usage`.
    #[must_use]
    pub fn table(&self) -> PathBuf {
        self.0.path().join("lake/usage")
    }

    /// What it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.0.path().join("log")).unwrap_or_default()
    }
}

impl Instance {
    /// Starts it.
    ///
    /// # Errors
    /// When the binary cannot be started.
    pub fn start(setup: &Setup<'_>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, text) in setup.files {
            std::fs::write(folder.path().join(name), text)?;
        }
        let address = format!("127.0.0.1:{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let lake = format!("file://{}/lake", folder.path().display());
        let group = format!("{}-{}", setup.topic, folder.path().file_name().unwrap_or_default().to_string_lossy());
        let dead = format!("{}.dead", setup.topic);
        let mut command = Command::new(setup.binary);
        command.arg("pipeline").current_dir(folder.path());
        // One instance: what several tell one another costs nothing then, and the topics for it are not there.
        let own = [
            ("KAFKA__BROKERS", setup.brokers),
            ("KAFKA__TOPIC", setup.topic),
            ("KAFKA__DEAD_LETTER_TOPIC", &dead),
            ("KAFKA__ALERTS_TOPIC", ""),
            ("KAFKA__TOTALS_TOPIC", ""),
            ("KAFKA__HOLDS_TOPIC", ""),
            ("KAFKA__GROUP", &group),
            ("LAKE__URI", &lake),
            ("PIPELINE__LISTEN", &address),
        ];
        for (key, value) in own.iter().chain(setup.keys) {
            command.env(format!("SPENDSTREAM__{key}"), value);
        }
        command.stdout(Stdio::null()).stderr(std::fs::File::create(folder.path().join("log"))?);
        let started = Instant::now();
        let child = command.spawn().with_context(|| setup.binary.display().to_string())?;
        Ok(Self { process: Watched::new(child, started), address, folder: Folder(folder) })
    }

    /// Waits until it has read so many messages.
    ///
    /// # Errors
    /// When it ends before that.
    pub fn wait_messages(&mut self, messages: u64) -> anyhow::Result<()> {
        let (address, mut next) = (self.address.clone(), Instant::now());
        let read_all = || {
            if Instant::now() < next {
                return Ok(false);
            }
            next = Instant::now() + Duration::from_millis(50);
            Ok(counter(&address, "spendstream_messages_total").unwrap_or(0) >= messages)
        };
        let waited = self.process.until(LIMIT, read_all);
        waited.with_context(|| format!("the pipeline; its log:\n{}", self.folder.log()))
    }

    /// Waits for its end; what it took, and what it left.
    ///
    /// # Errors
    /// When it failed.
    pub fn finish(self) -> anyhow::Result<(Took, Folder)> {
        let Self { process, folder, .. } = self;
        let took = process.finish(LIMIT).with_context(|| format!("the pipeline; its log:\n{}", folder.log()))?;
        Ok((took, folder))
    }
}

/// A counter without labels, by `/metrics`; `None` while nobody answers.
#[must_use]
pub fn counter(address: &str, name: &str) -> Option<u64> {
    let text = String::from_utf8(Client::new(address).ok()?.get("/metrics").ok()?).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}
