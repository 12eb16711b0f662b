//! Several committers on one table: zombies, races, and somebody who changes what the table is.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use spendstream_pipeline::lake::{CommitError, Committer};
use spendstream_schemas::config::LakeConfig;

use crate::support::{assert_exactly, commit, config, memory, open, source};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_that_would_only_move_forward_is_fenced() {
    let lake = memory();
    let (mut zombie, mut other) = (open(&lake).await, open(&lake).await);
    zombie.commit(commit(&[(0, 0, 100)])).await.unwrap();
    let held = commit(&[(0, 100, 200)]);
    other.offsets(&[source(0)]).await.unwrap();
    other.commit(commit(&[(0, 100, 150)])).await.unwrap();
    match zombie.commit(held).await {
        Err(CommitError::Fenced { partition, expected, found }) => {
            assert_eq!((partition, expected, found), (source(0), 100, 150));
        }
        other => panic!("{other:?}"),
    }
    assert_exactly(&lake, &[(0, 150)]).await;
    // It goes on from where the lake is.
    zombie.commit(commit(&[(0, 150, 160)])).await.unwrap();
    assert_exactly(&lake, &[(0, 160)]).await;
}

/// Takes the partition's offset and commits a few more, until it is at `to`; being fenced is normal.
async fn race(mut committer: Committer, task: i64, partitions: i32, to: i64) -> u64 {
    let mut fenced = 0;
    for round in 0_i64.. {
        let partition = i32::try_from((task + round) % i64::from(partitions)).unwrap();
        let known: Vec<_> = (0..partitions).map(source).collect();
        let offsets = committer.offsets(&known).await.unwrap();
        if offsets.values().all(|offset| *offset == Some(to)) {
            return fenced;
        }
        let from = offsets[&source(partition)].unwrap_or(0);
        if from == to {
            continue;
        }
        tokio::task::yield_now().await;
        match committer.commit(commit(&[(partition, from, to.min(from + 1 + task % 3))])).await {
            Ok(_) => {}
            Err(CommitError::Fenced { .. }) => fenced += 1,
            Err(error) => panic!("{error}"),
        }
    }
    fenced
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_committers_make_each_offset_exactly_once() {
    let lake = memory();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let lake = lake.clone();
            tokio::spawn(async move { race(open(&lake).await, task, 3, 30).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_exactly(&lake, &[(0, 30), (1, 30), (2, 30)]).await;
}

async fn foreign(lake: &spendstream_storage::Lake, version: u64, lines: &str) {
    let path = Path::from(format!("_delta_log/{version:020}.json"));
    lake.table_store("usage").put(&path, PutPayload::from(lines.to_owned())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_elses_harmless_commit_is_followed() {
    let lake = memory();
    let mut committer = open(&lake).await;
    committer.commit(commit(&[(0, 0, 5)])).await.unwrap();
    foreign(&lake, 2, r#"{"commitInfo":{"timestamp":1,"operation":"OPTIMIZE"}}"#).await;
    let committed = committer.commit(commit(&[(0, 5, 8)])).await.unwrap();
    assert_eq!(committed.version, 3);
    assert_exactly(&lake, &[(0, 8)]).await;
}

async fn refused(lines: &str, expected: &str) {
    let lake = memory();
    let mut committer = open(&lake).await;
    foreign(&lake, 1, lines).await;
    let error = committer.commit(commit(&[(0, 0, 5)])).await.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains('\n'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_became_another_is_refused() {
    refused(
        r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":[],"writerFeatures":[]}}"#,
        "it needs Delta protocol 3/7",
    )
    .await;
    refused(
        r#"{"metaData":{"id":"1","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":["date"],"configuration":{}}}"#,
        "it has no spendstream.currency",
    )
    .await;
    refused("no json", "version 1 of the table at s3://bucket/lake is not readable").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_keeps_its_currency() {
    let lake = memory();
    open(&lake).await;
    let euro = LakeConfig { currency: "EUR".into(), ..config() };
    let error = Committer::open(&lake, &euro).await.err().unwrap().to_string();
    assert!(error.contains("its currency is USD and lake.currency is EUR; set lake.currency to USD"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_may_make_the_table_at_once() {
    for _ in 0..10 {
        let (lake, config) = (memory(), config());
        let (one, two) = tokio::join!(Committer::open(&lake, &config), Committer::open(&lake, &config));
        assert_eq!((one.unwrap().version(), two.unwrap().version()), (0, 0));
    }
}
