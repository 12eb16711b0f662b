//! Sections `[lake.tiers.NAME]`, `[lake.maintenance]` and `[lake.retention]`: how a lake is kept for years.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LakeConfig, Text, millis};

/// Where events arrive: `lake.uri`. The name of no configured tier.
pub const HOT: &str = "hot";

/// A tier that a sealed day enters at an age.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct TierConfig {
    /// Days after its end at which a day enters; 0: as soon as it is sealed.
    pub after_days: u32,
    /// Another folder, bucket or account for a Delta table of its own; empty: in the table of the tier before, packed anew.
    pub uri: String,
    /// Options of that store, as `lake.options`; `AWS_*` variables are the fallback.
    pub options: BTreeMap<String, Text>,
    /// S3 storage class of its data files (`STANDARD_IA`, `GLACIER_IR`, …); empty: the bucket's default. The Delta log stays in the default class.
    pub storage_class: String,
    /// zstd level of its files, 1 to 22; 0: 9, or 19 from an age of 365 days on.
    pub zstd_level: i32,
    /// Days after its end at which a day in this tier is deleted for good; 0: never.
    pub expire_after_days: u32,
}

/// Who tidies the lake up, how often and within which bounds.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct MaintenanceConfig {
    /// Whether `pipeline` does it; otherwise `spendstream lake maintain` has to run somewhere.
    pub enabled: bool,
    /// Address and port of `/metrics`, `/healthz` and `/readyz` of `spendstream lake maintain`; empty: none. A pipeline has them at `pipeline.listen`.
    pub listen: String,
    /// A round begins this long after the end of the one before.
    #[serde(with = "millis")]
    pub interval: Duration,
    /// How long who maintains may be silent before another process takes over.
    #[serde(with = "millis")]
    pub lease: Duration,
    /// Small files of an open day that are made one; fewer are left alone.
    pub compact_files: usize,
    /// Data files are cut at about this size.
    pub target_file_bytes: usize,
    /// Rows per row group of sealed files.
    pub row_group_rows: usize,
    /// Late rows of a sealed day wait this long for company before they join it.
    #[serde(with = "millis")]
    pub join_interval: Duration,
    /// Memory of a round, bytes; sorts beyond it spill to the temporary directory.
    pub memory_bytes: usize,
    /// Rows of a day that are compared with one another as spans and responses of one call; beyond, the nearest in time are.
    pub compared_rows: usize,
    /// Files that no version has needed for this long are deleted; longer than any query and any upload.
    #[serde(with = "millis")]
    pub vacuum_after: Duration,
    /// Versions of the Delta log are kept this long.
    #[serde(with = "millis")]
    pub log_retention: Duration,
    /// How often files and versions that nobody needs are looked for.
    #[serde(with = "millis")]
    pub vacuum_interval: Duration,
}

impl Default for MaintenanceConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: String::new(),
            interval: Duration::from_mins(1),
            lease: Duration::from_mins(5),
            compact_files: 16,
            target_file_bytes: 256 << 20,
            row_group_rows: 1 << 20,
            join_interval: Duration::from_hours(1),
            memory_bytes: 512 << 20,
            compared_rows: 2_000_000,
            vacuum_after: Duration::from_hours(168),
            log_retention: Duration::from_hours(720),
            vacuum_interval: Duration::from_hours(6),
        }
    }
}

/// When events are deleted for good.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days after its end at which a day is deleted, in whatever tier; 0: never.
    pub days: u32,
    /// The same for single organizations, by their name: shorter or longer than `days`.
    pub organizations: BTreeMap<String, u32>,
}

/// A tier as it is used: in order of age, with what was left open filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Tier {
    pub name: String,
    /// `None`: in the table of the tier before.
    pub uri: Option<String>,
    pub options: BTreeMap<String, Text>,
    pub storage_class: Option<String>,
    pub after_days: u32,
    pub zstd_level: i32,
    pub expire_after_days: Option<u32>,
}

/// Age from which files are packed as tightly as it goes.
const OLD_DAYS: u32 = 365;
const SEALED_LEVEL: i32 = 9;
const OLD_LEVEL: i32 = 19;

impl LakeConfig {
    /// The tiers after the hot one, by age: those that are configured, else `warm` when sealed and `cold` after a year, in the lake's own table.
    #[must_use]
    pub fn tiers_by_age(&self) -> Vec<Tier> {
        let default = || {
            let cold = TierConfig { after_days: OLD_DAYS, ..TierConfig::default() };
            BTreeMap::from([("warm".to_owned(), TierConfig::default()), ("cold".to_owned(), cold)])
        };
        let configured = if self.tiers.is_empty() { default() } else { self.tiers.clone() };
        let some = |text: String| (!text.is_empty()).then_some(text);
        let mut tiers: Vec<Tier> = configured
            .into_iter()
            .map(|(name, tier)| Tier {
                name,
                uri: some(tier.uri),
                options: tier.options,
                storage_class: some(tier.storage_class),
                after_days: tier.after_days,
                zstd_level: match tier.zstd_level {
                    0 if tier.after_days >= OLD_DAYS => OLD_LEVEL,
                    0 => SEALED_LEVEL,
                    level => level,
                },
                expire_after_days: Some(tier.expire_after_days).filter(|days| *days > 0),
            })
            .collect();
        tiers.sort_by(|a, b| (a.after_days, &a.name).cmp(&(b.after_days, &b.name)));
        tiers
    }

    /// Takes another lake than the configured one: `tiers` are those of that one, and say nothing of another.
    pub fn read_elsewhere(&mut self, uri: String) {
        if uri.trim_end_matches('/') != self.uri.trim_end_matches('/') {
            self.tiers.clear();
        }
        self.uri = uri;
    }

    /// Whether any tier has a place of its own.
    #[must_use]
    pub fn has_places(&self) -> bool {
        self.tiers.values().any(|tier| !tier.uri.is_empty())
    }
}

/// What is wrong with tiers, maintenance or retention, if anything.
pub(super) fn problem(lake: &LakeConfig) -> Option<(String, String)> {
    tiers(lake).or_else(|| maintenance(lake)).or_else(|| retention(lake))
}

fn tiers(lake: &LakeConfig) -> Option<(String, String)> {
    let mut uris = BTreeSet::from([lake.uri.trim_end_matches('/')]);
    let mut ages = BTreeSet::new();
    for (name, tier) in &lake.tiers {
        let wrong = |key: &str, problem: String| Some((format!("lake.tiers.{name}.{key}"), problem));
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name == HOT || name.is_empty() || !name.bytes().all(plain) {
            let problem = format!(
                "is no name for a tier: write small letters, digits and '_', and not '{HOT}', which is lake.uri"
            );
            return Some((format!("lake.tiers.{name}"), problem));
        }
        let known = tier.uri.is_empty() || tier.uri.starts_with("file:") || tier.uri.starts_with("s3://");
        if !known {
            return wrong(
                "uri",
                format!("is '{}'; write file:./folder, file:///folder, s3://bucket/prefix or nothing", tier.uri),
            );
        }
        if !tier.uri.is_empty() && !uris.insert(tier.uri.trim_end_matches('/')) {
            return wrong("uri", "is that of another tier: two tables cannot lie in one place".to_owned());
        }
        if tier.uri.is_empty() && !(tier.storage_class.is_empty() && tier.options.is_empty()) {
            let problem =
                "storage_class and options need a uri: in the table of the tier before they would hold for that too";
            return wrong("uri", problem.to_owned());
        }
        if !(0..=22).contains(&tier.zstd_level) {
            return wrong("zstd_level", format!("is {}; write 1 to 22, or 0 for the default", tier.zstd_level));
        }
        if !ages.insert(tier.after_days) {
            return wrong(
                "after_days",
                format!("is {} as for another tier: their order would be open", tier.after_days),
            );
        }
        if tier.expire_after_days > 0 && tier.expire_after_days <= tier.after_days {
            return wrong(
                "expire_after_days",
                "must be more than after_days: days would be deleted as they come".to_owned(),
            );
        }
    }
    None
}

fn maintenance(lake: &LakeConfig) -> Option<(String, String)> {
    let config = &lake.maintenance;
    let wrong = |key: &str, problem: &str| Some((format!("lake.maintenance.{key}"), problem.to_owned()));
    let least = [
        ("interval", config.interval.is_zero()),
        ("lease", config.lease.is_zero()),
        ("target_file_bytes", config.target_file_bytes == 0),
        ("row_group_rows", config.row_group_rows == 0),
        ("compared_rows", config.compared_rows == 0),
        ("vacuum_interval", config.vacuum_interval.is_zero()),
    ];
    if let Some((key, _)) = least.into_iter().find(|(_, is_wrong)| *is_wrong) {
        return wrong(key, "must be more than 0");
    }
    if config.compact_files < 2 {
        return wrong("compact_files", "must be 2 or more: one file is compact already");
    }
    if config.memory_bytes < 64 << 20 {
        return wrong("memory_bytes", "must be 67108864 (64 MiB) or more: a sort needs room for a few batches");
    }
    (config.log_retention < config.vacuum_after)
        .then(|| ("lake.maintenance.log_retention".to_owned(), "must not be less than vacuum_after".to_owned()))
}

fn retention(lake: &LakeConfig) -> Option<(String, String)> {
    let (name, _) = lake.retention.organizations.iter().find(|(_, days)| **days == 0)?;
    Some((
        format!("lake.retention.organizations.{name}"),
        "must be 1 or more; without the line lake.retention.days holds, and a large number such as 36500 keeps everything".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::{TierConfig, problem};
    use crate::config::LakeConfig;

    fn lake(tiers: &[(&str, TierConfig)]) -> LakeConfig {
        let tiers = tiers.iter().map(|(name, tier)| ((*name).to_owned(), tier.clone())).collect();
        LakeConfig { tiers, ..LakeConfig::default() }
    }

    fn tier(after_days: u32, uri: &str) -> TierConfig {
        TierConfig { after_days, uri: uri.to_owned(), ..TierConfig::default() }
    }

    #[test]
    fn tiers_come_by_age_and_have_defaults() {
        let names = |lake: &LakeConfig| -> Vec<_> {
            lake.tiers_by_age().into_iter().map(|tier| (tier.name, tier.after_days, tier.zstd_level)).collect()
        };
        assert_eq!(names(&lake(&[])), [("warm".to_owned(), 0, 9), ("cold".to_owned(), 365, 19)]);
        let three = lake(&[("archive", tier(400, "s3://a/x")), ("b", tier(7, "")), ("c", tier(30, "file:./c"))]);
        assert_eq!(problem(&three), None);
        assert_eq!(names(&three), [("b".to_owned(), 7, 9), ("c".to_owned(), 30, 9), ("archive".to_owned(), 400, 19)]);
    }

    #[test]
    fn another_lake_has_other_tiers() {
        let mut here = lake(&[("cold", tier(1, "s3://cold/x"))]);
        let uri = here.uri.clone();
        here.read_elsewhere(format!("{uri}/"));
        assert!(here.has_places());
        here.read_elsewhere("file:./other".into());
        assert!(!here.has_places());
        assert_eq!(here.uri, "file:./other");
    }

    fn check(lake: &LakeConfig, key: &str, said: &str) {
        let (found, problem) = problem(lake).unwrap();
        assert_eq!(found, key);
        assert!(problem.contains(said), "{problem}");
    }

    #[test]
    fn what_cannot_work_is_named() {
        check(&lake(&[("hot", tier(1, ""))]), "lake.tiers.hot", "no name for a tier");
        check(&lake(&[("a", tier(1, "gs://x"))]), "lake.tiers.a.uri", "is 'gs://x'");
        check(&lake(&[("a", tier(1, "file:./spendstream-lake/"))]), "lake.tiers.a.uri", "that of another tier");
        check(&lake(&[("a", tier(1, "")), ("b", tier(1, ""))]), "lake.tiers.b.after_days", "as for another tier");
        let class = TierConfig { storage_class: "GLACIER_IR".into(), ..tier(1, "") };
        check(&lake(&[("a", class)]), "lake.tiers.a.uri", "need a uri");
        let gone = TierConfig { expire_after_days: 30, ..tier(30, "") };
        check(&lake(&[("a", gone)]), "lake.tiers.a.expire_after_days", "more than after_days");
        let mut short = lake(&[]);
        short.maintenance.compact_files = 1;
        check(&short, "lake.maintenance.compact_files", "2 or more");
    }
}
