//! Alerts fire once, notifications are claimed by one process at a time and outlive it.

use chrono::TimeDelta;
use serde_json::{Value, json};
use spendstream_control::alerts::{AlertFilter, Raised, Subject};
use spendstream_control::notifications::{Delivery, DeliveryState};
use spendstream_control::{Error, Store};
use spendstream_schemas::alert::{Alert, Kind, Level};

use crate::support::{Place, ann, at, scenarios};

scenarios!(
    an_alert_fires_once_whoever_raises_it,
    the_guard_holds_for_an_hour_per_budget_scope_kind_and_threshold,
    what_was_taken_back_and_what_comes_in_a_new_period_is_news,
    what_comes_again_after_its_recovery_is_told_again_and_once,
    what_was_seen_before_a_recovery_opens_nothing_again,
    a_window_that_rolls_recovers_once_and_a_period_that_is_over_stays_closed,
    what_an_older_version_told_and_took_back_is_known,
    a_pace_that_comes_and_goes_stays_within_its_guard,
    a_day_that_is_over_does_not_silence_a_month_that_begins_with_it,
    what_is_snoozed_is_kept_and_not_sent,
    the_first_to_acknowledge_is_on_record,
    history_is_filtered_and_paged,
    a_delivery_is_tried_until_it_is_sent_or_given_up,
    two_processes_never_hold_the_same_delivery,
);

const HOUR: TimeDelta = TimeDelta::hours(1);

/// Budget `b`, 80 %, raised so many seconds after noon, with some fields changed.
fn alert(id: &str, seconds: i64, change: Value) -> Alert {
    let mut json = json!({
        "id": id, "kind": "threshold_warning", "level": "warning", "budget_id": "b", "scope": {"team": "search"},
        "title": "80 % of search", "message": "", "value": "80.5", "threshold": "80", "currency": "USD",
        "period_start": at(0), "period_end": null, "event_time": at(0), "raised_at": at(seconds), "owner": null
    });
    json.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(json).unwrap()
}

fn mail() -> Vec<Delivery> {
    vec![Delivery { channel: "mail".to_owned(), target: String::new(), not_before: None }]
}

async fn raise(store: &Store, alert: &Alert) -> Raised {
    store.alerts().raise(alert, HOUR, &mail()).await.unwrap()
}

async fn ids(store: &Store, filter: &AlertFilter) -> Vec<String> {
    store.alerts().list(filter, 100).await.unwrap().alerts.into_iter().map(|found| found.alert.id).collect()
}

async fn an_alert_fires_once_whoever_raises_it(place: Place) {
    let (one, two) = (place.open().await, place.open().await);
    let the = alert("a1", 0, json!({}));
    let (first, second) = tokio::join!(raise(&one, &the), raise(&two, &the));
    let mut both = [first, second];
    both.sort_by_key(|raised| *raised != Raised::New);
    assert_eq!(both, [Raised::New, Raised::Known]);
    one.close().await;
    two.close().await;
    let store = place.open().await;
    assert_eq!(raise(&store, &the).await, Raised::Known);
    assert_eq!(store.alerts().get("a1").await.unwrap().alert, the);
    assert_eq!(store.notifications().list(Some("a1"), None, 10).await.unwrap().len(), 1);
    store.close().await;
}

async fn the_guard_holds_for_an_hour_per_budget_scope_kind_and_threshold(place: Place) {
    let store = place.open().await;
    assert_eq!(raise(&store, &alert("a1", 0, json!({}))).await, Raised::New);
    // The next period's, 59:59 later; it left nothing and may come again.
    assert_eq!(raise(&store, &alert("a2", 3599, json!({}))).await, Raised::Guarded);
    assert_eq!(store.alerts().get("a2").await, Err(Error::NotFound { what: "alert", id: "a2".to_owned() }));
    for (id, change) in [
        ("other budget", json!({"budget_id": "c"})),
        ("other scope", json!({"scope": {"team": "ads"}})),
        ("other kind", json!({"kind": "forecast_breach"})),
        ("other threshold", json!({"threshold": "95"})),
    ] {
        assert_eq!(raise(&store, &alert(id, 3599, change)).await, Raised::New, "{id}");
    }
    for id in ["over", "over again"] {
        let recovery = alert(id, 3599, json!({"kind": "recovery"}));
        assert_eq!(raise(&store, &recovery).await, Raised::New, "{id}");
    }
    // Of no budget: each time zone's summary and each dimension that is lacking is something else.
    let of_none = |details: Value| json!({"budget_id": null, "details": details});
    for (id, details) in [
        ("berlin", json!({"timezone": "Europe/Berlin"})),
        ("paris", json!({"timezone": "Europe/Paris"})),
        ("team", json!({"dimension": "team"})),
        ("cost centre", json!({"dimension": "cost_center"})),
    ] {
        assert_eq!(raise(&store, &alert(id, 3599, of_none(details.clone()))).await, Raised::New, "{id}");
        assert_eq!(raise(&store, &alert(&format!("{id} 2"), 3600, of_none(details))).await, Raised::Guarded, "{id}");
    }
    assert_eq!(raise(&store, &alert("a2", 3600, json!({}))).await, Raised::New);
    assert_eq!(raise(&store, &alert("a3", 3601, json!({}))).await, Raised::Guarded);
    assert_eq!(store.notifications().list(None, None, 100).await.unwrap().len(), 12);
    store.close().await;
}

async fn what_was_taken_back_and_what_comes_in_a_new_period_is_news(place: Place) {
    let store = place.open().await;
    let rolling = |recovers: &[&str]| {
        let recovers = recovers.first().map(|kind| json!({"kind": kind, "level": "warning"}));
        json!({"details": {"occurrence": at(0), "rolling": true, "recovers": recovers}})
    };
    assert_eq!(raise(&store, &alert("a1", 0, rolling(&[]))).await, Raised::New);
    assert_eq!(raise(&store, &alert("a2", 60, rolling(&[]))).await, Raised::Guarded);
    let mut other = rolling(&["threshold_exceeded"]);
    other["kind"] = json!("recovery");
    assert_eq!(raise(&store, &alert("r0", 100, other)).await, Raised::New);
    assert_eq!(raise(&store, &alert("a2", 110, rolling(&[]))).await, Raised::Guarded, "another kind was taken back");
    let mut recovery = rolling(&["threshold_warning"]);
    recovery["kind"] = json!("recovery");
    assert_eq!(raise(&store, &alert("r1", 120, recovery)).await, Raised::New);
    assert_eq!(raise(&store, &alert("a2", 130, rolling(&[]))).await, Raised::New);
    assert_eq!(raise(&store, &alert("a3", 140, rolling(&[]))).await, Raised::Guarded);
    let daily = |day: i64| json!({"budget_id": "daily", "details": {"occurrence": at(day * 86_400), "rolling": false}});
    assert_eq!(raise(&store, &alert("d1", 0, daily(0))).await, Raised::New);
    assert_eq!(raise(&store, &alert("d2", 10, daily(0))).await, Raised::Guarded);
    assert_eq!(raise(&store, &alert("d3", 20, daily(1))).await, Raised::New);
    store.close().await;
}

/// 80 % of a day or of a rolling window, or its recovery: seen and raised so many seconds after noon.
fn threshold(id: &str, seconds: i64, details: Value) -> Alert {
    let mut all = json!({
        "occurrence": at(0), "rolling": false, "basis": "actual", "threshold_percent": "80", "seen": at(seconds)
    });
    all.as_object_mut().unwrap().extend(details.as_object().unwrap().clone());
    let kind = if id.starts_with('r') { "recovery" } else { "threshold_warning" };
    // A recovery may know another amount.
    let amount = if id.starts_with('r') { "160" } else { "80" };
    alert(id, seconds, json!({"kind": kind, "threshold": amount, "details": all}))
}

async fn what_comes_again_after_its_recovery_is_told_again_and_once(place: Place) {
    let (one, two) = (place.open().await, place.open().await);
    let both = async |alert: Alert| {
        let (first, second) = tokio::join!(raise(&one, &alert), raise(&two, &alert));
        let mut both = [first, second];
        both.sort_by_key(|raised| *raised != Raised::New);
        both
    };
    let once = [Raised::New, Raised::Known];
    for round in 0..3 {
        let start = round * 1_000;
        assert_eq!(both(threshold("a", start, json!({}))).await, once, "{round}");
        // Another process finds the same later, after a crash or because it starts.
        assert_eq!(raise(&two, &threshold("a", start + 100, json!({}))).await, Raised::Known, "{round}");
        assert_eq!(both(threshold("r", start + 200, json!({}))).await, once, "{round}");
        assert_eq!(raise(&two, &threshold("r", start + 300, json!({}))).await, Raised::Known, "{round}");
    }
    // Another revision of the budget has other ids: what it finds recovered is over for all.
    assert_eq!(raise(&one, &threshold("a of revision 2", 3_000, json!({}))).await, Raised::New);
    assert_eq!(raise(&one, &threshold("r of revision 3", 3_100, json!({}))).await, Raised::New);
    assert_eq!(raise(&one, &threshold("r", 3_200, json!({}))).await, Raised::Known);
    assert_eq!(
        ids(&one, &AlertFilter::default()).await,
        ["r of revision 3-4", "a of revision 2-4", "r-3", "a-3", "r-2", "a-2", "r", "a"]
    );
    assert_eq!(one.notifications().list(Some("a-3"), None, 10).await.unwrap().len(), 1);
    one.close().await;
    two.close().await;
}

async fn what_was_seen_before_a_recovery_opens_nothing_again(place: Place) {
    let store = place.open().await;
    let late = |id: &str, seen: i64| Alert { raised_at: at(900), ..threshold(id, seen, json!({})) };
    assert_eq!(raise(&store, &threshold("a", 10, json!({}))).await, Raised::New);
    assert_eq!(raise(&store, &threshold("r", 100, json!({}))).await, Raised::New);
    // An instance that could not reach the store has both in its queue still.
    assert_eq!(raise(&store, &late("a", 11)).await, Raised::Known);
    assert_eq!(raise(&store, &late("r", 101)).await, Raised::Known);
    assert_eq!(raise(&store, &threshold("a", 200, json!({}))).await, Raised::New);
    assert_eq!(raise(&store, &late("r", 101)).await, Raised::Known, "it ends nothing that came later");
    assert_eq!(raise(&store, &late("a", 11)).await, Raised::Known);
    assert_eq!(raise(&store, &threshold("r", 300, json!({}))).await, Raised::New);
    assert_eq!(ids(&store, &AlertFilter::default()).await, ["r-2", "a-2", "r", "a"]);
    // Nobody but such an instance had told it.
    let other = json!({"threshold_percent": "50"});
    assert_eq!(raise(&store, &threshold("r50", 100, other.clone())).await, Raised::New);
    assert_eq!(raise(&store, &threshold("a50", 99, other)).await, Raised::Known);
    store.close().await;
}

async fn a_window_that_rolls_recovers_once_and_a_period_that_is_over_stays_closed(place: Place) {
    let store = place.open().await;
    let rolling = |id: &str, seconds: i64, window: i64| {
        threshold(id, seconds, json!({"rolling": true, "occurrence": at(window)}))
    };
    assert_eq!(raise(&store, &rolling("a 1", 0, 0)).await, Raised::New);
    assert_eq!(raise(&store, &rolling("a 2", 7_200, 7_200)).await, Raised::New, "it goes on");
    assert_eq!(raise(&store, &rolling("r 1", 7_300, 0)).await, Raised::New);
    assert_eq!(raise(&store, &rolling("r 2", 7_360, 7_200)).await, Raised::Known);
    assert_eq!(raise(&store, &rolling("a 2", 7_400, 7_200)).await, Raised::New, "within the same window");
    assert_eq!(raise(&store, &threshold("a", 7_500, json!({}))).await, Raised::New);
    assert_eq!(raise(&store, &threshold("r", 86_400, json!({"period_over": true}))).await, Raised::New);
    assert_eq!(raise(&store, &threshold("a", 86_500, json!({}))).await, Raised::Known);
    assert_eq!(ids(&store, &AlertFilter::default()).await, ["r", "a", "a 2-2", "r 1", "a 2", "a 1"]);
    store.close().await;
}

/// What an older version wrote has no rounds: its recoveries say whether a period was over.
async fn what_an_older_version_told_and_took_back_is_known(place: Place) {
    let store = place.open().await;
    let told = threshold("told", 0, json!({}));
    let over = |threshold: &str, more: Value| {
        let mut over = self::threshold("r", 86_400, more);
        over.details["threshold_percent"] = json!(threshold);
        over.details["revision"] = json!(1);
        Alert { id: over.recovery_id().unwrap(), ..over }
    };
    let with = |alert: &Alert, threshold: &str| {
        let mut alert = alert.clone();
        alert.details["threshold_percent"] = json!(threshold);
        alert.details["revision"] = json!(1);
        Alert { id: format!("told {threshold}"), threshold: threshold.to_owned(), ..alert }
    };
    for percent in ["50", "80", "90"] {
        assert_eq!(raise(&store, &with(&told, percent)).await, Raised::New);
    }
    assert_eq!(raise(&store, &over("50", json!({"period_over": true}))).await, Raised::New);
    assert_eq!(raise(&store, &over("80", json!({}))).await, Raised::New);
    let standing = async || {
        let standing = store.alerts().standing(at(86_000), 10).await.unwrap();
        standing.into_iter().map(|alert| alert.id).collect::<Vec<_>>()
    };
    assert_eq!(standing().await, [over("80", json!({})).id, "told 90".to_owned()]);
    // The version before did not say which alert stands.
    place.run("UPDATE alert_rounds SET alert = NULL").await;
    assert_eq!(standing().await, [""; 0]);
    store.alerts().adopt(100).await.unwrap();
    assert_eq!(standing().await, [over("80", json!({})).id, "told 90".to_owned()]);
    // The one before that had no rounds.
    place.run("DELETE FROM alert_rounds").await;
    store.alerts().adopt(100).await.unwrap();
    assert_eq!(standing().await, [over("80", json!({})).id, "told 90".to_owned()]);
    place.run("DELETE FROM alert_rounds").await;
    assert_eq!(standing().await, [""; 0]);
    let again = |percent: &str| {
        let mut again = with(&threshold("told", 90_000, json!({})), percent);
        again.details["seen"] = json!(at(90_000));
        again
    };
    assert_eq!(raise(&store, &again("50")).await, Raised::Known, "its period was over");
    assert_eq!(raise(&store, &again("80")).await, Raised::New, "it was taken back");
    assert_eq!(raise(&store, &again("90")).await, Raised::Known, "it stands");
    assert_eq!(standing().await, ["told 80-2"]);
    store.close().await;
}

async fn a_pace_that_comes_and_goes_stays_within_its_guard(place: Place) {
    let store = place.open().await;
    let pace = |id: &str, seconds: i64| threshold(id, seconds, json!({"basis": "forecast"}));
    assert_eq!(raise(&store, &pace("a", 0)).await, Raised::New);
    assert_eq!(raise(&store, &pace("r", 100)).await, Raised::New);
    assert_eq!(raise(&store, &pace("a", 200)).await, Raised::Guarded);
    assert_eq!(raise(&store, &pace("r", 300)).await, Raised::Known, "what was not told is not taken back");
    assert_eq!(raise(&store, &pace("a", 3_600)).await, Raised::New);
    store.close().await;
}

async fn a_day_that_is_over_does_not_silence_a_month_that_begins_with_it(place: Place) {
    let store = place.open().await;
    let about = |days: i64, seen: i64, more: Value| {
        let mut details = json!({
            "basis": "actual", "threshold_percent": "80", "occurrence": at(0), "rolling": false, "revision": 1, "seen": at(seen)
        });
        details.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"period_end": at(days * 86_400), "details": details})
    };
    assert_eq!(raise(&store, &alert("day", 0, about(1, 0, json!({})))).await, Raised::New);
    let mut over =
        about(1, 86_500, json!({"period_over": true, "recovers": {"kind": "threshold_warning", "level": "warning"}}));
    over["kind"] = json!("recovery");
    assert_eq!(raise(&store, &alert("day is over", 86_500, over)).await, Raised::New);
    assert_eq!(raise(&store, &alert("day again", 90_000, about(1, 90_000, json!({})))).await, Raised::Known);
    assert_eq!(raise(&store, &alert("month", 90_000, about(30, 90_000, json!({})))).await, Raised::New);
    store.close().await;
}

async fn what_is_snoozed_is_kept_and_not_sent(place: Place) {
    let store = place.open().await;
    let raise_at = async |id: &str, seconds: i64| raise(&store, &alert(id, seconds, json!({}))).await;
    assert_eq!(raise_at("a1", 0).await, Raised::New);
    let like = Subject::LikeAlert("a1".to_owned());
    store.alerts().snooze(&like, at(10_000), &ann(10)).await.unwrap();
    assert_eq!(raise_at("a2", 4000).await, Raised::Snoozed);
    assert!(store.alerts().get("a2").await.unwrap().snoozed);
    assert_eq!(raise_at("a3", 10_000).await, Raised::New);
    let states = async || {
        let all = store.notifications().list(None, None, 10).await.unwrap();
        let mut states: Vec<_> = all.iter().map(|one| (one.alert_id.clone(), one.state)).collect();
        states.sort_by(|(one, _), (other, _)| one.cmp(other));
        states
    };
    // What waited when it was snoozed is not sent either; what came after the snooze is.
    let [given_up, pending] = [DeliveryState::GivenUp, DeliveryState::Pending];
    assert_eq!(states().await, [("a1".to_owned(), given_up), ("a3".to_owned(), pending)]);
    // A time that is over ends a snooze, and keeps nothing back.
    store.alerts().snooze(&like, at(10_001), &ann(10_002)).await.unwrap();
    assert_eq!(states().await[1].1, pending);
    store.alerts().snooze(&Subject::LikeAlert("a3".to_owned()), at(20_000), &ann(10_003)).await.unwrap();
    assert_eq!(states().await[1].1, given_up);
    let nothing = Subject::Budget("none".to_owned());
    let error = store.alerts().snooze(&nothing, at(1), &ann(0)).await.unwrap_err();
    assert_eq!(error, Error::NotFound { what: "budget", id: "none".to_owned() });
    let audit = store.audit().list(Some("alert"), Some("a1"), None, 10).await.unwrap();
    assert_eq!((audit[1].action.as_str(), audit[1].after.clone()), ("snooze", Some(json!(at(10_000)))));
    store.close().await;
}

async fn the_first_to_acknowledge_is_on_record(place: Place) {
    let store = place.open().await;
    raise(&store, &alert("a1", 0, json!({}))).await;
    let seen = store.alerts().acknowledge("a1", Some("on it"), &ann(5)).await.unwrap();
    assert_eq!((seen.acknowledged_at, seen.acknowledged_by.as_deref()), (Some(at(5)), Some("ann")));
    let bob = spendstream_control::Act { who: "bob", now: at(6) };
    assert_eq!(store.alerts().acknowledge("a1", None, &bob).await.unwrap(), seen);
    let audit = store.audit().list(Some("alert"), None, None, 10).await.unwrap();
    assert_eq!(audit.iter().map(|entry| entry.who.as_str()).collect::<Vec<_>>(), ["ann"]);
    assert!(store.alerts().acknowledge("none", None, &bob).await.is_err());
    store.close().await;
}

async fn history_is_filtered_and_paged(place: Place) {
    let store = place.open().await;
    for (id, seconds, change) in [
        ("a1", 0, json!({"threshold": "50", "level": "info"})),
        ("a2", 1, json!({"budget_id": "c", "level": "critical"})),
        ("a3", 2, json!({"kind": "anomaly", "budget_id": null, "scope": {"team": "ads"}, "level": "emergency"})),
        ("a4", 2, json!({"threshold": "95", "scope": {"team": "search", "user": "ann"}})),
    ] {
        assert_eq!(raise(&store, &alert(id, seconds, change)).await, Raised::New);
    }
    store.alerts().acknowledge("a2", None, &ann(9)).await.unwrap();
    let all = AlertFilter::default;
    assert_eq!(ids(&store, &all()).await, ["a4", "a3", "a2", "a1"]);
    assert_eq!(ids(&store, &AlertFilter { level: Some(Level::Critical), ..all() }).await, ["a3", "a2"]);
    assert_eq!(ids(&store, &AlertFilter { kind: Some(Kind::Anomaly), ..all() }).await, ["a3"]);
    assert_eq!(ids(&store, &AlertFilter { budget_id: Some("c".to_owned()), ..all() }).await, ["a2"]);
    assert_eq!(ids(&store, &AlertFilter { acknowledged: Some(false), ..all() }).await, ["a4", "a3", "a1"]);
    assert_eq!(ids(&store, &AlertFilter { acknowledged: Some(true), ..all() }).await, ["a2"]);
    assert_eq!(ids(&store, &AlertFilter { since: Some(at(1)), until: Some(at(2)), ..all() }).await, ["a2"]);
    let of_search = |alert: &Alert| alert.scope.to_string().contains("search");
    let page = store.alerts().list_where(&all(), 10, &of_search).await.unwrap();
    assert_eq!(page.alerts.into_iter().map(|found| found.alert.id).collect::<Vec<_>>(), ["a4", "a2", "a1"]);
    let (mut paged, mut filter) = (Vec::new(), all());
    for _ in 0..4 {
        let page = store.alerts().list(&filter, 1).await.unwrap();
        paged.extend(page.alerts.into_iter().map(|found| found.alert.id));
        filter.after = page.next;
    }
    assert_eq!(paged, ["a4", "a3", "a2", "a1"]);
    assert_eq!(store.alerts().list(&filter, 1).await.unwrap().next, None);
    store.close().await;
}

async fn a_delivery_is_tried_until_it_is_sent_or_given_up(place: Place) {
    let store = place.open().await;
    raise(&store, &alert("a1", 0, json!({}))).await;
    let (log, minute) = (store.notifications(), TimeDelta::minutes(1));
    let claim = async |seconds: i64| log.claim_due("mail", at(seconds), "p1", minute, 10).await.unwrap();
    assert_eq!((log.next_due().await, log.waiting().await), (Ok(Some(at(0))), Ok(1)));
    assert_eq!(log.claim_due("sms", at(0), "p1", minute, 10).await, Ok(vec![]));
    let first = claim(0).await;
    assert_eq!((first.len(), first[0].attempts, first[0].alert.id.as_str()), (1, 0, "a1"));
    let id = first[0].id.as_str();
    assert_eq!(claim(59).await, []);
    assert_eq!(log.failed(id, "p1", "connection refused", at(300), at(1)).await, Ok(true));
    assert_eq!(claim(299).await, []);
    // The process dies with this claim; after the lease another has it, and the first may no longer say anything.
    assert_eq!(claim(300).await.len(), 1);
    let other = log.claim_due("mail", at(360), "p2", minute, 10).await.unwrap();
    assert_eq!((other.len(), other[0].attempts), (1, 1));
    assert_eq!(log.sent(id, "p1", at(361)).await, Ok(false));
    assert_eq!(log.given_up(id, "p2", "refused for good", at(362)).await, Ok(true));
    store.close().await;

    let store = place.open().await;
    let lines = store.notifications().list(Some("a1"), Some(DeliveryState::GivenUp), 10).await.unwrap();
    assert_eq!((lines[0].attempts, lines[0].error.as_deref()), (2, Some("refused for good")));
    assert_eq!(store.notifications().claim_due("mail", at(9999), "p1", minute, 10).await, Ok(vec![]));
    assert_eq!(store.notifications().next_due().await, Ok(None));
    assert_eq!(store.notifications().waiting().await, Ok(0));
    store.close().await;
}

async fn two_processes_never_hold_the_same_delivery(place: Place) {
    let (one, two) = (place.open().await, place.open().await);
    for number in 0..40 {
        raise(&one, &alert(&format!("a{number:02}"), 0, json!({"threshold": number.to_string()}))).await;
    }
    let claim = async |store: &Store, owner: &str| {
        let mut held = Vec::new();
        while held.len() < 40 {
            let more = store.notifications().claim_due("mail", at(1), owner, HOUR, 3).await.unwrap();
            if more.is_empty() {
                break;
            }
            held.extend(more.into_iter().map(|claimed| claimed.id));
        }
        held
    };
    let (mut held, others) = tokio::join!(claim(&one, "p1"), claim(&two, "p2"));
    held.extend(others);
    // What a race left over is due still.
    held.extend(claim(&one, "p1").await);
    held.sort();
    let before = held.len();
    held.dedup();
    assert_eq!((held.len(), before), (40, 40));
    one.close().await;
    two.close().await;
}
