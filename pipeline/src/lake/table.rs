//! The Delta tables `usage`, `usage_rollup` and `decisions`: what each is made with, and whether one that is there is ours. In: a lake. Out: its state at the newest version.
//! Never changes a table that exists.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use deltalake_core::logstore::CommitOrBytes;
use serde_json::{Value, json};
use spendstream_schemas::config::LakeConfig;
use spendstream_schemas::lake_path::{DECISIONS_TABLE, ROLLUP_TABLE, USAGE_TABLE};
use spendstream_schemas::table::usage::DATE;
use spendstream_schemas::table::{decisions, rollup, usage};
use spendstream_storage::Lake;
use uuid::Uuid;

use super::actions::{Format, MetaData, Protocol, creation};
use super::error::LakeError;
use super::layout::STATISTICS;
use super::log::{Log, one_line};
use super::retry::Backoff;
use super::state::TableState;

/// Key of the lake's currency in the table's configuration.
pub const CURRENCY: &str = "spendstream.currency";

/// The lowest versions of the protocol: every reader knows them.
const PROTOCOL: Protocol = Protocol { min_reader_version: 1, min_writer_version: 2 };
/// How often making the table is tried when the store fails.
const ATTEMPTS: u32 = 5;

/// The tables of events, of their sums, and of what decide answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Usage,
    Rollup,
    Decisions,
}

impl Kind {
    /// Its folder.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => USAGE_TABLE,
            Self::Rollup => ROLLUP_TABLE,
            Self::Decisions => DECISIONS_TABLE,
        }
    }

    /// The schema of its files: every column but `date`.
    #[must_use]
    pub fn file_schema(self) -> SchemaRef {
        match self {
            Self::Usage => usage::file_schema(),
            Self::Rollup => rollup::file_schema(),
            Self::Decisions => decisions::file_schema(),
        }
    }

    /// Columns with statistics in the log.
    #[must_use]
    pub fn statistics(self) -> &'static [&'static str] {
        match self {
            Self::Usage => &STATISTICS,
            Self::Rollup => &[rollup::QUARTER],
            Self::Decisions => &[decisions::DECIDED_AT],
        }
    }

    fn table_schema(self) -> SchemaRef {
        match self {
            Self::Usage => usage::table_schema(),
            Self::Rollup => rollup::table_schema(),
            Self::Decisions => decisions::table_schema(),
        }
    }
}

/// Makes the table unless it is there; several may try at once.
///
/// # Errors
/// When the store fails for long, or the table that is there is not ours to write.
pub async fn ensure(lake: &Lake, kind: Kind, config: &LakeConfig) -> Result<TableState, LakeError> {
    let log = Log::of(lake, kind.name());
    let mut failures = 0;
    loop {
        let found = match log.load().await {
            Ok(Some(state)) => return admit(&state, lake, kind, &config.currency).map(|()| state),
            Ok(None) => create(lake, &log, kind, config).await,
            Err(error @ LakeError::Store { .. }) => Err(error),
            Err(error) => return Err(error),
        };
        if let Err(error) = found {
            failures += 1;
            if failures >= ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(%error, "the lake's table cannot be made or read yet, trying again");
            tokio::time::sleep(Backoff::default().pause(failures)).await;
        }
    }
}

/// Writes version 0; that somebody else did so first is as good.
async fn create(lake: &Lake, log: &Log, kind: Kind, config: &LakeConfig) -> Result<(), LakeError> {
    let failed = |reason: String| LakeError::Store { lake: lake.to_string(), doing: "making its table", reason };
    let meta = definition(kind, config, now_ms());
    let bytes = creation(&PROTOCOL, &meta, now_ms()).map_err(|error| failed(error.to_string()))?;
    match log.store.write_commit_entry(0, CommitOrBytes::LogBytes(bytes.into()), Uuid::new_v4()).await {
        Ok(()) | Err(deltalake_core::kernel::transaction::TransactionError::VersionAlreadyExists(_)) => Ok(()),
        Err(error) => Err(failed(one_line(&error.to_string()))),
    }
}

/// What the table is made with.
fn definition(kind: Kind, config: &LakeConfig, now_ms: i64) -> MetaData {
    let text = str::to_owned;
    MetaData {
        id: Uuid::new_v4().to_string(),
        schema_string: schema(kind).to_string(),
        partition_columns: vec![DATE.to_owned()],
        configuration: properties(kind, config)
            .into_iter()
            .chain([
                (text(CURRENCY), config.currency.clone()),
                (text("delta.checkpointInterval"), config.checkpoint_every.max(1).to_string()),
                // Never delta.setTransactionRetentionDuration: it would forget the offset of an idle partition.
            ])
            .collect(),
        created_time: Some(now_ms),
        format: Format::default(),
    }
}

/// Properties by which everybody knows how long removed files and old versions are kept, since a tombstone that goes earlier would let a file go
/// that a reader still needs, and which columns have statistics.
#[must_use]
pub fn properties(kind: Kind, config: &LakeConfig) -> [(String, String); 3] {
    let interval = |time: std::time::Duration| format!("interval {} seconds", time.as_secs());
    [
        ("delta.logRetentionDuration".to_owned(), interval(config.maintenance.log_retention)),
        ("delta.deletedFileRetentionDuration".to_owned(), interval(config.maintenance.vacuum_after)),
        // Values of persons stay out of the log, whoever writes.
        ("delta.dataSkippingStatsColumns".to_owned(), kind.statistics().join(",")),
    ]
}

/// Whether a table is one that this program may write.
///
/// # Errors
/// [`LakeError::Foreign`] with the first thing that is different.
pub fn admit(state: &TableState, lake: &Lake, kind: Kind, currency: &str) -> Result<(), LakeError> {
    match difference(state, kind, currency) {
        Some(reason) => Err(LakeError::Foreign { lake: lake.to_string(), reason }),
        None => Ok(()),
    }
}

fn difference(state: &TableState, kind: Kind, currency: &str) -> Option<String> {
    let (Some(meta), Some(protocol)) = (&state.meta, &state.protocol) else {
        return Some("its log has no protocol or metadata".to_owned());
    };
    if protocol != &PROTOCOL {
        let Protocol { min_reader_version: reader, min_writer_version: writer } = protocol;
        return Some(format!(
            "it needs Delta protocol {reader}/{writer}, this program knows 1/2; undo the upgrade or write to another lake"
        ));
    }
    match meta.configuration.get(CURRENCY) {
        // Earlier versions let the Delta library make it.
        None if kind == Kind::Decisions => {}
        None => return Some(format!("it has no {CURRENCY}: another program made it; choose another lake.uri")),
        Some(kept) if kept != currency => {
            return Some(format!(
                "its currency is {kept} and lake.currency is {currency}; set lake.currency to {kept}"
            ));
        }
        Some(_) => {}
    }
    if meta.configuration.keys().any(|key| key.ends_with("setTransactionRetentionDuration")) {
        return Some("delta.setTransactionRetentionDuration is set and would forget offsets; unset it".to_owned());
    }
    if meta.partition_columns != [DATE] {
        return Some(format!("it is partitioned by {:?} instead of [\"{DATE}\"]", meta.partition_columns));
    }
    let Ok(found) = serde_json::from_str::<Value>(&meta.schema_string) else {
        return Some("its schema is not readable".to_owned());
    };
    schema_difference(&fields(&schema(kind), kind), &fields(&found, kind))
}

fn schema_difference(ours: &BTreeMap<String, Value>, found: &BTreeMap<String, Value>) -> Option<String> {
    let hint = "another version of this program made it, or its schema was changed";
    for (name, field) in ours {
        match found.get(name) {
            None => return Some(format!("it has no column '{name}'; {hint}")),
            Some(other) if other != field => {
                return Some(format!("its column '{name}' is {other} instead of {field}; {hint}"));
            }
            Some(_) => {}
        }
    }
    let extra = found.keys().find(|name| !ours.contains_key(*name))?;
    Some(format!("it has a column '{extra}' that this program does not know; {hint}"))
}

/// Type and nullability by name; comments do not matter, nor does where the Delta library made a table what may be null.
fn fields(schema: &Value, kind: Kind) -> BTreeMap<String, Value> {
    let fields = schema.get("fields").and_then(Value::as_array).cloned().unwrap_or_default();
    fields
        .into_iter()
        .filter_map(|field| {
            let name = field.get("name")?.as_str()?.to_owned();
            let nullable = if kind == Kind::Decisions { &Value::Null } else { field.get("nullable")? };
            Some((name, json!([field.get("type")?, nullable])))
        })
        .collect()
}

/// The table's schema as Delta writes it.
#[must_use]
pub fn schema(kind: Kind) -> Value {
    let fields: Vec<Value> = kind.table_schema().fields().iter().map(|field| delta_field(field)).collect();
    json!({"type": "struct", "fields": fields})
}

fn delta_field(field: &Field) -> Value {
    json!({"name": field.name(), "type": delta_type(field.data_type()), "nullable": field.is_nullable(), "metadata": {}})
}

fn delta_type(data_type: &DataType) -> Value {
    match data_type {
        DataType::Boolean => json!("boolean"),
        DataType::Int32 => json!("integer"),
        DataType::Int64 => json!("long"),
        DataType::Date32 => json!("date"),
        DataType::Binary => json!("binary"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => json!("timestamp"),
        DataType::Decimal128(precision, scale) => json!(format!("decimal({precision},{scale})")),
        DataType::List(element) => json!({
            "type": "array", "elementType": delta_type(element.data_type()), "containsNull": element.is_nullable(),
        }),
        DataType::Map(entry, _) => match entry.data_type() {
            DataType::Struct(parts) if parts.len() == 2 => json!({
                "type": "map", "keyType": delta_type(parts[0].data_type()), "valueType": delta_type(parts[1].data_type()),
                "valueContainsNull": parts[1].is_nullable(),
            }),
            _ => Value::Null,
        },
        _ => json!("string"),
    }
}

/// The wall clock, milliseconds since the epoch: a commit says when it was made.
#[expect(clippy::disallowed_methods, reason = "the edge: nothing is decided by it, it is only written down")]
#[must_use]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::config::LakeConfig;

    use super::{CURRENCY, Kind, PROTOCOL, TableState, definition, difference, schema};

    fn ours() -> TableState {
        let meta = definition(Kind::Usage, &LakeConfig::default(), 1);
        TableState { meta: Some(meta), protocol: Some(PROTOCOL), ..TableState::default() }
    }

    fn check(change: impl FnOnce(&mut TableState), expected: &str) {
        let mut state = ours();
        change(&mut state);
        let found = difference(&state, Kind::Usage, "USD").unwrap_or_else(|| "ours".to_owned());
        assert!(found.starts_with(expected), "{found}");
    }

    #[test]
    fn only_our_own_table_is_written() {
        check(|_| {}, "ours");
        check(|state| state.protocol = None, "its log has no protocol");
        check(|state| state.protocol.as_mut().unwrap().min_writer_version = 7, "it needs Delta protocol 1/7");
        let meta = |state: &mut TableState| state.meta.take().unwrap();
        check(
            |state| {
                let mut changed = meta(state);
                changed.configuration.insert(CURRENCY.into(), "EUR".into());
                state.meta = Some(changed);
            },
            "its currency is EUR and lake.currency is USD; set lake.currency to EUR",
        );
        check(
            |state| {
                let mut changed = meta(state);
                changed.partition_columns.clear();
                state.meta = Some(changed);
            },
            "it is partitioned by []",
        );
        check(
            |state| {
                let mut changed = meta(state);
                changed.schema_string = changed.schema_string.replace(
                    "\"latency_ms\",\"nullable\":true,\"type\":\"long\"",
                    "\"x\",\"nullable\":true,\"type\":\"long\"",
                );
                state.meta = Some(changed);
            },
            "it has no column 'latency_ms'",
        );
        check(
            |state| {
                let mut changed = meta(state);
                changed.schema_string = changed.schema_string.replace("decimal(28,15)", "double");
                state.meta = Some(changed);
            },
            "its column 'cache_read_cost' is [\"double\",true]",
        );
    }

    #[test]
    fn every_column_has_a_delta_type() {
        for kind in [Kind::Usage, Kind::Rollup, Kind::Decisions] {
            assert!(!schema(kind).to_string().contains("null,"), "{}", schema(kind));
        }
        assert!(schema(Kind::Usage).to_string().contains("\"valueContainsNull\":true"));
    }
}
