//! `spendstream pipeline`.

use std::process::ExitCode;

use spendstream_pipeline::Running;
use spendstream_schemas::config::Config;

/// Consumes until Ctrl-C or SIGTERM, then commits what was read and ends with 0.
///
/// Reads `kafka.topic`, prices each event and writes the Delta table `usage` under `lake.uri`. `/metrics`, `/healthz`,
/// `/readyz` and `POST /v1/events` are served at `pipeline.listen`.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, config: Config) -> anyhow::Result<ExitCode> {
    super::runtime()?.block_on(async {
        let running = start(&config).await?;
        let failed = wait(&running).await?;
        running.stop().await?;
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}

/// Starts the pipeline and says where it listens.
pub async fn start(config: &Config) -> anyhow::Result<Running> {
    let running = spendstream_pipeline::start(config).await?;
    tracing::info!("pipeline listening on http://{}", running.listen_addr());
    Ok(running)
}

/// Waits for a signal (false) or for a stage that ended by itself (true).
pub async fn wait(running: &Running) -> anyhow::Result<bool> {
    let mut look = tokio::time::interval(std::time::Duration::from_secs(1));
    let stop = super::stop_signal();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            result = &mut stop => { result?; return Ok(false); }
            _ = look.tick() => if running.has_failed() { return Ok(true); }
        }
    }
}
