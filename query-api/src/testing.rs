//! A tiny lake for tests: real schema, exact decimals, real Delta commits in a temporary folder.

use std::sync::Arc;

use arrow::array::builder::Decimal128Builder;
use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, ListBuilder, MapBuilder, MapFieldNames,
    StringArray, StringBuilder, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use chrono::{DateTime, NaiveDate, Utc};
use deltalake_core::DeltaTable;
use deltalake_core::protocol::SaveMode;
use rust_decimal::Decimal;
use spendstream_schemas::config::Config;
use spendstream_schemas::money::Amount;
use spendstream_schemas::table::charges::{self, Charge};
use spendstream_schemas::{lake_path, table};
use spendstream_storage::Lake;
use tempfile::TempDir;

use crate::error::QueryError;
use crate::format::{Format, encoder};
use crate::sql::engine::Engine;

pub mod sealed;

/// One row of the table `usage`; everything else has a neutral value.
#[derive(Clone, Copy)]
pub struct Row {
    pub id: &'static str,
    pub date: &'static str,
    pub team: &'static str,
    pub cost: Option<&'static str>,
    /// Noon of the date when absent.
    pub time: Option<&'static str>,
    pub user: Option<&'static str>,
    pub organization: Option<&'static str>,
    pub provider: Option<&'static str>,
    /// The tag `env`.
    pub env: Option<&'static str>,
    /// `run_id`, `metric` and `item_id`.
    pub run: Option<[&'static str; 3]>,
    pub status: Option<&'static str>,
    pub latency: Option<i64>,
    pub partition: i32,
    pub offset: i64,
}

impl Row {
    pub const BLANK: Self = Self {
        id: "",
        date: "2026-11-01",
        team: "search",
        cost: None,
        time: None,
        user: None,
        organization: None,
        provider: None,
        env: None,
        run: None,
        status: None,
        latency: None,
        partition: 0,
        offset: 0,
    };
}

pub const THREE: [Row; 3] = [
    Row { id: "a", date: "2026-11-01", team: "search", cost: Some("0.1"), ..Row::BLANK },
    Row { id: "b", date: "2026-11-01", team: "search", cost: Some("0.2"), ..Row::BLANK },
    Row { id: "c", date: "2026-11-02", team: "billing", cost: Some("0.000000000000003"), ..Row::BLANK },
];

/// A folder that is gone after the test, and the configuration for it.
pub struct TestLake {
    pub folder: TempDir,
    pub config: Config,
}

impl TestLake {
    /// Without a table.
    pub fn empty() -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = Config::default();
        config.lake.uri = format!("file://{}", folder.path().display());
        config.query.listen = "127.0.0.1:0".into();
        config.query.pg_listen = "127.0.0.1:0".into();
        config.store.url = format!("sqlite:{}/control.db", folder.path().display());
        Self { folder, config }
    }

    pub async fn with(rows: &[Row]) -> Self {
        let lake = Self::empty();
        lake.append(rows).await;
        lake
    }

    /// One commit with these rows.
    pub async fn append(&self, rows: &[Row]) {
        self.append_batch(batch(rows)).await;
    }

    /// One commit with rows of the table's schema.
    pub async fn append_batch(&self, rows: RecordBatch) {
        let log_store = Lake::open(&self.config.lake).unwrap().log_store(lake_path::USAGE_TABLE);
        let mut table = DeltaTable::new(log_store);
        if table.verify_deltatable_existence().await.unwrap() {
            table.load().await.unwrap();
        } else {
            std::fs::create_dir_all(self.folder.path().join(lake_path::USAGE_TABLE)).unwrap();
        }
        table
            .write([rows])
            .with_save_mode(SaveMode::Append)
            .with_partition_columns([table::usage::DATE])
            .await
            .unwrap();
    }

    /// One commit of `charges` with these.
    pub async fn charge(&self, rows: &[Charge]) {
        std::fs::create_dir_all(self.folder.path().join(lake_path::CHARGES_TABLE)).unwrap();
        let table = DeltaTable::new(Lake::open(&self.config.lake).unwrap().log_store(lake_path::CHARGES_TABLE));
        let write = table.write([charges::batch(rows).unwrap()]).with_save_mode(SaveMode::Append);
        write.with_partition_columns([charges::DATE]).await.unwrap();
    }

    pub fn engine(&self) -> Engine {
        Engine::open(&self.config).unwrap()
    }
}

/// The whole answer as JSON text.
pub async fn json(engine: &Engine, sql: &str) -> Result<String, QueryError> {
    let mut answer = engine.query(sql).await?;
    let mut encoder = encoder(Format::Json, answer.schema()).unwrap();
    let mut out = Vec::new();
    while let Some(batch) = answer.next().await {
        encoder.batch(&batch?, &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    Ok(String::from_utf8(out).unwrap().trim_end().to_owned())
}

pub fn batch(rows: &[Row]) -> RecordBatch {
    let schema = table::usage::table_schema();
    let columns = schema.fields().iter().map(|field| column(field, rows)).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

pub fn days(date: &str) -> i32 {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    i32::try_from((date.parse::<NaiveDate>().unwrap() - epoch).num_days()).unwrap()
}

fn column(field: &Field, rows: &[Row]) -> ArrayRef {
    let times = || rows.iter().map(micros);
    match (field.name().as_str(), field.data_type()) {
        ("event_id", _) => Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.id))),
        ("team", _) => texts(rows, |row| Some(row.team)),
        ("user_id", _) => texts(rows, |row| row.user),
        ("organization", _) => texts(rows, |row| row.organization),
        ("provider", _) => texts(rows, |row| row.provider),
        ("run_id", _) => texts(rows, |row| row.run.map(|run| run[0])),
        ("metric", _) => texts(rows, |row| row.run.map(|run| run[1])),
        ("item_id", _) => texts(rows, |row| row.run.map(|run| run[2])),
        ("status", _) => texts(rows, |row| row.status),
        ("price_status", _) => texts(rows, |row| Some(if row.cost.is_some() { "priced" } else { "unpriced" })),
        ("latency_ms", _) => Arc::new(rows.iter().map(|row| row.latency).collect::<Int64Array>()),
        ("source_partition", _) => Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.partition))),
        ("source_offset", _) => Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.offset))),
        ("model" | "model_id", _) => Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "gpt-4o"))),
        ("date", _) => Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| days(row.date)))),
        ("cost", _) => {
            let units = rows.iter().map(|row| {
                row.cost.map(|cost| Amount::from_decimal(cost.parse::<Decimal>().unwrap()).unwrap().units())
            });
            Arc::new(units.collect::<Decimal128Array>().with_data_type(field.data_type().clone()))
        }
        ("input_tokens", _) => Arc::new(Int64Array::from_iter_values(rows.iter().map(|_| 1_000))),
        (_, DataType::Timestamp(..)) => {
            Arc::new(TimestampMicrosecondArray::from_iter_values(times()).with_timezone("UTC"))
        }
        (_, DataType::Map(..)) => maps(field, rows),
        (_, DataType::List(_)) => {
            let element = Field::new("element", DataType::Utf8, true);
            let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element);
            for _ in rows {
                lists.append(true);
            }
            Arc::new(lists.finish())
        }
        (_, data_type) if field.is_nullable() => new_null_array(data_type, rows.len()),
        (name, DataType::Utf8) => Arc::new(StringArray::from_iter_values(rows.iter().map(|_| name))),
        (_, DataType::Int32) => Arc::new(Int32Array::from_iter_values(rows.iter().map(|_| 0))),
        (_, DataType::Int64) => Arc::new(Int64Array::from_iter_values(rows.iter().map(|_| 0))),
        (name, other) => panic!("no neutral value for {name}: {other}"),
    }
}

fn micros(row: &Row) -> i64 {
    row.time.map_or_else(
        || i64::from(days(row.date)) * 86_400_000_000 + 43_200_000_000,
        |time| time.parse::<DateTime<Utc>>().unwrap().timestamp_micros(),
    )
}

fn texts(rows: &[Row], text: impl Fn(&Row) -> Option<&'static str>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| text(row).filter(|text| !text.is_empty())).collect::<StringArray>())
}

fn maps(field: &Field, rows: &[Row]) -> ArrayRef {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    if field.name() == "quantities" {
        let values = Decimal128Builder::new()
            .with_precision_and_scale(table::usage::QUANTITY_PRECISION, table::usage::QUANTITY_SCALE)
            .unwrap();
        let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), values);
        for _ in rows {
            maps.keys().append_value("audio_second");
            maps.values().append_value(1_500_000_000);
            maps.append(true).unwrap();
        }
        return Arc::new(maps.finish());
    }
    let mut maps = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        if field.name() == "tags" {
            maps.keys().append_value("plan");
            maps.values().append_value("pro");
            if let Some(env) = row.env {
                maps.keys().append_value("env");
                maps.values().append_value(env);
            }
        }
        maps.append(true).unwrap();
    }
    Arc::new(maps.finish())
}
