//! Who maintains a lake. In: the lake, the configuration, the time. Out: rounds of steps. Whoever takes the lake writes a new number into every table; from
//! then on nothing that was planned under an older one gets in, however late it wakes up.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveDate;
use deltalake_core::kernel::Add;
use serde::Serialize;
use serde_json::json;
use spendstream_lake::files::{FileInfo, TableFiles};
use spendstream_lake::named::{self, NamedTier};
use spendstream_lake::tags::{BEGUN_APP, HISTORY_APP, MOVES_APP, TIERS_PROPERTY};
use spendstream_schemas::config::LakeConfig;
use spendstream_storage::Lake;

use super::super::error::LakeError;
use super::super::rewriter::{Change, RewriteError, Rewriter};
use super::super::state::TableState;
use super::super::table::{self, Kind};
use super::super::view::named_places;
use super::plan::{Day, Policy, Step, oldest_unsealed, plan};
use super::rollups;
use super::vacuum::{self, Vacuumed};
use super::write::Form;

/// Plans that follow one another in a round, until one is empty.
const MOST_PLANS: usize = 6;

/// When a plan is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, milliseconds since the epoch.
    pub now_ms: i64,
    /// Event time that all partitions have reached, milliseconds.
    pub watermark_ms: i64,
}

impl Moment {
    /// From the books of the hot table: the least event time that a partition has come to which is read just now; the wall clock where none is.
    #[must_use]
    pub fn of(state: &TableState, now_ms: i64, idle: Duration) -> Self {
        let idle = i64::try_from(idle.as_millis()).unwrap_or(i64::MAX);
        let is_read = |moved: &i64| now_ms.saturating_sub(*moved) < idle;
        let live = state.books.iter().filter(|(source, _)| state.moved_ms.get(source).is_some_and(is_read));
        let reached = live.filter_map(|(_, book)| book.tally.newest_event_ms.or(book.tally.last_timestamp_ms));
        let watermark_ms = reached.min().unwrap_or(now_ms);
        Self { now_ms, watermark_ms: watermark_ms.min(now_ms) }
    }
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    pub added_files: usize,
    pub removed_files: usize,
    pub added_bytes: u64,
    /// Rows that are gone: repeats, or what was over.
    pub removed_rows: u64,
}

impl Done {
    pub(super) fn new(change: &Change, removed_rows: u64) -> Self {
        Self {
            added_files: change.adds.len(),
            removed_files: change.removes.len(),
            added_bytes: change.adds.iter().map(|add| u64::try_from(add.size).unwrap_or(0)).sum(),
            removed_rows,
        }
    }
}

/// What the audit log keeps of a step that deleted events: which days, and how many rows.
#[must_use]
pub fn deleted(step: &Step, done: &Done) -> Option<(String, serde_json::Value)> {
    match step {
        Step::Expire { days, .. } => {
            let dates: Vec<String> = days.iter().map(|day| day.date.to_string()).collect();
            Some((dates.join(","), json!({"rows": done.removed_rows, "files": done.removed_files})))
        }
        Step::ExpireRows { day, whose } => {
            Some((day.date.to_string(), json!({"rows": done.removed_rows, "organizations": whose.to_string()})))
        }
        _ => None,
    }
}

/// A round's outcome.
#[derive(Clone, Debug, Default)]
pub struct Round {
    pub steps: Vec<(Step, Done)>,
    /// The oldest day with rows that are not sealed.
    pub oldest_unsealed: Option<NaiveDate>,
}

/// See the module.
pub struct Maintainer {
    pub(super) config: LakeConfig,
    pub(super) policy: Policy,
    /// The tables of events, hot first.
    pub(super) tables: Vec<Rewriter>,
    pub(super) rollup: Rewriter,
    pub(super) decisions: Rewriter,
    epoch: i64,
    idle: Duration,
}

impl Maintainer {
    /// Looks at the tables without taking them over, or making any: to plan and to search.
    ///
    /// # Errors
    /// When there is no lake, a store fails, a table is not ours, or the configuration lacks a tier that the lake has.
    pub async fn open(
        lake: &Lake,
        config: &LakeConfig,
        (lateness, idle): (Duration, Duration),
    ) -> Result<Self, LakeError> {
        let mut tables = Vec::new();
        for place in lake.places() {
            tables.push(Rewriter::look(place, Kind::Usage, config).await?);
        }
        match tables.first() {
            Some(hot) if hot.is_there() => named_places(lake, &hot.state)?,
            _ => return Err(LakeError::Missing { lake: lake.to_string() }),
        }
        let rollup = Rewriter::look(lake, Kind::Rollup, config).await?;
        let decisions = Rewriter::look(lake, Kind::Decisions, config).await?;
        let policy = Policy::new(config, lateness);
        Ok(Self { config: config.clone(), policy, tables, rollup, decisions, epoch: 0, idle })
    }

    /// Takes the lake over; tables of tiers that are not there yet are made.
    ///
    /// # Errors
    /// As [`Maintainer::open`], and [`RewriteError::Fenced`] when somebody else takes over at the same time.
    pub async fn take(lake: &Lake, config: &LakeConfig, times: (Duration, Duration)) -> Result<Self, RewriteError> {
        let mut this = Self::open(lake, config, times).await?;
        for table in this.all_mut() {
            if !table.is_there() {
                *table = Rewriter::open(&table.place.clone(), table.kind, config).await?;
            }
        }
        let known = this.all().map(Rewriter::known_epoch).max().unwrap_or(0);
        let epoch = known + 1;
        for table in this.all_mut() {
            table.take(epoch).await?;
        }
        this.epoch = epoch;
        this.set_properties().await?;
        Ok(this)
    }

    /// The number under which this process maintains the lake.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    fn all(&self) -> impl Iterator<Item = &Rewriter> {
        self.tables.iter().chain([&self.rollup, &self.decisions])
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Rewriter> {
        self.tables.iter_mut().chain([&mut self.rollup, &mut self.decisions])
    }

    /// Says in every table how long it is kept and which columns have statistics, and in the hot one which tiers have tables of their own, before the first row is there.
    async fn set_properties(&mut self) -> Result<(), RewriteError> {
        let named =
            |table: &Rewriter| NamedTier { name: table.place.tier().to_owned(), uri: table.place.url().to_string() };
        let tiers: Vec<NamedTier> = self.tables.iter().skip(1).map(named).collect();
        let config = self.config.clone();
        for (at, table) in self.all_mut().enumerate() {
            let Some(mut meta) = table.state.meta.clone() else { continue };
            meta.configuration.extend(table::properties(table.kind, &config));
            if at == 0 && !tiers.is_empty() {
                meta.configuration.insert(TIERS_PROPERTY.to_owned(), named::write(&tiers));
            }
            if table.state.meta.as_ref() != Some(&meta) {
                let change = Change { operation: "SET TBLPROPERTIES", meta: Some(meta), ..Change::default() };
                table.commit(change).await?;
            }
        }
        Ok(())
    }

    /// What the logs say now.
    ///
    /// # Errors
    /// When one cannot be read.
    pub async fn look(&mut self) -> Result<(), LakeError> {
        for table in self.all_mut() {
            table.follow().await?;
        }
        Ok(())
    }

    /// The time by the books of the hot table.
    #[must_use]
    pub fn moment(&self, now_ms: i64) -> Moment {
        Moment::of(&self.tables[0].state, now_ms, self.idle)
    }

    /// What there is to do.
    #[must_use]
    pub fn plan(&self, at: Moment) -> Vec<Step> {
        plan(&self.facts(), &self.policy, at)
    }

    /// The tables as readers see them.
    #[must_use]
    pub fn facts(&self) -> Vec<TableFiles> {
        let fact = |table: &Rewriter| TableFiles {
            version: table.state.version,
            moves: table.state.app(MOVES_APP),
            begun: table.state.app(BEGUN_APP),
            history: table.state.app(HISTORY_APP),
            files: table.files.values().map(FileInfo::from_add).collect(),
        };
        self.tables.iter().map(fact).collect()
    }

    /// Does all there is to do; `told` hears of each step before and after.
    ///
    /// # Errors
    /// The first step that fails; what was done before is done. [`RewriteError::Fenced`] ends this process's part for good.
    pub async fn round(
        &mut self,
        now_ms: i64,
        wanted: impl Fn(&Step) -> bool,
        mut told: impl FnMut(&Step, Option<&Done>),
    ) -> Result<Round, RewriteError> {
        let mut round = Round::default();
        for _ in 0..MOST_PLANS {
            self.look().await?;
            let at = self.moment(now_ms);
            let steps: Vec<Step> = self.plan(at).into_iter().filter(&wanted).collect();
            if steps.is_empty() {
                break;
            }
            for step in steps {
                told(&step, None);
                let done = self.step(&step, at).await?;
                told(&step, Some(&done));
                round.steps.push((step, done));
            }
        }
        rollups::tidy(&mut self.rollup, &self.tables).await?;
        round.oldest_unsealed = oldest_unsealed(&self.facts());
        Ok(round)
    }

    /// Does one step of a plan that was made on the tables as they are known.
    ///
    /// # Errors
    /// See [`RewriteError`]; nothing is half done.
    pub async fn step(&mut self, step: &Step, at: Moment) -> Result<Done, RewriteError> {
        match step {
            Step::FinishMove { place, number } => self.finish_move(*place, *number, at).await,
            Step::Expire { place, days } => self.expire(*place, days).await,
            Step::ExpireRows { day, whose } => self.expire_rows(day, whose).await,
            Step::Seal { day, tier, zstd_level, .. } => self.seal(day, tier, *zstd_level).await,
            Step::Repack { day, tier, zstd_level } => self.repack(day, tier, *zstd_level).await,
            Step::Move { day, .. } => self.move_day(day, at).await,
            Step::Compact { day } => self.compact(day).await,
        }
    }

    /// Removes files and versions that nobody needs, and writes checkpoints. By table, hot first, the rollup and `decisions` last.
    ///
    /// # Errors
    /// When a store fails; what is left is found again.
    pub async fn vacuum(&mut self, now_ms: i64) -> Result<Vec<Vacuumed>, LakeError> {
        self.look().await?;
        let config = &self.config.maintenance;
        let before = now_ms.saturating_sub(i64::try_from(config.log_retention.as_millis()).unwrap_or(i64::MAX));
        let mut all = Vec::new();
        for (at, table) in self.all().enumerate() {
            // The hot table's are written by whoever commits to it.
            if at > 0 {
                vacuum::checkpoint(table).await?;
            }
            let files = vacuum::vacuum(table, config.vacuum_after).await?;
            all.push(Vacuumed { files, log_files: vacuum::clean_log(table, before).await? });
        }
        Ok(all)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.config.maintenance.memory_bytes
    }

    pub(super) fn form(&self, tier: &str, zstd_level: i32, tags: Vec<(&'static str, String)>) -> Form {
        Form {
            tier: tier.to_owned(),
            zstd_level,
            row_group_rows: self.config.maintenance.row_group_rows,
            target_bytes: self.config.maintenance.target_file_bytes,
            tags,
        }
    }

    /// The tier that a file is packed for.
    pub(super) fn tier_of(&self, place: usize, path: &str) -> Option<(String, i32)> {
        let name = FileInfo::from_add(self.tables[place].files.get(path)?).tier?;
        self.policy.tiers.iter().find(|tier| tier.name == name).map(|tier| (name, tier.zstd_level))
    }

    /// Rows of the files of a day, where their statistics say.
    pub(super) fn rows_of(&self, day: &Day) -> Option<u64> {
        day.files.iter().map(|path| FileInfo::from_add(self.tables[day.place].files.get(path)?).rows).sum()
    }
}

/// A change to a day.
pub(super) fn change(operation: &'static str, day: &Day, adds: Vec<Add>) -> Change {
    let parameters = BTreeMap::from([("date".to_owned(), day.date.to_string())]);
    Change { operation, parameters, adds, ..Change::default() }
}
