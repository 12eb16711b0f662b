//! Alerts of a budget of 100 over November 2026, to the last digit.

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_schemas::alert::{Alert, Kind, Level};
use spendstream_schemas::budget::Quarter;

use super::super::book::Book;
use super::super::fixture::{FakeSpend, amount, at, book, budget, prices};
use super::super::limit::{NoAttributes, Rates};
use super::super::notice::{Over, over};
use super::super::standing::{Ground, Resets};
use super::{Crossings, Sight, Sum, Watched};

struct Scene {
    book: Book,
    spend: FakeSpend,
    resets: Resets,
    crossings: Crossings,
    now: DateTime<Utc>,
    closed: DateTime<Utc>,
}

impl Scene {
    fn new(rules: &str) -> Self {
        let json = format!(r#"{{"name": "b", "scope": {{"team": "*"}}, "amount": "100"{rules}}}"#);
        let now = at("2026-11-16T00:00:00Z");
        Self {
            book: book(&[budget(&json)]),
            spend: FakeSpend::default(),
            resets: Resets::default(),
            crossings: Crossings::new(1000),
            now,
            closed: now - TimeDelta::hours(1),
        }
    }

    fn look(&mut self, time: Option<DateTime<Utc>>) -> Vec<Alert> {
        let prices = prices();
        let rates = Rates { prices: &prices, attributes: &NoAttributes, now: self.now };
        let ground = Ground { book: &self.book, spend: &self.spend, rates, resets: &self.resets };
        let sight = Sight { ground, now: self.now, closed: self.closed };
        let watch = self.book.entries()[0].watch.unwrap();
        let sum = Sum { watch, values: &[Some("search")], event_time: time.unwrap_or(self.now) };
        match time {
            Some(time) => self.crossings.touched(&sight, sum, Quarter::of(time)),
            None => self.crossings.tick(&sight, sum, Quarter::of(self.now)),
        }
    }

    fn add(&mut self, more: &str, time: DateTime<Utc>) {
        let watch = self.book.entries()[0].watch.unwrap();
        self.spend.add(watch, &[Some("search")], time, amount(more));
    }

    /// Spends at a time and tells what that raises.
    fn spend_at(&mut self, more: &str, time: DateTime<Utc>) -> Vec<Alert> {
        self.add(more, time);
        self.look(Some(time))
    }

    fn spend(&mut self, more: &str) -> Vec<(Kind, Level, String)> {
        shown(&self.spend_at(more, self.now))
    }
}

fn shown(alerts: &[Alert]) -> Vec<(Kind, Level, String)> {
    let percent = |alert: &Alert| alert.details["threshold_percent"].as_str().unwrap_or_default().to_owned();
    alerts.iter().map(|alert| (alert.kind, alert.level, percent(alert))).collect()
}

#[test]
fn each_threshold_is_raised_once_at_its_last_digit() {
    let mut scene = Scene::new("");
    let warning = |level, percent: &str| (Kind::ThresholdWarning, level, percent.to_owned());
    assert_eq!(scene.spend("49.999999999999999"), []);
    assert_eq!(scene.spend("0.000000000000001"), [warning(Level::Info, "50")]);
    assert_eq!(scene.spend("1"), []);
    let jump = [
        warning(Level::Warning, "80"),
        warning(Level::Critical, "95"),
        (Kind::ThresholdExceeded, Level::Critical, "100".into()),
    ];
    assert_eq!(scene.spend("49"), jump);
    assert_eq!(scene.spend("49"), []);
}

#[test]
fn who_looks_again_from_nothing_finds_the_same_ids() {
    let mut scene = Scene::new(r#", "hard_limit": true"#);
    let first = scene.spend_at("100", scene.now);
    assert_eq!(first.iter().map(|alert| alert.kind).next_back(), Some(Kind::LimitReached));
    scene.crossings = Crossings::new(1000);
    scene.now += TimeDelta::minutes(1);
    let ids = |alerts: &[Alert]| alerts.iter().map(|alert| alert.id.clone()).collect::<Vec<_>>();
    let again = scene.look(None);
    assert_eq!((ids(&again), again.len()), (ids(&first), 4));
    // Too little memory costs questions, never an alert.
    scene.crossings = Crossings::new(1);
    assert_eq!((scene.look(None).len(), ids(&scene.look(None))), (4, ids(&first)));
}

#[test]
fn an_alert_has_the_exact_figures_in_words() {
    let mut scene = Scene::new(r#", "hard_limit": true, "thresholds": [100], "owner": "ann@acme.example""#);
    let alert = scene.spend_at("100.25", at("2026-11-15T23:59:00Z")).pop().unwrap();
    assert_eq!(alert.title, "b (team=search): limit reached, 100.25 % of its budget is used");
    assert_eq!(
        alert.message,
        "team=search has used 100.25 of 100 USD (100.25 %) since 2026-11-01T00:00:00Z; the period ends at \
         2026-12-01T00:00:00Z. Calls that are not critical are refused."
    );
    assert_eq!((alert.value.as_str(), alert.threshold.as_str(), alert.currency.as_str()), ("100.25", "100", "USD"));
    assert_eq!(
        (alert.level, alert.owner.as_deref(), alert.scope.to_string().as_str()),
        (Level::Emergency, Some("ann@acme.example"), "team=search")
    );
    assert_eq!((alert.event_time, alert.raised_at), (at("2026-11-15T23:59:00Z"), scene.now));
}

#[test]
fn a_late_event_of_a_closed_period_raises_nothing() {
    let mut scene = Scene::new("");
    scene.closed = at("2026-11-01T00:00:00Z");
    assert!(scene.spend_at("100", at("2026-10-31T23:59:00Z")).is_empty());
    scene.closed -= TimeDelta::microseconds(1);
    assert_eq!(scene.spend_at("0", at("2026-10-31T23:59:00Z")).len(), 4, "October is still open");
}

#[test]
fn an_unknown_sum_is_not_judged() {
    let mut scene = Scene::new("");
    scene.spend.set_unknown(scene.book.entries()[0].watch.unwrap());
    assert_eq!(scene.spend("200"), []);
}

#[test]
fn what_clears_recovers_once() {
    let mut scene = Scene::new(r#", "thresholds": [50, 80]"#);
    scene.spend("90");
    // A sum that falls and rises again is one that was read again.
    assert_eq!((scene.spend("-20"), scene.spend("15")), (vec![], vec![]));
    assert_eq!(scene.spend("-15"), []);
    scene.now += TimeDelta::seconds(59);
    assert_eq!(scene.spend("0"), []);
    scene.now += TimeDelta::seconds(1);
    assert_eq!(scene.spend("0"), [(Kind::Recovery, Level::Info, "80".into())]);
    assert_eq!(scene.spend("-1"), []);
    // The store knows the alert of the threshold already; it does not fire twice in a period.
    let again = scene.spend_at("11", scene.now);
    assert_eq!((again.len(), again[0].kind), (1, Kind::ThresholdWarning));
}

#[test]
fn a_changed_budget_recovers_at_once_and_raises_anew() {
    let mut scene = Scene::new(r#", "thresholds": [50, 80]"#);
    assert_eq!(scene.spend("90").len(), 2);
    let mut changed = (*scene.book.entries()[0].budget).clone();
    (changed.amount, changed.revision) = ("150".parse().unwrap(), changed.revision + 1);
    scene.book = book(&[std::sync::Arc::new(changed)]);
    let kinds: Vec<Kind> = scene.look(None).iter().map(|alert| alert.kind).collect();
    assert_eq!(kinds, [Kind::ThresholdWarning, Kind::Recovery], "50 % of the new amount, no longer 80 %");
}

/// They begin together, but what one is told of is nothing to the other.
#[test]
fn a_period_of_another_length_takes_nothing_back() {
    let mut scene = Scene::new(r#", "thresholds": [50, 80], "period": "daily""#);
    scene.now = at("2026-11-01T10:00:00Z");
    scene.closed = scene.now - TimeDelta::hours(1);
    assert_eq!(scene.spend("90").len(), 2);
    let json =
        r#"{"name": "b", "scope": {"team": "*"}, "amount": "1000", "thresholds": [50, 80], "period": "monthly"}"#;
    let before = scene.book.entries()[0].budget.clone();
    let mut changed = (*budget(json)).clone();
    (changed.id, changed.revision) = (before.id.clone(), before.revision + 1);
    scene.book = book(&[std::sync::Arc::new(changed)]);
    assert_eq!(scene.look(None), []);
    assert_eq!(scene.spend("500").len(), 1);
}

#[test]
fn a_limit_of_a_period_that_is_over_refuses_nothing() {
    let mut scene = Scene::new(r#", "thresholds": [100], "period": "daily", "hard_limit": true"#);
    scene.closed = scene.now - TimeDelta::hours(24);
    let told = scene.spend_at("100", scene.now - TimeDelta::minutes(5));
    assert_eq!((told.len(), told[0].kind), (1, Kind::LimitReached));
    assert!(told[0].message.ends_with(" That period is over: nothing is refused for it."), "{}", told[0].message);
}

#[test]
fn what_was_told_before_a_restart_recovers_after_it() {
    let mut scene = Scene::new(r#", "thresholds": [50, 80]"#);
    let told = scene.spend_at("90", scene.now);
    let restart = |scene: &mut Scene| {
        scene.crossings = Crossings::new(1000);
        assert!(scene.crossings.recall(&scene.book, &told));
        assert!(!scene.crossings.recall(&scene.book, &told), "nothing new");
    };
    restart(&mut scene);
    assert_eq!((scene.spend("0"), scene.spend("-20")), (vec![], vec![]));
    scene.now += TimeDelta::minutes(1);
    assert_eq!(scene.spend("0"), [(Kind::Recovery, Level::Info, "80".into())]);
    // Changed while nobody watched: what the new rules say is new, and what no longer holds is over at once.
    scene.add("20", scene.now);
    let mut changed = (*scene.book.entries()[0].budget).clone();
    (changed.amount, changed.revision) = ("150".parse().unwrap(), changed.revision + 1);
    scene.book = book(&[std::sync::Arc::new(changed)]);
    restart(&mut scene);
    let kinds: Vec<Kind> = scene.look(None).iter().map(|alert| alert.kind).collect();
    assert_eq!(kinds, [Kind::ThresholdWarning, Kind::Recovery]);
}

#[test]
fn the_pace_is_compared_once_there_is_one() {
    let mut scene = Scene::new(r#", "thresholds": [100], "forecast_thresholds": [100, 150]"#);
    scene.now = at("2026-11-02T00:00:00Z");
    scene.add("10", scene.now);
    assert!(scene.look(None).is_empty(), "one day of thirty says nothing");
    scene.now = at("2026-11-03T00:00:00Z");
    let alert = scene.look(None);
    assert_eq!(
        shown(&alert),
        [(Kind::ForecastBreach, Level::Warning, "100".into()), (Kind::ForecastBreach, Level::Warning, "150".into())]
    );
    assert_eq!(alert[0].value, "150");
    assert!(
        alert[0]
            .message
            .contains("has used 10 of 100 USD since 2026-11-01T00:00:00Z. At this pace it will be 150 (150 %)"),
        "{}",
        alert[0].message
    );
    scene.now = at("2026-11-11T00:00:00Z");
    assert!(scene.look(None).is_empty());
    scene.now += TimeDelta::minutes(1);
    assert_eq!(
        shown(&scene.look(None)),
        [(Kind::Recovery, Level::Info, "100".into()), (Kind::Recovery, Level::Info, "150".into())]
    );
}

#[test]
fn a_rolling_window_fires_once_per_window_length_and_recovers_as_it_moves() {
    let mut scene = Scene::new(r#", "period": "PT2H", "thresholds": [100]"#);
    scene.now = at("2026-11-16T00:30:00Z");
    assert_eq!(scene.spend("100").len(), 1);
    scene.now = at("2026-11-16T01:30:00Z");
    assert!(scene.look(None).is_empty());
    // Two hours on, a new window length: it is said again as long as it stays above.
    scene.now = at("2026-11-16T02:14:00Z");
    assert_eq!(scene.look(None).len(), 1);
    scene.now = at("2026-11-16T02:30:00Z");
    assert!(scene.look(None).is_empty());
    scene.now = at("2026-11-16T02:31:00Z");
    assert_eq!(shown(&scene.look(None)), [(Kind::Recovery, Level::Info, "100".into())]);
    scene.now = at("2026-11-16T02:32:00Z");
    assert!(scene.look(None).is_empty(), "one recovery, however many windows it was told in");
    assert_eq!(scene.spend("100").len(), 1, "and again within the same one");
}

/// 90, a window length later nothing, and 90 again: for the store one threshold that was told, taken back and comes again.
#[test]
fn a_window_that_is_crossed_again_is_raised_again_with_the_moment_it_was_seen() {
    let mut scene = Scene::new(r#", "period": "PT30M", "thresholds": [80]"#);
    scene.now = at("2026-11-16T00:14:00Z");
    let first = scene.spend_at("90", scene.now).remove(0);
    scene.now = at("2026-11-16T00:30:30Z");
    assert!(scene.look(None).is_empty());
    scene.now = at("2026-11-16T00:31:30Z");
    let over = scene.look(None).remove(0);
    assert_eq!((over.kind, over.details["occurrence"].clone()), (Kind::Recovery, first.details["occurrence"].clone()));
    assert_eq!(over.condition(), first.condition());
    scene.now = at("2026-11-16T00:32:00Z");
    let second = scene.spend_at("90", scene.now).remove(0);
    assert_eq!((second.condition(), second.seen()), (first.condition(), scene.now));
    assert!(first.seen() < over.seen() && over.seen() < second.seen());
}

#[test]
fn what_another_one_took_back_and_is_reached_here_is_raised_again() {
    let mut scene = Scene::new(r#", "thresholds": [50, 80]"#);
    let told = scene.spend_at("90", scene.now);
    let before = over(&told[0], Over::Withdrawn, scene.now);
    assert!(!scene.crossings.recall(&scene.book, &[before]), "not after it was raised here");
    scene.now += TimeDelta::minutes(1);
    let closed = over(&told[0], Over::Period, scene.now);
    assert!(!scene.crossings.recall(&scene.book, &[closed]), "a period that is over stays over");
    let after = over(&told[1], Over::Withdrawn, scene.now);
    assert!(scene.crossings.recall(&scene.book, std::slice::from_ref(&after)));
    let again = scene.spend_at("0", scene.now);
    assert_eq!((again.len(), &again[0].id), (1, &told[1].id));
    assert!(!scene.crossings.recall(&scene.book, &[after]), "once");
    assert!(scene.look(None).is_empty());
}

#[test]
fn what_no_budget_watches_any_more_is_known() {
    let mut scene = Scene::new(r#", "thresholds": [50, 80], "forecast_thresholds": [100]"#);
    let mut told = scene.spend_at("90", scene.now);
    assert_eq!(told.len(), 3);
    let (other, now) = (told.remove(1), scene.now);
    let check = |rules: &[&str], expected: [bool; 3]| {
        let rules: Vec<_> = rules.iter().map(|json| budget(json)).collect();
        let book = book(&rules);
        let watched = Watched::new(&book);
        let found = [&told[0], &other, &told[1]].map(|alert| watched.has(alert, now));
        assert_eq!(found, expected, "{rules:?}");
    };
    let all = |scope: &str, more: &str| {
        format!(
            r#"{{"name": "b", "scope": {scope}, "amount": "1", "thresholds": [50, 80], "forecast_thresholds": [100]{more}}}"#
        )
    };
    let each = all(r#"{"team": "*"}"#, "");
    check(&[&each], [true, true, true]);
    check(&[&all(r#"{"team": "search"}"#, "")], [true, true, true]);
    check(&[], [false, false, false]);
    check(&[&all(r#"{"team": "*"}"#, r#", "active": false"#)], [false, false, false]);
    check(&[&all(r#"{"team": "ads"}"#, "")], [false, false, false]);
    check(&[&all(r#"{"team": "*", "user": "*"}"#, "")], [false, false, false]);
    check(&[&all(r#"{"team": "*"}"#, r#", "valid_from": "2026-11-17T00:00:00Z""#)], [false, false, false]);
    check(&[&all(r#"{"team": "*"}"#, r#", "period": "daily""#)], [false, false, false]);
    check(&[r#"{"name": "b", "scope": {"team": "*"}, "amount": "1", "thresholds": [80, 95]}"#], [false, true, false]);
    // Another budget names the value, or stands beside.
    let named = r#"{"name": "n", "scope": {"team": "search"}, "amount": "1000"}"#;
    check(&[&each, named], [false, false, false]);
    check(&[&each, &named.replace("}, ", r#"}, "additive": true, "#)], [true, true, true]);
    check(&[&each, &named.replace("search", "ads")], [true, true, true]);
}

#[test]
fn after_a_reset_only_what_follows_counts() {
    let mut scene = Scene::new(r#", "thresholds": [50]"#);
    let mut changed = (*scene.book.entries()[0].budget).clone();
    changed.reset_at = Some(at("2026-11-10T00:00:00Z"));
    scene.book = book(&[std::sync::Arc::new(changed)]);
    scene.add("70", at("2026-11-05T00:00:00Z"));
    assert_eq!(scene.spend("49"), [], "what was spent before the reset is not known");
    let cell = scene.book.entries()[0].cell(&[Some("search")]);
    scene.resets.add(
        "b",
        at("2026-11-10T00:00:00Z").timestamp_micros(),
        [(cell, Quarter::of(at("2026-11-01T00:00:00Z")), amount("70"))],
    );
    assert_eq!(scene.spend("0"), []);
    assert_eq!(scene.spend("1").len(), 1);
}

/// Live totals have late events of before the reset, which what was read of before has not.
#[test]
fn a_young_reset_alerts_by_what_the_lake_has_since() {
    let mut scene = Scene::new("");
    let reset = at("2026-11-15T23:59:00Z");
    let mut changed = (*scene.book.entries()[0].budget).clone();
    changed.reset_at = Some(reset);
    scene.book = book(&[std::sync::Arc::new(changed)]);
    let cell = scene.book.entries()[0].cell(&[Some("search")]);
    let first = Quarter::of(at("2026-11-01T00:00:00Z"));
    scene.resets.add("b", reset.timestamp_micros(), [(cell, first, amount("10"))]);
    scene.resets.add_since("b", []);
    scene.add("10", at("2026-11-05T00:00:00Z"));
    assert_eq!(scene.spend_at("60", at("2026-11-15T23:58:59Z")), []);
    let mut read = Resets::default();
    read.add("b", reset.timestamp_micros(), [(cell, first, amount("70"))]);
    read.add_since("b", [(cell, first, amount("49"))]);
    assert!(read.is_news(&scene.resets) && !read.is_news(&read.clone()));
    scene.resets = read;
    assert_eq!(scene.look(None), []);
    scene.resets.add_since("b", [(cell, first, amount("1"))]);
    assert_eq!(shown(&scene.look(None)).len(), 1);
}

#[test]
fn a_late_event_does_not_judge_what_was_over_before_the_budget() {
    let mut scene = Scene::new(r#", "period": "daily""#);
    let mut made = (*scene.book.entries()[0].budget).clone();
    made.updated_at = at("2026-11-16T00:00:30Z");
    scene.book = book(&[std::sync::Arc::new(made)]);
    scene.now = at("2026-11-16T00:01:00Z");
    assert_eq!(scene.spend_at("150", at("2026-11-15T23:50:00Z")), []);
    assert_eq!(scene.spend_at("150", scene.now).len(), 4);
}
