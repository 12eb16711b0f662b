//! Writes rows anew with other values: all days of a table in one commit, so that no reader ever sees a half of it. In: what becomes of each row. Out: a commit per
//! table, and what it came to. Nothing is committed before it is proved that the rows differ by what was told and by nothing else.
//!
//! Cut anywhere it leaves tables that are done and tables that are not: doing it again does the rest, for what is done is not changed twice.
//! Rows that come meanwhile are in files of their own, and stay as they came until it is done again.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Decimal128Type};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, NaiveDate};
use datafusion::prelude::SessionContext;
use deltalake_core::kernel::Add;
use futures::TryStreamExt;
use spendstream_lake::tags::{EXPIRED, HISTORY_APP, SEAL};
use spendstream_lake::visible::{fits, visible};
use uuid::Uuid;

use super::super::error::LakeError;
use super::super::rewriter::{Change, RewriteError};
use super::super::table::Kind;
use super::super::view::{READINGS, UNFIT};
use super::compact::groups;
use super::maintainer::Maintainer;
use super::plan::{Day, Step};
use super::read::{all_rows, failed, register, session};
use super::rollups::{self, Sealed};
use super::sorted::sorted;
use super::write::DayWriter;

/// What becomes of rows.
pub trait Rewriting: Send {
    /// What it comes to.
    type Tally: Default + Send;
    /// The operation in the table's log, and what is done in messages.
    const OPERATION: &'static str;
    const DOING: &'static str;
    /// Columns by which the sums must be the same before and after, and what is summed.
    const SAME: (&'static str, &'static [&'static str]);

    /// The rows, and how many of them are others now.
    ///
    /// # Errors
    /// When a column is missing or has another type than the table's, or the rows cannot be rewritten.
    fn rows(&mut self, batch: &RecordBatch, tally: &mut Self::Tally) -> Result<(RecordBatch, u64), ArrowError>;

    /// The event times that it is about, microseconds: from, and up to and without.
    fn span(&self) -> (i64, i64);

    /// Takes over what another part came to.
    fn add(tally: &mut Self::Tally, other: Self::Tally);

    /// By how much the sum of `cost` moves, in units of 10⁻¹⁵.
    fn delta(tally: &Self::Tally) -> i128;

    /// What people who read the log want to know.
    fn parameters(&self, tally: &Self::Tally) -> BTreeMap<String, String>;
}

/// What was done to one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDone {
    /// The tier that names the table.
    pub tier: String,
    /// Its version with the change.
    pub version: u64,
    pub rows: u64,
    pub days: usize,
    pub files: usize,
    /// In units of 10⁻¹⁵.
    pub delta: i128,
}

/// Rows of one sealing, or of none, that are written anew together.
struct Group {
    seal: Option<String>,
    expired: Option<String>,
    paths: Vec<String>,
}

impl Maintainer {
    /// What a rewrite would come to, by the same reckoning; nothing is written.
    ///
    /// # Errors
    /// When a store fails, or the rows cannot be rewritten.
    pub async fn preview<R: Rewriting>(&mut self, what: &mut R) -> Result<R::Tally, LakeError> {
        self.look_whole().await?;
        let mut tally = R::Tally::default();
        for place in 0..self.tables.len() {
            for day in self.days_within(place, what.span()) {
                self.changing(&day, what, &mut tally).await?;
            }
        }
        Ok(tally)
    }

    /// See the module. `told` hears of each table that was changed.
    ///
    /// # Errors
    /// See [`RewriteError`]; tables that are done stay done, and doing it again does the rest.
    pub async fn rewrite<R: Rewriting>(
        &mut self,
        what: &mut R,
        now_ms: i64,
        told: &mut (dyn FnMut(TableDone) + Send),
    ) -> Result<R::Tally, RewriteError> {
        self.look().await?;
        // What is on its way between two tables is done with first: its files must stay as they are.
        self.round(now_ms, |step| matches!(step, Step::FinishMove { .. }), |_, _| {}).await?;
        let mut tally = R::Tally::default();
        for place in 0..self.tables.len() {
            let (own, done) = self.rewrite_table(place, what).await?;
            R::add(&mut tally, own);
            done.into_iter().for_each(&mut *told);
        }
        rollups::tidy(&mut self.rollup, &self.tables).await?;
        Ok(tally)
    }

    /// What the logs say, read so that the tables fit together.
    async fn look_whole(&mut self) -> Result<(), LakeError> {
        for _ in 0..READINGS {
            self.look().await?;
            if fits(&self.facts()) {
                return Ok(());
            }
        }
        Err(failed(&self.tables[0].place, "reading its tables", &UNFIT))
    }

    /// The days of a table that a span touches, with the files that count.
    fn days_within(&self, place: usize, (from, to): (i64, i64)) -> Vec<Day> {
        let date = |micros: i64| DateTime::from_timestamp_micros(micros).map(|time| time.date_naive());
        let (first, last) = (date(from), date(to.saturating_sub(1)));
        let facts = self.facts();
        let mut days = BTreeMap::<NaiveDate, Day>::new();
        for file in visible(&facts).into_iter().nth(place).unwrap_or_default() {
            let Ok(date) = file.date.parse() else { continue };
            // Times that no calendar has are before or after all days.
            if first.is_some_and(|first| date < first) || last.is_some_and(|last| date > last) {
                continue;
            }
            let day = days.entry(date).or_insert_with(|| Day { place, date, files: Vec::new(), bytes: 0 });
            day.files.push(file.path.clone());
            day.bytes += file.bytes;
        }
        days.into_values().collect()
    }

    async fn rewrite_table<R: Rewriting>(
        &mut self,
        place: usize,
        what: &mut R,
    ) -> Result<(R::Tally, Option<TableDone>), RewriteError> {
        let mut tally = R::Tally::default();
        let (mut days, mut rows, mut adds, mut removes) = (0, 0, Vec::new(), Vec::new());
        for day in self.days_within(place, what.span()) {
            let (found, changed) = self.changing(&day, what, &mut tally).await?;
            if changed == 0 {
                continue;
            }
            let mut written = 0;
            for ((seal, expired), paths) in groups(&self.tables[place], &day) {
                // Rows that were sealed together stay together, under another number with other sums.
                let is_own = |path: &String| seal.is_some() || found.contains(path);
                let paths: Vec<String> = paths.into_iter().filter(is_own).collect();
                if paths.iter().any(|path| found.contains(path)) {
                    let group = Group { seal, expired, paths };
                    let (new, rows) = self.files_anew(&day, &group, what).await?;
                    adds.extend(new);
                    removes.extend(group.paths);
                    written += rows;
                }
            }
            if written != changed {
                let what = format!("{}: {changed} rows were to change, and {written} did", day.date);
                return Err(RewriteError::Changed { place: self.tables[place].name(), what });
            }
            days += 1;
            rows += changed;
        }
        if removes.is_empty() {
            return Ok((tally, None));
        }
        let files = removes.len();
        let history = self.tables[place].state.app(HISTORY_APP) + 1;
        let mut change = Change {
            operation: R::OPERATION,
            parameters: what.parameters(&tally),
            adds,
            removes,
            changes_rows: true,
            ..Change::default()
        };
        change.sets.push((HISTORY_APP.to_owned(), history));
        let version = self.tables[place].commit(change).await?;
        let tier = self.tables[place].place.tier().to_owned();
        let delta = R::delta(&tally);
        Ok((tally, Some(TableDone { tier, version, rows, days, files, delta })))
    }

    /// The files of a day with rows that change, and how many those are.
    async fn changing<R: Rewriting>(
        &self,
        day: &Day,
        what: &mut R,
        tally: &mut R::Tally,
    ) -> Result<(BTreeSet<String>, u64), LakeError> {
        let place = &self.tables[day.place].place;
        let (mut found, mut total) = (BTreeSet::new(), 0);
        for path in &day.files {
            let mut rows = std::pin::pin!(all_rows((place, Kind::Usage), vec![path.clone()], None));
            while let Some(batch) = rows.try_next().await? {
                let (_, changed) = what.rows(&batch, tally).map_err(|error| failed(place, R::DOING, &error))?;
                if changed > 0 {
                    found.insert(path.clone());
                    total += changed;
                }
            }
        }
        Ok((found, total))
    }

    /// New files for those of a group, proved, with their sums where they are sealed; and how many rows are others.
    async fn files_anew<R: Rewriting>(
        &mut self,
        day: &Day,
        group: &Group,
        what: &mut R,
    ) -> Result<(Vec<Add>, u64), RewriteError> {
        let place = self.tables[day.place].place.clone();
        let tier = group.paths.first().and_then(|path| self.tier_of(day.place, path));
        let (tier, zstd_level) = tier.unwrap_or_else(|| (place.tier().to_owned(), self.config.zstd_level));
        let seal = group.seal.is_some().then(|| Uuid::new_v4().to_string());
        let tags = [(SEAL, seal.clone()), (EXPIRED, group.expired.clone())];
        let tags = tags.into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect();
        let mut writer = DayWriter::new(&place, Kind::Usage, day.date, self.form(&tier, zstd_level, tags));
        let (mut tally, mut changed) = (R::Tally::default(), 0);
        let rows = all_rows((&place, Kind::Usage), group.paths.clone(), None).and_then(|batch| {
            let new = what.rows(&batch, &mut tally).map_err(|error| failed(&place, R::DOING, &error));
            std::future::ready(new.map(|(batch, rows)| {
                changed += rows;
                batch
            }))
        });
        if seal.is_some() {
            sorted(&place, self.memory_bytes(), rows, &mut writer).await?;
        } else {
            writer.push_all(rows).await?;
        }
        let adds = writer.finish().await?;
        self.prove::<R>(day, &group.paths, &adds, R::delta(&tally)).await?;
        if let Some(seal) = &seal {
            let sealed =
                Sealed { place: &place, date: day.date, seal, files: &adds, memory_bytes: self.memory_bytes() };
            let form = self.form(&tier, zstd_level, Vec::new());
            rollups::write(&mut self.rollup, &sealed, form).await?;
        }
        Ok((adds, changed))
    }

    /// Refuses files that differ from those that they replace by anything but what was told.
    async fn prove<R: Rewriting>(
        &self,
        day: &Day,
        before: &[String],
        after: &[Add],
        delta: i128,
    ) -> Result<(), RewriteError> {
        let place = &self.tables[day.place].place;
        let context = session(place, self.memory_bytes())?;
        register(&context, "before", place, before)?;
        let paths: Vec<String> = after.iter().map(|add| add.path.clone()).collect();
        register(&context, "after", place, &paths)?;
        let broken = |error: datafusion::error::DataFusionError| failed(place, R::DOING, &error);
        let (keys, summed) = R::SAME;
        let sums: Vec<String> = summed.iter().map(|column| format!("sum({column})")).collect();
        let mut answers = Vec::new();
        for table in ["before", "after"] {
            let same =
                format!("SELECT {keys}, count(*), {} FROM {table} GROUP BY {keys} ORDER BY {keys}", sums.join(", "));
            let rows = context.sql(&same).await.map_err(broken)?.collect().await.map_err(broken)?;
            answers.push((rows, cost_of(&context, table).await.map_err(broken)?));
        }
        let changed =
            |what: &str| RewriteError::Changed { place: place.to_string(), what: format!("{}: {what}", day.date) };
        let [(rows_before, cost_before), (rows_after, cost_after)] = answers.as_slice() else { return Ok(()) };
        if !is_same(rows_before, rows_after) {
            return Err(changed(&format!("{} would have changed more than it may", R::DOING)));
        }
        if cost_after - cost_before != delta {
            return Err(changed(&format!(
                "the cost would move by {} instead of {delta} (10⁻¹⁵)",
                cost_after - cost_before
            )));
        }
        Ok(())
    }
}

/// Values alone: a sum's name has that of its table in it.
fn is_same(before: &[RecordBatch], after: &[RecordBatch]) -> bool {
    let whole = |batches: &[RecordBatch]| {
        let whole = batches.first().and_then(|first| concat_batches(&first.schema(), batches).ok());
        whole.map(|whole| whole.columns().to_vec()).filter(|columns| columns.iter().any(|column| !column.is_empty()))
    };
    whole(before) == whole(after)
}

/// The sum of `cost` of a table, in units of 10⁻¹⁵.
async fn cost_of(context: &SessionContext, table: &str) -> datafusion::common::Result<i128> {
    let frame = context.sql(&format!("SELECT CAST(sum(cost) AS DECIMAL(38, 15)) FROM {table}")).await?;
    let batches = frame.collect().await?;
    let first = batches.iter().find(|batch| batch.num_rows() > 0).map(|batch| batch.column(0));
    let sum = first.filter(|sum| matches!(sum.data_type(), DataType::Decimal128(_, 15)) && sum.is_valid(0));
    Ok(sum.map_or(0, |sum| sum.as_primitive::<Decimal128Type>().value(0)))
}
