//! What a lake holds, in figures. In: a lake. Out: a [`LakeStatus`]. Never writes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use spendstream_lake::files::FileInfo;
use spendstream_storage::Lake;

use super::error::LakeError;
use super::log::Log;
use super::table::CURRENCY;
use super::view::{LakeView, texts};
use crate::batch::Tally;

/// What `spendstream lake status` shows.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct LakeStatus {
    pub lake: String,
    pub version: u64,
    /// When the newest commit was made, milliseconds since the epoch.
    pub committed_ms: Option<i64>,
    pub currency: String,
    pub rows: u64,
    pub files: usize,
    pub bytes: u64,
    /// The sum of `cost`, a decimal.
    pub cost: String,
    pub unpriced_rows: u64,
    /// Hot first; as the files say for which tier they are packed.
    pub tiers: Vec<TierStatus>,
    /// The oldest day with rows that are not sealed.
    pub oldest_unsealed: Option<String>,
    pub dates: BTreeMap<String, DateStatus>,
    pub partitions: Vec<PartitionStatus>,
}

/// One tier.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct TierStatus {
    pub name: String,
    /// Where its table lies.
    pub place: String,
    pub days: usize,
    pub files: usize,
    pub rows: u64,
    pub bytes: u64,
    /// The sum of `cost`, a decimal.
    pub cost: String,
}

/// One day.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
pub struct DateStatus {
    pub rows: u64,
    pub bytes: u64,
}

/// One source partition.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Its app id in the Delta log.
    pub partition: String,
    /// The next offset.
    pub offset: i64,
    /// What became of its messages.
    #[serde(flatten)]
    pub tally: Tally,
}

/// The Kafka clusters (`kafka.cluster`) whose events a lake holds; none where there is no table yet.
///
/// # Errors
/// When the log cannot be read.
pub async fn clusters(lake: &Lake) -> Result<BTreeSet<String>, LakeError> {
    let state = Log::new(lake).load().await?;
    Ok(state.into_iter().flat_map(|state| state.offsets.into_keys()).map(|source| source.cluster).collect())
}

/// Looks at the newest version.
///
/// # Errors
/// When there is no table, or it cannot be read.
pub async fn status(lake: &Lake, memory_bytes: usize) -> Result<LakeStatus, LakeError> {
    let view = LakeView::open(lake, memory_bytes).await?;
    let sums = "SELECT CAST(coalesce(sum(cost), 0) AS VARCHAR), \
                CAST(count(*) FILTER (WHERE price_status = 'unpriced') AS VARCHAR), CAST(count(*) AS VARCHAR) FROM usage";
    let batches = view.rows(sums).await.map_err(|error| match error {
        LakeError::Store { lake, doing, reason } => LakeError::Store {
            lake,
            doing,
            reason: format!("{reason}; `spendstream lake check` says which files are wrong"),
        },
        other => other,
    })?;
    let figure = |column| batches.first().and_then(|batch| texts(batch, column).into_iter().next().flatten());
    let number = |column| figure(column).and_then(|text| text.parse().ok()).unwrap_or(0);
    let state = &view.state;
    let unsealed = view.files().filter(|file| file.seal.is_none()).map(|file| file.date.clone());
    Ok(LakeStatus {
        tiers: tiers(&view).await?,
        oldest_unsealed: unsealed.min(),
        lake: lake.to_string(),
        version: state.version,
        committed_ms: state.committed_ms,
        currency: state.meta.as_ref().and_then(|meta| meta.configuration.get(CURRENCY)).cloned().unwrap_or_default(),
        rows: number(2),
        files: view.files().count(),
        bytes: view.files().map(|file| file.bytes).sum(),
        cost: figure(0).unwrap_or_else(|| "0".to_owned()),
        unpriced_rows: number(1),
        dates: view.dates().into_iter().map(|(date, (rows, bytes))| (date, DateStatus { rows, bytes })).collect(),
        partitions: state
            .offsets
            .iter()
            .map(|(source, offset)| PartitionStatus {
                partition: source.app_id(),
                offset: *offset,
                tally: state.books.get(source).map(|book| book.tally).unwrap_or_default(),
            })
            .collect(),
    })
}

/// Tiers that have files, by place and then by the age of their oldest day.
async fn tiers(view: &LakeView) -> Result<Vec<TierStatus>, LakeError> {
    let mut all = Vec::new();
    for (at, table) in view.places.iter().enumerate() {
        let mut tiers = BTreeMap::<&str, Vec<&FileInfo>>::new();
        for file in &table.files {
            tiers.entry(file.tier.as_deref().unwrap_or(table.place.tier())).or_default().push(file);
        }
        let mut tiers: Vec<(&str, Vec<&FileInfo>)> = tiers.into_iter().collect();
        tiers.sort_by_key(|(_, files)| std::cmp::Reverse(files.iter().map(|file| file.date.clone()).min()));
        for (name, files) in tiers {
            let days: BTreeSet<&str> = files.iter().map(|file| file.date.as_str()).collect();
            all.push(TierStatus {
                name: name.to_owned(),
                place: table.place.to_string(),
                days: days.len(),
                files: files.len(),
                rows: files.iter().filter_map(|file| file.rows).sum(),
                bytes: files.iter().map(|file| file.bytes).sum(),
                cost: view.cost_of(at, &files).await?,
            });
        }
    }
    Ok(all)
}
