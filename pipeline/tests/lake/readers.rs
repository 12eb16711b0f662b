//! What is in the table is what readers see: Delta's own reader, DataFusion, statistics, and rows since an offset.

use arrow::array::AsArray;
use arrow::datatypes::{Decimal128Type, Int64Type};
use datafusion::prelude::SessionContext;
use deltalake_core::DeltaTable;
use object_store::{ObjectStoreExt, path::Path};
use spendstream_schemas::lake_path::USAGE_TABLE;
use spendstream_storage::Lake;

use crate::support::{commit, cost, memory, open, recent, source};

async fn sql(lake: &Lake, query: &str) -> Vec<arrow::record_batch::RecordBatch> {
    let mut table = DeltaTable::new(lake.log_store(USAGE_TABLE));
    table.load().await.unwrap();
    let context = SessionContext::new();
    table.update_datafusion_session(&context.state()).unwrap();
    context.register_table(USAGE_TABLE, table.table_provider().await.unwrap()).unwrap();
    context.sql(query).await.unwrap().collect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn count_and_sum_are_exact() {
    let lake = memory();
    let mut committer = open(&lake).await;
    committer.commit(commit(&[(0, 0, 100), (1, 0, 7)])).await.unwrap();
    committer.commit(commit(&[(0, 100, 130)])).await.unwrap();
    let batches = sql(&lake, "SELECT count(*), sum(cost), count(DISTINCT date) FROM usage").await;
    let expected: i128 = (0..130).map(cost).sum::<i128>() + (0..7).map(cost).sum::<i128>();
    assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), 137);
    assert_eq!(batches[0].column(1).as_primitive::<Decimal128Type>().value(0), expected);
    assert_eq!(batches[0].column(2).as_primitive::<Int64Type>().value(0), 2);
    let batches =
        sql(&lake, "SELECT max(cost), min(model), max(event_time) FROM usage WHERE date = '2026-11-22'").await;
    assert_eq!(batches[0].column(0).as_primitive::<Decimal128Type>().value(0), cost(128));
    let text = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    assert!(text.contains("gpt-5") && text.contains("2026-11-22T00:00:00.128007Z"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_are_exact_and_name_nobody() {
    let lake = memory();
    open(&lake).await.commit(commit(&[(0, 0, 100)])).await.unwrap();
    let path = Path::from("_delta_log/00000000000000000001.json");
    let log = lake.table_store(USAGE_TABLE).get(&path).await.unwrap().bytes().await.unwrap();
    let log = String::from_utf8(log.to_vec()).unwrap();
    assert!(!log.contains("ada@example.com") && !log.contains("user_id"), "{log}");
    let adds: Vec<serde_json::Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap().get("add").cloned())
        .collect();
    assert_eq!(adds.len(), 2);
    let even = adds.iter().find(|add| add["partitionValues"]["date"] == "2026-11-22").unwrap();
    let stats = even["stats"].as_str().unwrap();
    for expected in [
        r#""numRecords":50"#,
        r#""minValues":{"event_time":"2026-11-22T00:00:00.000007Z","model":"gpt-5","#,
        r#""cost":0.000000000000003"#,
        r#""cost":0.000098000000689"#,
        r#""source_offset":98"#,
        r#""team":50"#,
    ] {
        assert!(stats.contains(expected), "{expected} in {stats}");
    }
    assert_eq!(even["dataChange"], true);
    assert!(even["path"].as_str().unwrap().starts_with("date=2026-11-22/part-"), "{even}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_since_an_offset_are_found() {
    let lake = memory();
    assert!(recent(&lake, 0, 0, &["event_id"]).await.is_empty(), "no table yet");
    let mut committer = open(&lake).await;
    assert!(recent(&lake, 0, 0, &["event_id"]).await.is_empty(), "an empty table");
    committer.commit(commit(&[(0, 0, 10), (1, 0, 10)])).await.unwrap();
    committer.commit(commit(&[(0, 10, 20)])).await.unwrap();
    let mut found = Vec::new();
    for batch in recent(&lake, 0, 8, &["source_offset", "event_id", "tags"]).await {
        assert_eq!(batch.schema().field(1).name(), "event_id");
        let (offsets, ids) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        found.extend((0..batch.num_rows()).map(|row| (offsets.value(row), ids.value(row).to_owned())));
    }
    found.sort();
    let expected: Vec<_> = (8..20).map(|offset| (offset, format!("{}-{offset}", source(0)))).collect();
    assert_eq!(found, expected);
}
