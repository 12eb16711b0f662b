//! The one way from a session to the engine. In: SQL and values; out: columns or rows, unless the query is cancelled, its time is over or the client
//! goes first. Never decides what a statement is.

use std::future::Future;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use tokio::time::Instant;

use super::cancel::Flag;
use super::failure::Failure;
use super::recognised;
use super::rows::Rows;
use super::session::Session;
use super::socket::{End, Incoming};
use super::types::columns;
use crate::error::QueryError;
use crate::metrics::Ending;
use crate::sql::engine::{Bound, Described};

/// Why a message was not answered as it asks.
#[derive(Debug)]
pub enum Stopped {
    /// The client is told, and goes on.
    Failure(Failure),
    /// There is no client any more.
    End(End),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<QueryError> for Stopped {
    fn from(error: QueryError) -> Self {
        Self::Failure(error.into())
    }
}

impl From<End> for Stopped {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl Session {
    /// Starts a query; `formats` are those of its columns.
    pub(super) async fn ask(
        &mut self,
        sql: &str,
        parameters: Vec<ScalarValue>,
        formats: &[i16],
    ) -> Result<Rows, Stopped> {
        let app = &self.shared.app;
        let mut ending = Ending::new(app.metrics.clone());
        let sql = recognised::stand_in(sql).unwrap_or(sql);
        let bound = Bound { catalog: self.shared.catalog.clone(), parameters };
        self.place.flag.lower();
        self.until = self.settings.statement_timeout().map(|limit| Instant::now() + limit);
        let asking = app.engine.query_bound(sql, bound);
        let answer = watched(&mut self.incoming, &self.place.flag, self.until, asking).await?;
        let answer = answer.inspect_err(|error| ending.outcome = error.kind())?;
        let columns = columns(answer.schema(), formats);
        let limit = app.engine.limits().max_answer_bytes;
        Ok(Rows::new(answer, columns, limit, app.metrics.clone(), ending))
    }

    /// The columns and parameters of a statement.
    pub(super) async fn describe(&mut self, sql: &str, given: Vec<Option<DataType>>) -> Result<Described, Stopped> {
        let sql = recognised::stand_in(sql).unwrap_or(sql);
        self.place.flag.lower();
        let asking = self.shared.app.engine.describe(sql, &self.shared.catalog, given);
        Ok(watched(&mut self.incoming, &self.place.flag, None, asking).await??)
    }

    /// Sends rows, up to `most` unless that is 0. Gives how many, and whether those were the last.
    pub(super) async fn stream(&mut self, rows: &mut Rows, most: usize) -> Result<(usize, bool), Stopped> {
        let mut sent = 0;
        loop {
            while most == 0 || sent < most {
                if !rows.write(&mut self.outgoing.buffer)? {
                    break;
                }
                sent += 1;
                self.outgoing.send_much().await?;
            }
            if most != 0 && sent == most {
                return Ok((sent, false));
            }
            if !watched(&mut self.incoming, &self.place.flag, self.until, rows.more()).await?? {
                return Ok((sent, true));
            }
        }
    }
}

/// The work's result, unless something ends it first.
async fn watched<T>(
    incoming: &mut Incoming,
    flag: &Flag,
    until: Option<Instant>,
    work: impl Future<Output = T>,
) -> Result<T, Stopped> {
    let over = async {
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = flag.raised() => Err(Failure::cancelled().into()),
        done = work => Ok(done),
        () = over => Err(Failure::new("57014", "the query ran longer than the session's statement_timeout").into()),
        () = incoming.gone() => Err(End::Gone.into()),
    }
}
