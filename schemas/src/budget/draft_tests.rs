//! Drafts as people send them: what becomes of good ones, and every line that bad ones get.

use chrono::DateTime;
use serde_json::{Value, json};

use super::{Budget, BudgetDraft, Context};

const NOW: &str = "2026-06-15T12:00:00Z";

fn draft(json: Value) -> BudgetDraft {
    serde_json::from_value(json).unwrap()
}

fn context() -> Context<'static> {
    Context { id: "b1", currency: "USD", now: NOW.parse().unwrap() }
}

fn good() -> Value {
    json!({
        "name": "search team", "scope": {"team": "search"}, "period": "monthly", "timezone": "Europe/Berlin",
        "amount": "100.00", "currency": "USD", "thresholds": [50, 80, 95, 100], "forecast_thresholds": [100],
        "hard_limit": true, "active": true
    })
}

fn made(json: Value) -> Budget {
    draft(json).check(None, &context()).unwrap()
}

/// The good draft with some fields changed, and the lines it gets.
fn refused(change: Value, expected: &[&str]) {
    let mut json = good();
    let fields = json.as_object_mut().unwrap();
    for (field, value) in change.as_object().unwrap() {
        if value == "absent" {
            fields.remove(field)
        } else {
            fields.insert(field.clone(), value.clone())
        };
    }
    let lines: Vec<_> = match draft(json).check(None, &context()) {
        Ok(_) => vec!["no problem".to_owned()],
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(lines, expected, "{change}");
}

#[test]
fn the_contract_s_example_becomes_a_budget_with_strings() {
    let json = serde_json::to_value(made(good())).unwrap();
    assert_eq!(
        json,
        json!({
            "id": "b1", "revision": 1, "name": "search team", "scope": {"team": "search"}, "period": "monthly",
            "timezone": "Europe/Berlin", "starts_on": null, "amount": "100", "currency": "USD",
            "thresholds": ["50", "80", "95", "100"], "forecast_thresholds": ["100"], "hard_limit": true,
            "hard_limit_percent": "100", "active": true, "additive": false, "include_missing": false,
            "amounts_by": null, "valid_from": null, "valid_until": null, "increase": null, "reset_at": null,
            "owner": null, "contacts": [], "created_at": NOW, "updated_at": NOW
        })
    );
    assert_eq!(serde_json::from_value::<Budget>(json).unwrap(), made(good()));
}

#[test]
fn what_was_read_can_be_sent_back() {
    let before = made(good());
    let sent = draft(serde_json::to_value(&before).unwrap());
    assert_eq!(sent.check(Some(&before), &context()), Ok(before));
}

#[test]
fn numbers_keep_their_digits_and_thresholds_are_sorted() {
    let budget = made(json!({
        "name": "n", "scope": {}, "period": "P1D", "amount": 0.1, "thresholds": [95, "33.3333", 7.5]
    }));
    assert_eq!(budget.amount.to_string(), "0.1");
    assert_eq!(budget.thresholds.iter().map(ToString::to_string).collect::<Vec<_>>(), ["7.5", "33.3333", "95"]);
    assert_eq!(budget.period.period.to_string(), "PT24H");
}

#[test]
fn a_number_that_a_float_may_have_changed_is_refused() {
    let long: Value = serde_json::from_str("1234567890123.4567").unwrap();
    refused(json!({ "amount": long }), &["amount is 1234567890123.4568; write an amount such as \"100.00\""]);
    assert_eq!(
        made(serde_json::from_str(&good().to_string().replace("\"100.00\"", "123456789012.345")).unwrap())
            .amount
            .to_string(),
        "123456789012.345"
    );
}

#[test]
fn a_patch_keeps_what_it_does_not_name_and_null_clears() {
    let before = made(good());
    let patch = |json: Value| draft(json).check(Some(&before), &context()).unwrap();
    let dearer = patch(json!({"amount": "250"}));
    assert_eq!((dearer.amount.to_string(), dearer.revision, dearer.name.as_str()), ("250".into(), 2, "search team"));
    assert_eq!(dearer.scope, before.scope);
    // Nothing that was alerted is alerted again because of a new name.
    assert_eq!(patch(json!({"name": "x", "owner": "ann", "active": false})).revision, 1);
    let cleared = patch(json!({"thresholds": null, "timezone": null, "hard_limit": null}));
    assert_eq!((cleared.hard_limit, cleared.period.timezone), (false, chrono_tz::Tz::UTC));
    let lines = draft(json!({"amount": null})).check(Some(&before), &context()).unwrap_err();
    assert_eq!(lines[0].to_string(), "amount is missing");
}

#[test]
fn amounts_by_plan_and_a_temporary_increase() {
    let budget = made(json!({
        "name": "tenants", "scope": {"organization": "*"}, "period": "monthly",
        "amounts_by": {"attribute": "plan", "basic": "50", "pro": 500, "default": "100"},
        "increase": {"amount": "25", "until": "2026-06-16T00:00:00Z"}
    }));
    let amount = |at: &str, plan: Option<&'static str>| {
        let at: DateTime<chrono::Utc> = at.parse().unwrap();
        budget.amount_at(at, |name| if name == "plan" { plan } else { None }).to_string()
    };
    assert_eq!(amount(NOW, Some("basic")), "75");
    assert_eq!(amount("2026-06-16T00:00:00Z", Some("basic")), "50");
    assert_eq!(amount("2026-07-01T00:00:00Z", Some("pro")), "500");
    assert_eq!(amount("2026-07-01T00:00:00Z", Some("gold")), "100");
    assert_eq!(amount("2026-07-01T00:00:00Z", None), "100");
    assert_eq!(
        serde_json::to_value(&budget).unwrap()["amounts_by"],
        json!({"attribute": "plan", "basic": "50", "default": "100", "pro": "500"})
    );
}

#[test]
fn every_problem_is_said_at_once() {
    refused(
        json!({
            "name": "absent", "scope": {"teem": "a", "user": 7}, "period": "PT20M", "timezone": "Europe/Berlni",
            "amount": "-5", "currency": "usd", "thresholds": [0, 50], "hard_limit": "yes", "treshold": 1
        }),
        &[
            "treshold is no field of a budget; did you mean 'thresholds'?",
            "name is missing",
            "scope has 7 for 'user'; write a text",
            "scope is wrong: 'teem' is no dimension; did you mean 'team'?",
            "period is wrong: 'PT20M' is not a whole number of quarter-hours; a rolling period moves by 15 minutes",
            "timezone is 'Europe/Berlni', which is no IANA time zone; did you mean 'Europe/Berlin'?",
            "amount is -5; it must be more than zero (a block stops all spending)",
            "currency is 'usd'; write an ISO 4217 code such as USD",
            "thresholds entry 1 is 0; write a percentage above 0 and up to 1000, at most four digits after the point",
            "hard_limit is 'yes'; write true or false",
        ],
    );
}

#[test]
fn each_problem_by_itself() {
    refused(json!({"amount": "absent"}), &["amount is missing"]);
    refused(json!({"scope": "absent"}), &["scope is missing"]);
    refused(json!({"scope": []}), &["scope is a list; write an object"]);
    refused(json!({"name": " "}), &["name is empty"]);
    refused(json!({"amount": "0"}), &["amount is 0; it must be more than zero (a block stops all spending)"]);
    refused(json!({"amount": "12,5"}), &["amount is '12,5'; write an amount such as \"100.00\""]);
    refused(
        json!({"amount": "99999999999999"}),
        &["amount is 99999999999999; at most 13 digits before and 15 after the point fit"],
    );
    refused(json!({"thresholds": [50, "50.0"]}), &["thresholds has 50 twice"]);
    refused(json!({"thresholds": 50}), &["thresholds is 50; write a list such as [50, 80, 95, 100]"]);
    refused(
        json!({"hard_limit_percent": -1}),
        &["hard_limit_percent is -1; write a percentage above 0 and up to 1000, at most four digits after the point"],
    );
    refused(
        json!({"timezone": "Berlin"}),
        &["timezone is 'Berlin', which is no IANA time zone; write one such as Europe/Berlin"],
    );
    refused(json!({"starts_on": "1 April"}), &["starts_on is '1 April'; write a date such as 2026-04-01"]);
    refused(json!({"valid_from": "soon"}), &["valid_from is 'soon'; write a time such as 2026-01-31T00:00:00Z"]);
    refused(json!({"id": "other"}), &["id is \"other\"; this budget's id is 'b1'"]);
    refused(json!({"increase": {"amount": "5"}}), &["increase needs 'until'"]);
    refused(
        json!({"increase": {"amount": "5", "until": "2026-06-15T12:00:00Z"}}),
        &["increase until 2026-06-15T12:00:00+00:00 is over already"],
    );
    refused(
        json!({"amounts_by": {"basic": "5"}}),
        &["amounts_by needs 'attribute': which of the directory's attributes chooses"],
    );
    refused(
        json!({"amounts_by": {"attribute": "plan"}}),
        &["amounts_by has no amounts; write one per value of 'plan'"],
    );
}

#[test]
fn fields_that_contradict_each_other() {
    refused(
        json!({"valid_from": "2026-07-02T00:00:00Z", "valid_until": "2026-07-01T00:00:00Z"}),
        &["valid_until is 2026-07-01T00:00:00+00:00, not after valid_from"],
    );
    refused(
        json!({"valid_until": "2026-06-01T00:00:00Z"}),
        &["valid_until is over already; set active to false instead"],
    );
    refused(
        json!({"period": "daily", "starts_on": "2026-01-15"}),
        &["starts_on has no meaning for the period daily; days begin at midnight"],
    );
    refused(
        json!({"period": "PT24H"}),
        &["forecast_thresholds have no meaning for a rolling period, which has no end to project to"],
    );
    refused(json!({"include_missing": true}), &["include_missing has no meaning for a scope without \"*\""]);
    refused(
        json!({"scope": {}, "amounts_by": {"attribute": "plan", "basic": "5"}}),
        &["amounts_by needs a scope with a dimension whose value has the attribute"],
    );
}
