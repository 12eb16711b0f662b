//! The Delta tables that hold a lake's events. In: the opened places of its tiers. Out: their tables, each at a version such that together they have
//! every event once, and their sums. Never writes.
//!
//! Hot first, then each colder one; where they do not fit together (`spendstream_lake::visible`), all are read on once more.

use std::sync::Arc;

use deltalake_core::{DeltaTable, DeltaTableError};
use spendstream_lake::files::TableFiles;
use spendstream_lake::{named, tags, visible};
use spendstream_schemas::config::LakeConfig;
use spendstream_schemas::lake_path;
use spendstream_storage::{Lake, brief};

use super::known::{Identity, Known};
use crate::error::{QueryError, one_line};

/// So often days may move while tables are read.
const MOST_ROUNDS: usize = 40;

/// See the module.
pub struct Tables {
    /// For messages.
    uri: String,
    lake: Lake,
    config: LakeConfig,
    /// The hot one first, then in the order of reading.
    tiers: Vec<Tier>,
    /// What the hot table said about colder ones when `tiers` were arranged.
    #[expect(
        clippy::option_option,
        reason = "not arranged yet, and arranged by a table that names none, are two things"
    )]
    arranged: Option<Option<String>>,
    rollup: Known,
}

/// The table of a tier with a place of its own, which may not be there yet.
pub struct Tier {
    pub name: String,
    uri: String,
    known: Known,
}

impl Tier {
    fn of(place: &Lake) -> Self {
        let known = Known::new(place.log_store(lake_path::USAGE_TABLE));
        Self { name: place.tier().to_owned(), uri: place.url().to_string(), known }
    }
}

/// A table that is there, and what its log says of its files when that was asked for.
pub struct Read<'t> {
    pub tier: &'t str,
    pub table: &'t DeltaTable,
    pub files: Option<Arc<TableFiles>>,
}

impl Tables {
    pub fn new(lake: Lake, config: LakeConfig) -> Self {
        let rollup = Known::new(lake.log_store(lake_path::ROLLUP_TABLE));
        let tiers = vec![Tier::of(&lake)];
        Self { uri: config.uri.clone(), lake, config, tiers, arranged: None, rollup }
    }

    /// Which versions were read last.
    pub fn identity(&self) -> Vec<Option<Identity>> {
        let tiers = self.tiers.iter().map(|tier| tier.known.identity());
        tiers.chain([self.rollup.identity()]).collect()
    }

    /// The hot table.
    ///
    /// # Errors
    /// [`QueryError::NoLake`] when there is none.
    pub fn hot(&self) -> Result<&DeltaTable, QueryError> {
        self.tiers.first().and_then(|tier| tier.known.table()).ok_or_else(|| self.missing())
    }

    /// Reads what is new.
    ///
    /// # Errors
    /// When there is no lake, a store fails, or a part of it has no place here.
    pub async fn refresh(&mut self) -> Result<(), QueryError> {
        for _ in 0..MOST_ROUNDS {
            self.refresh_tiers().await?;
            if self.fits().await? {
                self.refresh_rollup().await;
                return Ok(());
            }
        }
        let detail = "days move between its tiers faster than they can be read; ask again".to_owned();
        Err(QueryError::Lake { uri: self.uri.clone(), detail })
    }

    async fn refresh_tiers(&mut self) -> Result<(), QueryError> {
        let uri = self.uri.clone();
        if let Some(hot) = self.tiers.first_mut()
            && !hot.known.refresh().await.map_err(|error| failed(&uri, &error))?
        {
            return Err(self.missing());
        }
        self.arrange()?;
        for tier in self.tiers.iter_mut().skip(1) {
            tier.known.refresh().await.map_err(|error| failed(&tier.uri, &error))?;
        }
        Ok(())
    }

    /// Sums are no rows: those that are known still say which rows they are of, and without any, rows are read.
    async fn refresh_rollup(&mut self) {
        if let Err(error) = self.rollup.refresh().await {
            tracing::warn!(%error, "the rollup could not be read on from the known version");
        }
    }

    /// Whether what was read of one table and then of the next can be put together.
    async fn fits(&mut self) -> Result<bool, QueryError> {
        // One table alone needs no look at its files.
        if self.tiers.iter().filter(|tier| tier.known.table().is_some()).count() < 2 {
            return Ok(true);
        }
        let mut tables = Vec::with_capacity(self.tiers.len());
        for tier in &mut self.tiers {
            tables.extend(tier.known.files().await.map_err(|error| failed(&tier.uri, &error))?);
        }
        Ok(visible::fits(&tables))
    }

    /// Opens the places of the tiers that the hot table names. A configuration that has a place for one must have one for each; one that has none,
    /// as that of who names another lake, takes them from the table.
    fn arrange(&mut self) -> Result<(), QueryError> {
        let state = self.hot()?.snapshot().map_err(|error| failed(&self.uri, &error))?;
        let property = state.metadata().configuration().get(tags::TIERS_PROPERTY).cloned();
        if self.arranged.as_ref() == Some(&property) {
            return Ok(());
        }
        let refused = |why: String| QueryError::Config(one_line(&why));
        let text = property.as_deref();
        let mut lake = self.lake.clone();
        if lake.places().count() == 1 && !self.config.has_places() {
            let named = named::read(text).map_err(|error| refused(error.to_string()))?;
            let places = named.iter().map(|tier| (tier.name.as_str(), tier.uri.as_str()));
            lake = lake.with_tiers_of(places, &self.config).map_err(|error| refused(error.to_string()))?;
        }
        let places: Vec<&Lake> = lake.places().collect();
        let urls: Vec<_> = places.iter().map(|place| place.url()).collect();
        let order = named::reading_order(text, &urls).map_err(|error| refused(error.to_string()))?;
        self.tiers.truncate(1);
        self.tiers.extend(order.into_iter().skip(1).filter_map(|at| places.get(at)).map(|place| Tier::of(place)));
        self.arranged = Some(property);
        Ok(())
    }

    /// The tables that are there, hot first, with their files where those are told apart, and the rollup.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub async fn read(&mut self, always: bool) -> Result<(Vec<Read<'_>>, Option<Read<'_>>), QueryError> {
        let there = self.tiers.iter().filter(|tier| tier.known.table().is_some()).count();
        let apart = always || there > 1 || self.rollup.table().is_some();
        let mut tiers = Vec::with_capacity(there);
        for tier in &mut self.tiers {
            if let Some(read) = read(&mut tier.known, &tier.name, &tier.uri, apart).await? {
                tiers.push(read);
            }
        }
        let rollup = read(&mut self.rollup, lake_path::ROLLUP_TABLE, &self.uri, apart).await?;
        Ok((tiers, rollup))
    }

    fn missing(&self) -> QueryError {
        QueryError::NoLake { uri: self.uri.clone() }
    }
}

async fn read<'t>(known: &'t mut Known, tier: &'t str, uri: &str, apart: bool) -> Result<Option<Read<'t>>, QueryError> {
    let files = if apart { known.files().await.map_err(|error| failed(uri, &error))? } else { None };
    Ok(known.table().map(|table| Read { tier, table, files }))
}

/// A store that fails.
pub fn failed(uri: &str, error: &DeltaTableError) -> QueryError {
    match error {
        DeltaTableError::NotATable(_) => QueryError::NoLake { uri: uri.to_owned() },
        _ => QueryError::Lake { uri: uri.to_owned(), detail: brief(&error.to_string()) },
    }
}
