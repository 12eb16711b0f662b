//! Listens for clients that speak PostgreSQL. In: the configuration; out: sessions, up to `query.pg_connections` at a time.
//!
//! Stopping accepts nothing new, ends idle sessions with a word and lets running queries end within a bound.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use spendstream_control::gate::Gate;
use spendstream_schemas::config::Config;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::failure::Failure;
use super::session::{Session, Shared};
use super::socket::{End, halves};
use super::startup::{Door, refuse, wanted};
use crate::error::QueryError;
use crate::http::App;

/// A client must say who it is within this time.
const START_WITHIN: Duration = Duration::from_secs(10);
/// Connections beyond those that are let in, which are told so.
const REFUSED_AT_A_TIME: usize = 64;
/// After a failed accept: without files to open, the next would fail at once.
const PAUSE: Duration = Duration::from_millis(100);

/// A server that listens.
#[derive(Debug)]
pub struct PgServer {
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl PgServer {
    /// Answers clients of `listener`.
    ///
    /// # Errors
    /// When the listener has no address, or what clients look up cannot be made.
    pub fn start(listener: TcpListener, addr: SocketAddr, app: &Arc<App>, config: &Config) -> Result<Self, QueryError> {
        let (stop, stopping) = watch::channel(false);
        let shared = Arc::new(Shared {
            app: Arc::clone(app),
            catalog: Arc::new(app.engine.postgres()?),
            sessions: Arc::default(),
            max_bytes: config.query.pg_max_message_bytes,
            idle: config.query.pg_idle_timeout,
            stopping,
        });
        let door = Arc::new(Door { app: Arc::clone(app), mode: config.auth.mode, gate: Gate::default() });
        let places = Arc::new(Semaphore::new(config.query.pg_connections));
        let server = tokio::spawn(accept(listener, shared, door, places));
        Ok(Self { addr, stop, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops within `within`.
    pub async fn stop(mut self, within: Duration) {
        // A server that is gone already needs no telling.
        let _ = self.stop.send(true);
        if tokio::time::timeout(within, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, door: Arc<Door>, places: Arc<Semaphore>) {
    let refusals = Arc::new(Semaphore::new(REFUSED_AT_A_TIME));
    let mut stopping = shared.stopping.clone();
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => break,
            Some(_) = sessions.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (shared, door) = (Arc::clone(&shared), Arc::clone(&door));
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            sessions.spawn(async move {
                let _place = place;
                // A client that went away needs no answer.
                let _ = serve(stream, shared, &door).await;
            });
        } else if let Ok(place) = Arc::clone(&refusals).try_acquire_owned() {
            sessions.spawn(async move {
                let _place = place;
                let _ = tokio::time::timeout(START_WITHIN, turn_away(stream, &shared)).await;
            });
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, door: &Door) -> Result<(), End> {
    stream.set_nodelay(true)?;
    let patience = shared.app.engine.limits().timeout;
    let (mut incoming, mut outgoing) = halves(stream, shared.max_bytes, patience);
    let start = async {
        let Some(parameters) = wanted(&mut incoming, &mut outgoing, &shared.sessions).await? else { return Ok(None) };
        door.enter(&mut incoming, &mut outgoing, &parameters).await
    };
    let started = tokio::time::timeout(START_WITHIN, start).await.unwrap_or(Err(End::Gone));
    match started {
        Ok(Some(settings)) => Session::new(shared, incoming, outgoing, settings).run().await,
        Ok(None) => Ok(()),
        Err(End::Malformed(why)) => refuse(&mut outgoing, &Failure::protocol(&why)).await,
        Err(gone) => Err(gone),
    }
}

/// Tells a client that there are too many; one that wants to cancel a query may.
async fn turn_away(stream: TcpStream, shared: &Shared) -> Result<(), End> {
    let (mut incoming, mut outgoing) = halves(stream, shared.max_bytes, START_WITHIN);
    if wanted(&mut incoming, &mut outgoing, &shared.sessions).await?.is_some() {
        let text = "query.pg_connections are all in use; close some, or raise it";
        refuse(&mut outgoing, &Failure::new("53300", text)).await?;
    }
    Ok(())
}
