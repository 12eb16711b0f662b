//! Erases a person from the tables of a lake. In: who. Out: commits, one per day and table, in which the rows that named or mentioned the person are
//! anonymous one by one: no row, sum or offset goes. Old files, versions and checkpoints go when they are kept no longer ([`super::vacuum`]);
//! then [`Maintainer::search`] proves that nothing is left.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use deltalake_core::kernel::Add;
use futures::TryStreamExt;
use serde::Serialize;
use spendstream_lake::files::FileInfo;
use spendstream_lake::tags::{EXPIRED, HISTORY_APP, SEAL};
use spendstream_schemas::config::HOT;
use spendstream_schemas::pseudonym::Erasure;
use uuid::Uuid;

use super::super::error::LakeError;
use super::super::rewriter::{RewriteError, Rewriter};
use super::super::table::Kind;
use super::anonymous::Anonymous;
use super::compact::groups;
use super::maintainer::{Maintainer, change};
use super::plan::{Day, Step};
use super::read::{all_rows, failed};
use super::rollups::{self, Sealed};
use super::write::DayWriter;

/// What an erasure did to the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Erased {
    /// Rows that are anonymous now.
    pub rows: u64,
    pub days: usize,
    pub files: usize,
    /// Rows of `decisions` that are anonymous now.
    pub decisions: u64,
}

/// What is told while an erasure works: a day, and how many of its rows were made anonymous.
pub type Told<'a> = &'a mut (dyn FnMut(NaiveDate, u64) + Send);

impl Maintainer {
    /// See the module; `dry_run` only counts.
    ///
    /// # Errors
    /// See [`RewriteError`]; days that are done stay done, and doing it again does the rest.
    pub async fn erase(
        &mut self,
        erasure: &Erasure,
        now_ms: i64,
        dry_run: bool,
        told: Told<'_>,
    ) -> Result<Erased, RewriteError> {
        self.look().await?;
        if !dry_run {
            // What is on its way between two tables is done with first: its files must stay as they are.
            self.round(now_ms, |step| matches!(step, Step::FinishMove { .. }), |_, _| {}).await?;
        }
        let mut erased = Erased::default();
        for place in 0..self.tables.len() {
            for day in days(&self.tables[place], place) {
                let (rows, files) = self.erase_day(&day, erasure, dry_run).await?;
                told(day.date, rows);
                erased.rows += rows;
                erased.days += usize::from(rows > 0);
                erased.files += files;
            }
        }
        for day in days(&self.decisions, 0) {
            erased.decisions += self.erase_decisions(&day, erasure, dry_run).await?;
        }
        if !dry_run {
            rollups::tidy(&mut self.rollup, &self.tables).await?;
        }
        Ok(erased)
    }

    /// Rows that were made anonymous, and files that were written anew for it.
    async fn erase_day(&mut self, day: &Day, erasure: &Erasure, dry_run: bool) -> Result<(u64, usize), RewriteError> {
        let (found, total) = concerned(&self.tables[day.place], day, erasure).await?;
        if dry_run || total == 0 {
            return Ok((total, found.len()));
        }
        let (mut adds, mut removes) = (Vec::new(), Vec::new());
        for ((seal, expired), paths) in groups(&self.tables[day.place], day) {
            // Rows that were sealed together stay together, under another number with other sums.
            let own: Vec<String> =
                if seal.is_some() { paths } else { paths.into_iter().filter(|path| found.contains(path)).collect() };
            if own.iter().any(|path| found.contains(path)) {
                adds.extend(self.anew(day, erasure, (seal.is_some(), expired), &own).await?);
                removes.extend(own);
            }
        }
        let mut change = change("ERASE", day, adds);
        let files = removes.len();
        change.removes = removes;
        change.changes_rows = true;
        change.sets.push((HISTORY_APP.to_owned(), self.tables[day.place].state.app(HISTORY_APP) + 1));
        self.tables[day.place].commit(change).await?;
        Ok((total, files))
    }

    /// Rows of a day of `decisions` that were made anonymous. Whoever appends meanwhile removes no file, and so loses none and doubles none.
    async fn erase_decisions(&mut self, day: &Day, erasure: &Erasure, dry_run: bool) -> Result<u64, RewriteError> {
        let (found, total) = concerned(&self.decisions, day, erasure).await?;
        if dry_run || total == 0 {
            return Ok(total);
        }
        let paths: Vec<String> = found.into_iter().collect();
        let (place, form) = (self.decisions.place.clone(), self.form(HOT, self.config.zstd_level, Vec::new()));
        let writer = DayWriter::new(&place, Kind::Decisions, day.date, form);
        let mut change = change("ERASE", day, without_person(erasure, &paths, writer).await?);
        change.removes = paths;
        change.changes_rows = true;
        self.decisions.commit(change).await?;
        Ok(total)
    }

    async fn anew(
        &mut self,
        day: &Day,
        erasure: &Erasure,
        (is_sealed, expired): (bool, Option<String>),
        paths: &[String],
    ) -> Result<Vec<Add>, RewriteError> {
        let place = self.tables[day.place].place.clone();
        let tier = paths.first().and_then(|path| self.tier_of(day.place, path));
        let (tier, zstd_level) = tier.unwrap_or_else(|| (place.tier().to_owned(), self.config.zstd_level));
        let seal = is_sealed.then(|| Uuid::new_v4().to_string());
        let tags =
            [(SEAL, seal.clone()), (EXPIRED, expired)].into_iter().filter_map(|(tag, value)| Some((tag, value?)));
        let writer = DayWriter::new(&place, Kind::Usage, day.date, self.form(&tier, zstd_level, tags.collect()));
        let adds = without_person(erasure, paths, writer).await?;
        if let Some(seal) = &seal {
            let sealed =
                Sealed { place: &place, date: day.date, seal, files: &adds, memory_bytes: self.memory_bytes() };
            let form = self.form(&tier, zstd_level, Vec::new());
            rollups::write(&mut self.rollup, &sealed, form).await?;
        }
        Ok(adds)
    }
}

/// All days of a table, as far as their files are not on their way.
fn days(table: &Rewriter, place: usize) -> Vec<Day> {
    let mut days = BTreeMap::<NaiveDate, Day>::new();
    for file in table.files.values().map(FileInfo::from_add).filter(|file| file.moving.is_none()) {
        let Ok(date) = file.date.parse() else { continue };
        let day = days.entry(date).or_insert_with(|| Day { place, date, files: Vec::new(), bytes: 0 });
        day.files.push(file.path);
        day.bytes += file.bytes;
    }
    days.into_values().collect()
}

/// Files of a day with rows that name or mention the person, and how many rows those are.
async fn concerned(table: &Rewriter, day: &Day, erasure: &Erasure) -> Result<(BTreeSet<String>, u64), LakeError> {
    let (mut files, mut total) = (BTreeSet::new(), 0);
    let mut anonymous = Anonymous::new(erasure);
    for path in &day.files {
        let before = total;
        let mut rows = std::pin::pin!(all_rows((&table.place, table.kind), vec![path.clone()], None));
        while let Some(batch) = rows.try_next().await? {
            total += anonymous.rows(&batch).map_err(|error| failed(&table.place, "erasing a person", &error))?.1;
        }
        if total > before {
            files.insert(path.clone());
        }
    }
    Ok((files, total))
}

/// The rows of files, anonymous one by one, in files of the writer.
async fn without_person(erasure: &Erasure, paths: &[String], mut writer: DayWriter<'_>) -> Result<Vec<Add>, LakeError> {
    let (place, kind) = writer.table();
    let mut anonymous = Anonymous::new(erasure);
    let mut rows = std::pin::pin!(all_rows((place, kind), paths.to_vec(), None));
    while let Some(batch) = rows.try_next().await? {
        let (batch, _) = anonymous.rows(&batch).map_err(|error| failed(place, "erasing a person", &error))?;
        writer.push(&batch).await?;
    }
    writer.finish().await
}
