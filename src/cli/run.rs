//! `spendstream run`.

use std::process::ExitCode;

use spendstream_schemas::config::Config;

/// The pipeline and the query API in one process, until Ctrl-C or SIGTERM.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, config: Config) -> anyhow::Result<ExitCode> {
    super::runtime()?.block_on(async {
        let pipeline = super::pipeline::start(&config).await?;
        let api = match spendstream_query_api::start(&config).await {
            Ok(api) => api,
            Err(error) => {
                // What was read meanwhile is committed, and no thread outlives the runtime.
                pipeline.stop().await?;
                return Err(error.into());
            }
        };
        tracing::info!("query API listening on http://{}", api.addr());
        if let Some(postgres) = api.pg_addr() {
            tracing::info!("query API listening on postgresql://{postgres}/spendstream");
        }
        let failed = super::pipeline::wait(&pipeline).await?;
        api.stop().await;
        pipeline.stop().await?;
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    })
}
