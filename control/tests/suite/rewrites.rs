//! Runs that rewrite the lake: begun, done table by table, finished; one that was cut is gone on with.

use serde_json::json;
use spendstream_control::rewrites::Kind;

use crate::support::{Place, ann, at, scenarios};

scenarios!(a_run_that_was_cut_is_gone_on_with,);

async fn a_run_that_was_cut_is_gone_on_with(place: Place) {
    let store = place.open().await;
    let (kind, scope) = (Kind::Reprice, json!({"book": "b2", "from": "2026-11-01"}));
    let run = store.rewrites().begin(kind, &scope, &ann(0)).await.unwrap();
    store.rewrites().table(kind, &run.id, &json!({"tier": "hot", "rows": 3}), &ann(1)).await.unwrap();
    let other = store.rewrites().begin(kind, &json!({"book": "b3"}), &ann(2)).await.unwrap();
    assert_ne!(other.id, run.id, "another scope is another run");
    let moved = store.rewrites().begin(Kind::Reattribute, &scope, &ann(2)).await.unwrap();
    assert_ne!(moved.id, run.id);

    let again = store.rewrites().begin(kind, &scope, &ann(3)).await.unwrap();
    assert_eq!((again.id.as_str(), again.began), (run.id.as_str(), at(0)));
    assert_eq!(again.tables, [json!({"tier": "hot", "rows": 3})]);
    store.rewrites().finish(kind, &run.id, &json!({"rows": 5}), &ann(4)).await.unwrap();
    let listed = store.rewrites().list(kind).await.unwrap();
    assert_eq!(listed.iter().map(|run| run.finished).collect::<Vec<_>>(), [None, Some(at(4))]);
    assert_eq!((listed[1].who.as_str(), &listed[1].outcome), ("ann", &Some(json!({"rows": 5}))));
    let next = store.rewrites().begin(kind, &scope, &ann(5)).await.unwrap();
    assert_ne!(next.id, run.id, "what is finished is not begun again");
    store.close().await;
}
