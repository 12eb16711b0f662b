//! A person is erased from the table `decisions` while others append to it: no row is lost, none is there twice, and none names the person.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use spendstream_pipeline::lake::decisions::Decisions;
use spendstream_pipeline::lake::maintenance::Maintainer;
use spendstream_pipeline::lake::table::now_ms;
use spendstream_schemas::pseudonym::{Dimension, Erasure, PrivacyKey};
use spendstream_schemas::table::decisions::{Row, TEXTS};
use spendstream_storage::Lake;

use crate::decisions::{counted, row};
use crate::world::{DAY_MS, Places, TIMES, config, maintainer, writer};

const PERSON: &str = "ada@example.com";

fn ada() -> Erasure {
    Erasure::new(&PrivacyKey::new("0123456789abcdef").unwrap(), Dimension::USER, PERSON)
}

fn by(user: &str, id: &str, day: i64) -> Row {
    let mut row = row(id, day);
    let at = |name: &str| TEXTS.iter().position(|text| text.column() == name).unwrap();
    row.texts[at("user_id")] = Some(user.to_owned());
    row.texts[at("customer")] = Some("acme".to_owned());
    row.budget_id = Some(format!("of-{user}"));
    row.budget_scope = Some(format!("user={user}"));
    row.reason = Some(format!("the budget of {user} is used up"));
    row
}

/// Three appends: ada on two days, bob beside.
async fn filled() -> (Places, Decisions) {
    let places = Places::new();
    let lake = places.whole();
    writer(&lake).await;
    let mut table = Decisions::new(&lake, &config());
    table.append(&[by(PERSON, "a", 20_000), by("bob", "b", 20_000)]).await.unwrap();
    table.append(&[by("Ada@Example.com", "c", 20_001)]).await.unwrap();
    table.append(&[by("bob", "d", 20_001)]).await.unwrap();
    (places, table)
}

async fn assert_whole(lake: &Lake, ids: &[&str], erased: i64) {
    let expected: Vec<(String, i64)> = ids.iter().map(|id| ((*id).to_owned(), 1)).collect();
    assert_eq!(counted(lake, "event_id").await, expected);
    let others = i64::try_from(ids.len()).unwrap() - erased;
    assert_eq!(counted(lake, "user_id").await, [("bob".to_owned(), others), ("erased".to_owned(), erased)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_become_anonymous_one_by_one_and_nothing_is_left() {
    let (places, mut table) = filled().await;
    let mut first = maintainer(&places.whole()).await;
    let counted_only = first.erase(&ada(), now_ms(), true, &mut |_, _| {}).await.unwrap();
    assert_eq!((counted_only.decisions, counted_only.rows), (2, 0));
    assert_eq!(first.erase(&ada(), now_ms(), false, &mut |_, _| {}).await.unwrap().decisions, 2);
    assert_whole(&places.whole(), &["a", "b", "c", "d"], 2).await;
    assert_eq!(
        counted(&places.whole(), "budget_scope").await,
        [("user=bob".to_owned(), 2), ("user=erased".to_owned(), 2)]
    );
    assert_eq!(counted(&places.whole(), "customer").await, [(String::new(), 2), ("acme".to_owned(), 2)]);
    let reasons = counted(&places.whole(), "reason").await;
    assert_eq!(reasons[1], ("the budget of erased is used up".to_owned(), 2));
    assert_eq!(first.erase(&ada(), now_ms(), false, &mut |_, _| {}).await.unwrap().decisions, 0);

    // The appender goes on where it was, and knows what it appended.
    table.append(&[by("bob", "e", 20_001)]).await.unwrap();
    let found = first.search(&ada()).await.unwrap().found;
    assert!(!found.is_empty() && found.iter().all(|path| path.contains("/date=")), "values are in the log: {found:?}");
    let mut brief = config();
    brief.maintenance.vacuum_after = Duration::ZERO;
    let mut second = Maintainer::take(&places.whole(), &brief, TIMES).await.unwrap();
    second.vacuum(now_ms() + DAY_MS).await.unwrap();
    assert_eq!(second.search(&ada()).await.unwrap().found, Vec::<String>::new());
    assert_whole(&places.whole(), &["a", "b", "c", "d", "e"], 2).await;

    let stale = first
        .erase(
            &Erasure::new(&PrivacyKey::new("0123456789abcdef").unwrap(), Dimension::USER, "bob"),
            now_ms(),
            false,
            &mut |_, _| {},
        )
        .await;
    assert!(stale.unwrap_err().to_string().contains("maintained by another process"));
    assert_whole(&places.whole(), &["a", "b", "c", "d", "e"], 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_at_any_operation_of_the_erasure_is_kept() {
    let mut came_between = 0;
    for at in (1..90).step_by(4) {
        let (places, mut table) = filled().await;
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let append = Box::pin(async move {
            table.append(&[by("bob", "e", 20_000)]).await.unwrap();
            done.store(true, Ordering::SeqCst);
        });
        let mut maintainer = maintainer(&places.interrupted(at, append)).await;
        assert_eq!(maintainer.erase(&ada(), now_ms(), false, &mut |_, _| {}).await.unwrap().decisions, 2);
        let appended = is_done.load(Ordering::SeqCst);
        came_between += usize::from(appended);
        let ids: &[&str] = if appended { &["a", "b", "c", "d", "e"] } else { &["a", "b", "c", "d"] };
        assert_whole(&places.whole(), ids, 2).await;
    }
    assert!(came_between > 10, "{came_between} appends came between");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_that_dies_anywhere_is_finished_by_the_next() {
    for after in (1..60).step_by(3) {
        let (places, mut table) = filled().await;
        let (lake, fuse) = places.mortal(i64::MAX, after % 2 == 0);
        let mut dying = Maintainer::take(&lake, &config(), TIMES).await.unwrap();
        fuse.store(after, Ordering::SeqCst);
        // Either way: what is there is there once.
        let _ = dying.erase(&ada(), now_ms(), false, &mut |_, _| {}).await;
        let ids: Vec<(String, i64)> = ["a", "b", "c", "d"].map(|id| (id.to_owned(), 1)).to_vec();
        assert_eq!(counted(&places.whole(), "event_id").await, ids, "after {after}");
        table.append(&[by("bob", "e", 20_001)]).await.unwrap();
        maintainer(&places.whole()).await.erase(&ada(), now_ms(), false, &mut |_, _| {}).await.unwrap();
        assert_whole(&places.whole(), &["a", "b", "c", "d", "e"], 2).await;
    }
}
