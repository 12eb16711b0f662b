//! Follows what people set: budgets, emergency stops and the directory. In: the control store, looked at twice a second. Out: the rules
//! that decisions and alerts go by, and what live totals must keep for them.
//!
//! Nothing is changed here but by a budget file at the start. A store that is away leaves the last known rules in force.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use spendstream_control::blocks::BlockAction;
use spendstream_control::budgets::BudgetFilter;
use spendstream_control::{Act, Result, Store, budget_file};
use spendstream_schemas::budget::ScopeKey;
use spendstream_schemas::directory::{Directory, Filled, Precedence};
use tokio::sync::watch;

use super::{now, pause};
use crate::aggregate::live::Live as Totals;
use crate::aggregate::plan::Request;
use crate::budget::book::Book;
use crate::budget::limit::Attributes;
use crate::budget::live::Live;
use crate::budget::stops::{Action, Stop, Stops};

/// How often the store is asked whether something changed: a stop must be in force within a second.
const LOOK: Duration = Duration::from_millis(500);

impl Attributes for Directory {
    fn attribute(&self, key: &ScopeKey, value: &str, attribute: &str, at: DateTime<Utc>) -> Option<&str> {
        Directory::attribute(self, key, value, attribute, at)
    }

    fn owner<'a>(&'a self, value_of: &dyn Fn(&ScopeKey) -> Option<&'a str>, at: DateTime<Utc>) -> Filled<'a> {
        self.resolve(value_of, at)
    }
}

/// See the module.
pub struct Rules {
    pub store: Store,
    pub live: Arc<Live>,
    pub totals: Totals,
    pub precedence: Precedence,
    /// What is watched beside budgets.
    pub own: Vec<Request>,
    /// Who owns what, for the decode threads.
    pub directory: watch::Sender<Arc<Directory>>,
    /// Told after every change that was taken.
    pub changed: watch::Sender<i64>,
}

impl Rules {
    /// Follows until it is stopped.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let (mut seen, mut is_away) = (None, false);
        loop {
            match self.look(seen).await {
                Ok(version) => {
                    if is_away {
                        tracing::info!("the control store answers again");
                    }
                    (seen, is_away) = (Some(version), false);
                }
                Err(error) if !is_away => {
                    tracing::warn!(%error, "the last known budgets, stops and owners stay in force");
                    is_away = true;
                }
                Err(_) => {}
            }
            if pause(LOOK, &mut stop).await {
                return;
            }
        }
    }

    /// Takes what changed since a version of the store; gives the version that is in force now.
    ///
    /// # Errors
    /// When the store is away: then nothing was changed.
    pub async fn look(&self, seen: Option<i64>) -> Result<i64> {
        // Read first: a change in between is taken twice, never left out.
        let version = self.store.version().await?;
        if seen == Some(version) {
            return Ok(version);
        }
        let budgets =
            self.store.budgets().list(&BudgetFilter { active: Some(true), ..BudgetFilter::default() }).await?;
        let blocks = self.store.blocks().active(now()).await?;
        let entries = self.store.directory().list().await?;
        let book = Book::new(budgets.into_iter().map(Arc::new));
        let mut requests = book.requests();
        requests.extend(self.own.iter().cloned());
        let plan = self.totals.watch(&requests);
        let (number, stops) = (book.entries().len(), blocks.len());
        let directory = Arc::new(Directory::new(entries, &self.precedence));
        self.live.set_attributes(Arc::clone(&directory) as _);
        self.directory.send_replace(directory);
        self.live.set_book(Arc::new(book.bound(&plan)));
        self.live.set_stops(Stops::new(blocks.into_iter().map(|block| Stop {
            id: block.id,
            scope: block.scope,
            action: match block.action {
                BlockAction::Block => Action::Block,
                BlockAction::Downgrade => Action::Downgrade,
            },
            until: block.until,
            reason: block.reason,
        })));
        tracing::info!(version, budgets = number, stops, "budgets taken");
        self.changed.send_replace(version);
        Ok(version)
    }
}

/// Makes the budgets of a file those of the store.
///
/// # Errors
/// One line for each problem; nothing was changed then.
pub async fn apply_file(store: &Store, file: &str, currency: &str) -> Result<()> {
    let problem = |error: std::io::Error| {
        spendstream_control::Error::Invalid(vec![format!("budgets.file {file} cannot be read: {error}")])
    };
    let text = tokio::fs::read_to_string(file).await.map_err(problem)?;
    let drafts = budget_file::read(&text, file)?;
    let applied = store.budgets().apply("file", &drafts, currency, &Act { who: "file", now: now() }).await?;
    tracing::info!(
        created = applied.created.len(),
        changed = applied.changed.len(),
        unchanged = applied.unchanged.len(),
        removed = applied.removed.len(),
        "budgets of {file} applied"
    );
    Ok(())
}
