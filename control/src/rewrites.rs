//! Rewrites of the lake that people asked for: repricing, and moving spend to its owner. In: what is begun, done to a table, finished. Out: the runs, and which is
//! not finished. They live in the audit log, entry by entry, so nothing of them is ever altered but where it names a person who is erased.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::audit::Entry;
use crate::error::Result;
use crate::store::{Act, Store};

const BEGIN: &str = "begin";
const TABLE: &str = "rewrite";
const FINISH: &str = "finish";
/// Entries that are looked at for runs.
const MOST_ENTRIES: u32 = 1_000;

/// What is done to rows; the audit log's name of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Reprice,
    Reattribute,
}

impl Kind {
    /// What the audit log calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reprice => "reprice",
            Self::Reattribute => "reattribute",
        }
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    pub id: String,
    pub who: String,
    pub began: DateTime<Utc>,
    /// What was asked for, as it was given to [`Rewrites::begin`].
    pub scope: Value,
    /// Tables that are done, each as it was given to [`Rewrites::table`], the first first.
    pub tables: Vec<Value>,
    /// `None`: it was cut, and is to be done again.
    pub finished: Option<DateTime<Utc>>,
    /// What it came to, as it was given to [`Rewrites::finish`].
    pub outcome: Option<Value>,
}

#[derive(Clone, Copy, Debug)]
pub struct Rewrites<'a>(pub(crate) &'a Store);

impl Rewrites<'_> {
    /// Begins a run. One of the same scope that was cut is gone on with: it keeps its id.
    ///
    /// # Errors
    /// When the database is away: nothing may be rewritten then.
    pub async fn begin(&self, kind: Kind, scope: &Value, act: &Act<'_>) -> Result<Run> {
        let cut = self.list(kind).await?.into_iter().find(|run| run.finished.is_none() && run.scope == *scope);
        if let Some(run) = cut {
            return Ok(run);
        }
        let id = Uuid::new_v4().simple().to_string();
        self.0.audit().record(act, BEGIN, (kind.name(), &id), Some(scope)).await?;
        let (who, scope) = (act.who.to_owned(), scope.clone());
        Ok(Run { id, who, began: act.now, scope, tables: Vec::new(), finished: None, outcome: None })
    }

    /// A table of the lake is done.
    ///
    /// # Errors
    /// When the database is away; the table is done all the same, and its own log says so.
    pub async fn table(&self, kind: Kind, id: &str, done: &Value, act: &Act<'_>) -> Result<()> {
        self.0.audit().record(act, TABLE, (kind.name(), id), Some(done)).await
    }

    /// Everything is done.
    ///
    /// # Errors
    /// When the database is away; the run is then taken for cut, and doing it again finds nothing to do.
    pub async fn finish(&self, kind: Kind, id: &str, outcome: &Value, act: &Act<'_>) -> Result<()> {
        self.0.audit().record(act, FINISH, (kind.name(), id), Some(outcome)).await
    }

    /// The newest runs, the newest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(&self, kind: Kind) -> Result<Vec<Run>> {
        let mut entries = self.0.audit().list(Some(kind.name()), None, None, MOST_ENTRIES).await?;
        entries.reverse();
        let mut runs = BTreeMap::<String, Run>::new();
        let mut order = Vec::new();
        for entry in entries {
            take(&mut runs, &mut order, entry);
        }
        Ok(order.iter().rev().filter_map(|id| runs.remove(id)).collect())
    }
}

fn take(runs: &mut BTreeMap<String, Run>, order: &mut Vec<String>, entry: Entry) {
    let Entry { id, who, at, action, after, .. } = entry;
    let after = after.unwrap_or_default();
    if action == BEGIN {
        order.push(id.clone());
        let run =
            Run { id: id.clone(), who, began: at, scope: after, tables: Vec::new(), finished: None, outcome: None };
        runs.insert(id, run);
    } else if let Some(run) = runs.get_mut(&id) {
        if action == TABLE {
            run.tables.push(after);
        } else {
            run.finished = Some(at);
            run.outcome = Some(after);
        }
    }
}
