//! Stock software that reports calls over HTTP, configured as its documentation says: the `LiteLLM` proxy, and an application with
//! the OpenTelemetry SDK.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::components::Component;
use super::process::{Process, free_port};
use super::{http, wait};

const KEY: &str = "sk-SECRET-KEY-of-the-proxy-0123456789";

/// A `LiteLLM` proxy whose generic API callback posts to us; it ends when dropped.
pub struct LiteLlm {
    address: String,
    process: Process,
    _folder: TempDir,
}

impl LiteLlm {
    /// Starts one before `upstream` that reports to `events` (a URL) as soon as it has `batch` calls to report, and not before:
    /// calls that end while it waits for an answer are lost by its own doing.
    pub fn start(upstream: &str, events: &str, batch: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, configuration(upstream, events)).unwrap();
        let mut command = python(folder.path(), "litellm");
        command.arg("--config").arg(&config).args([
            "--host",
            "127.0.0.1",
            "--port",
            address.rsplit(':').next().unwrap(),
        ]);
        command.env("LITELLM_MASTER_KEY", KEY).env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
        command.env("DEFAULT_BATCH_SIZE", batch.to_string()).env("DEFAULT_FLUSH_INTERVAL_SECONDS", "3600");
        let process = Process::start("litellm", &mut command, &folder.path().join("litellm.log"));
        let mut proxy = Self { address, process, _folder: folder };
        wait::until("the LiteLLM proxy answers", || {
            assert!(proxy.process.ended().is_none(), "the proxy ended:\n{}", proxy.process.tail());
            (http::get(&proxy.address, "/health/liveliness")?.0 == 200).then_some(())
        });
        proxy
    }

    /// One chat completion of alice's, whose prompt must be nowhere afterwards.
    pub fn chat(&self, model: &str, stream: bool) {
        let body = format!(
            r#"{{"model":"{model}","stream":{stream},"user":"alice","messages":[{{"role":"user","content":"SECRET-PROMPT"}}]}}"#
        );
        let key = format!("Bearer {KEY}");
        let headers = [("Content-Type", "application/json"), ("Authorization", key.as_str())];
        let (status, said) = http::post_once(&self.address, "/v1/chat/completions", &headers, body.as_bytes())
            .unwrap_or_else(|| panic!("the proxy does not answer:\n{}", self.process.tail()));
        assert_eq!(status, 200, "{said}");
    }
}

fn configuration(upstream: &str, events: &str) -> String {
    let model = |name: &str| {
        format!(
            "  - model_name: {name}
    litellm_params: {{ model: openai/{name}, api_base: '{upstream}', api_key: sk-SECRET-KEY }}
"
        )
    };
    format!(
        "model_list:
{}{}litellm_settings:
  callbacks: [spendstream]
  telemetry: false
callback_settings:
  spendstream:
    callback_type: generic_api
    endpoint: '{events}'
    headers: {{}}
    max_retries: 5
",
        model("gpt-4o"),
        model("gpt-4o-mini"),
    )
}

/// Runs `otel_app.py` to its end: it makes its calls to `upstream` and exports its spans to `intake` (`http://host:port`).
pub fn run_otel_app(upstream: &str, intake: &str, compression: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = python(folder.path(), "python");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/otel_app.py"));
    command.env("OPENAI_BASE_URL", upstream).env("OPENAI_API_KEY", "sk-SECRET-KEY");
    command.env("OTEL_SERVICE_NAME", "search-app").env("OTEL_EXPORTER_OTLP_ENDPOINT", intake);
    command.env("OTEL_EXPORTER_OTLP_COMPRESSION", compression);
    command.env("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
    let output = command.output().expect("python starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "otel_app.py: {said}");
    // The exporter reports what it could not deliver on standard error and goes on.
    assert_eq!(said, "", "otel_app.py has something to say");
}

/// A program of the component, with nothing of the environment but `PATH`.
fn python(folder: &Path, program: &str) -> Command {
    let mut command = Command::new(Component::Emitters.path().join("bin").join(program));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder);
    command.current_dir(folder);
    command
}
