//! A stock OpenTelemetry Collector: OTLP over HTTP in, its Kafka exporter out.

use std::process::Command;

use tempfile::TempDir;

use super::broker::Broker;
use super::components::Component;
use super::process::{Process, free_port};
use super::{http, wait};

/// A Collector; it ends when dropped.
pub struct Collector {
    address: String,
    process: Process,
    _folder: TempDir,
}

impl Collector {
    /// Starts one that writes spans to `topic` in `encoding` (`otlp_json` or `otlp_proto`).
    pub fn start(broker: &Broker, topic: &str, encoding: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let config = folder.path().join("collector.yaml");
        std::fs::write(&config, configuration(&address, &broker.address(), topic, encoding)).unwrap();
        let mut command = Command::new(Component::Collector.path().join("collector"));
        command.arg("--config").arg(&config);
        let mut process = Process::start("collector", &mut command, &folder.path().join("collector.log"));
        process.wait_for("that it is ready", |output| output.contains("Everything is ready").then_some(()));
        Self { address, process, _folder: folder }
    }

    /// Hands it an OTLP/JSON request, as an application's SDK would.
    pub fn send(&mut self, spans: &[u8]) {
        let answer = wait::until("the Collector takes the spans", || {
            assert!(self.process.ended().is_none(), "the Collector ended");
            http::post(&self.address, "/v1/traces", "application/json", spans)
        });
        assert_eq!(answer.0, 200, "the Collector's answer: {}", answer.1);
    }
}

fn configuration(address: &str, broker: &str, topic: &str, encoding: &str) -> String {
    format!(
        "receivers:
  otlp:
    protocols:
      http: {{ endpoint: '{address}' }}
exporters:
  kafka:
    brokers: ['{broker}']
    traces: {{ topic: '{topic}', encoding: {encoding} }}
    partition_traces_by_id: true
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces: {{ receivers: [otlp], exporters: [kafka] }}
"
    )
}
