//! Budgets in the store: drafts come in and are checked, whole budgets go out; a deleted one stays, inactive.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::Serialize;
use spendstream_schemas::budget::{Budget, BudgetDraft, Context, Problem};
use uuid::Uuid;

use crate::audit::{self, Change};
use crate::db::{Tx, args, to_json};
use crate::error::{Error, Result};
use crate::store::{Act, Store};

/// Where budgets come from that are made over the API or by command.
const API: &str = "api";

/// Which budgets to list; empty: all.
#[derive(Clone, Debug, Default)]
pub struct BudgetFilter {
    pub active: Option<bool>,
}

/// Budgets that changed, inactive ones included, up to a version of the store.
#[derive(Clone, Debug)]
pub struct Changes {
    /// What to ask from next time.
    pub version: i64,
    pub budgets: Vec<Budget>,
}

/// What applying a list of budgets did, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    pub created: Vec<String>,
    pub changed: Vec<String>,
    pub unchanged: Vec<String>,
    /// No longer in the list: inactive now, history kept.
    pub removed: Vec<String>,
}

/// What a budget must still be to be changed.
pub type Expected<'a> = &'a (dyn Fn(&Budget) -> bool + Sync);

#[derive(Clone, Copy)]
pub struct Budgets<'a>(pub(crate) &'a Store, pub(crate) Option<Expected<'a>>);

impl<'a> Budgets<'a> {
    /// Changes a budget only while it is what is expected, whoever else changes it at the same time, in this process or another: otherwise
    /// [`Error::Stale`].
    #[must_use]
    pub fn expecting(self, expected: Expected<'a>) -> Self {
        Self(self.0, Some(expected))
    }

    /// Makes a budget. `currency` is the lake's, for a draft without one.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every problem of the draft.
    pub async fn create(&self, draft: &BudgetDraft, currency: &str, act: &Act<'_>) -> Result<Budget> {
        let id = Uuid::new_v4().simple().to_string();
        let budget = draft.check(None, &Context { id: &id, currency, now: act.now }).map_err(|all| invalid(&all))?;
        let mut tx = self.0.pool.begin().await?;
        insert(&mut tx, &budget, API, act).await?;
        tx.commit().await?;
        Ok(budget)
    }

    /// Changes the fields that the draft names.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`].
    pub async fn update(&self, id: &str, draft: &BudgetDraft, currency: &str, act: &Act<'_>) -> Result<Budget> {
        self.change(id, "update", act, |before| {
            let context = Context { id, currency, now: act.now };
            draft.check(Some(before), &context).map_err(|all| invalid(&all))
        })
        .await
    }

    /// Makes it inactive; its history stays.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete(&self, id: &str, act: &Act<'_>) -> Result<Budget> {
        self.change(id, "delete", act, |before| Ok(Budget { active: false, updated_at: act.now, ..before.clone() }))
            .await
    }

    /// From now on events before now do not count in the running period, and its thresholds can be crossed again.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn reset(&self, id: &str, act: &Act<'_>) -> Result<Budget> {
        self.change(id, "reset", act, |before| {
            let (reset_at, revision) = (Some(act.now), before.revision + 1);
            Ok(Budget { reset_at, revision, updated_at: act.now, ..before.clone() })
        })
        .await
    }

    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, id: &str) -> Result<Budget> {
        let rows = self.0.pool.rows("SELECT document FROM budgets WHERE id = $1", args![id]).await?;
        rows.first().ok_or_else(|| Error::not_found("budget", id))?.json(0)
    }

    /// By name, then id.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(&self, filter: &BudgetFilter) -> Result<Vec<Budget>> {
        let sql = "SELECT document FROM budgets WHERE ($1 IS NULL OR active = $1) ORDER BY name, id";
        let rows = self.0.pool.rows(sql, args![filter.active.map(i64::from)]).await?;
        rows.iter().map(|row| row.json(0)).collect()
    }

    /// Budgets that were made or changed after a version of the store; 0 for all.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn changes_since(&self, version: i64) -> Result<Changes> {
        // Read first: a change in between is then told twice, never left out.
        let now = self.0.version().await?;
        let sql = "SELECT document FROM budgets WHERE version > $1 ORDER BY version, id";
        let rows = self.0.pool.rows(sql, args![version]).await?;
        let budgets = rows.iter().map(|row| row.json(0)).collect::<Result<_>>()?;
        Ok(Changes { version: now, budgets })
    }

    /// Makes the budgets of `origin` (a file) exactly these, all or none. A budget is known by its `id` where the draft has
    /// one, else by its name; doing it twice changes nothing.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every problem of every draft.
    pub async fn apply(&self, origin: &str, drafts: &[BudgetDraft], currency: &str, act: &Act<'_>) -> Result<Applied> {
        let mut tx = self.0.pool.begin().await?;
        let version = tx.next_version().await?;
        let rows = tx.rows("SELECT id, name, document FROM budgets WHERE origin = $1", args![origin]).await?;
        let mut known = BTreeMap::new();
        for row in &rows {
            known.insert(row.text(0)?, row.json::<Budget>(2)?);
        }
        let fresh = checked(origin, drafts, &known, currency)?;
        let mut applied = Applied::default();
        for mut budget in fresh {
            match known.remove(&budget.id) {
                None => {
                    (budget.created_at, budget.updated_at) = (act.now, act.now);
                    applied.created.push(budget.name.clone());
                    write(&mut tx, &budget, origin, version).await?;
                    log(&mut tx, act, "create", None, &budget).await?;
                }
                Some(before) if before == as_before(&budget, &before) => applied.unchanged.push(budget.name),
                Some(before) => {
                    budget = Budget { updated_at: act.now, ..as_before(&budget, &before) };
                    budget.revision += i64::from(!budget.same_rules(&before));
                    applied.changed.push(budget.name.clone());
                    write(&mut tx, &budget, origin, version).await?;
                    log(&mut tx, act, "update", Some(&before), &budget).await?;
                }
            }
        }
        for before in known.into_values().filter(|before| before.active) {
            let gone = Budget { active: false, updated_at: act.now, ..before.clone() };
            write(&mut tx, &gone, origin, version).await?;
            log(&mut tx, act, "delete", Some(&before), &gone).await?;
            applied.removed.push(gone.name);
        }
        // Nothing to tell: the version stays what it was.
        if applied.created.len() + applied.changed.len() + applied.removed.len() > 0 {
            tx.commit().await?;
        }
        Ok(applied)
    }

    async fn change(
        &self,
        id: &str,
        action: &'static str,
        act: &Act<'_>,
        make: impl FnOnce(&Budget) -> Result<Budget>,
    ) -> Result<Budget> {
        let mut tx = self.0.pool.begin().await?;
        let version = tx.next_version().await?;
        let row = tx.row("SELECT document, origin FROM budgets WHERE id = $1", args![id]).await?;
        let row = row.ok_or_else(|| Error::not_found("budget", id))?;
        let before: Budget = row.json(0)?;
        // Writers wait for one another at `next_version`: what is read here is what is changed.
        if self.1.is_some_and(|expected| !expected(&before)) {
            return Err(Error::Stale(Box::new(before)));
        }
        let after = make(&before)?;
        write(&mut tx, &after, &row.text(1)?, version).await?;
        log(&mut tx, act, action, Some(&before), &after).await?;
        tx.commit().await?;
        Ok(after)
    }
}

/// The drafts of a file as budgets, with the ids of those that are known.
fn checked(
    origin: &str,
    drafts: &[BudgetDraft],
    known: &BTreeMap<String, Budget>,
    currency: &str,
) -> Result<Vec<Budget>> {
    let (mut fresh, mut problems) = (Vec::<Budget>::new(), Vec::new());
    for (position, draft) in drafts.iter().enumerate() {
        let text = |field: &str| draft.0.get(field).and_then(serde_json::Value::as_str).map(str::trim);
        let (own, name) = (text("id"), text("name").unwrap_or_default());
        let by_name = || known.values().find(|budget| budget.name == name).map(|budget| budget.id.clone());
        let made = || Uuid::new_v4().simple().to_string();
        let id = own.map(str::to_owned).or_else(by_name).unwrap_or_else(made);
        // The epoch: an increase that was right when it was written may be over by now, and the file stays right.
        let context = Context { id: &id, currency, now: DateTime::UNIX_EPOCH };
        let place = format!("{origin}: budget {} '{name}': ", position + 1);
        match draft.check(None, &context) {
            Err(all) => problems.extend(all.iter().map(|problem| format!("{place}{problem}"))),
            Ok(budget) if fresh.iter().any(|other| other.id == budget.id || other.name == budget.name) => {
                problems.push(format!("{place}is there twice; give each a name of its own"));
            }
            Ok(budget) => fresh.push(budget),
        }
    }
    if problems.is_empty() { Ok(fresh) } else { Err(Error::Invalid(problems)) }
}

/// The budget with what the store, not the file, says of it.
fn as_before(budget: &Budget, before: &Budget) -> Budget {
    Budget {
        revision: before.revision,
        reset_at: before.reset_at,
        created_at: before.created_at,
        updated_at: before.updated_at,
        ..budget.clone()
    }
}

fn invalid(problems: &[Problem]) -> Error {
    Error::Invalid(problems.iter().map(ToString::to_string).collect())
}

async fn insert(tx: &mut Tx, budget: &Budget, origin: &str, act: &Act<'_>) -> Result<()> {
    let version = tx.next_version().await?;
    write(tx, budget, origin, version).await?;
    log(tx, act, "create", None, budget).await
}

async fn write(tx: &mut Tx, budget: &Budget, origin: &str, version: i64) -> Result<()> {
    let sql = "INSERT INTO budgets (id, name, origin, active, document, version) VALUES ($1, $2, $3, $4, $5, $6) \
               ON CONFLICT (id) DO UPDATE SET name = excluded.name, active = excluded.active, \
               document = excluded.document, version = excluded.version WHERE budgets.origin = excluded.origin";
    let document = to_json(budget)?;
    let written = tx.execute(sql, args![&budget.id, &budget.name, origin, budget.active, document, version]).await?;
    if written == 0 {
        return Err(Error::Conflict(format!("budget id '{}' is taken by another origin than {origin}", budget.id)));
    }
    Ok(())
}

async fn log(tx: &mut Tx, act: &Act<'_>, action: &'static str, before: Option<&Budget>, after: &Budget) -> Result<()> {
    audit::write(tx, act, Change { action, what: "budget", id: &after.id }, before, Some(after)).await
}
