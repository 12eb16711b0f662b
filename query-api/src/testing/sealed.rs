//! Lakes with tiers and sealed days for tests: files, tags and commits as maintenance writes them, by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use deltalake_core::DeltaTable;
use deltalake_core::protocol::SaveMode;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use spendstream_lake::{latency, rollup, tags};
use spendstream_schemas::config::{LakeConfig, TierConfig};
use spendstream_schemas::lake_path;
use spendstream_schemas::table::{rollup as rollup_table, usage};
use spendstream_storage::Lake;

use super::{Row, TestLake, batch};

/// A data file to be added, or added again.
#[derive(Clone)]
pub struct File {
    /// Within the table.
    pub path: String,
    pub tags: BTreeMap<String, String>,
    pub rows: RecordBatch,
}

impl File {
    /// Rows of one day, with every column but `date`.
    pub fn new(name: &str, date: &str, rows: RecordBatch) -> Self {
        Self { path: format!("date={date}/{name}.parquet"), tags: BTreeMap::new(), rows }
    }

    pub fn tagged(mut self, tag: &str, value: impl ToString) -> Self {
        self.tags.insert(tag.to_owned(), value.to_string());
        self
    }

    fn date(&self) -> &str {
        self.path.split(['=', '/']).nth(1).unwrap()
    }
}

/// Columns of a data file: without the partition's.
pub fn of_file(rows: &[Row]) -> RecordBatch {
    let mut all = batch(rows);
    let date = all.schema().index_of(usage::DATE).unwrap();
    all.remove_column(date);
    all
}

/// A folder with a Delta table.
pub struct Table(PathBuf);

impl Table {
    /// A new and empty table with these columns.
    pub async fn create(lake: &Lake, name: &str, columns: RecordBatch) -> Self {
        let folder = lake.folder().unwrap().join(name);
        fs::create_dir_all(&folder).unwrap();
        let table = DeltaTable::new(lake.log_store(name));
        table.write([columns]).with_save_mode(SaveMode::Append).with_partition_columns([usage::DATE]).await.unwrap();
        Self(folder)
    }

    fn commit(&self, actions: &[Value]) {
        let log = self.0.join("_delta_log");
        let version = (0..u32::MAX).find(|version| !log.join(format!("{version:020}.json")).exists()).unwrap();
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        fs::write(log.join(format!("{version:020}.json")), lines.join("\n")).unwrap();
    }

    /// One commit that takes files away and adds others, with the numbers of applications.
    pub fn change(&self, removed: &[File], added: &[File], numbers: &[(&str, i64)]) {
        let mut actions = vec![json!({ "commitInfo": { "timestamp": 1_795_000_000_000_i64 } })];
        actions.extend(numbers.iter().map(|(app, number)| json!({ "txn": { "appId": app, "version": number } })));
        actions.extend(removed.iter().map(|file| {
            json!({ "remove": { "path": file.path, "deletionTimestamp": 1_795_000_000_000_i64, "dataChange": false } })
        }));
        for file in added {
            let path = self.0.join(&file.path);
            write(&path, &file.rows);
            actions.push(json!({ "add": {
                "path": file.path,
                "partitionValues": { "date": file.date() },
                "size": fs::metadata(&path).unwrap().len(),
                "modificationTime": 1_795_000_000_000_i64,
                "dataChange": true,
                "stats": json!({ "numRecords": file.rows.num_rows() }).to_string(),
                "tags": file.tags,
            }}));
        }
        self.commit(&actions);
    }

    /// Sets a property.
    pub fn set(&self, property: &str, value: &str) {
        let first = fs::read_to_string(self.0.join("_delta_log/00000000000000000000.json")).unwrap();
        let mut metadata: Value = first
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .find(|line: &Value| line.get("metaData").is_some())
            .unwrap();
        metadata["metaData"]["configuration"][property] = json!(value);
        self.commit(&[metadata]);
    }
}

fn write(path: &Path, rows: &RecordBatch) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}

/// Rows as a file of the rollup.
pub async fn summed(rows: &[RecordBatch]) -> RecordBatch {
    let schema = rows[0].schema();
    let table = MemTable::try_new(schema, vec![rows.to_vec()]).unwrap();
    let context = SessionContext::new();
    let mut state = context.state();
    latency::register(&mut state).unwrap();
    let context = SessionContext::new_with_state(state);
    context.register_table("sealed", Arc::new(table)).unwrap();
    let sums = context.sql(&rollup::query("sealed")).await.unwrap().collect().await.unwrap();
    let sums = concat_batches(&sums[0].schema(), &sums).unwrap();
    RecordBatch::try_new(rollup_table::file_schema(), sums.columns().to_vec()).unwrap()
}

/// A lake with a hot and a cold table, and a rollup.
pub struct Tiered {
    pub lake: TestLake,
    pub hot: Table,
    pub cold: Table,
    pub rollup: Table,
}

impl Tiered {
    pub async fn new() -> Self {
        let mut lake = TestLake::empty();
        let colder = lake.folder.path().join("colder");
        let tier = TierConfig { after_days: 30, uri: format!("file://{}", colder.display()), ..TierConfig::default() };
        lake.config.lake.tiers = BTreeMap::from([("cold".to_owned(), tier)]);
        let places = Lake::open(&lake.config.lake).unwrap();
        let colder = places.places().nth(1).unwrap();
        let sums = RecordBatch::new_empty(rollup_table::table_schema());
        Self {
            hot: Table::create(&places, lake_path::USAGE_TABLE, batch(&[])).await,
            cold: Table::create(colder, lake_path::USAGE_TABLE, batch(&[])).await,
            rollup: Table::create(&places, lake_path::ROLLUP_TABLE, sums).await,
            lake,
        }
    }

    /// A file of the rollup for rows that are sealed together.
    pub async fn sum_up(&self, seal: &str, date: &str, rows: &[RecordBatch]) {
        let sums = File::new(&format!("sums-{seal}"), date, summed(rows).await).tagged(tags::SEAL, seal);
        self.rollup.change(&[], &[sums], &[]);
    }

    /// The configuration of who only knows where the lake is.
    pub fn without_tiers(&self) -> LakeConfig {
        LakeConfig { tiers: BTreeMap::new(), ..self.lake.config.lake.clone() }
    }
}
