//! What an operator can set, typed. Loading (file, environment) is the binary's job; unknown keys are refused there.
//!
//! Every field is a key of `spendstream.sample.toml`, which documents it with its unit, default and what happens at a limit.

mod alerts;
mod decide;
mod detect;
mod directory;
mod lake;
mod live;
mod mapping;
pub mod notify;
mod notify_check;
mod privacy;
mod reports;
mod secret;
mod store;
mod tiers;
mod validate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use alerts::AlertsConfig;
pub use decide::{DecideConfig, LadderConfig, RateLimitConfig, UnknownPolicy, UnpricedPolicy};
pub use detect::DetectConfig;
pub use directory::{BudgetsConfig, DirectoryConfig};
pub use lake::LakeConfig;
pub use live::LiveConfig;
pub use privacy::PrivacyConfig;
pub use reports::ReportsConfig;
pub use store::StoreConfig;
pub use tiers::{HOT, MaintenanceConfig, RetentionConfig, Tier, TierConfig};
pub use validate::ConfigError;

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub kafka: KafkaConfig,
    pub lake: LakeConfig,
    pub decode: DecodeConfig,
    pub prices: PricesConfig,
    pub pipeline: PipelineConfig,
    pub decide: DecideConfig,
    pub live: LiveConfig,
    pub detect: DetectConfig,
    pub query: QueryConfig,
    pub store: StoreConfig,
    pub directory: DirectoryConfig,
    pub budgets: BudgetsConfig,
    pub alerts: AlertsConfig,
    pub privacy: PrivacyConfig,
    pub reports: ReportsConfig,
    pub auth: AuthConfig,
    pub server: notify::ServerConfig,
    pub notify: notify::NotifyConfig,
}

/// Where events come from.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    pub brokers: String,
    pub topic: String,
    pub dead_letter_topic: String,
    /// Every alert as JSON; empty: none.
    pub alerts_topic: String,
    /// What instances read and have not committed, for one another. This and `holds_topic` are both named or both empty; empty: an instance
    /// learns what others have read when live totals are compared with the lake.
    pub totals_topic: String,
    /// What decide holds, for other instances and for after a restart (compacted); empty: in memory only.
    pub holds_topic: String,
    pub group: String,
    /// Identity of the source; part of every lake offset. No `/`.
    pub cluster: String,
    pub start: KafkaStart,
    /// librdkafka properties, passed through.
    pub client: BTreeMap<String, Text>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".into(),
            topic: "usage.events".into(),
            dead_letter_topic: "usage.events.dead".into(),
            alerts_topic: "usage.alerts".into(),
            totals_topic: "usage.totals".into(),
            holds_topic: "usage.holds".into(),
            group: "spendstream".into(),
            cluster: "main".into(),
            start: KafkaStart::Earliest,
            client: BTreeMap::new(),
        }
    }
}

/// Where a partition without a lake offset starts.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum KafkaStart {
    #[default]
    Earliest,
    Latest,
}

/// A text that may be written as a number or boolean too (environment variables and TOML both do).
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a text, a whole number, or true or false")]
        enum Any {
            Text(String),
            Bool(bool),
            Integer(i64),
        }
        Ok(Self(match Any::deserialize(deserializer)? {
            Any::Text(text) => text,
            Any::Bool(value) => value.to_string(),
            Any::Integer(value) => value.to_string(),
        }))
    }
}

/// Limits of decoding and configured field mappings.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeConfig {
    /// A larger message is rejected (`too_large`).
    pub max_message_bytes: usize,
    /// A longer text value is rejected (`text_too_long`).
    pub max_text_bytes: usize,
    /// A larger count of tokens, searches or images is rejected (`wrong_type`): it is a mistake, and sums of such counts would not fit.
    pub max_count: i64,
    /// More tags than this on one event are rejected (`too_many_tags`).
    pub max_tags: usize,
    /// More rows than this in one message are rejected (`too_many_rows`).
    pub max_rows_per_message: usize,
    /// How many offsets of a partition are watched for repeats.
    pub duplicate_horizon: i64,
    /// How many rows of a partition are watched for repeats, whatever the offsets.
    pub duplicate_identities: usize,
    /// Field mappings for OpenMeter, Lago and other events with free `data`: matched by `when`, first wins.
    pub mappings: Vec<MappingConfig>,
}

impl Default for DecodeConfig {
    fn default() -> Self {
        Self {
            max_message_bytes: 1 << 20,
            max_text_bytes: 1024,
            max_count: 1_000_000_000_000,
            max_tags: 64,
            max_rows_per_message: 10_000,
            duplicate_horizon: 1_000_000,
            duplicate_identities: 1_000_000,
            mappings: Vec::new(),
        }
    }
}

/// The largest `decode.max_tags`.
pub const MOST_TAGS: usize = 1_000;

/// One configured mapping from somebody's event to ours. Paths are dotted (`data.tokens.input`).
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct MappingConfig {
    /// A name for metrics and the column `payload_kind`.
    pub name: String,
    /// Path → value that must all be equal for the mapping to apply (`specversion = "1.0"`, `type = "prompt"`).
    pub when: BTreeMap<String, Text>,
    /// Our field name (event v1: `id`, `time`, `model`, `input_tokens`, `tags.x`, …) → path in their event, or `"=text"` for a constant.
    pub fields: BTreeMap<String, String>,
}

/// Where prices come from.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PricesConfig {
    /// A directory with a price book in our format; empty: the one that ships in the binary.
    pub book: String,
    /// A TOML file of organisation overrides and discounts; empty: none.
    pub overrides: String,
    /// A CSV file of dated exchange rates (`date,currency,rate`); empty: those of the book.
    pub rates: String,
    /// How often the files are looked at for changes.
    #[serde(with = "millis")]
    pub reload_interval: std::time::Duration,
}

impl Default for PricesConfig {
    fn default() -> Self {
        Self {
            book: String::new(),
            overrides: String::new(),
            rates: String::new(),
            reload_interval: std::time::Duration::from_secs(10),
        }
    }
}

/// The consumer process.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineConfig {
    pub listen: String,
    /// Messages per batch between stages.
    pub batch_messages: usize,
    /// Bytes per batch between stages.
    pub batch_bytes: usize,
    /// Batches that may wait between two stages; then the consumer waits, and after a second pauses its partitions.
    pub queue_batches: usize,
    /// Threads that decode and price; 0: one per core, at most four.
    pub decode_threads: usize,
    /// Distinct texts an interner may hold before it starts afresh.
    pub interner_values: usize,
    /// Bytes an interner may hold before it starts afresh.
    pub interner_bytes: usize,
    /// How long partitions that are taken away may hold up the rebalance to commit what is pending.
    #[serde(with = "millis")]
    pub revoke_timeout: std::time::Duration,
    /// How long a stop may take to commit what is pending.
    #[serde(with = "millis")]
    pub shutdown_timeout: std::time::Duration,
    /// Bytes of one HTTP request body, unpacked; more is answered 413.
    pub max_request_bytes: usize,
    /// Events of one HTTP request; more are answered 413.
    pub max_request_items: usize,
    /// Requests with events that are read and written at a time; further ones are answered 429.
    pub max_requests_in_flight: usize,
    /// How long a request's body may take to arrive; then 408.
    #[serde(with = "millis")]
    pub request_timeout: std::time::Duration,
    /// How long Kafka may take to acknowledge what was posted; then 429, or 503 while no broker answers.
    #[serde(with = "millis")]
    pub acknowledge_timeout: std::time::Duration,
    /// Bytes of posted events that may wait for Kafka; more are answered 429.
    pub producer_queue_bytes: usize,
    /// What `Retry-After` says with 429 and 503.
    #[serde(with = "millis")]
    pub retry_after: std::time::Duration,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8081".into(),
            batch_messages: 8192,
            batch_bytes: 4 << 20,
            queue_batches: 8,
            decode_threads: 0,
            interner_values: 1_000_000,
            interner_bytes: 64 << 20,
            revoke_timeout: std::time::Duration::from_secs(5),
            shutdown_timeout: std::time::Duration::from_secs(30),
            max_request_bytes: 16 << 20,
            max_request_items: 10_000,
            max_requests_in_flight: 64,
            request_timeout: std::time::Duration::from_secs(30),
            acknowledge_timeout: std::time::Duration::from_secs(10),
            producer_queue_bytes: 64 << 20,
            retry_after: std::time::Duration::from_secs(1),
        }
    }
}

/// The query API.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    pub listen: String,
    /// A query that runs longer is stopped.
    #[serde(with = "millis")]
    pub timeout: std::time::Duration,
    /// Memory that all queries together may use, bytes; a query that needs more fails alone.
    pub memory_bytes: usize,
    /// Rows of one answer; more is an error, never a silent cut.
    pub max_rows: usize,
    /// Bytes of one answer over HTTP; more is an error.
    pub max_answer_bytes: usize,
    /// Queries that run at a time; further ones wait up to `timeout`.
    pub concurrency: usize,
    /// Bytes of one statement.
    pub max_statement_bytes: usize,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            timeout: std::time::Duration::from_secs(30),
            memory_bytes: 1 << 30,
            max_rows: 1_000_000,
            max_answer_bytes: 1 << 30,
            concurrency: 8,
            max_statement_bytes: 1 << 20,
        }
    }
}

/// Who may call the HTTP interfaces.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    pub mode: AuthMode,
}

/// Who is let in over HTTP.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Everyone; starts only on loopback addresses.
    #[default]
    None,
    /// Who sends `Authorization: Bearer KEY`.
    Keys,
}

/// Durations as people write them: `5s`, `200ms`, `2m`, `1h`.
pub mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// # Errors
    /// When the text is no duration.
    pub fn parse(text: &str) -> Result<Duration, String> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let bad = || format!("'{text}' is not a duration; write 200ms, 5s, 2m or 1h");
        let number: u64 = number.parse().map_err(|_| bad())?;
        let factor = match unit.trim() {
            // A bare number would be read as seconds by some and as milliseconds by others.
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(bad()),
        };
        number.checked_mul(factor).map(Duration::from_millis).ok_or_else(bad)
    }

    /// # Errors
    /// When the value is no duration.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        parse(&super::Text::deserialize(deserializer)?.0).map_err(D::Error::custom)
    }

    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = duration.as_millis();
        if millis.is_multiple_of(1_000) && millis > 0 {
            return serializer.serialize_str(&format!("{}s", millis / 1_000));
        }
        serializer.serialize_str(&format!("{millis}ms"))
    }
}
