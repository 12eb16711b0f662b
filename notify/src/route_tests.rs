//! Who is told and when, as tables of alerts and expected deliveries.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;
use spendstream_schemas::alert::{Alert, Kind, Level};
use spendstream_schemas::budget::{ResolvedScope, ScopeKey};
use spendstream_schemas::config::Config;

use super::{Routes, plan};
use crate::desk::test_alert;

const CHANNELS: &str = r#"
[[notify.channels]]
kind = "email"
name = "mail"
host = "localhost"
from = "a@example.org"
to = ["b@example.org"]
[[notify.channels]]
kind = "slack"
name = "chat"
url = "https://example.org/x"
[[notify.channels]]
kind = "sms"
name = "sms"
url = "https://example.org/x"
to = ["+1", "+2"]
body = "{text}"
[[notify.channels]]
kind = "pagerduty"
name = "duty"
routing_key = "k"
"#;

const NOW: &str = "2026-06-10T21:03:20Z";

fn alert(level: Level, kind: Kind, team: &str) -> Alert {
    let scope = ResolvedScope::new([("team".parse().unwrap(), Some(team.to_owned()))]);
    Alert { level, kind, scope, owner: Some("Ann <ann@example.org>".into()), ..test_alert(NOW.parse().unwrap()) }
}

/// Each delivery as `channel[/target] [@time] [#digest]`, the time only where it is not now.
fn check(routes: &str, alert: &Alert, expected: &[&str]) {
    let config: Config = toml::from_str(&format!("[notify]\ndefault_channels = ['chat']\n{CHANNELS}{routes}")).unwrap();
    config.validate().unwrap();
    let now: DateTime<Utc> = NOW.parse().unwrap();
    let routes =
        Routes::new(&config.notify).spelled(Arc::new(|key: &ScopeKey, provider: Option<&str>, value: &str| {
            let known = match (key.to_string().as_str(), provider, value) {
                ("provider", _, "bedrock" | "aws.bedrock") => "aws_bedrock",
                ("model", None, "claude") => "claude-4",
                ("model", Some("aws_bedrock"), "claude") => "anthropic.claude-4",
                _ => return None,
            };
            Some(known.to_owned())
        }));
    let planned: Vec<String> = plan(alert, &routes, now)
        .into_iter()
        .map(|one| {
            let target = one.target.map(|target| format!("/{target}")).unwrap_or_default();
            let time =
                if one.not_before == now { String::new() } else { format!(" @{}", one.not_before.format("%dT%H:%M")) };
            let digest = one.digest_key.map(|key| format!(" #{key}")).unwrap_or_default();
            format!("{}{target}{time}{digest}", one.channel)
        })
        .collect();
    assert_eq!(planned, expected);
}

const SEARCH: &str = "[[notify.routes]]\nname = 'r'\nlevel = 'warning'\nscope = { team = 'search' }\nchannels = ['duty', 'sms']\nowner_by = 'mail'\n";

#[test]
fn level_scope_and_kind_choose_and_the_rest_goes_to_the_default() {
    let warning = alert(Level::Warning, Kind::ThresholdWarning, "search");
    check(SEARCH, &warning, &["duty", "mail/Ann <ann@example.org>"]);
    check(
        SEARCH,
        &alert(Level::Emergency, Kind::LimitReached, "search"),
        &["duty", "mail/Ann <ann@example.org>", "sms/+1", "sms/+2"],
    );
    check(SEARCH, &alert(Level::Info, Kind::ThresholdWarning, "search"), &["chat"]);
    check(SEARCH, &alert(Level::Warning, Kind::ThresholdWarning, "ads"), &["chat"]);
    check(&format!("{SEARCH}kinds = ['anomaly']\n"), &warning, &["chat"]);
}

#[test]
fn a_scope_is_compared_in_any_spelling() {
    check(SEARCH, &alert(Level::Warning, Kind::ThresholdWarning, "Search "), &["duty", "mail/Ann <ann@example.org>"]);
}

#[test]
fn a_star_takes_whatever_has_the_dimension() {
    let star = SEARCH.replace("'search'", "'*'");
    let mut of_ads = alert(Level::Warning, Kind::ThresholdWarning, "ads");
    check(&star, &of_ads, &["duty", "mail/Ann <ann@example.org>"]);
    of_ads.scope = ResolvedScope::new([("team".parse().unwrap(), None)]);
    check(&star, &of_ads, &["duty", "mail/Ann <ann@example.org>"]);
    of_ads.scope = ResolvedScope::new([("user".parse().unwrap(), Some("ann".into()))]);
    check(&star, &of_ads, &["chat"]);
}

#[test]
fn dimensions_providers_and_models_go_by_any_of_their_names() {
    let takes = |route: &str, scope: &[(&str, &str)], expected: bool| {
        let route = SEARCH.replace("team = 'search'", route);
        let scope =
            ResolvedScope::new(scope.iter().map(|(key, value)| (key.parse().unwrap(), Some((*value).to_owned()))));
        let alert = Alert { scope, owner: None, ..alert(Level::Warning, Kind::ThresholdWarning, "x") };
        check(&route, &alert, if expected { &["duty", "mail"] } else { &["chat"] });
    };
    takes("provider = 'bedrock'", &[("provider", "aws_bedrock")], true);
    takes("provider = 'AWS-Bedrock'", &[("provider", "aws_bedrock")], true);
    takes("provider = 'bedrock'", &[("provider", "openai")], false);
    takes("model = 'claude'", &[("model", "claude-4")], true);
    takes("model = 'claude'", &[("provider", "aws_bedrock"), ("model", "anthropic.claude-4")], true);
    takes("model = 'claude'", &[("model", "claude-3")], false);
    takes("tenant = 'acme'", &[("organization", "acme")], true);
}

#[test]
fn that_a_period_is_over_closes_incidents_and_is_no_message() {
    let mut over = alert(Level::Info, Kind::Recovery, "search");
    over.details = json!({"period_over": true, "recovers": {"kind": "limit_reached", "level": "emergency"}, "contacts": ["bob@example.org"]});
    check(SEARCH, &over, &["duty"]);
    check(SEARCH, &Alert { scope: ResolvedScope::new([]), ..over.clone() }, &[]);
    over.details["period_over"] = false.into();
    check(SEARCH, &over, &["duty", "mail/Ann <ann@example.org>", "mail/bob@example.org", "sms/+1", "sms/+2"]);
}

#[test]
fn an_owner_that_is_no_address_leaves_it_to_the_channel() {
    let mut nobody = alert(Level::Warning, Kind::ThresholdWarning, "search");
    nobody.owner = Some("team search".into());
    check(SEARCH, &nobody, &["duty", "mail"]);
}

#[test]
fn a_channel_that_two_routes_name_is_used_once_at_the_earlier_time() {
    let two = "[[notify.routes]]\nname = 'a'\nchannels = ['chat']\nquiet = { from = '22:00', until = '07:00', timezone = 'Europe/Berlin' }\n\
               [[notify.routes]]\nname = 'b'\nchannels = ['chat', 'mail']\n";
    check(two, &alert(Level::Info, Kind::Anomaly, "x"), &["chat", "mail"]);
}

#[test]
fn whom_a_budget_names_is_told_by_the_owners_channel_or_else_by_mail() {
    let mut named = alert(Level::Critical, Kind::LimitReached, "search");
    named.details = json!({"contacts": ["bob@example.org", "no address", "ann@example.org"]});
    check(
        SEARCH,
        &named,
        &["duty", "mail/Ann <ann@example.org>", "mail/ann@example.org", "mail/bob@example.org", "sms/+1", "sms/+2"],
    );
    named.owner = None;
    // No route takes it: the default channels, and still whom the budget names.
    let other = SEARCH.replace("team = 'search'", "team = 'ads'");
    check(&other, &named, &["chat", "mail/ann@example.org", "mail/bob@example.org"]);
}

#[test]
fn quiet_hours_and_digests_hold_back_what_is_not_critical() {
    let quiet = "[[notify.routes]]\nname = 'q'\nchannels = ['chat', 'duty', 'sms']\nquiet = { from = '22:00', until = '07:00', timezone = 'Europe/Berlin' }\n";
    let (warning, critical) = (alert(Level::Warning, Kind::Anomaly, "x"), alert(Level::Critical, Kind::Anomaly, "x"));
    check(quiet, &warning, &["chat @11T05:00", "duty @11T05:00"]);
    check(quiet, &critical, &["chat", "duty", "sms/+1", "sms/+2"]);
    let held = format!("{quiet}hold_critical = true\n");
    check(&held, &critical, &["chat @11T05:00", "duty @11T05:00", "sms/+1 @11T05:00", "sms/+2 @11T05:00"]);
    let digest = "[[notify.routes]]\nname = 'd'\nchannels = ['chat', 'duty']\ndigest = '15m'\n";
    check(digest, &warning, &["chat @10T21:15 #d@1781126100", "duty"]);
    check(digest, &critical, &["chat", "duty"]);
    // What the night held back is one message in the morning.
    check(&format!("{quiet}digest = '15m'\n"), &warning, &["chat @11T05:00 #q@1781154000", "duty @11T05:00"]);
}

#[test]
fn a_recovery_goes_where_its_alert_went() {
    let mut recovery = alert(Level::Info, Kind::Recovery, "search");
    check(SEARCH, &recovery, &["duty", "mail/Ann <ann@example.org>"]);
    recovery.details = json!({"recovers": {"kind": "threshold_warning", "level": "info"}});
    check(SEARCH, &recovery, &["chat"]);
    recovery.details = json!({"recovers": {"kind": "limit_reached", "level": "emergency"}});
    check(SEARCH, &recovery, &["duty", "mail/Ann <ann@example.org>", "sms/+1", "sms/+2"]);
}
