//! Owners of events under one small directory.

use chrono::{DateTime, Utc};

use super::super::read::read;
use super::{Directory, Precedence};
use crate::budget::ScopeKey;

const CSV: &str = "\
kind,name,team,department,cost_center,contact,attributes,valid_from,valid_until
key,key-7,Ads,,,,,,
project,Checkout,search,,9000,,,,
tags.env,lab,Research,,,,,,
user,ann@example.org,search,,,,plan=pro,,2026-06-01
user,ann@example.org,Research,,,,plan=basic,2026-06-01,
team,Search Team,,Product,4711,leads@example.org,,,
team,Search,,Product,4700,,,,
team,Ads,,Marketing,,,,,
department,Marketing,,,5000,,,,
organization,acme,,,,,plan=gold,,
";

fn directory(precedence: &[&str]) -> Directory {
    let precedence = Precedence::new(precedence.iter().copied()).unwrap();
    Directory::new(read(CSV, "d.csv").unwrap(), &precedence)
}

/// `team/department/cost centre (filled)`.
fn check(directory: &Directory, event: &[(&str, &'static str)], at: &str, expected: &str) {
    let at: DateTime<Utc> = at.parse().unwrap();
    let value_of = |key: &ScopeKey| event.iter().find(|(name, _)| *name == key.to_string()).map(|(_, value)| *value);
    let value_of = |key: &ScopeKey| value_of(key);
    let event_values: Vec<_> = directory.keys().map(|key| (key.clone(), value_of(key))).collect();
    let lookup = |key: &ScopeKey| event_values.iter().find(|(known, _)| known == key).and_then(|(_, value)| *value);
    let filled = directory.resolve(lookup, at);
    let show = |value: Option<&str>| value.unwrap_or("-").to_owned();
    let list: Vec<_> = filled.filled().collect();
    let shown =
        format!("{}/{}/{} ({})", show(filled.team), show(filled.department), show(filled.cost_center), list.join(" "));
    assert_eq!(shown, expected, "{event:?}");
}

const DEFAULT: [&str; 6] = ["key", "account", "project", "app", "tag", "user"];
const MAY: &str = "2026-05-15T00:00:00Z";

#[test]
fn each_kind_of_line_gives_an_owner() {
    let directory = directory(&DEFAULT);
    check(&directory, &[("api_key_id", "key-7")], MAY, "Ads/Marketing/5000 (team department cost_center)");
    check(&directory, &[("project", "check-out")], MAY, "-/-/- ()");
    check(&directory, &[("project", "CHECKOUT")], MAY, "Search/Product/9000 (team department cost_center)");
    check(&directory, &[("tags.env", "Lab")], MAY, "Research/-/- (team)");
    check(&directory, &[("user", "Ann@Example.org")], MAY, "Search/Product/4700 (team department cost_center)");
    check(&directory, &[("user", "bob")], MAY, "-/-/- ()");
}

#[test]
fn the_declared_order_decides() {
    let event = [("api_key_id", "key-7"), ("user", "ann@example.org")];
    check(&directory(&DEFAULT), &event, MAY, "Ads/Marketing/5000 (team department cost_center)");
    check(&directory(&["user", "key"]), &event, MAY, "Search/Product/4700 (team department cost_center)");
    check(&directory(&[]), &event, MAY, "-/-/- ()");
}

#[test]
fn lines_hold_for_their_time() {
    let event = [("user", "ann@example.org")];
    check(&directory(&DEFAULT), &event, "2026-05-31T23:59:59Z", "Search/Product/4700 (team department cost_center)");
    check(&directory(&DEFAULT), &event, "2026-06-01T00:00:00Z", "Research/-/- (team)");
}

#[test]
fn an_own_value_wins_when_it_is_known() {
    let directory = directory(&DEFAULT);
    // Respelled, and the key's line, which names another team, says nothing more.
    let event = [("api_key_id", "key-7"), ("team", "SEARCH_team")];
    check(&directory, &event, MAY, "Search Team/Product/4711 (team department cost_center)");
    check(&directory, &[("team", "Ads"), ("department", "Marketing")], MAY, "Ads/Marketing/5000 (cost_center)");
    // Not known: what the key says is better; with nothing better it stays.
    check(
        &directory,
        &[("api_key_id", "key-7"), ("team", "serach")],
        MAY,
        "Ads/Marketing/5000 (team department cost_center)",
    );
    check(&directory, &[("team", "newcomers")], MAY, "newcomers/-/- ()");
}

#[test]
fn attributes_and_contacts_are_read_at_a_time() {
    let directory = directory(&DEFAULT);
    let attribute = |key: &str, value: &str, at: &str| {
        directory.attribute(&key.parse().unwrap(), value, "plan", at.parse().unwrap()).map(str::to_owned)
    };
    assert_eq!(attribute("user", "ANN@example.org", MAY).as_deref(), Some("pro"));
    assert_eq!(attribute("user", "ann@example.org", "2026-07-01T00:00:00Z").as_deref(), Some("basic"));
    assert_eq!(attribute("organization", "Acme", MAY).as_deref(), Some("gold"));
    assert_eq!(attribute("organization", "other", MAY), None);
    let team = directory.entry(&"team".parse().unwrap(), "search-team", MAY.parse().unwrap()).unwrap();
    assert_eq!(team.contact.as_deref(), Some("leads@example.org"));
}

#[test]
fn an_empty_directory_changes_nothing() {
    let directory = Directory::new([], &Precedence::default());
    check(&directory, &[("team", "x"), ("department", "y")], MAY, "x/y/- ()");
}

#[test]
fn a_precedence_says_which_word_is_none() {
    assert_eq!(Precedence::new(["teem"]).unwrap_err(), "'teem' is no dimension; did you mean 'team'?");
    assert_eq!(Precedence::new(["team"]).unwrap_err(), "'team' is what is filled in, not what is asked");
    assert_eq!(Precedence::new(DEFAULT).unwrap(), Precedence::default());
}
