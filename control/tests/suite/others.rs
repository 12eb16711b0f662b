//! Blocks, the directory, keys, migrations, and a database that is away.

use serde_json::json;
use spendstream_control::blocks::{BlockAction, NewBlock};
use spendstream_control::directory::Imported;
use spendstream_control::keys::Role;
use spendstream_control::{Error, Store};

use crate::support::{Place, ann, at, scenarios};

scenarios!(
    a_block_expires_by_itself_or_is_lifted,
    a_directory_is_replaced_as_a_whole,
    keys_are_found_by_their_secret_alone,
    processes_that_start_together_migrate_once,
    a_closed_database_is_away,
);

fn block(until: i64, reason: &str) -> NewBlock {
    NewBlock {
        scope: serde_json::from_value(json!({"endpoint": "/chat"})).unwrap(),
        action: BlockAction::Block,
        until: at(until),
        reason: reason.to_owned(),
    }
}

async fn a_block_expires_by_itself_or_is_lifted(place: Place) {
    let store = place.open().await;
    let first = store.blocks().create(block(60, "runaway agent"), &ann(0)).await.unwrap();
    let second = store.blocks().create(block(100, "too"), &ann(1)).await.unwrap();
    assert_eq!(store.version().await, Ok(2));
    assert_eq!(store.blocks().active(at(59)).await, Ok(vec![first.clone(), second.clone()]));
    assert_eq!(store.blocks().active(at(60)).await, Ok(vec![second.clone()]));
    let lifted = store.blocks().lift(&second.id, &ann(70)).await.unwrap();
    assert_eq!((lifted.lifted_by.as_deref(), lifted.holds(at(70))), (Some("ann"), false));
    assert_eq!(store.blocks().active(at(70)).await, Ok(vec![]));
    // Over is over.
    assert_eq!(store.blocks().lift(&first.id, &ann(70)).await, Ok(first));
    assert_eq!(store.version().await, Ok(3));
    assert_eq!(store.blocks().list(10).await.unwrap().len(), 2);
    assert_eq!(
        store.blocks().create(block(0, " "), &ann(0)).await,
        Err(Error::Invalid(vec![
            "until is 2026-06-15T12:00:00+00:00, which is over already".to_owned(),
            "reason is empty; say why, for those who are blocked".to_owned(),
        ]))
    );
    let actions: Vec<_> = store.audit().list(Some("block"), None, None, 10).await.unwrap();
    assert_eq!(actions.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["lift", "create", "create"]);
    store.close().await;
}

async fn a_directory_is_replaced_as_a_whole(place: Place) {
    let store = place.open().await;
    let import = async |csv: &str, origin: &str| store.directory().import(csv, "d.csv", origin, &ann(0)).await;
    let both = "kind,name,team\nuser,ann,search\nuser,bob,ads\nuser,bob,ads\n";
    assert_eq!(import(both, "hr").await, Ok(Imported { added: 2, removed: 0, unchanged: 0 }));
    assert_eq!(import(both, "hr").await, Ok(Imported { added: 0, removed: 0, unchanged: 2 }));
    assert_eq!(store.version().await, Ok(1));
    let moved = "kind,name,team\nuser,ann,ads\nuser,bob,ads\n";
    assert_eq!(import(moved, "hr").await, Ok(Imported { added: 1, removed: 1, unchanged: 1 }));
    let listed = store.directory().list().await.unwrap();
    let shown: Vec<_> = listed.iter().map(|entry| format!("{} {:?}", entry.value, entry.team)).collect();
    assert_eq!(shown, ["ann Some(\"ads\")", "bob Some(\"ads\")"]);
    // Another origin stands beside it, unless it says otherwise.
    assert_eq!(
        import("kind,name,team\nkey,k1,ads\n", "ops").await,
        Ok(Imported { added: 1, removed: 0, unchanged: 0 })
    );
    assert_eq!(
        import("kind,name,team\nuser,Ann,search\n", "ops").await,
        Err(Error::Invalid(vec!["d.csv: user 'Ann' contradicts what hr says at the same time".to_owned()]))
    );
    assert_eq!(store.directory().list().await.unwrap().len(), 3);
    store.close().await;
}

async fn keys_are_found_by_their_secret_alone(place: Place) {
    let store = place.open().await;
    let teams = ["search".to_owned()];
    let made = store.keys().create("ci", Role::Member, &teams, &ann(0)).await.unwrap();
    assert!(made.secret.starts_with("ssk_") && made.secret.len() == 68);
    assert_eq!(store.keys().find(&made.secret).await, Ok(Some(made.key.clone())));
    assert_eq!(store.keys().find("ssk_guess").await, Ok(None));
    assert!(store.keys().create("x", Role::Member, &[], &ann(0)).await.is_err());
    let log = serde_json::to_string(&store.audit().list(None, None, None, 10).await.unwrap()).unwrap();
    assert!(!log.contains(&made.secret) && !format!("{made:?}").contains(&made.secret));
    store.keys().revoke(&made.key.id, &ann(1)).await.unwrap();
    assert_eq!(store.keys().find(&made.secret).await, Ok(None));
    assert!(store.keys().revoke(&made.key.id, &ann(2)).await.is_err());
    assert_eq!(store.keys().list().await.unwrap()[0].revoked_at, Some(at(1)));
    store.close().await;
}

async fn processes_that_start_together_migrate_once(place: Place) {
    let (one, two, three) = tokio::join!(Store::open(&place.url), Store::open(&place.url), Store::open(&place.url));
    for store in [one, two, three] {
        let store = store.unwrap();
        assert_eq!(store.version().await, Ok(0));
        store.close().await;
    }
}

async fn a_closed_database_is_away(place: Place) {
    let store = place.open().await;
    store.close().await;
    assert!(store.version().await.unwrap_err().is_away());
    assert!(store.budgets().get("b").await.unwrap_err().is_away());
}

#[tokio::test]
async fn an_address_that_is_none_and_a_server_that_is_none() {
    let refused = Store::open("mysql://x").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the control store refused: 'mysql://x' is no store; write sqlite:./FILE or postgres://USER@HOST/NAME"
    );
    // Nobody listens on port 1.
    assert!(Store::open("postgres://x@127.0.0.1:1/x").await.unwrap_err().is_away());
    assert!(Store::open("sqlite:/nowhere/at/all.db").await.unwrap_err().is_away());
    assert_eq!(Store::open("sqlite::memory:").await.unwrap().version().await, Ok(0));
}
