//! Budgets: made, changed, removed, applied from a file, told to pollers, audited.

use serde_json::{Value, json};
use spendstream_control::budgets::{Applied, BudgetFilter};
use spendstream_control::{Error, Store, budget_file};
use spendstream_schemas::budget::{Budget, BudgetDraft};

use crate::support::{Place, ann, at, scenarios};

scenarios!(
    a_budget_lives_and_is_audited,
    what_is_wrong_is_refused_and_leaves_nothing,
    pollers_see_changes_in_their_order,
    a_file_is_applied_and_applying_it_again_changes_nothing,
    a_bad_file_changes_nothing,
    writers_at_once_lose_nothing,
    of_two_who_expect_the_same_one_changes_it,
);

fn draft(json: Value) -> BudgetDraft {
    serde_json::from_value(json).unwrap()
}

fn search() -> BudgetDraft {
    draft(json!({"name": "search", "scope": {"team": "search"}, "period": "monthly", "amount": "100"}))
}

/// `action who: before -> after` of one field.
async fn log(store: &Store, id: &str, field: &str) -> Vec<String> {
    let entries = store.audit().list(Some("budget"), Some(id), None, 10).await.unwrap();
    let show = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), |value| value[field].to_string());
    entries.iter().map(|e| format!("{} {}: {} -> {}", e.action, e.who, show(&e.before), show(&e.after))).collect()
}

async fn a_budget_lives_and_is_audited(place: Place) {
    let store = place.open().await;
    let made = store.budgets().create(&search(), "EUR", &ann(0)).await.unwrap();
    assert_eq!((made.currency.as_str(), made.revision, made.created_at), ("EUR", 1, at(0)));
    let id = made.id.as_str();
    let dearer = draft(json!({"amount": "250.50"}));
    let changed = store.budgets().update(id, &dearer, "EUR", &ann(10)).await.unwrap();
    assert_eq!((changed.revision, changed.updated_at, changed.created_at), (2, at(10), at(0)));
    let reset = store.budgets().reset(id, &ann(20)).await.unwrap();
    assert_eq!((reset.revision, reset.reset_at), (3, Some(at(20))));
    let gone = store.budgets().delete(id, &ann(30)).await.unwrap();
    assert!(!gone.active);
    store.close().await;

    let store = place.open().await;
    assert_eq!(store.budgets().get(id).await.unwrap(), gone);
    assert_eq!(
        log(&store, id, "amount").await,
        [
            "delete ann: \"250.5\" -> \"250.5\"",
            "reset ann: \"250.5\" -> \"250.5\"",
            "update ann: \"100\" -> \"250.5\"",
            "create ann: - -> \"100\""
        ]
    );
    assert_eq!(store.budgets().list(&BudgetFilter { active: None }).await.unwrap(), [gone]);
    assert_eq!(store.budgets().list(&BudgetFilter { active: Some(true) }).await.unwrap(), []);
    store.close().await;
}

async fn what_is_wrong_is_refused_and_leaves_nothing(place: Place) {
    let store = place.open().await;
    let bad = draft(json!({"name": "x", "scope": {"teem": "a"}, "period": "monthly", "amount": "0"}));
    let Err(Error::Invalid(lines)) = store.budgets().create(&bad, "USD", &ann(0)).await else { panic!("it was made") };
    assert_eq!(
        lines,
        [
            "scope is wrong: 'teem' is no dimension; did you mean 'team'?",
            "amount is 0; it must be more than zero (a block stops all spending)"
        ]
    );
    let missing = Error::NotFound { what: "budget", id: "none".to_owned() };
    assert_eq!(store.budgets().get("none").await, Err(missing.clone()));
    assert_eq!(store.budgets().update("none", &search(), "USD", &ann(0)).await, Err(missing.clone()));
    assert_eq!(store.budgets().delete("none", &ann(0)).await, Err(missing));
    assert_eq!((store.version().await, store.audit().list(None, None, None, 10).await), (Ok(0), Ok(vec![])));
    store.close().await;
}

async fn pollers_see_changes_in_their_order(place: Place) {
    let store = place.open().await;
    assert_eq!(store.version().await, Ok(0));
    let made = store.budgets().create(&search(), "USD", &ann(0)).await.unwrap();
    let first = store.budgets().changes_since(0).await.unwrap();
    assert_eq!((first.version, first.budgets), (1, vec![made.clone()]));
    assert_eq!(store.budgets().changes_since(1).await.unwrap().budgets, []);
    let other = store.budgets().create(&search(), "USD", &ann(1)).await.unwrap();
    let gone = store.budgets().delete(&made.id, &ann(2)).await.unwrap();
    let next = store.budgets().changes_since(1).await.unwrap();
    assert_eq!((next.version, next.budgets), (3, vec![other, gone]));
    store.close().await;
}

const FILE: &str = r#"
[[budgets]]
name = "everything"
scope = {}
period = "yearly"
starts_on = 2026-04-06
amount = "1000000"
increase = { amount = "5", until = "2026-01-01T00:00:00Z" }

[[budgets]]
name = "each user"
scope = { user = "*" }
period = "daily"
amount = 10
thresholds = [50, 80.5]
"#;

async fn a_file_is_applied_and_applying_it_again_changes_nothing(place: Place) {
    let store = place.open().await;
    let by_hand = store.budgets().create(&search(), "USD", &ann(0)).await.unwrap();
    let apply = async |text: &str, seconds| {
        let drafts = budget_file::read(text, "budgets.toml").unwrap();
        store.budgets().apply("file", &drafts, "USD", &ann(seconds)).await.unwrap()
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let both = names(&["everything", "each user"]);
    assert_eq!(apply(FILE, 1).await, Applied { created: both.clone(), ..Applied::default() });
    let version = store.version().await.unwrap();
    assert_eq!(apply(FILE, 2).await, Applied { unchanged: both, ..Applied::default() });
    assert_eq!(store.version().await.unwrap(), version);

    let fewer = FILE.split("[[budgets]]").nth(2).unwrap().replace("amount = 10", "amount = 12");
    let done = apply(&format!("[[budgets]]{fewer}"), 3).await;
    assert_eq!(done, Applied { changed: names(&["each user"]), removed: names(&["everything"]), ..Applied::default() });
    let listed = store.budgets().list(&BudgetFilter { active: Some(true) }).await.unwrap();
    let shown: Vec<_> = listed.iter().map(|b| format!("{} {} r{}", b.name, b.amount, b.revision)).collect();
    assert_eq!(shown, ["each user 12 r2", "search 100 r1"]);
    // Back again, with its history: the same budget.
    assert_eq!(apply(FILE, 4).await, Applied { changed: names(&["everything", "each user"]), ..Applied::default() });
    assert_eq!(store.budgets().get(&by_hand.id).await.unwrap(), by_hand);
    store.close().await;
}

async fn a_bad_file_changes_nothing(place: Place) {
    let store = place.open().await;
    let text = format!("{FILE}[[budgets]]\nname = \"each user\"\nscope = {{}}\nperiod = \"hourly\"\namount = 1\n");
    let twice = format!("{FILE}[[budgets]]\nname = \"each user\"\nscope = {{}}\nperiod = \"daily\"\namount = 1\n");
    for (text, expected) in [
        (
            text,
            "b.toml: budget 3 'each user': period is wrong: 'hourly' is no period; write daily, weekly, monthly, \
             quarterly, yearly or a duration such as PT24H or P7D",
        ),
        (twice, "b.toml: budget 3 'each user': is there twice; give each a name of its own"),
    ] {
        let drafts = budget_file::read(&text, "b.toml").unwrap();
        let error = store.budgets().apply("b.toml", &drafts, "USD", &ann(0)).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    assert_eq!(store.version().await, Ok(0));
    store.close().await;
}

async fn writers_at_once_lose_nothing(place: Place) {
    let (one, two) = (place.open().await, place.open().await);
    let budget = one.budgets().create(&search(), "USD", &ann(0)).await.unwrap();
    let change = async |store: &Store, from: i64| {
        for step in 0..10 {
            let draft = draft(json!({"amount": (from + step).to_string()}));
            store.budgets().update(&budget.id, &draft, "USD", &ann(step)).await.unwrap();
        }
    };
    tokio::join!(change(&one, 1000), change(&two, 2000));
    assert_eq!(one.budgets().get(&budget.id).await.unwrap().revision, 21);
    assert_eq!(two.version().await, Ok(21));
    // Each change began where another had ended.
    let entries = one.audit().list(Some("budget"), None, None, 100).await.unwrap();
    for pair in entries.windows(2) {
        assert_eq!(pair[0].before, pair[1].after);
    }
    one.close().await;
    two.close().await;
}

async fn of_two_who_expect_the_same_one_changes_it(place: Place) {
    let (one, two) = (place.open().await, place.open().await);
    let id = one.budgets().create(&search(), "USD", &ann(0)).await.unwrap().id;
    for revision in 1..6 {
        let expected = |budget: &Budget| budget.revision == revision;
        let change = async |store: &Store, amount: &str| {
            let draft = draft(json!({"amount": format!("{revision}{amount}")}));
            store.budgets().expecting(&expected).update(&id, &draft, "USD", &ann(revision)).await
        };
        let outcomes = tokio::join!(change(&one, "1"), change(&two, "2"));
        let (done, late) = match outcomes {
            (Ok(done), Err(late)) | (Err(late), Ok(done)) => (done, late),
            both => panic!("{both:?}"),
        };
        assert_eq!(done.revision, revision + 1);
        assert_eq!(late, Error::Stale(Box::new(done)));
    }
    one.close().await;
    two.close().await;
}
