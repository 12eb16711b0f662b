//! Channels and routes as an operator writes them, and the one line that says what is wrong.

use super::super::Config;
use super::super::notify::{ChannelConfig, Secret};

const GOOD: &str = r#"
[notify]
default_channels = ["mail"]
[[notify.channels]]
kind = "email"
name = "mail"
host = "smtp.example.org"
username = "alerts"
password = "hunter2"
from = "spendstream <alerts@example.org>"
to = ["finops@example.org"]
[[notify.channels]]
kind = "webhook"
name = "hook"
url = "https://example.org/secret-path"
secret = "env:HOOK"
[[notify.channels]]
kind = "sms"
name = "sms"
url = "https://example.org/sms"
to = ["+49170"]
body = "to={to}&text={text}"
[[notify.channels]]
kind = "pagerduty"
name = "duty"
routing_key = "R0uting"
[[notify.routes]]
name = "search"
level = "warning"
kinds = ["threshold_warning"]
scope = { team = "search" }
channels = ["hook", "sms"]
owner_by = "mail"
quiet = { from = "22:00", until = "07:00", timezone = "Europe/Berlin", days = ["sat"] }
digest = "15m"
"#;

fn validated(text: &str) -> String {
    match toml::from_str::<Config>(text) {
        Ok(config) => config.validate().map_or_else(|error| error.to_string(), |()| "valid".to_owned()),
        Err(error) => error.message().to_owned(),
    }
}

/// `GOOD` with one text replaced.
fn check(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from}");
    let message = validated(&GOOD.replace(from, to));
    assert!(message.starts_with(expected), "expected '{expected}…', got '{message}'");
    assert!(!message.contains("hunter2") && !message.contains("secret-path"), "{message}");
}

#[test]
fn each_fault_is_one_line_that_names_its_key() {
    check("[notify]", "[notify]", "valid");
    check("\"mail\"]", "\"nail\"]", "notify.default_channels names 'nail', which is no channel");
    check("name = \"hook\"", "name = \"mail\"", "notify.channels[1].name is 'mail', as another channel is called");
    check("name = \"hook\"", "name = \"a b\"", "notify.channels[1].name is 'a b'; write 1 to 64");
    check(
        "smtp.example.org",
        "smtp.example.org:25",
        "notify.channels[0].host is 'smtp.example.org:25'; write a name only",
    );
    check("alerts@example.org>", "alerts>", "notify.channels[0].from is");
    check("[\"finops@example.org\"]", "[]", "notify.channels[0].to must name at least one recipient");
    check("username = \"alerts\"", "", "notify.channels[0].password and username must both be given");
    check("https://example.org/secret-path", "ftp://x/secret-path", "notify.channels[1].url must be https://");
    check("&text={text}", "", "notify.channels[2].body must contain {text}");
    check("R0uting", "", "notify.channels[3].routing_key must not be empty");
    check(
        "owner_by = \"mail\"",
        "owner_by = \"hook\"",
        "notify.routes[0].owner_by is 'hook', which is no email channel",
    );
    check("[\"hook\", \"sms\"]\nowner_by = \"mail\"", "[]", "notify.routes[0].channels is empty");
    check("team = \"search\"", "team = \"*\"", "valid");
    check("team = \"search\"", "teem = \"search\"", "notify.routes[0].scope names 'teem': 'teem' is no dimension");
    check(
        "team = \"search\"",
        "team = \"\"",
        "notify.routes[0].scope names 'team' without a value: the route would take",
    );
    check(
        "team = \"search\"",
        "team = \"a\\u0007\"",
        "notify.routes[0].scope is wrong: 'team' has a control character",
    );
    check("until = \"07:00\"", "until = \"22:00\"", "notify.routes[0].quiet begins when it ends");
    check("Europe/Berlin", "Berlin", "'Berlin' is not an IANA time zone");
    check("22:00", "10 pm", "'10 pm' is not a time of day");
    check("15m", "200ms", "notify.routes[0].digest must be at least 1s");
    check("[notify]", "[notify]\nlease = '20s'", "notify.lease must be more than twice notify.timeout");
    check("[notify]", "[server]\npublic_url = 'spend'\n[notify]", "server.public_url is 'spend'; write https://HOST");
    check("host =", "hots =", "unknown field `hots`");
}

#[test]
fn secrets_are_never_shown() {
    let config: Config = toml::from_str(GOOD).unwrap();
    let (debug, written) = (format!("{config:?}"), toml::to_string(&config).unwrap());
    for secret in ["hunter2", "secret-path", "R0uting"] {
        assert!(!debug.contains(secret) && !written.contains(secret), "{secret}");
    }
    assert!(debug.contains("Secret(env:HOOK)") && written.contains("password = \"***\""));
    let ChannelConfig::Webhook(hook) = &config.notify.channels[1] else { panic!("no webhook") };
    assert_eq!(hook.secret.reveal(|name| (name == "HOOK").then(|| "k".into())), Ok("k".into()));
    let missing = Secret::new("env:HOOK").reveal(|_| None).unwrap_err();
    assert_eq!(missing, "is env:HOOK, but the environment variable HOOK is not set");
}
