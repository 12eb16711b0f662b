//! A real Apache Kafka broker (`KRaft`, one node, loopback, a free port, a temporary folder).

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use super::components::Component;
use super::process::{Process, free_port};
use super::{topics, wait};

const CLUSTER_ID: &str = "c3BlbmRzdHJlYW0tdGVzdA";

/// Who may use the secured listener, and its password.
pub const USER: (&str, &str) = ("pipeline", "s3cret-w0rd");

/// A broker; it ends when dropped.
pub struct Broker {
    port: u16,
    folder: TempDir,
    process: Process,
}

/// The broker that scenarios share: each uses topics and groups of its own.
pub fn shared() -> &'static Broker {
    static SHARED: OnceLock<Broker> = OnceLock::new();
    SHARED.get_or_init(Broker::start)
}

impl Broker {
    /// Formats a folder, starts a broker on it, waits until it answers.
    pub fn start() -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let properties = properties(port, free_port(), &folder);
        Self::with(port, folder, &properties)
    }

    /// One that also listens with TLS and SASL (PLAIN) for [`USER`]: the broker, that listener's address and the certificate to trust.
    pub fn start_secured() -> (Self, String, PathBuf) {
        let (port, secured, folder) = (free_port(), free_port(), tempfile::tempdir().unwrap());
        let (store, certificate) = (folder.path().join("server.pem"), folder.path().join("certificate.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
            .arg(&store)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl starts");
        assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        let both = std::fs::read_to_string(&store).unwrap() + &std::fs::read_to_string(&certificate).unwrap();
        std::fs::write(&store, both).unwrap();
        let plain = properties(port, free_port(), &folder);
        let address = format!("127.0.0.1:{secured}");
        let with_listener = plain
            .replace("\nadvertised", &format!(",SECURED://{address}\nadvertised"))
            .replace("\nlistener.security", &format!(",SECURED://{address}\nlistener.security"))
            .replace("\nlog.dirs", ",SECURED:SASL_SSL\nlog.dirs");
        let (user, password) = USER;
        let secured = format!(
            "ssl.keystore.type=PEM
ssl.keystore.location={}
sasl.enabled.mechanisms=PLAIN
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
user_{user}=\"{password}\";
",
            store.display()
        );
        (Self::with(port, folder, &(with_listener + &secured)), address, certificate)
    }

    fn with(port: u16, folder: TempDir, properties: &str) -> Self {
        std::fs::write(folder.path().join("server.properties"), properties).unwrap();
        let format = java(&folder, &["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]).output().unwrap();
        assert!(format.status.success(), "formatting the broker's folder: {}", String::from_utf8_lossy(&format.stderr));
        let process = run(&folder);
        let mut broker = Self { port, folder, process };
        broker.wait_ready();
        broker
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A client of it.
    pub fn consumer(&self) -> BaseConsumer {
        let client = topics::client(&self.address());
        client.create().expect("a client can be made")
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts again on the same folder and port.
    pub fn restart(&mut self) {
        self.process = run(&self.folder);
        self.wait_ready();
    }

    fn wait_ready(&mut self) {
        let client = self.consumer();
        wait::until("the broker answers", || {
            assert!(self.process.ended().is_none(), "the broker ended:\n{}", self.process.tail());
            let metadata = client.fetch_metadata(None, Duration::from_millis(500)).ok()?;
            (!metadata.brokers().is_empty()).then_some(())
        });
    }
}

fn run(folder: &TempDir) -> Process {
    Process::start("kafka", &mut java(folder, &["kafka.Kafka"]), &folder.path().join("broker.log"))
}

/// `java … CLASS ARGS FOLDER/server.properties`.
fn java(folder: &TempDir, args: &[&str]) -> Command {
    let libs: PathBuf = Component::Kafka.path().join("libs/*");
    let mut command = Command::new("java");
    command.args(["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(libs).args(args);
    command.arg(folder.path().join("server.properties"));
    command
}

fn properties(port: u16, controller: u16, folder: &TempDir) -> String {
    let data = folder.path().join("data");
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
num.partitions=1
",
        data = data.display()
    )
}
