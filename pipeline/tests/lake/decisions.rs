//! The table `decisions`: whatever the store does, an append that is tried again is there once.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use deltalake_core::DeltaTable;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use spendstream_pipeline::lake::decisions::Decisions;
use spendstream_schemas::decision::{Basis, Priority, Strategy};
use spendstream_schemas::lake_path::DECISIONS_TABLE;
use spendstream_schemas::money::Amount;
use spendstream_schemas::table::decisions::Row;
use spendstream_storage::Lake;

use crate::faulty::{FAULTS, Faulty};
use crate::support::{config, over};

const DAY: i64 = 86_400_000_000;

pub fn row(id: &str, day: i64) -> Row {
    Row {
        decided_at: day * DAY + 1,
        texts: std::array::from_fn(|at| (at == 0).then(|| id.to_owned())),
        provider: Some("openai".into()),
        priority: Priority::Normal,
        allow: false,
        strategy: Strategy::Block,
        shadow: false,
        reason: None,
        budget_id: None,
        budget_scope: None,
        used: None,
        held: None,
        amount_limit: None,
        estimated_cost: Amount::ZERO,
        basis: Basis::P95,
        suggested_model: None,
        savings: None,
        retry_after_seconds: None,
        sampled: 1,
    }
}

/// Two appends of one process and one of another, each tried until it succeeds.
async fn session(lake: &Lake) {
    let (mut one, mut other) = (Decisions::new(lake, &config()), Decisions::new(lake, &config()));
    for _ in 0..20 {
        if one.append(&[row("a", 20_000), row("b", 20_001)]).await.is_ok() {
            break;
        }
    }
    for _ in 0..20 {
        if other.append(&[row("c", 20_000)]).await.is_ok() {
            break;
        }
    }
    for _ in 0..20 {
        if one.append(&[row("d", 20_002)]).await.is_ok() {
            return;
        }
    }
    panic!("twenty tries in vain");
}

async fn ids(lake: &Lake) -> Vec<(String, i64)> {
    counted(lake, "event_id").await
}

/// How many decisions have each value of a column.
pub async fn counted(lake: &Lake, column: &str) -> Vec<(String, i64)> {
    let mut table = DeltaTable::new(lake.log_store(DECISIONS_TABLE));
    table.load().await.unwrap();
    let context = SessionContext::new();
    table.update_datafusion_session(&context.state()).unwrap();
    context.register_table(DECISIONS_TABLE, table.table_provider().await.unwrap()).unwrap();
    let sql =
        format!("SELECT coalesce(CAST({column} AS VARCHAR), '') AS id, count(*) FROM decisions GROUP BY 1 ORDER BY 1");
    let batches = context.sql(&sql).await.unwrap().collect().await.unwrap();
    let mut found = Vec::new();
    for batch in batches {
        let ids = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        let counts = batch.column(1).as_primitive::<Int64Type>();
        let pairs = ids.as_string::<i32>().iter().zip(counts.values());
        found.extend(pairs.map(|(id, count)| (id.unwrap().to_owned(), *count)));
    }
    found
}

fn expected() -> Vec<(String, i64)> {
    ["a", "b", "c", "d"].map(|id| (id.to_owned(), 1)).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_may_fail_in_each_way() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let counting = Faulty::new(Arc::clone(&store), |_| None);
    session(&over(Arc::clone(&counting) as _)).await;
    assert_eq!(ids(&over(store)).await, expected());
    let count = counting.operations();
    assert!(count > 10, "{count} operations are too few");
    for fault in FAULTS {
        for at in 0..count {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            session(&over(Faulty::new(Arc::clone(&store), move |n| (n == at).then_some(fault)))).await;
            assert_eq!(ids(&over(store)).await, expected(), "{fault:?} at {at}");
        }
    }
}

#[tokio::test]
async fn it_is_made_on_a_local_disk() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().join("lake").display().to_string();
    let config = spendstream_schemas::config::LakeConfig { uri, ..config() };
    let lake = Lake::open(&config).unwrap();
    session(&lake).await;
    assert_eq!(ids(&lake).await, expected());
}
