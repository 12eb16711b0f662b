//! `spendstream pipeline`: one topic, group and lake per scenario, any number of instances, each with a log of its own.

use std::cell::Cell;
use std::path::PathBuf;

use tempfile::TempDir;

use super::broker::Broker;
use super::lake::{Lake, command};
use super::process::Process;
use super::{http, topics, wait};

/// What the instances of a scenario have in common.
pub struct Setup {
    pub topic: String,
    pub dead: String,
    pub group: String,
    pub partitions: i32,
    variables: Vec<(String, String)>,
    folder: TempDir,
    started: Cell<u32>,
}

impl Setup {
    /// Creates the topic `name` with `partitions` and `name.dead`, and leads instances from there to `lake`.
    pub fn new(broker: &Broker, name: &str, partitions: i32, lake: &Lake) -> Self {
        let (topic, dead, group) = (name.to_owned(), format!("{name}.dead"), format!("{name}.group"));
        topics::create(broker, &topic, partitions);
        topics::create(broker, &dead, 1);
        let mut setup = Self {
            topic: topic.clone(),
            dead: dead.clone(),
            group: group.clone(),
            partitions,
            variables: lake.variables(),
            folder: tempfile::tempdir().unwrap(),
            started: Cell::new(0),
        };
        setup.set("KAFKA__BROKERS", broker.address());
        setup.set("KAFKA__TOPIC", topic);
        setup.set("KAFKA__DEAD_LETTER_TOPIC", dead);
        setup.set("KAFKA__GROUP", group);
        // Scenarios that need them make them.
        for topic in ["KAFKA__ALERTS_TOPIC", "KAFKA__TOTALS_TOPIC", "KAFKA__HOLDS_TOPIC"] {
            setup.set(topic, "");
        }
        setup.set("LAKE__COMMIT_INTERVAL", "200ms");
        setup.set("PIPELINE__LISTEN", "127.0.0.1:0");
        // Members of a killed instance would otherwise hold its partitions for 45 s.
        setup.set("KAFKA__CLIENT__SESSION_TIMEOUT_MS", "6000");
        setup
    }

    /// Sets a key for the instances started from now on: `LAKE__COMMIT_INTERVAL`.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.variables.push((format!("SPENDSTREAM__{key}"), value.into()));
    }

    /// Writes a file into the folder that instances start in: `spendstream.toml`, a budget file.
    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Starts an instance; it may not be ready yet.
    pub fn start(&self) -> Instance {
        self.start_as(&["pipeline"])
    }

    /// Starts another subcommand that goes on until it is stopped.
    pub fn start_as(&self, args: &[&str]) -> Instance {
        self.started.set(self.started.get() + 1);
        let log = self.folder.path().join(format!("instance-{}.log", self.started.get()));
        let mut command = command(self.folder.path());
        command.args(args).envs(self.variables.iter().cloned());
        let name = format!("{} {}", args.join(" "), self.started.get());
        Instance { process: Process::start(&name, &mut command, &log), log }
    }

    /// Starts another subcommand with the same configuration, which runs on; its output is in `NAME.log`.
    pub fn command(&self, name: &str, args: &[&str]) -> Process {
        let mut command = command(self.folder.path());
        command.args(args).envs(self.variables.iter().cloned());
        Process::start(name, &mut command, &self.folder.path().join(format!("{name}.log")))
    }

    /// Starts an instance and waits until it is ready.
    pub fn start_ready(&self) -> Instance {
        let mut instance = self.start();
        instance.wait_ready();
        instance
    }

    /// Runs another subcommand with the same configuration and returns what it wrote; it must succeed.
    pub fn run(&self, args: &[&str]) -> String {
        let mut command = command(self.folder.path());
        let output = command.args(args).envs(self.variables.iter().cloned()).output().expect("the binary starts");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "spendstream {args:?}: {said}");
        said
    }

    /// All that all instances wrote.
    pub fn logs(&self) -> String {
        let log = |number: u32| self.folder.path().join(format!("instance-{number}.log"));
        (1..=self.started.get()).map(|number| std::fs::read_to_string(log(number)).unwrap_or_default()).collect()
    }
}

/// A running `spendstream pipeline`.
pub struct Instance {
    pub process: Process,
    log: PathBuf,
}

impl Instance {
    /// Waits until `/readyz` says yes.
    pub fn wait_ready(&mut self) {
        let address = self.address();
        wait::until("the instance is ready", || {
            self.assert_alive();
            (http::get(&address, "/readyz")?.0 == 200).then_some(())
        });
    }

    /// Waits until the lake has so many rows. More would never become fewer: comparing says later what is double.
    pub fn wait_rows(&mut self, lake: &Lake, rows: u64) {
        wait::until(&format!("{rows} rows in the lake"), || {
            self.assert_alive();
            (lake.count() >= rows).then_some(())
        });
    }

    /// It has not ended by itself.
    pub fn assert_alive(&mut self) {
        let ended = self.process.ended();
        assert!(ended.is_none(), "the instance ended ({ended:?}):\n{}", self.process.tail());
    }

    /// Where it listens, from its own words.
    pub fn address(&mut self) -> String {
        self.process.wait_for("where it listens", |output| {
            let (_, rest) =
                output.split_once("listening on http://").or_else(|| output.split_once("query API on http://"))?;
            Some(rest.split_whitespace().next()?.to_owned())
        })
    }

    /// The status of `/readyz` at the moment.
    pub fn readiness(&mut self) -> Option<u16> {
        let address = self.address();
        Some(http::get(&address, "/readyz")?.0)
    }

    /// `/metrics` as text.
    pub fn metrics(&mut self) -> String {
        let address = self.address();
        wait::until("metrics", || http::get(&address, "/metrics")).1
    }

    /// The sum of the series of a metric whose labels contain all of `labels`.
    pub fn metric(&mut self, name: &str, labels: &[&str]) -> u64 {
        let metrics = self.metrics();
        let series = metrics.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
                && labels.iter().all(|label| line.contains(label))
        });
        series.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().expect("a counter is whole")).sum()
    }

    /// SIGTERM; it must commit what it has and end with 0.
    pub fn stop(mut self) {
        self.process.signal("TERM");
        let status = self.process.wait();
        assert_eq!(status.code(), Some(0), "a graceful stop:\n{}", self.process.tail());
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}
