//! Alerts in the store: a unique insert decides who fires, a guard keeps the same thing from being told twice an hour. What was taken back is
//! news when it comes again, and so is what comes in a new period.
//!
//! Of a budget's threshold the store knows whether it is told or taken back, and how often it was taken back; that number is part of the ids
//! from the second time on. So a crossing that comes again after a recovery is another alert, while whoever finds the same one again, or its
//! recovery, finds it known. What was seen before the last of these is old news, whoever brings it: an instance that could not reach
//! the store meanwhile opens nothing again, and ends nothing.
//!
//! An alert and the notifications it causes are one transaction: either both are there after a crash, or the alert can be
//! raised again.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use spendstream_schemas::alert::{Alert, Kind, Level};

use crate::audit::{self, Change};
use crate::db::{Row, Tx, args, to_json};
use crate::error::{Error, Result};
use crate::notifications::{self, Delivery};
use crate::store::{Act, Store};

mod rounds;
use rounds::{Threshold, again};

/// What became of raising an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raised {
    /// It fires: it is stored, and its notifications wait.
    New,
    /// It is stored and shown, but its subject is snoozed: nothing is sent.
    Snoozed,
    /// It fired before; nothing was changed.
    Known,
    /// The same budget, scope, kind and threshold fired less than the guard ago; nothing was stored, raise it again later.
    Guarded,
}

/// An alert with what people did about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredAlert {
    #[serde(flatten)]
    pub alert: Alert,
    /// Its subject was snoozed when it was raised: nothing was sent.
    pub snoozed: bool,
    pub acknowledged_at: Option<DateTime<Utc>>,
    pub acknowledged_by: Option<String>,
    pub note: Option<String>,
}

/// Which alerts to list; empty: all.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    pub kind: Option<Kind>,
    /// This level or a more urgent one.
    pub level: Option<Level>,
    pub budget_id: Option<String>,
    pub acknowledged: Option<bool>,
    /// Raised at or after.
    pub since: Option<DateTime<Utc>>,
    /// Raised before.
    pub until: Option<DateTime<Utc>>,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

/// A place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub raised_at: DateTime<Utc>,
    pub id: String,
}

/// Alerts, newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    pub alerts: Vec<StoredAlert>,
    /// `None` at the end.
    pub next: Option<Cursor>,
}

/// What is snoozed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All alerts of a budget.
    Budget(String),
    /// Alerts like this one: same budget, scope, kind and threshold.
    LikeAlert(String),
}

/// Rows read at a time while a scope filter leaves some out.
const CHUNK: u32 = 500;

const LIST: &str = "SELECT id, document, raised_at, snoozed, acknowledged_at, acknowledged_by, note FROM alerts \
     WHERE ($1 IS NULL OR kind = $1) AND ($2 IS NULL OR level >= $2) AND ($3 IS NULL OR budget_id = $3) \
     AND ($4 IS NULL OR (acknowledged_at IS NOT NULL AND $4 = 1) OR (acknowledged_at IS NULL AND $4 = 0)) \
     AND ($5 IS NULL OR raised_at >= $5) AND ($6 IS NULL OR raised_at < $6) \
     AND ($7 IS NULL OR raised_at < $7 OR (raised_at = $7 AND id < $8)) \
     ORDER BY raised_at DESC, id DESC LIMIT $9";

#[derive(Clone, Copy, Debug)]
pub struct Alerts<'a>(pub(crate) &'a Store);

impl Alerts<'_> {
    /// Raises an alert, and puts its deliveries into the notification log when it fires. `repeat_guard`: how long the same
    /// budget, scope, kind and threshold stays quiet after it fired, unless a recovery took it back or another period began.
    ///
    /// # Errors
    /// When the database is away; then it may or may not have fired, and raising it again is right.
    pub async fn raise(&self, alert: &Alert, repeat_guard: TimeDelta, deliveries: &[Delivery]) -> Result<Raised> {
        let mut tx = self.0.pool.begin().await?;
        let guard = guard(alert);
        let is_recovery = alert.kind == Kind::Recovery;
        // First of all: who raises something about the same threshold waits here.
        let mut known = match alert.condition() {
            Some(about) => Some(Threshold::lock(&mut tx, about).await?),
            None => None,
        };
        // Told and taken back before there were rounds; or its period was over then, and so it is now.
        if let (Some(fresh), Some(over)) = (known.as_mut().filter(|known| known.is_new()), alert.recovery_id())
            && !is_recovery
            && let Some(row) = tx.row("SELECT document FROM alerts WHERE id = $1", args![over]).await?
        {
            if row.json::<Alert>(0)?.is_period_over() {
                return Ok(Raised::Known);
            }
            fresh.taken_back = 1;
        }
        if known.as_ref().is_some_and(|known| known.is_old_news(alert)) {
            return Ok(Raised::Known);
        }
        let taken_back = known.as_ref().map_or(0, |known| known.taken_back);
        let alert = &Alert { id: again(&alert.id, taken_back), ..alert.clone() };
        let snoozed = is_snoozed(&mut tx, alert, &guard).await?;
        let sql = "INSERT INTO alerts (id, guard, kind, level, budget_id, document, raised_at, snoozed) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING";
        let (kind, level) = (alert.kind.word(), rank(alert.level));
        let document = to_json(alert)?;
        let budget = alert.budget_id.as_deref();
        if tx.execute(sql, args![&alert.id, &guard, kind, level, budget, document, alert.raised_at, snoozed]).await?
            == 0
        {
            return Ok(Raised::Known);
        }
        let sql = "INSERT INTO alert_guards (guard, raised_at) VALUES ($1, $2) \
                   ON CONFLICT (guard) DO UPDATE SET raised_at = excluded.raised_at WHERE alert_guards.raised_at <= $3";
        let quiet_since = alert.raised_at - repeat_guard;
        let quiet = quiet(alert, &guard);
        if is_recovery {
            // The end of something is told once, whenever it comes. A pace comes and goes with every burst: its guard stays.
            let lifted = known.as_ref().and_then(|known| known.quiet.clone()).or_else(|| recovered(alert));
            if let Some(lifted) = lifted.filter(|_| text(alert, "basis") != Some("forecast")) {
                tx.execute("DELETE FROM alert_guards WHERE guard = $1", args![lifted]).await?;
            }
        } else if tx.execute(sql, args![&quiet, alert.raised_at, quiet_since]).await? == 0 {
            // Rolled back with the row: it was not raised.
            return Ok(Raised::Guarded);
        }
        if let Some(known) = known {
            known.moved(&mut tx, alert, &quiet).await?;
        }
        if !snoozed {
            notifications::enqueue(&mut tx, &alert.id, deliveries, alert.raised_at).await?;
        }
        tx.commit().await?;
        Ok(if snoozed { Raised::Snoozed } else { Raised::New })
    }

    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, id: &str) -> Result<StoredAlert> {
        let sql =
            "SELECT id, document, raised_at, snoozed, acknowledged_at, acknowledged_by, note FROM alerts WHERE id = $1";
        stored(self.0.pool.rows(sql, args![id]).await?.first().ok_or_else(|| Error::not_found("alert", id))?)
    }

    /// A page of at most `limit` alerts, newest first.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(&self, filter: &AlertFilter, limit: u32) -> Result<Page> {
        self.list_where(filter, limit, &|_| true).await
    }

    /// The same, of alerts that fit.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list_where(
        &self,
        filter: &AlertFilter,
        limit: u32,
        fits: &(dyn Fn(&Alert) -> bool + Sync),
    ) -> Result<Page> {
        let limit = usize::try_from(limit.max(1)).unwrap_or(usize::MAX);
        let mut page = Page { alerts: Vec::new(), next: filter.after.clone() };
        loop {
            let rows = self.chunk(filter, page.next.as_ref()).await?;
            for row in &rows {
                let found = stored(row)?;
                page.next = Some(Cursor { raised_at: row.time(2)?, id: row.text(0)? });
                if fits(&found.alert) {
                    page.alerts.push(found);
                }
                if page.alerts.len() == limit {
                    return Ok(page);
                }
            }
            if rows.len() < CHUNK as usize {
                page.next = None;
                return Ok(page);
            }
        }
    }

    async fn chunk(&self, filter: &AlertFilter, after: Option<&Cursor>) -> Result<Vec<Row>> {
        let args = args![
            filter.kind.map(Kind::word),
            filter.level.map(rank),
            filter.budget_id.as_deref(),
            filter.acknowledged.map(i64::from),
            filter.since,
            filter.until,
            after.map(|cursor| cursor.raised_at),
            after.map(|cursor| cursor.id.as_str()),
            i64::from(CHUNK),
        ];
        self.0.pool.rows(LIST, args).await
    }

    /// Marks it as seen. The first to do so stays on record; doing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn acknowledge(&self, id: &str, note: Option<&str>, act: &Act<'_>) -> Result<StoredAlert> {
        let mut tx = self.0.pool.begin().await?;
        let sql = "UPDATE alerts SET acknowledged_at = $2, acknowledged_by = $3, note = $4 \
                   WHERE id = $1 AND acknowledged_at IS NULL";
        if tx.execute(sql, args![id, act.now, act.who, note]).await? == 1 {
            audit::write(&mut tx, act, Change { action: "acknowledge", what: "alert", id }, None::<&()>, note.as_ref())
                .await?;
        }
        tx.commit().await?;
        self.get(id).await
    }

    /// Sends nothing about the subject until then; alerts are still stored. A time that is over ends a snooze.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn snooze(&self, subject: &Subject, until: DateTime<Utc>, act: &Act<'_>) -> Result<()> {
        let mut tx = self.0.pool.begin().await?;
        let (what, id) = match subject {
            Subject::Budget(id) => ("budget", id),
            Subject::LikeAlert(id) => ("alert", id),
        };
        let guard = match subject {
            Subject::Budget(id) => tx.row("SELECT id FROM budgets WHERE id = $1", args![id]).await?.map(|_| all_of(id)),
            Subject::LikeAlert(id) => {
                let row = tx.row("SELECT guard FROM alerts WHERE id = $1", args![id]).await?;
                row.map(|row| row.text(0)).transpose()?
            }
        };
        let guard = guard.ok_or_else(|| Error::not_found(what, id))?;
        let sql = "INSERT INTO alert_snoozes (guard, until, snoozed_by) VALUES ($1, $2, $3) \
                   ON CONFLICT (guard) DO UPDATE SET until = excluded.until, snoozed_by = excluded.snoozed_by";
        tx.execute(sql, args![&guard, until, act.who]).await?;
        if until > act.now {
            // What still waits, as for the end of quiet hours, would be sent within the snooze, or after it as if it were news.
            let budget = matches!(subject, Subject::Budget(_)).then_some(id.as_str());
            let sql = "UPDATE notifications SET state = 'given_up', error = $1, updated_at = $2 \
                       WHERE state IN ('pending', 'failed') AND lease_until <= $2 \
                       AND alert_id IN (SELECT id FROM alerts WHERE guard = $3 OR budget_id = $4)";
            let why = format!("snoozed by {} before it was sent", act.who);
            tx.execute(sql, args![why, act.now, &guard, budget]).await?;
        }
        audit::write(&mut tx, act, Change { action: "snooze", what, id }, None::<&()>, Some(&until)).await?;
        tx.commit().await
    }
}

fn text<'a>(alert: &'a Alert, detail: &str) -> Option<&'a str> {
    alert.details.get(detail)?.as_str()
}

/// What an alert repeats if it comes again: budget, scope, kind and threshold.
fn guard(alert: &Alert) -> String {
    let budget = alert.budget_id.as_deref().unwrap_or_default();
    let key = format!("{budget}\n{}\n{}\n{}", alert.scope, alert.kind, alert.threshold);
    // Of what is no budget's, the time zone of a summary and the dimension that spend lacks tell alerts apart.
    let about = text(alert, "timezone").or_else(|| text(alert, "dimension"));
    match about.filter(|_| alert.budget_id.is_none()) {
        Some(about) => format!("{key}\n{about}"),
        None => key,
    }
}

/// What stays quiet after an alert: the same in this period. Windows that roll have none.
fn quiet(alert: &Alert, guard: &str) -> String {
    let period = text(alert, "occurrence");
    match period.filter(|_| alert.details.get("rolling").is_some_and(|rolling| rolling == false)) {
        Some(period) => format!("{guard}\n{period}"),
        None => guard.to_owned(),
    }
}

/// What stays quiet because of the alert that a recovery takes back.
fn recovered(alert: &Alert) -> Option<String> {
    let kind = alert.details.get("recovers")?.get("kind")?;
    let told = Alert { kind: serde_json::from_value(kind.clone()).ok()?, ..alert.clone() };
    Some(quiet(&told, &guard(&told)))
}

/// The guard under which a whole budget is snoozed.
fn all_of(budget: &str) -> String {
    format!("{budget}\n*")
}

async fn is_snoozed(tx: &mut Tx, alert: &Alert, guard: &str) -> Result<bool> {
    let all = alert.budget_id.as_deref().map(all_of);
    let sql = "SELECT guard FROM alert_snoozes WHERE (guard = $1 OR guard = $2) AND until > $3";
    Ok(tx.row(sql, args![guard, all, alert.raised_at]).await?.is_some())
}

/// The order of levels, as a number that the database can compare.
fn rank(level: Level) -> i64 {
    match level {
        Level::Info => 0,
        Level::Warning => 1,
        Level::Critical => 2,
        Level::Emergency => 3,
    }
}

fn stored(row: &Row) -> Result<StoredAlert> {
    Ok(StoredAlert {
        alert: row.json(1)?,
        snoozed: row.flag(3)?,
        acknowledged_at: row.optional_time(4)?,
        acknowledged_by: row.optional_text(5)?,
        note: row.optional_text(6)?,
    })
}
