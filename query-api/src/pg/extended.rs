//! Prepared statements: Parse, Bind, Describe, Execute, Close, Sync. In: one of these messages; out: its answer, or a failure after which all
//! are skipped up to the next Sync.
//!
//! A statement is planned when it is parsed, so that its faults, parameters and columns are known; and again each time it runs, on the newest
//! version of the lake. A portal that was not fetched to its end holds its query's place until the query's time is over.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use tokio::time::Instant;

use super::failure::Failure;
use super::message::{Bind, Message, Target};
use super::reply::{self, Transaction};
use super::rows::Rows;
use super::run::Stopped;
use super::session::Session;
use super::socket::End;
use super::statement::{Statement, split, statement, tag};
use super::types::{self, Column, Format, Kind, columns};
use super::{own, parameters};

/// Portals of one session at a time.
const MOST_PORTALS: usize = 256;
/// Texts of one session's statements may have so many times the bytes of one message.
const STATEMENT_BYTES: usize = 4;
const NO_STATEMENT: &str = "26000";

/// A statement that was parsed.
#[derive(Debug)]
pub(super) struct Prepared {
    sql: String,
    statement: Statement,
    parameters: Vec<Parameter>,
    /// `None`: it gives no rows.
    schema: Option<Arc<Schema>>,
}

#[derive(Debug)]
struct Parameter {
    kind: DataType,
    oid: u32,
}

/// A statement with its values.
pub(super) struct Portal {
    prepared: Arc<Prepared>,
    values: Vec<ScalarValue>,
    formats: Vec<i16>,
    state: State,
}

enum State {
    Bound,
    Running(Box<Rows>),
    Ended,
    /// Its time was over before it was fetched to its end.
    Expired,
}

impl Portal {
    fn columns(&self) -> Option<Vec<Column>> {
        self.prepared.schema.as_ref().map(|schema| columns(schema, &self.formats))
    }

    /// When its query is ended.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Running(rows) => Some(rows.deadline()),
            _ => None,
        }
    }

    /// Ends its query if that is due, and gives its place to others.
    pub fn expire(&mut self, now: Instant) {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.state = State::Expired;
        }
    }
}

impl Session {
    pub(super) async fn extended(&mut self, message: Message) -> Result<(), Stopped> {
        match message {
            Message::Parse { name, sql, types } => self.parse(name, sql, &types).await,
            Message::Bind(bind) => self.bind(bind).map_err(Stopped::from),
            Message::Describe(target, name) => self.tell_columns(target, &name).map_err(Stopped::from),
            Message::Execute { portal, rows } => self.execute(portal, rows).await,
            Message::Close(target, name) => {
                match target {
                    Target::Statement => drop(self.statements.remove(&name)),
                    Target::Portal => drop(self.portals.remove(&name)),
                }
                reply::closed(&mut self.outgoing.buffer);
                Ok(())
            }
            Message::Flush => Ok(self.outgoing.send().await?),
            // COPY is refused; what a client sent of one before it knew is skipped.
            _ => Ok(()),
        }
    }

    pub(super) async fn sync(&mut self) -> Result<(), End> {
        self.skipping = false;
        if self.transaction == Transaction::Idle {
            self.portals.clear();
        }
        self.ready().await
    }

    async fn parse(&mut self, name: String, sql: String, oids: &[u32]) -> Result<(), Stopped> {
        if !name.is_empty() && self.statements.contains_key(&name) {
            return Err(Failure::new("42P05", &format!("the statement '{name}' is prepared already")).into());
        }
        let texts: usize = self.statements.values().map(|prepared| prepared.sql.len()).sum();
        if texts + sql.len() > self.shared.max_bytes.saturating_mul(STATEMENT_BYTES) {
            let why = "the session has prepared too much (query.pg_max_message_bytes); DEALLOCATE what is not needed";
            return Err(Failure::new("54000", why).into());
        }
        let parts = split(&sql);
        let one = match parts.as_slice() {
            [] => "",
            [one] => *one,
            _ => return Err(Failure::new("42601", "several statements cannot be prepared as one").into()),
        };
        let kind = statement(one);
        self.allowed(&kind)?;
        let (mut parameters, mut schema) = (Vec::new(), own::schema(&kind).map(Arc::new));
        if kind == Statement::Query {
            let given = oids.iter().map(|oid| types::parameter(*oid)).collect::<Result<Vec<_>, _>>();
            let given = given.map_err(unread)?;
            let described = self.describe(one, given).await?;
            let parameter = |(index, kind): (usize, DataType)| {
                let known = oids.get(index).copied().filter(|oid| !matches!(oid, 0 | 705));
                Parameter { oid: known.unwrap_or_else(|| Kind::of(&kind).oid()), kind }
            };
            parameters = described.parameters.into_iter().enumerate().map(parameter).collect();
            schema = Some(described.columns);
        }
        let prepared = Prepared { sql: one.to_owned(), statement: kind, parameters, schema };
        self.statements.insert(name, Arc::new(prepared));
        reply::parsed(&mut self.outgoing.buffer);
        Ok(())
    }

    fn bind(&mut self, bind: Bind) -> Result<(), Failure> {
        let prepared = self.prepared(&bind.statement)?;
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            return Err(Failure::new("42P03", &format!("the portal '{}' is open already", bind.portal)));
        }
        if self.portals.len() >= MOST_PORTALS {
            return Err(Failure::new("54000", &format!("a session has at most {MOST_PORTALS} portals; close some")));
        }
        if bind.parameters.len() != prepared.parameters.len() {
            let (sent, wanted) = (bind.parameters.len(), prepared.parameters.len());
            return Err(Failure::protocol(&format!("{sent} values were bound to a statement of {wanted} parameters")));
        }
        let value = |(index, (bytes, parameter)): (usize, (&Option<bytes::Bytes>, &Parameter))| {
            let format = Format::of(&bind.formats, index);
            parameters::value(bytes.as_deref(), format, &parameter.kind, parameter.oid)
                .map_err(|why| Failure::new("22P02", &format!("parameter ${}: {why}", index + 1)))
        };
        let values = bind.parameters.iter().zip(&prepared.parameters).enumerate().map(value);
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let portal = Portal { prepared, values, formats: bind.results, state: State::Bound };
        self.portals.insert(bind.portal, portal);
        reply::bound(&mut self.outgoing.buffer);
        Ok(())
    }

    fn prepared(&self, name: &str) -> Result<Arc<Prepared>, Failure> {
        let missing = || Failure::new(NO_STATEMENT, &format!("there is no prepared statement '{name}'"));
        self.statements.get(name).cloned().ok_or_else(missing)
    }

    fn tell_columns(&mut self, target: Target, name: &str) -> Result<(), Failure> {
        let told = match target {
            Target::Statement => {
                let prepared = self.prepared(name)?;
                let oids: Vec<u32> = prepared.parameters.iter().map(|parameter| parameter.oid).collect();
                reply::parameters(&mut self.outgoing.buffer, &oids);
                prepared.schema.as_ref().map(|schema| columns(schema, &[]))
            }
            Target::Portal => self.portals.get(name).ok_or_else(|| no_portal(name))?.columns(),
        };
        match told {
            Some(columns) => reply::columns(&mut self.outgoing.buffer, &columns),
            None => reply::no_rows(&mut self.outgoing.buffer),
        }
        Ok(())
    }

    async fn execute(&mut self, name: String, most: usize) -> Result<(), Stopped> {
        // Taken out while it runs: a failure leaves it closed.
        let mut portal = self.portals.remove(&name).ok_or_else(|| no_portal(&name))?;
        let prepared = Arc::clone(&portal.prepared);
        self.allowed(&prepared.statement)?;
        match &prepared.statement {
            Statement::Empty => reply::empty_statement(&mut self.outgoing.buffer),
            Statement::Query => self.fetch(&mut portal, most).await?,
            own => {
                let told = self.own(own)?;
                self.tell(&told);
            }
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    async fn fetch(&mut self, portal: &mut Portal, most: usize) -> Result<(), Stopped> {
        let prepared = Arc::clone(&portal.prepared);
        let mut rows = match std::mem::replace(&mut portal.state, State::Ended) {
            State::Bound => {
                let rows = self.ask(&prepared.sql, portal.values.clone(), &portal.formats).await?;
                let columns = portal.columns().unwrap_or_default();
                Box::new(rows.described(columns)?)
            }
            State::Running(rows) => rows,
            State::Ended => {
                reply::done(&mut self.outgoing.buffer, &format!("{} 0", tag(&prepared.sql)));
                return Ok(());
            }
            State::Expired => {
                let limit = self.shared.app.engine.limits().timeout;
                return Err(crate::error::QueryError::Timeout { limit }.into());
            }
        };
        let (sent, is_last) = self.stream(&mut rows, most).await?;
        if is_last {
            reply::done(&mut self.outgoing.buffer, &format!("{} {sent}", tag(&prepared.sql)));
        } else {
            portal.state = State::Running(rows);
            reply::suspended(&mut self.outgoing.buffer);
        }
        Ok(())
    }
}

fn no_portal(name: &str) -> Failure {
    Failure::new("34000", &format!("there is no portal '{name}'"))
}

fn unread(oid: u32) -> Failure {
    let text = format!("parameters of type {oid} are not read here; send one value for each, as text or a number");
    Failure::new("0A000", &text)
}
