//! The store fails at every operation in turn, and at many at once: nothing is lost, nothing is there twice.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use spendstream_pipeline::lake::{CommitError, Committer};

use crate::faulty::{FAULTS, Fault, Faulty};
use crate::support::{assert_exactly, commit, config, open, over, source};

/// Makes the table and three commits, the last by a process that starts anew.
async fn session(store: Arc<dyn ObjectStore>) {
    let lake = over(store);
    let mut committer = open(&lake).await;
    committer.commit(commit(&[(0, 0, 10), (1, 0, 4)])).await.unwrap();
    committer.commit(commit(&[(0, 10, 15)])).await.unwrap();
    let mut next = open(&lake).await;
    let offsets = next.offsets(&[source(0), source(1), source(2)]).await.unwrap();
    assert_eq!((offsets[&source(0)], offsets[&source(1)], offsets[&source(2)]), (Some(15), Some(4), None));
    next.commit(commit(&[(1, 4, 9)])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_may_fail_in_each_way() {
    let count = {
        let counting = Faulty::new(Arc::new(InMemory::new()), |_| None);
        session(Arc::clone(&counting) as _).await;
        counting.operations()
    };
    assert!(count > 15, "{count} operations are too few for a session");
    let mut runs = Vec::new();
    for fault in FAULTS {
        for at in 0..count {
            runs.push(tokio::spawn(async move {
                let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
                session(Faulty::new(Arc::clone(&store), move |n| (n == at).then_some(fault))).await;
                assert_exactly(&over(store), &[(0, 15), (1, 9), (2, 0)]).await;
            }));
        }
    }
    for run in runs {
        run.await.unwrap();
    }
}

/// How many operations opening the table takes.
async fn operations_to_open(store: &Arc<dyn ObjectStore>) -> usize {
    let counting = Faulty::new(Arc::clone(store), |_| None);
    open(&over(Arc::clone(&counting) as _)).await;
    counting.operations()
}

/// A number that looks random and is the same every time.
fn mixed(seed: u64, n: usize) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add((n as u64).wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_of_all_operations_may_fail() {
    for seed in 0..24 {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        open(&over(Arc::clone(&store))).await;
        let opened = operations_to_open(&store).await;
        let faulty = Faulty::new(Arc::clone(&store), move |n| {
            let mixed = mixed(seed, n);
            // Opening is tried five times only; committing is what must not give up.
            (n >= opened && mixed.is_multiple_of(3))
                .then(|| FAULTS[usize::try_from(mixed >> 8).unwrap() % FAULTS.len()])
        });
        let mut committer = open(&over(faulty)).await;
        for step in 0..6 {
            committer.commit(commit(&[(0, step * 3, step * 3 + 3), (1, step, step + 1)])).await.unwrap();
        }
        assert_exactly(&over(store), &[(0, 18), (1, 6)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_a_local_disk() {
    let folder = tempfile::tempdir().unwrap();
    let uri = folder.path().join("lake").display().to_string();
    let lake = spendstream_storage::Lake::open(&spendstream_schemas::config::LakeConfig { uri, ..config() }).unwrap();
    let faulty = lake
        .clone()
        .wrapped(|store| Faulty::new(store, |n| (n > 12 && n % 3 == 0).then(|| FAULTS[(n / 3) % FAULTS.len()])));
    let mut committer = open(&faulty).await;
    for step in 0..12 {
        committer.commit(commit(&[(0, step * 2, step * 2 + 2)])).await.unwrap();
    }
    committer.settle().await;
    assert_exactly(&lake, &[(0, 24)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_recognised() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let clean = over(Arc::clone(&store));
    open(&clean).await;
    let opened = operations_to_open(&store).await;
    // After opening, refreshing (2) and storing two files (2), the next operation is the commit itself.
    let faulty = Faulty::new(Arc::clone(&store), move |n| (n == opened + 4).then_some(Fault::After));
    let mut committer = open(&over(faulty)).await;
    let committed = committer.commit(commit(&[(0, 0, 7)])).await.unwrap();
    assert_eq!(committed.version, 1);
    let counters = committer.counters();
    assert_eq!(counters.recognised.load(Ordering::Relaxed), 1);
    assert_eq!(counters.conflicts.load(Ordering::Relaxed), 0);
    assert_exactly(&clean, &[(0, 7)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_a_commit_that_cannot_be_made() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    open(&over(Arc::clone(&store))).await;
    let opened = operations_to_open(&store).await;
    let (stop, flag) = tokio::sync::watch::channel(false);
    let faulty = Faulty::new(store, move |n| {
        if n == opened + 30 {
            stop.send_replace(true);
        }
        (n >= opened).then_some(Fault::Before)
    });
    let committer = open(&over(faulty)).await;
    let mut committer: Committer = committer.stopped_by(flag);
    let error = committer.commit(commit(&[(0, 0, 7)])).await.unwrap_err();
    assert!(matches!(error, CommitError::Cancelled), "{error}");
}
