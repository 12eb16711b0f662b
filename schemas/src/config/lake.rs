//! Section `[lake]`: where rows go, and how they are written there. Keys and their faults; no IO. How days age is in [`super::tiers`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::validate::{ConfigError, at_least_one, fault};
use super::{MaintenanceConfig, RetentionConfig, Text, TierConfig, millis};

/// Where rows go.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LakeConfig {
    /// `file:./path`, `file:///abs/path` or `s3://bucket/prefix`.
    pub uri: String,
    /// ISO 4217; fixed when the lake is created.
    pub currency: String,
    /// Object-store options (`aws_endpoint`, …); `AWS_*` variables are the fallback.
    pub options: BTreeMap<String, Text>,
    /// A commit is made at least this often while there is something to commit, in milliseconds.
    #[serde(with = "millis")]
    pub commit_interval: std::time::Duration,
    /// … or when this many rows wait.
    pub commit_rows: usize,
    /// … or when the encoded files reach this size.
    pub commit_bytes: usize,
    /// A commit that spans more dates than this is made at once, to bound open files.
    pub max_open_dates: usize,
    /// Rows per Parquet row group.
    pub row_group_rows: usize,
    /// zstd level of freshly written files.
    pub zstd_level: i32,
    /// A Delta checkpoint every so many versions.
    pub checkpoint_every: u64,
    /// Where days go as they age; empty: `warm` when sealed and `cold` after a year, in the same table.
    pub tiers: BTreeMap<String, TierConfig>,
    pub maintenance: MaintenanceConfig,
    pub retention: RetentionConfig,
}

impl Default for LakeConfig {
    fn default() -> Self {
        Self {
            uri: "file:./spendstream-lake".into(),
            currency: "USD".into(),
            options: BTreeMap::new(),
            commit_interval: std::time::Duration::from_secs(5),
            commit_rows: 1_000_000,
            commit_bytes: 64 << 20,
            max_open_dates: 64,
            row_group_rows: 262_144,
            zstd_level: 1,
            checkpoint_every: 50,
            tiers: BTreeMap::new(),
            maintenance: MaintenanceConfig::default(),
            retention: RetentionConfig::default(),
        }
    }
}

/// The first key whose value cannot work.
pub(super) fn validate(config: &LakeConfig) -> Result<(), ConfigError> {
    let folder = config.uri.strip_prefix("file:").or_else(|| config.uri.strip_prefix("s3://"));
    if folder.is_none_or(|rest| rest.trim_matches('/').is_empty()) {
        let uri = &config.uri;
        return fault("lake.uri", format!("is '{uri}'; write file:./folder, file:///folder or s3://bucket/prefix"));
    }
    if config.currency.len() != 3 || !config.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return fault("lake.currency", format!("is '{}'; write an ISO 4217 code such as USD", config.currency));
    }
    at_least_one("lake.commit_interval", config.commit_interval.as_millis())?;
    at_least_one("lake.commit_rows", config.commit_rows)?;
    at_least_one("lake.commit_bytes", config.commit_bytes)?;
    at_least_one("lake.max_open_dates", config.max_open_dates)?;
    at_least_one("lake.row_group_rows", config.row_group_rows)?;
    at_least_one("lake.checkpoint_every", config.checkpoint_every)?;
    if !(1..=22).contains(&config.zstd_level) {
        return fault("lake.zstd_level", format!("is {}; write 1 to 22", config.zstd_level));
    }
    if let Some((key, problem)) = super::tiers::problem(config) {
        return fault(&key, problem);
    }
    Ok(())
}
