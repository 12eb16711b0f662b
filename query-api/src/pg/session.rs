//! One client that was let in. In: its messages; out: their answers, in order, until it leaves, is idle for too long, or the server stops.
//!
//! Keeps what the client prepared and set, and whether a transaction is open: one that only reads has nothing to undo, but a failed statement
//! fails the rest of it, as drivers expect.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::cancel::{Place, Sessions};
use super::catalog::PgCatalog;
use super::extended::{Portal, Prepared};
use super::failure::Failure;
use super::message::Message;
use super::own;
use super::reply::{self, Severity, Transaction};
use super::run::Stopped;
use super::settings::Settings;
use super::socket::{End, Incoming, Outgoing};
use super::statement::{Statement, split, statement, tag};
use super::types::columns;
use crate::http::App;

/// What all sessions of a server have in common.
pub(super) struct Shared {
    pub app: Arc<App>,
    pub catalog: Arc<PgCatalog>,
    pub sessions: Arc<Sessions>,
    pub max_bytes: usize,
    pub idle: Duration,
    pub stopping: watch::Receiver<bool>,
}

/// See the module.
pub(super) struct Session {
    pub shared: Arc<Shared>,
    pub place: Place,
    pub incoming: Incoming,
    pub outgoing: Outgoing,
    pub settings: Settings,
    pub transaction: Transaction,
    pub statements: HashMap<String, Arc<Prepared>>,
    pub portals: HashMap<String, Portal>,
    /// When the running query's own limit is over.
    pub until: Option<Instant>,
    /// After a failure, up to the next Sync.
    pub skipping: bool,
}

impl Session {
    pub fn new(shared: Arc<Shared>, incoming: Incoming, outgoing: Outgoing, settings: Settings) -> Self {
        Self {
            place: shared.sessions.enter(),
            shared,
            incoming,
            outgoing,
            settings,
            transaction: Transaction::Idle,
            statements: HashMap::new(),
            portals: HashMap::new(),
            until: None,
            skipping: false,
        }
    }

    /// Says hello and answers until the end.
    pub async fn run(mut self) -> Result<(), End> {
        let out = &mut self.outgoing.buffer;
        reply::welcome(out);
        self.settings.reported().for_each(|(name, value)| reply::setting(out, name, &value));
        reply::cancel_key(out, self.place.process, self.place.secret);
        self.ready().await?;
        loop {
            let message = match self.next().await {
                Err(End::Malformed(why)) => return self.leave(&Failure::protocol(&why)).await,
                message => message?,
            };
            match message {
                Message::Terminate => return Ok(()),
                Message::Query(sql) => {
                    self.skipping = false;
                    self.simple(&sql).await?;
                }
                Message::Sync => self.sync().await?,
                _ if self.skipping => {}
                Message::Other(kind) => {
                    let text = format!("messages of type '{}' are not spoken here", kind.escape_ascii());
                    return self.leave(&Failure::protocol(&text)).await;
                }
                message => {
                    let answered = self.extended(message).await;
                    self.skipping = self.told(answered)?;
                }
            }
        }
    }

    /// Ends with an error.
    async fn leave(mut self, failure: &Failure) -> Result<(), End> {
        reply::failure(&mut self.outgoing.buffer, Severity::Fatal, failure);
        self.outgoing.send().await
    }

    pub(super) async fn ready(&mut self) -> Result<(), End> {
        reply::ready(&mut self.outgoing.buffer, self.transaction);
        self.outgoing.send().await
    }

    /// The next message. Meanwhile rows that nobody fetches lose their place when their time is over.
    async fn next(&mut self) -> Result<Message, End> {
        let idle = Instant::now() + self.shared.idle;
        let mut stopping = self.shared.stopping.clone();
        loop {
            let until = self.portals.values().filter_map(Portal::deadline).min().map_or(idle, |over| over.min(idle));
            tokio::select! {
                message = self.incoming.next() => return message,
                () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => {
                    return self.gone("57P01", "the server is stopping; connect again").await;
                }
                () = tokio::time::sleep_until(until) => {}
            }
            let now = Instant::now();
            if now >= idle {
                return self.gone("57P05", "the session was idle for query.pg_idle_timeout; connect again").await;
            }
            self.portals.values_mut().for_each(|portal| portal.expire(now));
        }
    }

    async fn gone(&mut self, code: &'static str, text: &str) -> Result<Message, End> {
        reply::failure(&mut self.outgoing.buffer, Severity::Fatal, &Failure::new(code, text));
        self.outgoing.send().await?;
        Err(End::Gone)
    }

    /// Tells a failure to the client, and fails the transaction. Gives whether there was one.
    pub(super) fn told(&mut self, answered: Result<(), Stopped>) -> Result<bool, End> {
        match answered {
            Ok(()) => Ok(false),
            Err(Stopped::End(end)) => Err(end),
            Err(Stopped::Failure(failure)) => {
                reply::failure(&mut self.outgoing.buffer, Severity::Error, &failure);
                if self.transaction == Transaction::Open {
                    self.transaction = Transaction::Failed;
                }
                Ok(true)
            }
        }
    }

    /// Refuses what a failed transaction may not do.
    pub(super) fn allowed(&self, statement: &Statement) -> Result<(), Failure> {
        let ends = matches!(statement, Statement::Commit | Statement::Rollback | Statement::Nothing("ROLLBACK"));
        if self.transaction == Transaction::Failed && !ends { Err(Failure::failed_transaction()) } else { Ok(()) }
    }

    /// A text of one statement or several, answered in text; the first that fails is the last.
    async fn simple(&mut self, sql: &str) -> Result<(), End> {
        let statements = split(sql);
        if statements.is_empty() {
            reply::empty_statement(&mut self.outgoing.buffer);
        }
        for one in statements {
            let answered = self.one(one).await;
            if self.told(answered)? {
                break;
            }
        }
        if self.transaction == Transaction::Idle {
            self.portals.clear();
        }
        self.ready().await
    }

    async fn one(&mut self, sql: &str) -> Result<(), Stopped> {
        let kind = statement(sql);
        self.allowed(&kind)?;
        if kind == Statement::Query {
            let mut rows = self.ask(sql, Vec::new(), &[]).await?;
            reply::columns(&mut self.outgoing.buffer, rows.columns());
            let (sent, _) = self.stream(&mut rows, 0).await?;
            reply::done(&mut self.outgoing.buffer, &format!("{} {sent}", tag(sql)));
            return Ok(());
        }
        let told = self.own(&kind)?;
        if let Some(schema) = own::schema(&kind) {
            reply::columns(&mut self.outgoing.buffer, &columns(&schema, &[]));
        }
        self.tell(&told);
        Ok(())
    }

    /// The rows and the end of a statement of the session.
    pub(super) fn tell(&mut self, told: &own::Told) {
        let out = &mut self.outgoing.buffer;
        for row in &told.rows {
            reply::row(out, row.len(), |out| {
                for text in row {
                    reply::value(out, |out| {
                        out.extend_from_slice(text.as_bytes());
                        true
                    });
                }
            });
        }
        reply::done(out, told.tag);
    }
}
