//! Deletes what is over: whole days in one commit per table, or the rows of some organizations of a day. In: the step. Out: commits that say how many
//! rows of each source partition are gone, so that the books still balance.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use deltalake_core::kernel::Add;
use futures::TryStreamExt;
use spendstream_lake::tags::{EXPIRED, EXPIRED_APP, SEAL};
use spendstream_schemas::ids::SourcePartition;
use uuid::Uuid;

use super::super::error::LakeError;
use super::super::rewriter::{Change, RewriteError};
use super::super::table::Kind;
use super::compact::groups;
use super::maintainer::{Done, Maintainer, change};
use super::plan::{Day, Expiry};
use super::read::{all_rows, failed};
use super::repeats;
use super::rollups::{self, Sealed};
use super::write::DayWriter;

type Counts = BTreeMap<SourcePartition, i64>;

impl Maintainer {
    pub(super) async fn expire(&mut self, place: usize, days: &[Day]) -> Result<Done, RewriteError> {
        let mut gone = Counts::new();
        for day in days {
            let mut rows = std::pin::pin!(all_rows(
                (&self.tables[place].place, Kind::Usage),
                day.files.clone(),
                Some(repeats::LINEAGE.to_vec())
            ));
            while let Some(batch) = rows.try_next().await? {
                self.counted(place, &batch, &mut gone)?;
            }
        }
        let dates = days.iter().map(|day| day.date.to_string()).collect::<Vec<_>>().join(",");
        let mut change = Change {
            operation: "DELETE",
            parameters: BTreeMap::from([("dates".to_owned(), dates)]),
            removes: days.iter().flat_map(|day| day.files.clone()).collect(),
            changes_rows: true,
            ..Change::default()
        };
        self.count(&mut change, place, EXPIRED_APP, &gone);
        let done = Done::new(&change, total(&gone));
        self.tables[place].commit(change).await?;
        Ok(done)
    }

    pub(super) async fn expire_rows(&mut self, day: &Day, whose: &Expiry) -> Result<Done, RewriteError> {
        let mut gone = Counts::new();
        let mut adds = Vec::new();
        for ((seal, _), paths) in groups(&self.tables[day.place], day) {
            adds.extend(self.without(day, whose, seal.is_some(), paths, &mut gone).await?);
        }
        let mut change = change("DELETE", day, adds);
        change.removes.clone_from(&day.files);
        change.changes_rows = !gone.is_empty();
        change.parameters.insert("organizations".to_owned(), whose.to_string());
        self.count(&mut change, day.place, EXPIRED_APP, &gone);
        let done = Done::new(&change, total(&gone));
        self.tables[day.place].commit(change).await?;
        Ok(done)
    }

    /// The files of one sealing without the rows that are over; a sealing with fewer rows is another one.
    async fn without(
        &mut self,
        day: &Day,
        whose: &Expiry,
        is_sealed: bool,
        paths: Vec<String>,
        gone: &mut Counts,
    ) -> Result<Vec<Add>, RewriteError> {
        let place = self.tables[day.place].place.clone();
        let tier = paths.first().and_then(|path| self.tier_of(day.place, path));
        let (tier, zstd_level) = tier.unwrap_or_else(|| (place.tier().to_owned(), self.config.zstd_level));
        let seal = is_sealed.then(|| Uuid::new_v4().to_string());
        let tags = seal.iter().map(|seal| (SEAL, seal.clone())).chain([(EXPIRED, whose.to_string())]);
        let mut writer = DayWriter::new(&place, Kind::Usage, day.date, self.form(&tier, zstd_level, tags.collect()));
        let mut rows = std::pin::pin!(all_rows((&place, Kind::Usage), paths, None));
        while let Some(batch) = rows.try_next().await? {
            let over = is_over(&batch, whose).map_err(|error| failed(&place, "deleting rows", &error))?;
            let filtered = |keep: bool| {
                let mask: BooleanArray = over.iter().map(|over| Some(*over != keep)).collect();
                filter_record_batch(&batch, &mask).map_err(|error| failed(&place, "deleting rows", &error))
            };
            self.counted(day.place, &filtered(false)?, gone)?;
            writer.push(&filtered(true)?).await?;
        }
        let adds = writer.finish().await?;
        if let Some(seal) = &seal
            && !adds.is_empty()
        {
            let sealed =
                Sealed { place: &place, date: day.date, seal, files: &adds, memory_bytes: self.memory_bytes() };
            let form = self.form(&tier, zstd_level, Vec::new());
            rollups::write(&mut self.rollup, &sealed, form).await?;
        }
        Ok(adds)
    }

    fn counted(&self, place: usize, batch: &RecordBatch, gone: &mut Counts) -> Result<(), LakeError> {
        repeats::count(batch, gone).map_err(|error| failed(&self.tables[place].place, "counting rows", &error))
    }
}

fn total(counts: &Counts) -> u64 {
    counts.values().map(|rows| u64::try_from(*rows).unwrap_or(0)).sum()
}

/// For each row whether it is over.
fn is_over(batch: &RecordBatch, whose: &Expiry) -> Result<Vec<bool>, arrow::error::ArrowError> {
    let column = batch.column_by_name("organization");
    let column =
        column.ok_or_else(|| arrow::error::ArrowError::SchemaError("there is no column organization".to_owned()))?;
    let names = cast(column, &DataType::Utf8)?;
    let names = names.as_string::<i32>();
    let is_named = |row: usize| names.is_valid(row) && whose.organizations.contains(names.value(row));
    Ok((0..batch.num_rows()).map(|row| whose.everything || is_named(row) != whose.rest).collect())
}
