//! `lake check` and `lake status` on lakes that are right and lakes that are not.

use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use spendstream_pipeline::lake::check::{Limits, Verdict, check};
use spendstream_pipeline::lake::status::status;
use spendstream_pipeline::price::archive::keep;
use spendstream_schemas::lake_path::USAGE_TABLE;
use spendstream_schemas::price_book::PriceBook;
use spendstream_storage::Lake;

use crate::support::{commit, cost, memory, open};

const LIMITS: Limits = Limits { memory_bytes: 256 << 20, horizon: 1_000_000, identities: 1_000_000 };

/// The checks that fail, with their details. Prices are left out: the rows here are priced by no book.
async fn failures(lake: &Lake) -> Vec<(String, String)> {
    let report = check(lake, LIMITS).await.unwrap();
    let failed = report.findings.into_iter().filter(|finding| finding.verdict == Verdict::Failed);
    failed
        .filter(|finding| finding.check != "prices_reproducible")
        .map(|finding| (finding.check.to_owned(), finding.detail))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_lake_is_clean() {
    let lake = memory();
    assert!(check(&lake, LIMITS).await.unwrap_err().to_string().starts_with("there is no lake at s3://bucket/lake"));
    let mut committer = open(&lake).await;
    assert_eq!(failures(&lake).await, vec![], "a lake without rows");
    committer.commit(commit(&[(0, 0, 50), (1, 0, 7)])).await.unwrap();
    committer.commit(commit(&[(0, 50, 60)])).await.unwrap();
    assert_eq!(failures(&lake).await, vec![]);
    let status = status(&lake, LIMITS.memory_bytes).await.unwrap();
    let expected: i128 = (0..60).map(cost).sum::<i128>() + (0..7).map(cost).sum::<i128>();
    assert_eq!((status.version, status.rows, status.files, status.unpriced_rows), (2, 67, 4, 0));
    assert_eq!(status.cost, format!("0.{expected:015}"));
    assert_eq!(status.partitions[0].offset, 60);
    assert_eq!(status.dates.len(), 2);
}

/// Adds a commit by hand that puts files of `commit` in a second time, as a broken writer would.
async fn put_again(lake: &Lake, version: u64) {
    let log = lake.table_store(USAGE_TABLE);
    let name = |version: u64| Path::from(format!("_delta_log/{version:020}.json"));
    let bytes = log.get(&name(1)).await.unwrap().bytes().await.unwrap();
    let mut lines = String::new();
    for line in std::str::from_utf8(&bytes).unwrap().lines().filter(|line| line.starts_with("{\"add\"")) {
        let add: serde_json::Value = serde_json::from_str(line).unwrap();
        let path = add["add"]["path"].as_str().unwrap();
        let copy = path.replace(".parquet", "-again.parquet");
        log.copy(&Path::from(path), &Path::from(copy.as_str())).await.unwrap();
        lines.push_str(&line.replace(path, &copy));
        lines.push('\n');
    }
    log.put(&name(version), PutPayload::from(lines)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_there_twice_are_found() {
    let lake = memory();
    open(&lake).await.commit(commit(&[(0, 0, 20)])).await.unwrap();
    put_again(&lake, 2).await;
    let found = failures(&lake).await;
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["lineage_unique", "books_balance", "repeats_dropped"]);
    assert!(found[0].1.contains("20 places"), "{found:?}");
    assert!(found[1].1.contains("20 rows by the books, 40 in the table since offset 0"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_is_found() {
    let lake = memory();
    let files = commit(&[(0, 0, 20)]);
    let gone = files.files[0].path.clone();
    let store = lake.table_store(USAGE_TABLE);
    open(&lake).await.commit(files).await.unwrap();
    let bytes = store.get(&Path::from(gone.as_str())).await.unwrap().bytes().await.unwrap();
    // One byte more is a wrong file that can still be read by its length in the log.
    let mut longer = bytes.to_vec();
    longer.push(0);
    store.put(&Path::from(gone.as_str()), PutPayload::from(longer)).await.unwrap();
    let found = failures(&lake).await;
    assert_eq!(found[0].0, "files");
    assert!(found[0].1.contains(&format!("has {} bytes instead of {}", bytes.len() + 1, bytes.len())), "{found:?}");
    // Bytes of the right number that are no Parquet.
    let damaged = vec![b'x'; bytes.len()];
    store.put(&Path::from(gone.as_str()), PutPayload::from(damaged)).await.unwrap();
    let found = failures(&lake).await;
    assert_eq!((found.len(), found[0].0.as_str()), (1, "readable"), "{found:?}");
    assert!(found[0].1.contains("put it back from a copy of the store"), "{found:?}");
    store.delete(&Path::from(gone.as_str())).await.unwrap();
    let report = check(&lake, LIMITS).await.unwrap();
    assert_eq!((report.ok, report.rows, report.findings.len()), (false, 20, 2));
    let told = &report.findings[0].detail;
    assert!(told.starts_with(&format!("1 of 2 files are wrong: {gone} is not there (10 rows of 20")), "{told}");
    let error = status(&lake, LIMITS.memory_bytes).await.unwrap_err().to_string();
    assert!(error.ends_with("`spendstream lake check` says which files are wrong"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offset_that_runs_behind_its_rows_is_found() {
    let lake = memory();
    open(&lake).await.commit(commit(&[(0, 0, 20)])).await.unwrap();
    let line = format!("{{\"txn\":{{\"appId\":\"{}\",\"version\":11}}}}", crate::support::source(0));
    let path = Path::from(format!("_delta_log/{:020}.json", 2));
    lake.table_store(USAGE_TABLE).put(&path, PutPayload::from(line)).await.unwrap();
    let found = failures(&lake).await;
    assert!(found[0].1.contains("a row at offset 19, and 11 is the next to come"), "{found:?}");
    assert_eq!(found[1].0, "books_balance");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_that_the_kept_book_does_not_give_is_found() {
    let lake = memory();
    open(&lake).await.commit(commit(&[(0, 0, 20)])).await.unwrap();
    let book = PriceBook::builtin().unwrap();
    let detail = async || {
        let findings = check(&lake, LIMITS).await.unwrap().findings;
        let finding = findings.into_iter().find(|finding| finding.check == "prices_reproducible").unwrap();
        assert_eq!(finding.verdict, Verdict::Failed);
        finding.detail
    };
    let missing = detail().await;
    assert!(missing.starts_with(&format!("price book {} is not in the lake", book.version())), "{missing}");
    assert!(missing.ends_with("(20 rows)"), "{missing}");
    keep(&lake, &book).await.unwrap();
    let different = detail().await;
    // These rows name no provider, so the book cannot have priced them.
    assert!(
        different.starts_with("20 of 20 rows cost something else when priced again: the row at offset"),
        "{different}"
    );
    assert!(different.contains("is unpriced now (no provider was sent"), "{different}");
}
