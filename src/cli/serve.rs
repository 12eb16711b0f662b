//! `spendstream serve`: the query API until it is told to stop. Prints where it listens; never ingests.

use std::future::Future;
use std::process::ExitCode;

use anyhow::Context;
use spendstream_schemas::config::Config;
use tokio::signal::unix::{SignalKind, signal};

/// Arguments of `spendstream serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Address to listen on instead of `query.listen`; port 0 picks one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Address for clients that speak PostgreSQL instead of `query.pg_listen`; port 0 picks one, empty is none.
    #[arg(long, value_name = "ADDR")]
    pg_listen: Option<String>,
    /// The lake to serve instead of `lake.uri`.
    #[arg(long, value_name = "URI")]
    lake: Option<String>,
    /// Where budgets and alerts are kept, instead of `store.url`.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

pub fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    if let Some(listen) = args.listen {
        config.query.listen = listen;
    }
    if let Some(listen) = args.pg_listen {
        config.query.pg_listen = listen;
    }
    if let Some(uri) = args.lake {
        config.lake.read_elsewhere(uri);
    }
    if let Some(url) = args.store {
        config.store.url = url;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting threads")?;
    runtime.block_on(async {
        let stop = stop_signal()?;
        let running = spendstream_query_api::start(&config).await?;
        println!("query API on http://{} over {}", running.addr(), config.lake.uri);
        if let Some(postgres) = running.pg_addr() {
            println!("PostgreSQL on {postgres} (psql \"postgresql://me@{postgres}/spendstream\")");
        }
        stop.await;
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Resolves at Ctrl-C or SIGTERM; made before the server starts, so that neither is ever missed.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("watching for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("watching for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
