//! What is to be done next to a lake. In: the files of its tables, the tiers, the time. Out: steps, in the order in which they are best done. Pure:
//! the same figures give the same plan, and a plan is never carried over to another state of the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use chrono::NaiveDate;
use spendstream_lake::files::{FileInfo, TableFiles};
use spendstream_schemas::config::LakeConfig;

use super::maintainer::Moment;

/// Sealings of one day that lie side by side before they are merged.
const MOST_SEALS: usize = 4;
/// Files whose sizes differ by less than this factor are made one: a byte is written anew once per factor, not at every step.
const SIZE_STEP: u64 = 8;
const DAY_MS: i64 = 86_400_000;

/// A tier as days meet it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierPlace {
    pub name: String,
    /// Index of the table that it lies in.
    pub place: usize,
    pub after_days: u32,
    pub zstd_level: i32,
    pub expire_after_days: Option<u32>,
}

/// What a plan goes by.
#[derive(Clone, Debug)]
pub struct Policy {
    pub tiers: Vec<TierPlace>,
    pub compact_files: usize,
    pub target_file_bytes: u64,
    pub join_interval: Duration,
    pub lateness: Duration,
    pub retention_days: Option<u32>,
    pub organizations: BTreeMap<String, u32>,
}

impl Policy {
    /// From the configuration; `lateness`: how long after its end rows of a day are expected.
    #[must_use]
    pub fn new(config: &LakeConfig, lateness: Duration) -> Self {
        let mut place = 0;
        let tiers = config.tiers_by_age().into_iter().map(|tier| {
            place += usize::from(tier.uri.is_some());
            TierPlace {
                name: tier.name,
                place,
                after_days: tier.after_days,
                zstd_level: tier.zstd_level,
                expire_after_days: tier.expire_after_days,
            }
        });
        Self {
            tiers: tiers.collect(),
            compact_files: config.maintenance.compact_files,
            target_file_bytes: config.maintenance.target_file_bytes as u64,
            join_interval: config.maintenance.join_interval,
            lateness,
            retention_days: Some(config.retention.days).filter(|days| *days > 0),
            organizations: config.retention.organizations.clone(),
        }
    }

    /// The tier for a sealed day of that age; `None`: sealed where it is.
    #[must_use]
    pub fn tier(&self, age_days: i64) -> Option<&TierPlace> {
        self.tiers.iter().rev().find(|tier| i64::from(tier.after_days) <= age_days)
    }

    /// The tier whose encoding a day of that age has in a place: that of its age, or the last of that place.
    #[must_use]
    pub fn tier_in(&self, place: usize, age_days: i64) -> Option<&TierPlace> {
        let fits = |tier: &&TierPlace| tier.place == place && i64::from(tier.after_days) <= age_days;
        self.tiers.iter().rev().find(fits).or_else(|| self.tiers.iter().find(|tier| tier.place == place))
    }

    /// The lengths of retention that have passed for a day of that age in a place, the longest first; organizations apart.
    fn passed(&self, place: usize, age_days: i64) -> Option<Expiry> {
        let tier = self.tier_in(place, age_days).and_then(|tier| tier.expire_after_days);
        let is_over = |days: u32| i64::from(days) <= age_days;
        let rest_is_over = self.retention_days.is_some_and(is_over);
        if tier.is_some_and(is_over) {
            return Some(Expiry { everything: true, organizations: BTreeSet::new(), rest: true });
        }
        let over = |is: bool| {
            let named = self.organizations.iter().filter(|(_, days)| is_over(**days) == is);
            named.map(|(name, _)| name.clone()).collect::<BTreeSet<_>>()
        };
        let (gone, kept) = (over(true), over(false));
        match (rest_is_over, gone.is_empty(), kept.is_empty()) {
            (true, _, true) => Some(Expiry { everything: true, organizations: BTreeSet::new(), rest: true }),
            (true, _, false) => Some(Expiry { everything: false, organizations: kept, rest: true }),
            (false, false, _) => Some(Expiry { everything: false, organizations: gone, rest: false }),
            (false, true, _) => None,
        }
    }
}

/// Whose rows of a day are over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// All of them.
    pub everything: bool,
    /// `rest`: all but these; otherwise these alone.
    pub organizations: BTreeSet<String>,
    pub rest: bool,
}

impl fmt::Display for Expiry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = || self.organizations.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match (self.everything, self.rest) {
            (true, _) => out.write_str("all"),
            (false, true) => write!(out, "all but {}", names()),
            (false, false) => write!(out, "{}", names()),
        }
    }
}

/// Files of one day in one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    pub place: usize,
    pub date: NaiveDate,
    pub files: Vec<String>,
    pub bytes: u64,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Finish a move that was begun.
    FinishMove { place: usize, number: i64 },
    /// Delete files of days that are over.
    Expire { place: usize, days: Vec<Day> },
    /// Write a day without the rows that are over.
    ExpireRows { day: Day, whose: Expiry },
    /// Sort a day, without repeats.
    Seal { day: Day, is_late: bool, tier: String, zstd_level: i32 },
    /// Pack a sealed day for its tier.
    Repack { day: Day, tier: String, zstd_level: i32 },
    /// Begin to move a sealed day to the next table.
    Move { day: Day, tier: String, zstd_level: i32 },
    /// Make small files of an open day one.
    Compact { day: Day },
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |day: &Day| format!("{} ({} files, {} bytes)", day.date, day.files.len(), day.bytes);
        match self {
            Self::FinishMove { number, .. } => write!(out, "finish move {number}"),
            Self::Expire { days, .. } => {
                let all: Vec<String> = days.iter().map(day).collect();
                write!(out, "delete {}", all.join(", "))
            }
            Self::ExpireRows { day: one, whose } => write!(out, "delete rows of {whose} from {}", day(one)),
            Self::Seal { day: one, is_late: true, .. } => write!(out, "join late rows to {}", day(one)),
            Self::Seal { day: one, .. } => write!(out, "seal {}", day(one)),
            Self::Repack { day: one, tier, .. } => write!(out, "pack {} for {tier}", day(one)),
            Self::Move { day: one, tier, .. } => write!(out, "move {} towards {tier}", day(one)),
            Self::Compact { day: one } => write!(out, "compact {}", day(one)),
        }
    }
}

/// What there is to do. Nothing that depends on another step's outcome: the next plan has it.
#[must_use]
pub fn plan(tables: &[TableFiles], policy: &Policy, at: Moment) -> Vec<Step> {
    let mut steps = Vec::new();
    for (place, table) in tables.iter().enumerate() {
        let moving: BTreeSet<i64> = table.files.iter().filter_map(|file| file.moving).collect();
        steps.extend(moving.into_iter().map(|number| Step::FinishMove { place, number }));
    }
    let mut over = BTreeMap::<usize, Vec<Day>>::new();
    for (place, table) in tables.iter().enumerate() {
        let mut days = BTreeMap::<NaiveDate, Vec<&FileInfo>>::new();
        for file in table.files.iter().filter(|file| file.moving.is_none()) {
            if let Ok(date) = file.date.parse() {
                days.entry(date).or_default().push(file);
            }
        }
        for (date, files) in days {
            let is_last = place + 1 == tables.len();
            match one_day((place, date), &files, policy, at, is_last) {
                Some(Step::Expire { days, .. }) => over.entry(place).or_default().extend(days),
                Some(step) => steps.push(step),
                None => {}
            }
        }
    }
    // What is over goes before it is sealed or moved once more.
    let over = over.into_iter().map(|(place, days)| Step::Expire { place, days });
    let begun = steps.iter().take_while(|step| matches!(step, Step::FinishMove { .. })).count();
    let rest = steps.split_off(begun);
    steps.extend(over);
    steps.extend(rest);
    steps
}

/// Days since the end of a day; negative before it.
#[must_use]
pub fn age_days(date: NaiveDate, now_ms: i64) -> i64 {
    (now_ms - end_ms(date)).div_euclid(DAY_MS)
}

/// The end of a day, milliseconds since the epoch.
#[must_use]
pub fn end_ms(date: NaiveDate) -> i64 {
    let next = date.succ_opt().unwrap_or(date);
    next.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis()
}

/// Whether no more rows of a day are expected.
#[must_use]
pub fn is_past(date: NaiveDate, policy: &Policy, at: Moment) -> bool {
    let lateness = i64::try_from(policy.lateness.as_millis()).unwrap_or(i64::MAX);
    at.watermark_ms.min(at.now_ms) >= end_ms(date).saturating_add(lateness)
}

fn one_day(
    (place, date): (usize, NaiveDate),
    files: &[&FileInfo],
    policy: &Policy,
    at: Moment,
    is_last: bool,
) -> Option<Step> {
    let day = |files: &[&FileInfo]| Day {
        place,
        date,
        files: files.iter().map(|file| file.path.clone()).collect(),
        bytes: files.iter().map(|file| file.bytes).sum(),
    };
    let age = age_days(date, at.now_ms);
    if let Some(whose) = policy.passed(place, age) {
        if whose.everything {
            return Some(Step::Expire { place, days: vec![day(files)] });
        }
        let told = whose.to_string();
        let left: Vec<&FileInfo> =
            files.iter().filter(|file| file.expired.as_deref() != Some(&told)).copied().collect();
        if !left.is_empty() {
            return Some(Step::ExpireRows { day: day(&left), whose });
        }
    }
    if !is_past(date, policy, at) {
        return compact(files, policy).map(|files| Step::Compact { day: day(&files) });
    }
    let (sealed, rows): (Vec<&FileInfo>, Vec<&FileInfo>) = files.iter().partition(|file| file.seal.is_some());
    let seals: BTreeSet<&str> = sealed.iter().filter_map(|file| file.seal.as_deref()).collect();
    let own = policy.tier_in(place, age);
    let (tier, zstd_level) = own.map_or(("hot".to_owned(), 9), |tier| (tier.name.clone(), tier.zstd_level));
    if !rows.is_empty() && is_due(&rows, &seals, policy, at) || seals.len() > MOST_SEALS {
        return Some(Step::Seal { day: day(files), is_late: !seals.is_empty(), tier, zstd_level });
    }
    if sealed.is_empty() {
        return None;
    }
    let target = policy.tier(age)?;
    if target.place > place && !is_last {
        // One table at a time, so that each move has one number.
        let next = policy.tier_in(place + 1, age)?;
        let (tier, zstd_level) = (next.name.clone(), next.zstd_level);
        return Some(Step::Move { day: day(&sealed), tier, zstd_level });
    }
    let known = |name: &str| policy.tiers.iter().find(|tier| tier.name == name).map(|tier| tier.zstd_level);
    let is_other = |file: &&FileInfo| file.tier.as_deref().and_then(known) != Some(zstd_level);
    sealed.iter().any(is_other).then(|| Step::Repack { day: day(&sealed), tier, zstd_level })
}

/// Rows of a sealed day wait for company, but never longer than the interval.
fn is_due(rows: &[&FileInfo], seals: &BTreeSet<&str>, policy: &Policy, at: Moment) -> bool {
    let oldest = rows.iter().map(|file| file.stored_ms).min().unwrap_or(i64::MAX);
    let waited = at.now_ms.saturating_sub(oldest);
    seals.is_empty()
        || rows.len() >= policy.compact_files
        || waited >= i64::try_from(policy.join_interval.as_millis()).unwrap_or(i64::MAX)
}

/// The largest set of small files of about one size, smallest sizes first.
fn compact<'a>(files: &[&'a FileInfo], policy: &Policy) -> Option<Vec<&'a FileInfo>> {
    let mut small: Vec<&FileInfo> =
        files.iter().filter(|file| file.bytes < policy.target_file_bytes / 2).copied().collect();
    small.sort_by_key(|file| (file.bytes, &file.path));
    let mut at = 0;
    while at < small.len() {
        let most = small[at].bytes.max(1).saturating_mul(SIZE_STEP);
        let alike = small[at..].iter().take_while(|file| file.bytes <= most).count();
        if alike >= policy.compact_files {
            let (mut chosen, mut total) = (Vec::new(), 0);
            for file in &small[at..at + alike] {
                total += file.bytes;
                if total > policy.target_file_bytes && chosen.len() >= 2 {
                    break;
                }
                chosen.push(*file);
            }
            return Some(chosen);
        }
        at += alike.max(1);
    }
    None
}

/// The oldest day with rows that are not sealed though no more are expected, or the oldest at all.
#[must_use]
pub fn oldest_unsealed(tables: &[TableFiles]) -> Option<NaiveDate> {
    let unsealed = tables.iter().flat_map(|table| &table.files).filter(|file| file.seal.is_none());
    unsealed.filter_map(|file| file.date.parse().ok()).min()
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
