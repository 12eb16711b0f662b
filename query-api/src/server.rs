//! Starts and stops the query API: in comes the configuration, out comes a running server and its address.
//!
//! Without keys it listens on loopback only. Stopping lets running requests end within a bound. Never starts ingest.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use spendstream_schemas::config::{AuthMode, Config};
use spendstream_storage::price_book::SourceError;
use spendstream_storage::privacy;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::budgets::sums::Sums;
use crate::control::ControlStore;
use crate::error::QueryError;
use crate::http::{self, App, Clock, spool};
use crate::metrics::Metrics;
use crate::pg::server::PgServer;
use crate::prices::Prices;
use crate::sql::engine::Engine;

/// How long a stop waits for requests that are being answered.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Why the query API did not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("{key} = '{address}' is no address; write host:port, such as 127.0.0.1:8080")]
    Address { key: &'static str, address: String },
    #[error(
        "{key} = {address} can be reached from other machines and auth.mode = none asks nobody who they are; \
         listen on a loopback address such as 127.0.0.1:{port}", port = .address.port()
    )]
    Open { key: &'static str, address: SocketAddr },
    #[error("cannot listen on {key} = {address}: {source}")]
    Bind { key: &'static str, address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Engine(#[from] QueryError),
    #[error(transparent)]
    Prices(#[from] SourceError),
    #[error("{0}")]
    Privacy(String),
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A query API that answers.
pub struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    postgres: Option<PgServer>,
    app: Arc<App>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Running").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Running {
    /// Where it listens; the port that was picked when 0 was asked for.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens for clients that speak PostgreSQL, if it does.
    #[must_use]
    pub fn pg_addr(&self) -> Option<SocketAddr> {
        self.postgres.as_ref().map(PgServer::addr)
    }

    /// Accepts nothing new, lets running requests end within five seconds, then stops them.
    pub async fn stop(mut self) {
        // A server that is gone already needs no telling.
        let _ = self.stop.send(());
        let postgres = async {
            if let Some(postgres) = self.postgres {
                postgres.stop(STOP_WITHIN).await;
            }
        };
        let (ended, ()) = tokio::join!(tokio::time::timeout(STOP_WITHIN, &mut self.server), postgres);
        match ended {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the query API ended with an error"),
            Ok(Err(error)) => tracing::error!(%error, "the query API's task failed"),
            Err(_) => self.server.abort(),
        }
        self.app.control.close().await;
    }
}

/// Starts the query API over the configured lake, which may come later.
///
/// # Errors
/// When the address is wrong, open to others without keys, or taken; when the lake's address or options are wrong.
pub async fn start(config: &Config) -> Result<Running, StartError> {
    let (listener, addr) = listen("query.listen", &config.query.listen, config.auth.mode).await?;
    let postgres = match config.query.pg_listen.as_str() {
        "" => None,
        address => Some(listen("query.pg_listen", address, config.auth.mode).await?),
    };
    let mode = config.auth.mode;
    let app = Arc::new(app(config, Arc::new(now))?);
    let serving = Arc::clone(&app);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        axum::serve(listener, http::router(serving, mode))
            .with_graceful_shutdown(async {
                // A dropped handle stops the server too.
                let _ = stopped.await;
            })
            .await
    });
    tracing::info!(%addr, lake = %config.lake.uri, "the query API listens");
    let postgres = postgres.map(|(listener, addr)| PgServer::start(listener, addr, &app, config)).transpose()?;
    if let Some(addr) = postgres.as_ref().map(PgServer::addr) {
        tracing::info!(%addr, "the query API listens for clients that speak PostgreSQL");
    }
    Ok(Running { addr, stop, server, postgres, app })
}

/// Binds the address of `key`, which others may only reach where they are asked for a key.
async fn listen(key: &'static str, address: &str, mode: AuthMode) -> Result<(TcpListener, SocketAddr), StartError> {
    let address = resolve(key, address).await?;
    if mode == AuthMode::None && !address.ip().is_loopback() {
        return Err(StartError::Open { key, address });
    }
    let failed = |source| StartError::Bind { key, address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

/// Everything that answers, before it listens.
pub(crate) fn app(config: &Config, clock: Clock) -> Result<App, StartError> {
    let control = Arc::new(ControlStore::new(&config.store.url));
    Ok(App {
        engine: Arc::new(Engine::open_with(config, &control)?),
        prices: Prices::open(config)?,
        metrics: Metrics::new()?,
        answers: spool::Limits::new(&config.query),
        control,
        sums: Sums::default(),
        directory: config.directory.clone(),
        pseudonyms: privacy::pseudonyms(&config.privacy).map_err(StartError::Privacy)?,
        currency: config.lake.currency.clone(),
        zone: config.reports.zone(),
        clock,
    })
}

#[expect(clippy::disallowed_methods, reason = "the edge at which the clock is read")]
fn now() -> DateTime<Utc> {
    Utc::now()
}

/// A literal address, or a name such as `localhost`.
async fn resolve(key: &'static str, listen: &str) -> Result<SocketAddr, StartError> {
    let unknown = || StartError::Address { key, address: listen.to_owned() };
    let mut addresses = tokio::net::lookup_host(listen).await.map_err(|_| unknown())?;
    addresses.next().ok_or_else(unknown)
}
