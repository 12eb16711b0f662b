//! Seals a day: its rows of one table are sorted and written anew without repeats, their sums beside them, all in one commit. In: the step. Out: what
//! became of the rows. Cut anywhere it leaves files that no table knows.

use std::collections::BTreeMap;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use deltalake_core::kernel::Add;
use futures::TryStreamExt;
use spendstream_lake::files::FileInfo;
use spendstream_lake::tags::{HISTORY_APP, REMOVED_APP, SEAL};
use spendstream_schemas::ids::SourcePartition;
use uuid::Uuid;

use super::super::rewriter::{Change, RewriteError};
use super::super::table::Kind;
use super::maintainer::{Done, Maintainer, change};
use super::plan::Day;
use super::read::{failed, register, session};
use super::repeats::{Question, Repeats};
use super::rollups::{self, Sealed};
use super::write::DayWriter;

/// By what rows of a day are in order: what reports filter by comes first.
pub const ORDER: &str = "organization, team, model_id, model, event_time, source_cluster, source_topic, source_partition, source_offset, source_index";
const DAY: &str = "day";

impl Maintainer {
    pub(super) async fn seal(&mut self, day: &Day, tier: &str, zstd_level: i32) -> Result<Done, RewriteError> {
        let place = self.tables[day.place].place.clone();
        let context = session(&place, self.memory_bytes())?;
        register(&context, DAY, &place, &day.files)?;
        let beside = self.beside(day, &context)?;
        let compared_rows = self.config.maintenance.compared_rows;
        let question = Question { lake: &place, context: &context, day: DAY, beside: &beside, compared_rows };
        let repeats = question.ask().await?;

        // A day that has to be looked at again is not sealed yet: its rows are written without a number.
        let seal = (!repeats.is_partial).then(|| Uuid::new_v4().to_string());
        let tags = seal.iter().map(|seal| (SEAL, seal.clone())).collect();
        let form = self.form(tier, zstd_level, tags);
        let adds =
            self.sorted(day, &context, &repeats, DayWriter::new(&place, Kind::Usage, day.date, form.clone())).await?;
        let (before, after) = (self.rows_of(day), rows(&adds));
        let removed = repeats.len() as u64;
        if before.is_some_and(|before| before != after + removed) {
            let what = format!("{}: {} rows became {after} and {removed} repeats", day.date, before.unwrap_or(0));
            return Err(RewriteError::Changed { place: place.to_string(), what });
        }
        if let Some(seal) = &seal
            && !adds.is_empty()
        {
            let sealed =
                Sealed { place: &place, date: day.date, seal, files: &adds, memory_bytes: self.memory_bytes() };
            let form = self.form(tier, zstd_level, Vec::new());
            rollups::write(&mut self.rollup, &sealed, form).await?;
        }
        tell_conflicts(day, &repeats);
        let mut change = change("OPTIMIZE", day, adds);
        change.removes.clone_from(&day.files);
        change.changes_rows = removed > 0;
        self.count(&mut change, day.place, REMOVED_APP, &repeats.by_source());
        let done = Done::new(&change, removed);
        self.tables[day.place].commit(change).await?;
        Ok(done)
    }

    /// Tables of rows of the same day that lie in other places: they stay as they are.
    fn beside(&self, day: &Day, context: &datafusion::prelude::SessionContext) -> Result<Vec<String>, RewriteError> {
        let mut names = Vec::new();
        for (at, table) in self.tables.iter().enumerate().filter(|(at, _)| *at != day.place) {
            let date = day.date.to_string();
            let files = table.files.values().map(FileInfo::from_add).filter(|file| file.date == date);
            // What is not sealed is compared when it is; what is on its way counts in the next table, if at all.
            let paths: Vec<String> =
                files.filter(|file| file.seal.is_some() && file.moving.is_none()).map(|file| file.path).collect();
            if !paths.is_empty() {
                let name = format!("beside_{at}");
                register(context, &name, &table.place, &paths)?;
                names.push(name);
            }
        }
        Ok(names)
    }

    async fn sorted(
        &self,
        day: &Day,
        context: &datafusion::prelude::SessionContext,
        repeats: &Repeats,
        mut writer: DayWriter<'_>,
    ) -> Result<Vec<Add>, RewriteError> {
        let place = &self.tables[day.place].place;
        let broken = |error: &dyn std::fmt::Display| failed(place, "sorting a day", error);
        let frame =
            context.sql(&format!("SELECT * FROM {DAY} ORDER BY {ORDER}")).await.map_err(|error| broken(&error))?;
        let mut rows = frame.execute_stream().await.map_err(|error| broken(&error))?;
        while let Some(batch) = rows.try_next().await.map_err(|error| broken(&error))? {
            if repeats.is_empty() {
                writer.push(&batch).await?;
                continue;
            }
            let stays = BooleanArray::from(repeats.stays(&batch).map_err(|error| broken(&error))?);
            writer.push(&filter_record_batch(&batch, &stays).map_err(|error| broken(&error))?).await?;
        }
        Ok(writer.finish().await?)
    }

    /// Adds to the numbers by which the check knows of rows that are gone, and says that sums are others now.
    pub(super) fn count(&self, change: &mut Change, place: usize, app: &str, rows: &BTreeMap<SourcePartition, i64>) {
        let state = &self.tables[place].state;
        for (source, gone) in rows.iter().filter(|(_, gone)| **gone > 0) {
            let id = format!("{app}/{}", source.app_id());
            change.requires.push((id.clone(), state.app(&id)));
            change.sets.push((id.clone(), state.app(&id) + gone));
        }
        if rows.values().any(|gone| *gone > 0) {
            change.sets.push((HISTORY_APP.to_owned(), state.app(HISTORY_APP) + 1));
        }
    }
}

fn tell_conflicts(day: &Day, repeats: &Repeats) {
    if repeats.conflicts > 0 {
        tracing::warn!(
            date = %day.date,
            conflicts = repeats.conflicts,
            examples = ?repeats.examples,
            "rows with the identity of another and other content were left out when their day was sealed; the first that was read stays"
        );
    }
}

/// Rows of files, as their statistics count them.
pub fn rows(adds: &[Add]) -> u64 {
    adds.iter().filter_map(|add| FileInfo::from_add(add).rows).sum()
}
