//! Figures of a budget of 100 over June 2026, to the last digit.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::super::draft::{BudgetDraft, Context};
use super::{Budget, BudgetStatus, State, crossed, forecast_crossed, is_crossed, state};
use crate::alert::{Kind, Level};
use crate::budget::quarter::Quarter;
use crate::money::Amount;

fn budget(change: Value) -> Budget {
    let mut draft = json!({"name": "n", "scope": {}, "period": "monthly", "amount": "100"});
    draft.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let context = Context { id: "b", currency: "USD", now: DateTime::UNIX_EPOCH };
    serde_json::from_value::<BudgetDraft>(draft).unwrap().check(None, &context).unwrap()
}

fn amount(text: &str) -> Amount {
    Amount::from_decimal(text.parse().unwrap()).unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn at(budget: &Budget, used: &str, now: &str) -> State {
    let span = budget.period.span(Quarter::of(time(now)));
    state(budget, amount("100"), amount(used), amount("1"), span, time(now))
}

#[test]
fn a_threshold_is_crossed_at_its_last_digit() {
    let check = |used: &str, percent: &str, expected: bool| {
        assert_eq!(is_crossed(amount(used), amount("100"), percent.parse().unwrap()), expected, "{used} {percent}");
    };
    check("79.999999999999999", "80", false);
    check("80", "80", true);
    check("33.3333", "33.3333", true);
    check("33.333299999999999", "33.3333", false);
    // The largest that fit.
    let most = Amount::from_units(10_i128.pow(28) - 1).unwrap();
    assert!(is_crossed(most, most, Decimal::ONE_HUNDRED));
    assert!(!is_crossed(most - amount("0.000000000000001"), most, Decimal::ONE_HUNDRED));
    assert!(!is_crossed(most, most, "100.0001".parse().unwrap()));
}

#[test]
fn the_highest_below_100_is_critical_the_next_a_warning() {
    let of = |change: Value, threshold: u32| budget(change).crossing(Decimal::from(threshold));
    let four = json!({"thresholds": [50, 80, 95, 100]});
    assert_eq!(of(four.clone(), 50), (Kind::ThresholdWarning, Level::Info));
    assert_eq!(of(four.clone(), 80), (Kind::ThresholdWarning, Level::Warning));
    assert_eq!(of(four.clone(), 95), (Kind::ThresholdWarning, Level::Critical));
    assert_eq!(of(four, 100), (Kind::ThresholdExceeded, Level::Critical));
    assert_eq!(of(json!({"thresholds": [80, 100], "hard_limit": true}), 100), (Kind::LimitReached, Level::Emergency));
    assert_eq!(of(json!({"thresholds": [80]}), 80), (Kind::ThresholdWarning, Level::Critical));
    let at_120 = json!({"thresholds": [100, 120], "hard_limit": true, "hard_limit_percent": 120});
    assert_eq!(of(at_120.clone(), 100), (Kind::ThresholdExceeded, Level::Critical));
    assert_eq!(of(at_120, 120), (Kind::LimitReached, Level::Emergency));
}

#[test]
fn several_thresholds_are_crossed_at_once() {
    let all: Vec<_> = [50, 80, 95, 100].map(Decimal::from).into();
    let found: Vec<_> = crossed(amount("95.5"), amount("100"), &all).collect();
    assert_eq!(found, [50, 80, 95].map(Decimal::from));
}

#[test]
fn status_follows_the_levels() {
    let budget = budget(json!({}));
    for (used, status) in [
        ("0", BudgetStatus::Ok),
        ("50", BudgetStatus::Ok),
        ("80", BudgetStatus::Warning),
        ("95", BudgetStatus::Critical),
        ("99.999999999999999", BudgetStatus::Critical),
        ("100", BudgetStatus::Exceeded),
    ] {
        assert_eq!(at(&budget, used, "2026-06-15T00:00:00Z").status, status, "{used}");
    }
}

#[test]
fn figures_in_the_middle_of_the_month() {
    // 10 of 30 days are over.
    let state = at(&budget(json!({})), "40", "2026-06-11T00:00:00Z");
    assert_eq!(
        serde_json::to_value(&state).unwrap(),
        json!({
            "amount": "100", "used": "40", "held": "1", "percent": "40", "remaining": "60", "status": "ok",
            "projected": "120", "days_until_exhausted": "15",
            "advice": "At this pace it is used up in 15 days, before the period ends on 2026-07-01 00:00 UTC. \
                       Lower the pace or raise the amount.",
            "period_start": "2026-06-01T00:00:00Z", "period_end": "2026-07-01T00:00:00Z"
        })
    );
}

#[test]
fn percent_is_cut_off_and_may_exceed_100() {
    let budget = budget(json!({}));
    for (used, percent, remaining) in
        [("99.99999", "99.9999", "0.00001"), ("123.456789", "123.4567", "-23.456789"), ("0", "0", "100")]
    {
        let state = at(&budget, used, "2026-06-11T00:00:00Z");
        assert_eq!((state.percent.to_string(), state.remaining.to_string()), (percent.into(), remaining.into()));
    }
}

#[test]
fn a_reset_starts_the_pace_anew() {
    let mut budget = budget(json!({}));
    budget.reset_at = Some(time("2026-06-21T00:00:00Z"));
    // One of the ten days that are left after the reset.
    let state = at(&budget, "5", "2026-06-22T00:00:00Z");
    assert_eq!(state.projected, Some(amount("50")));
    assert_eq!(state.days_until_exhausted, Some(Decimal::from(19)));
    assert_eq!(state.advice, "On pace to stay within the amount.");
    // In the next period it is over.
    assert_eq!(at(&budget, "10", "2026-07-11T00:00:00Z").projected, Some(amount("31")));
}

#[test]
fn without_a_pace_nothing_is_projected() {
    let state = at(&budget(json!({})), "0", "2026-06-01T00:00:00Z");
    assert_eq!((state.projected, state.days_until_exhausted), (None, None));
    assert_eq!(state.advice, "Nothing is spent yet.");
    let rolling = at(&budget(json!({"period": "PT24H"})), "70", "2026-06-01T00:00:00Z");
    assert_eq!((rolling.projected, rolling.days_until_exhausted), (Some(amount("70")), None));
}

#[test]
fn advice_says_whether_calls_are_refused() {
    let soft = at(&budget(json!({})), "105", "2026-06-11T00:00:00Z");
    assert!(soft.advice.starts_with("Exceeded by 5, and nothing is refused."), "{}", soft.advice);
    assert_eq!(soft.days_until_exhausted, Some(Decimal::ZERO));
    let hard = at(&budget(json!({"hard_limit": true})), "105", "2026-06-11T00:00:00Z");
    assert!(hard.advice.starts_with("Exceeded by 5: calls that are not critical are refused."), "{}", hard.advice);
    let just = at(&budget(json!({"hard_limit": true})), "100", "2026-06-11T00:00:00Z");
    assert!(just.advice.starts_with("Used up: calls that are not critical are refused."), "{}", just.advice);
    let later = at(&budget(json!({"hard_limit": true, "hard_limit_percent": 110})), "105", "2026-06-11T00:00:00Z");
    assert!(later.advice.contains("nothing is refused"), "{}", later.advice);
}

#[test]
fn a_forecast_waits_until_the_pace_means_something() {
    let budget = budget(json!({"forecast_thresholds": [100, 150]}));
    let crossed_at = |used: &str, now: &str| forecast_crossed(&budget, &at(&budget, used, now), time(now));
    assert_eq!(crossed_at("40", "2026-06-11T00:00:00Z"), [Decimal::from(100)]);
    assert_eq!(crossed_at("50", "2026-06-11T00:00:00Z"), [Decimal::from(100), Decimal::from(150)]);
    assert_eq!(crossed_at("30", "2026-06-11T00:00:00Z"), []);
    assert_eq!(crossed_at("40", "2026-06-02T11:59:59Z"), []);
    assert_eq!(crossed_at("40", "2026-06-02T12:00:00Z"), [Decimal::from(100), Decimal::from(150)]);
}
