//! A lake over time: reopened, checkpointed, cleaned up, and with commits that hold no rows.

use deltalake_core::protocol::checkpoints::cleanup_expired_logs_for;
use futures::TryStreamExt;
use object_store::ObjectStore;
use proptest::prelude::*;
use spendstream_pipeline::batch::Tally;
use spendstream_schemas::lake_path::USAGE_TABLE;
use spendstream_storage::Lake;

use crate::support::{assert_exactly, commit, memory, open, source};

async fn commit_files(lake: &Lake) -> usize {
    let files: Vec<_> = lake.table_store(USAGE_TABLE).list(Some(&"_delta_log".into())).try_collect().await.unwrap();
    files.iter().filter(|file| file.location.extension() == Some("json")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reopened_lake_goes_on_after_checkpoint_and_clean_up() {
    let lake = memory();
    let mut committer = open(&lake).await;
    committer.commit(commit(&[(1, 0, 3)])).await.unwrap();
    for step in 0..11 {
        committer.commit(commit(&[(0, step * 2, step * 2 + 2)])).await.unwrap();
        committer.settle().await;
    }
    assert_eq!(committer.version(), 12);
    assert_eq!(committer.counters().checkpoints.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!(commit_files(&lake).await, 13);
    // As if thirty days had passed.
    let later = i64::from(u32::MAX) * 1_000;
    cleanup_expired_logs_for(12, lake.log_store(USAGE_TABLE).as_ref(), later, None).await.unwrap();
    assert_eq!(commit_files(&lake).await, 3, "versions 10, 11 and 12 are left");

    assert_exactly(&lake, &[(0, 22), (1, 3)]).await;
    let mut next = open(&lake).await;
    next.commit(commit(&[(0, 22, 25), (1, 3, 4)])).await.unwrap();
    assert_exactly(&lake, &[(0, 25), (1, 4)]).await;
    // One that slept through all of it finds its own version gone, and the right place again.
    committer.commit(commit(&[(1, 4, 6)])).await.unwrap();
    assert_exactly(&lake, &[(0, 25), (1, 6)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sleeper_whose_next_version_was_cleaned_up_does_not_write_into_the_past() {
    let lake = memory();
    let mut sleeper = open(&lake).await;
    let mut other = open(&lake).await;
    for step in 0..10 {
        other.commit(commit(&[(0, step, step + 1)])).await.unwrap();
        other.settle().await;
    }
    let later = i64::from(u32::MAX) * 1_000;
    cleanup_expired_logs_for(10, lake.log_store(USAGE_TABLE).as_ref(), later, None).await.unwrap();
    assert_eq!(sleeper.version(), 0);
    let committed = sleeper.commit(commit(&[(1, 0, 2)])).await.unwrap();
    assert_eq!(committed.version, 11);
    assert_exactly(&lake, &[(0, 10), (1, 2)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_without_rows_moves_the_offset() {
    let lake = memory();
    let mut committer = open(&lake).await;
    let mut rejected = commit(&[(0, 0, 6)]);
    rejected.files.clear();
    rejected.progress[0].tally = Tally { messages: 6, rejected: 5, ignored: 1, ..Tally::default() };
    committer.commit(rejected).await.unwrap();
    let mut next = open(&lake).await;
    assert_eq!(next.offsets(&[source(0)]).await.unwrap()[&source(0)], Some(6));
    assert_eq!(next.tally(&source(0)), Tally { messages: 6, rejected: 5, ignored: 1, ..Tally::default() });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Any history of commits by two committers, right or wrong about where the lake is: rows, offsets and books agree.
    #[test]
    fn any_history_balances(steps in prop::collection::vec((any::<bool>(), 0i32..2, 0i64..3, 1i64..4), 1..12)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let lake = memory();
            let mut committers = [open(&lake).await, open(&lake).await];
            let mut stands = [0_i64; 2];
            for (second, partition, error, length) in steps {
                let committer = &mut committers[usize::from(second)];
                let at = &mut stands[usize::try_from(partition).unwrap()];
                // The first commit of a partition may start anywhere: only right ones make a gapless history.
                let from = if *at == 0 { 0 } else { (*at + error - 1).max(0) };
                let expected = from == *at;
                let outcome = committer.commit(commit(&[(partition, from, from + length)])).await;
                prop_assert_eq!(outcome.is_ok(), expected, "{:?}", outcome);
                if expected {
                    *at += length;
                }
            }
            assert_exactly(&lake, &[(0, stands[0]), (1, stands[1])]).await;
            Ok(())
        })?;
    }
}
