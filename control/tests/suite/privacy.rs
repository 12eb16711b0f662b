//! Leases, the list of the erased, and what the store itself holds of an erased person.

use chrono::TimeDelta;
use serde_json::json;
use spendstream_control::alerts::{Raised, Subject};
use spendstream_control::blocks::{BlockAction, NewBlock};
use spendstream_control::budgets::BudgetFilter;
use spendstream_control::keys::Role;
use spendstream_control::notifications::{Delivery, DeliveryState};
use spendstream_control::{Act, Error, Store};
use spendstream_schemas::alert::Alert;
use spendstream_schemas::pseudonym::{Dimension, Erasure, PrivacyKey};

use crate::support::{Place, ann, at, scenarios};

scenarios!(
    one_holds_a_lease_until_it_is_over_or_given_back,
    of_many_who_take_a_lease_at_once_one_has_it,
    a_person_is_on_the_list_once_and_never_in_clear,
    nothing_of_an_erased_person_is_left_in_the_store,
    what_was_done_elsewhere_is_audited,
);

const PERSON: &str = "Eve.Moe@example.org";
const TTL: TimeDelta = TimeDelta::seconds(30);

fn key() -> PrivacyKey {
    PrivacyKey::new("0123456789abcdef").unwrap()
}

fn eve() -> Erasure {
    Erasure::new(&key(), Dimension::USER, PERSON)
}

async fn one_holds_a_lease_until_it_is_over_or_given_back(place: Place) {
    let store = place.open().await;
    let take = async |holder: &str, seconds: i64| store.leases().take("lake", holder, at(seconds), TTL).await.unwrap();
    let holder =
        async |seconds: i64| store.leases().holder("lake", at(seconds)).await.unwrap().map(|lease| lease.holder);
    assert_eq!(holder(0).await, None);
    assert!(take("one", 0).await && !take("two", 1).await);
    assert!(store.leases().take("other", "two", at(1), TTL).await.unwrap());
    // Renewed, it ends later.
    assert!(take("one", 20).await && !take("two", 49).await);
    assert_eq!(holder(49).await.as_deref(), Some("one"));
    assert_eq!(holder(50).await, None);
    assert!(take("two", 50).await && !take("one", 51).await);
    store.leases().release("lake", "one").await.unwrap();
    assert_eq!(holder(52).await.as_deref(), Some("two"), "nobody gives back what is another's");
    store.leases().release("lake", "two").await.unwrap();
    assert!(take("one", 52).await);
    assert_eq!(store.leases().holder("lake", at(52)).await.unwrap().unwrap().until, at(52) + TTL);
    store.close().await;
}

async fn of_many_who_take_a_lease_at_once_one_has_it(place: Place) {
    let store = place.open().await;
    for round in 0..5 {
        let now = at(round * 60);
        let takers = (0..4).map(|taker| {
            let store = store.clone();
            tokio::spawn(async move { store.leases().take("lake", &taker.to_string(), now, TTL).await.unwrap() })
        });
        let mut taken = 0;
        for taker in takers.collect::<Vec<_>>() {
            taken += usize::from(taker.await.unwrap());
        }
        assert_eq!(taken, 1, "round {round}");
    }
    store.close().await;
}

async fn a_person_is_on_the_list_once_and_never_in_clear(place: Place) {
    let store = place.open().await;
    let erasures = store.erasures();
    let first = erasures.add(&eve(), &ann(0)).await.unwrap();
    assert_eq!((first.dimension.as_str(), first.requested_by.as_str(), first.rows), ("user_id", "ann", None));
    let again = Erasure::new(&key(), Dimension::USER, &PERSON.to_uppercase());
    assert_eq!(erasures.add(&again, &ann(9)).await.unwrap(), first);
    let customer = Erasure::new(&key(), "customer".parse().unwrap(), PERSON);
    assert_ne!(erasures.add(&customer, &ann(1)).await.unwrap().id, first.id);
    let erased = erasures.erased(&key()).await.unwrap();
    assert_eq!(erased.len(), 2);
    assert!(erased.is_erased(&Dimension::USER, "eve.moe@EXAMPLE.org") && !erased.is_erased(&Dimension::USER, "ann"));

    erasures.rewritten(&first.id, 7, &ann(10)).await.unwrap();
    erasures.rewritten(&first.id, 2, &ann(20)).await.unwrap();
    let due =
        |by| async move { erasures.to_repeat(at(by)).await.unwrap().into_iter().map(|one| one.id).collect::<Vec<_>>() };
    assert_eq!(due(0).await, std::slice::from_ref(&first.id));
    assert_eq!(due(1).await.len(), 2);
    erasures.repeated(&first.id, 1, &ann(25)).await.unwrap();
    assert_eq!(due(0).await, Vec::<String>::new());
    erasures.proven(&first.id, "12 objects", &ann(30)).await.unwrap();
    let done = erasures.list().await.unwrap().remove(0);
    assert_eq!((done.rows, done.rewritten_at, done.proven_at), (Some(10), Some(at(20)), Some(at(30))));
    assert_eq!(done.repeated_at, Some(at(25)));
    assert_eq!(done.note.as_deref(), Some("12 objects"));
    assert_eq!(
        erasures.proven("none", "", &ann(0)).await,
        Err(Error::NotFound { what: "erasure", id: "none".to_owned() })
    );
    let log = store.audit().list(Some("erasure"), Some(&first.id), None, 10).await.unwrap();
    let actions: Vec<_> = log.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["prove", "repeat", "rewrite", "rewrite", "create"]);
    store.close().await;
    assert!(!place.dump().await.to_lowercase().contains("eve.moe"));
}

fn alert(id: &str, scope: serde_json::Value, owner: &str) -> Alert {
    serde_json::from_value(json!({
        "id": id, "kind": "threshold_warning", "level": "warning", "budget_id": "b", "scope": scope,
        "title": format!("80 % of user={PERSON}"), "message": format!("{PERSON} spent 80 USD"), "value": "80.50", "threshold": "80",
        "currency": "USD", "period_start": at(0), "period_end": at(86_400), "event_time": at(0), "raised_at": at(0), "owner": owner,
        "details": {"basis": "actual", "threshold_percent": "80", "occurrence": at(0), "causes": [{"user": PERSON.to_lowercase()}]}
    }))
    .unwrap()
}

/// The person as a user, a tag, an owner, a contact, an address, and as who did something.
async fn fill(store: &Store) {
    let eve = Act { who: &format!("cli:{PERSON}"), now: at(0) };
    let (user, tag) = (json!({"user": PERSON.to_lowercase()}), json!({"tags.mail": format!("mailto:{PERSON}")}));
    for (name, scope) in [("Eve's", &user), ("tag", &tag), ("all", &json!({"team": "search"}))] {
        let draft = json!({"name": format!("{name} {PERSON}"), "scope": scope, "period": "daily", "amount": "100",
            "owner": PERSON, "contacts": [PERSON, "bob@example.org"]});
        store.budgets().create(&serde_json::from_value(draft).unwrap(), "USD", &eve).await.unwrap();
    }
    let drafts =
        [serde_json::from_value(json!({"id": format!("id-{PERSON}"), "name": "of a file", "scope": {"app": "x"},
        "period": "daily", "amount": "1"}))
        .unwrap()];
    store.budgets().apply("file", &drafts, "USD", &eve).await.unwrap();
    let deliver = |target: &str| Delivery { channel: "mail".into(), target: target.to_owned(), not_before: None };
    for (id, scope) in [("a1", &user), ("a2", &json!({"team": "search"}))] {
        let to = [deliver(PERSON), deliver(&PERSON.to_lowercase()), deliver("bob@example.org")];
        let raised = store.alerts().raise(&alert(id, scope.clone(), PERSON), TimeDelta::zero(), &to).await;
        assert_eq!(raised, Ok(Raised::New));
        store.alerts().acknowledge(id, Some(&format!("told {PERSON}")), &eve).await.unwrap();
    }
    store.alerts().snooze(&Subject::LikeAlert("a1".into()), at(60), &eve).await.unwrap();
    for scope in [&user, &json!({"endpoint": "/chat"})] {
        let scope = serde_json::from_value(scope.clone()).unwrap();
        let (reason, until) = (format!("{PERSON} runs away"), at(3_600));
        let new = NewBlock { scope, action: BlockAction::Block, until, reason };
        store.blocks().create(new, &eve).await.unwrap();
    }
    let csv = format!("kind,name,team,contact\nuser,{PERSON},search,{PERSON}\nteam,search,,{PERSON}\nuser,bob,ads,\n");
    store.directory().import(&csv, "d.csv", "hr", &eve).await.unwrap();
    store.keys().create(&format!("key of {PERSON}"), Role::Admin, &[], &eve).await.unwrap();
    store.leases().take("lake", &format!("host/{PERSON}"), at(0), TTL).await.unwrap();
}

async fn nothing_of_an_erased_person_is_left_in_the_store(place: Place) {
    let store = place.open().await;
    fill(&store).await;
    assert!(place.dump().await.contains(PERSON));
    let version = store.version().await.unwrap();
    let act = Act { who: PERSON, now: at(100) };
    let added = store.erasures().add(&eve(), &act).await.unwrap();
    let done = store.erasures().anonymise(&eve(), &act).await.unwrap();
    assert_eq!(
        (done.budgets_ended, done.blocks_lifted, done.directory_removed, done.deliveries_given_up),
        (2, 1, 1, 2)
    );
    let dump = place.dump().await.to_lowercase();
    assert!(!dump.contains("eve.moe"), "{}", dump.lines().find(|line| line.contains("eve.moe")).unwrap_or_default());
    assert!(store.version().await.unwrap() > version, "whoever follows the budgets sees it");

    // All of it can still be read, says what it said, and lives on.
    let budgets = store.budgets().list(&BudgetFilter::default()).await.unwrap();
    let shown: Vec<_> =
        budgets.iter().map(|one| format!("{} {} {} {:?}", one.name, one.scope, one.active, one.contacts)).collect();
    assert_eq!(shown[0], r#"Eve's erased user=erased false ["bob@example.org"]"#);
    assert_eq!(shown[1], r#"all erased team=search true ["bob@example.org"]"#);
    assert!(shown[2].starts_with("of a file app=x true") && shown[3].contains("tags.mail=erased-"), "{shown:?}");
    assert!(budgets.iter().all(|one| one.owner.is_none()));
    for budget in &budgets {
        assert_eq!(store.budgets().get(&budget.id).await.as_ref(), Ok(budget));
    }
    let told = store.alerts().get("a1").await.unwrap();
    assert_eq!(
        (told.alert.title.as_str(), told.alert.message.as_str()),
        ("80 % of user=erased", "erased spent 80 USD")
    );
    assert_eq!((told.alert.value.as_str(), told.note.as_deref()), ("80.50", Some("told erased")));
    let waiting = store.notifications().list(None, Some(DeliveryState::Pending), 10).await.unwrap();
    let waiting: Vec<_> = waiting.iter().map(|one| (one.alert_id.as_str(), one.target.as_str())).collect();
    assert_eq!(waiting, [("a2", "bob@example.org")], "a snooze gave up the first alert's");
    assert_eq!(store.notifications().list(Some("a2"), None, 10).await.unwrap().len(), 3);
    let entries: Vec<_> =
        store.directory().list().await.unwrap().into_iter().map(|one| (one.value, one.contact)).collect();
    assert_eq!(entries, [("search".to_owned(), Some("erased".to_owned())), ("bob".to_owned(), None)]);
    assert_eq!(store.blocks().active(at(100)).await.unwrap().len(), 1);
    assert_eq!(store.erasures().list().await.unwrap(), [added]);

    // Once is enough.
    let again = store.erasures().anonymise(&eve(), &ann(200)).await.unwrap();
    assert!(again.rows.is_empty() && again.budgets_ended == 0, "{again:?}");
    store.close().await;
}

async fn what_was_done_elsewhere_is_audited(place: Place) {
    let store = place.open().await;
    let details = json!({"days": 3, "rows": 10});
    store.audit().record(&ann(5), "expire", ("lake", "2024-01-01..2024-01-03"), Some(&details)).await.unwrap();
    let found = store.audit().list(Some("lake"), None, None, 10).await.unwrap().remove(0);
    assert_eq!((found.action.as_str(), found.who.as_str(), found.at), ("expire", "ann", at(5)));
    assert_eq!((found.before, found.after), (None, Some(details)));
    store.close().await;
}
