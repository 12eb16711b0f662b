//! What decisions need of the lake beside live totals. In: the budgets in force and the lake. Out: what was spent in the running period before
//! a budget's manual reset, and how long answers of a kind usually are. It never writes, and nobody waits for it: until a reset's sum is
//! read, its budget has no figures; until the history is, estimates go by the rules of thumb.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use chrono::{DateTime, TimeDelta, Utc};
use spendstream_schemas::budget::{Quarter, ScopeValue};
use spendstream_schemas::ids::SourcePartition;
use spendstream_schemas::money::Amount;
use spendstream_storage::Lake;
use tokio::sync::watch;

use super::anomalies::reaches;
use super::now;
use crate::aggregate::live::Live as Totals;
use crate::aggregate::load::{column, spelled};
use crate::budget::book::{Book, Entry};
use crate::budget::history::{CallKind, DAYS, History, METRIC_COSTS, MetricRow, OUTPUT_TOKENS, OutputRow};
use crate::budget::live::Live;
use crate::budget::standing::Resets;
use crate::lake::LakeError;
use crate::lake::view::{LakeView, failed, texts};

/// Sums by offsets, as live totals reach.
type Covered = Vec<(Arc<SourcePartition>, i64)>;
/// By budget and reset: how far live totals reached when the reset was seen first.
type Seen = HashMap<(String, i64), Covered>;

/// The pause while the lake does not have all that live totals have.
const EARLY: Duration = Duration::from_secs(1);
/// How often resets are read anew while late events of before them may come: alerts go by what was read.
const YOUNG: Duration = Duration::from_secs(5);
/// Whether late events of before a reset may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Young,
    Old,
}

/// How often the history is read anew.
const HISTORY: TimeDelta = TimeDelta::hours(1);

/// See the module.
pub struct Past {
    pub lake: Lake,
    /// Bytes that its queries may use before they spill.
    pub memory: usize,
    pub live: Arc<Live>,
    pub totals: Totals,
    /// How often resets are read anew: events may still arrive for the time before one.
    pub every: Duration,
    /// How late events may come.
    pub lateness: TimeDelta,
}

impl Past {
    /// Reads after every change of the budgets and every so often, until who tells of changes is gone or it is stopped.
    pub async fn run(self, mut changed: watch::Receiver<i64>, mut stop: watch::Receiver<bool>) {
        let mut history_due = DateTime::<Utc>::MIN_UTC;
        let (mut known, mut seen) = (Arc::new(Resets::default()), Seen::new());
        loop {
            let at = now();
            if at >= history_due {
                match self.history(at).await {
                    Ok(history) => {
                        self.live.set_history(Arc::new(history));
                        history_due = at + HISTORY;
                    }
                    Err(error) => tracing::warn!(%error, "estimates go by rules of thumb until the lake can be read"),
                }
            }
            let mut every = self.every;
            match self.resets(at, &known, &mut seen).await {
                Ok((resets, is_early)) => {
                    if is_early {
                        every = every.min(EARLY);
                    }
                    let is_news = resets.is_news(&known);
                    if resets.has_young() {
                        every = every.min(YOUNG);
                    }
                    known = Arc::new(resets);
                    self.live.set_resets(Arc::clone(&known), is_news);
                }
                Err(error) => {
                    tracing::warn!(%error, "budgets that were reset have no figures until the lake can be read");
                }
            }
            tokio::select! {
                told = changed.changed() => if told.is_err() { return },
                _ = stop.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    /// What was spent before each reset within a running period; and whether it is too early to say of some: a new reset is only known once
    /// the lake has all that live totals had when it was `seen` first, or what was read and not committed would count as spent after it.
    ///
    /// # Errors
    /// When the lake cannot be read.
    pub async fn resets(
        &self,
        at: DateTime<Utc>,
        known: &Resets,
        seen: &mut Seen,
    ) -> Result<(Resets, bool), LakeError> {
        let book = self.live.book();
        let mut resets = Resets::default();
        let due: Vec<_> = book.entries().iter().filter_map(|entry| Some((entry, running_reset(entry, at)?))).collect();
        if due.is_empty() {
            return Ok((resets, false));
        }
        let mut is_early = false;
        {
            let totals = self.totals.read();
            let key = |entry: &Entry, to: DateTime<Utc>| (entry.budget.id.clone(), to.timestamp_micros());
            seen.retain(|known, _| due.iter().any(|(entry, (_, to))| key(entry, *to) == *known));
            for (entry, (_, to)) in &due {
                if let Some(watch) = entry.watch.filter(|watch| totals.is_known(*watch)) {
                    seen.entry(key(entry, *to)).or_insert_with(|| totals.covered(watch));
                }
            }
        }
        let view = LakeView::open(&self.lake, self.memory).await?;
        for (entry, (from, to)) in due {
            let reset = to.timestamp_micros();
            let held = seen.get(&(entry.budget.id.clone(), reset));
            if !known.knows(&entry.budget.id, reset) && !held.is_some_and(|held| reaches(&view, held)) {
                is_early = true;
                continue;
            }
            let keys = book.sets()[entry.set].keys.keys();
            let columns: Vec<String> = keys.iter().map(column).collect();
            let age = if at - to < self.lateness { Age::Young } else { Age::Old };
            let sql = sums(&columns, entry.budget.period.is_rolling(), (from, to), age);
            let batches = view.rows(&sql).await?;
            let (mut before, mut since) = (Vec::new(), Vec::new());
            for batch in &batches {
                let values: Vec<_> = (0..columns.len()).map(|at| texts(batch, at)).collect();
                let costs = [0, 1].map(|at| batch.column(columns.len() + at).as_primitive_opt::<Decimal128Type>());
                let [Some(earlier), Some(later)] = costs else {
                    return Err(failed(&self.lake, &"a sum of cost is no decimal"));
                };
                let quarters = self.integers(batch.column(columns.len() + 2))?;
                for row in 0..batch.num_rows() {
                    let values = keys.iter().zip(&values);
                    let values: Vec<Option<&str>> =
                        values.map(|(key, column)| spelled(book.spellings(), key, column[row].as_deref())).collect();
                    if !named(&book, entry, &values) {
                        continue;
                    }
                    let quarter = Quarter(i32::try_from(quarters[row]).unwrap_or(i32::MIN));
                    for (sums, costs) in [(&mut before, earlier), (&mut since, later)] {
                        if costs.is_valid(row) {
                            sums.push((entry.cell(&values), quarter, Amount::saturating(costs.value(row))));
                        }
                    }
                }
            }
            resets.add(&entry.budget.id, reset, before);
            if age == Age::Young {
                resets.add_since(&entry.budget.id, since);
            }
        }
        Ok((resets, is_early))
    }

    /// How calls of the last days were.
    ///
    /// # Errors
    /// When the lake cannot be read.
    pub async fn history(&self, at: DateTime<Utc>) -> Result<History, LakeError> {
        let view = LakeView::open(&self.lake, self.memory).await?;
        let since = instant(at - TimeDelta::days(i64::from(DAYS)));
        let mut outputs = Vec::new();
        for batch in view.rows(&OUTPUT_TOKENS.replace("{since}", &since)).await? {
            let [organizations, projects, models, tasks] = [0, 1, 2, 3].map(|at| texts(&batch, at));
            let (lengths, calls) = (self.integers(batch.column(4))?, self.integers(batch.column(5))?);
            for row in 0..batch.num_rows() {
                let kind = CallKind {
                    organization: organizations[row].clone(),
                    project: projects[row].clone(),
                    model_id: models[row].clone().unwrap_or_default(),
                    task_type: tasks[row].clone(),
                };
                outputs.push(OutputRow { kind, p95: lengths[row], calls: u64::try_from(calls[row]).unwrap_or(0) });
            }
        }
        let mut metrics = Vec::new();
        for batch in view.rows(&METRIC_COSTS.replace("{since}", &since)).await? {
            let [organizations, projects, names] = [0, 1, 2].map(|at| texts(&batch, at));
            let costs = batch.column(3).as_primitive_opt::<Decimal128Type>();
            let costs = costs.ok_or_else(|| failed(&self.lake, &"a sum of cost is no decimal"))?;
            let items = self.integers(batch.column(4))?;
            for row in 0..batch.num_rows() {
                metrics.push(MetricRow {
                    organization: organizations[row].clone(),
                    project: projects[row].clone(),
                    metric: names[row].clone().unwrap_or_default(),
                    cost: Amount::saturating(costs.value(row)),
                    items: u64::try_from(items[row]).unwrap_or(0),
                });
            }
        }
        Ok(History::new(&outputs, &metrics))
    }

    fn integers(&self, column: &ArrayRef) -> Result<Vec<i64>, LakeError> {
        let column = cast(column, &DataType::Int64).map_err(|error| failed(&self.lake, &error))?;
        Ok(column.as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default).collect())
    }
}

/// The start of the running period and the reset within it.
fn running_reset(entry: &Entry, at: DateTime<Utc>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let span = entry.budget.period.span(Quarter::of(at));
    let reset = entry.budget.reset_at?;
    (span.start() < reset && reset < span.end()).then(|| (span.start(), reset))
}

/// Whether values are those that the budget names.
fn named(book: &Book, entry: &Entry, values: &[Option<&str>]) -> bool {
    let keys = book.sets()[entry.set].keys.keys();
    entry.budget.scope.iter().all(|(key, wanted)| {
        let value = keys.iter().position(|known| known == key).and_then(|at| values[at]);
        match wanted {
            ScopeValue::Is(wanted) => value == Some(wanted.as_str()),
            ScopeValue::Each => value.is_some() || entry.budget.include_missing,
        }
    })
}

/// Sums before a reset, and for a young one since, with the quarter-hour that they are of: of a rolling window its own, else the period's first.
fn sums(columns: &[String], rolling: bool, (from, reset): (DateTime<Utc>, DateTime<Utc>), age: Age) -> String {
    let quarter =
        if rolling { "CAST(event_time AS BIGINT) / 900000000".to_owned() } else { Quarter::of(from).0.to_string() };
    let listed: String = columns.iter().flat_map(|column| [column.as_str(), ", "]).collect();
    let mut grouped = columns.to_vec();
    if rolling {
        grouped.push(quarter.clone());
    }
    let grouped = if grouped.is_empty() { String::new() } else { format!(" GROUP BY {}", grouped.join(", ")) };
    let (start, reset_at) = (instant(from), instant(reset));
    let part = |compared: &str| format!("sum(CASE WHEN event_time {compared} {reset_at} THEN cost END)");
    let until = match age {
        Age::Young => String::new(),
        Age::Old => format!(" AND date <= CAST('{}' AS DATE) AND event_time < {reset_at}", reset.format("%F")),
    };
    format!(
        "SELECT {listed}{}, {}, {quarter} FROM usage WHERE date >= CAST('{}' AS DATE) AND event_time >= {start}{until}{grouped}",
        part("<"),
        part(">="),
        from.format("%F"),
    )
}

fn instant(at: DateTime<Utc>) -> String {
    format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", at.timestamp_micros())
}
