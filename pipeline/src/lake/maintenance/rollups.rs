//! Sums of sealed rows. In: files that were just written and are in no table yet. Out: the sums, in the table `usage_rollup` under the number of the
//! sealing, before the rows are: a reader takes sums only for rows that it sees. Sums of rows that are gone are removed later.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use deltalake_core::kernel::Add;
use futures::TryStreamExt;
use spendstream_lake::files::FileInfo;
use spendstream_lake::tags::SEAL;
use spendstream_storage::Lake;

use super::super::rewriter::{Change, RewriteError, Rewriter};
use super::super::table::Kind;
use super::read::{failed, register, session};
use super::write::{DayWriter, Form};

/// What is summed.
pub struct Sealed<'a> {
    pub place: &'a Lake,
    pub date: NaiveDate,
    pub seal: &'a str,
    pub files: &'a [Add],
    pub memory_bytes: usize,
}

/// Writes the sums.
///
/// # Errors
/// When the store fails, or somebody else maintains the lake.
pub async fn write(rollup: &mut Rewriter, sealed: &Sealed<'_>, form: Form) -> Result<(), RewriteError> {
    let mut context = session(sealed.place, sealed.memory_bytes)?;
    let broken = |error: datafusion::error::DataFusionError| failed(sealed.place, "summing up a sealed day", &error);
    spendstream_lake::latency::register(&mut context).map_err(broken)?;
    let paths: Vec<String> = sealed.files.iter().map(|add| add.path.clone()).collect();
    register(&context, "sealed", sealed.place, &paths)?;
    let frame = context.sql(&spendstream_lake::rollup::query("sealed")).await.map_err(broken)?;
    let rows = frame.execute_stream().await.map_err(broken)?.map_err(broken);
    let form = Form { tags: vec![(SEAL, sealed.seal.to_owned())], ..form };
    let place = rollup.place.clone();
    let mut writer = DayWriter::new(&place, Kind::Rollup, sealed.date, form);
    writer.push_all(rows).await?;
    let adds = writer.finish().await?;
    let parameters = BTreeMap::from([("date".to_owned(), sealed.date.to_string())]);
    rollup.commit(Change { operation: "WRITE", parameters, adds, changes_rows: true, ..Change::default() }).await?;
    Ok(())
}

/// Removes sums whose rows no table has any more. Returns how many files.
///
/// # Errors
/// As [`write`].
pub async fn tidy(rollup: &mut Rewriter, tables: &[Rewriter]) -> Result<usize, RewriteError> {
    let seals = tables.iter().flat_map(|table| table.files.values()).filter_map(|add| FileInfo::from_add(add).seal);
    let known: BTreeSet<String> = seals.collect();
    let is_over = |add: &&Add| FileInfo::from_add(add).seal.is_none_or(|seal| !known.contains(&seal));
    let removes: Vec<String> = rollup.files.values().filter(is_over).map(|add| add.path.clone()).collect();
    let count = removes.len();
    if count > 0 {
        rollup.commit(Change { operation: "DELETE", removes, changes_rows: true, ..Change::default() }).await?;
    }
    Ok(count)
}
