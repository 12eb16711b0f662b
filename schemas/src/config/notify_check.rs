//! What channels and routes must satisfy: the configuration in, the first fault out, as one line that names the key.
//!
//! Never shows a secret, reads the environment or resolves a name.

use std::collections::BTreeMap;

use super::notify::{ChannelConfig, EmailConfig, NotifyConfig, RouteConfig, Secret, ServerConfig, SmsConfig};
use super::validate::{ConfigError, at_least_one, fault, not_empty};
use crate::budget::{Scope, ScopeKey};

type Checked = Result<(), ConfigError>;

pub(super) fn server(config: &ServerConfig) -> Checked {
    let url = &config.public_url;
    if url.is_empty() || (is_http(url) && !url.contains(char::is_whitespace)) {
        return Ok(());
    }
    fault("server.public_url", format!("is '{url}'; write https://HOST, or nothing"))
}

pub(super) fn notify(config: &NotifyConfig) -> Checked {
    at_least_one("notify.timeout", config.timeout.as_millis())?;
    at_least_one("notify.channel_concurrency", config.channel_concurrency)?;
    at_least_one("notify.poll_interval", config.poll_interval.as_millis())?;
    at_least_one("notify.max_attempts", config.max_attempts)?;
    at_least_one("notify.backoff", config.backoff.as_millis())?;
    at_least_one("notify.digest_alerts", config.digest_alerts)?;
    if config.lease <= config.timeout * 2 {
        return fault("notify.lease", "must be more than twice notify.timeout, or two processes send the same message");
    }
    if config.backoff_max < config.backoff {
        return fault("notify.backoff_max", "must not be less than notify.backoff");
    }
    let mut kinds = BTreeMap::new();
    for (index, channel) in config.channels.iter().enumerate() {
        let key = format!("notify.channels[{index}]");
        name(&format!("{key}.name"), channel.name())?;
        if kinds.insert(channel.name(), channel.kind()).is_some() {
            return fault(&format!("{key}.name"), format!("is '{}', as another channel is called", channel.name()));
        }
        self::channel(&key, channel)?;
    }
    known("notify.default_channels", &config.default_channels, &kinds)?;
    let mut names = Vec::new();
    for (index, route) in config.routes.iter().enumerate() {
        let key = format!("notify.routes[{index}]");
        name(&format!("{key}.name"), &route.name)?;
        if names.contains(&&route.name) {
            return fault(&format!("{key}.name"), format!("is '{}', as another route is called", route.name));
        }
        names.push(&route.name);
        self::route(&key, route, &kinds)?;
    }
    Ok(())
}

fn channel(key: &str, channel: &ChannelConfig) -> Checked {
    match channel {
        ChannelConfig::Email(email) => self::email(key, email),
        ChannelConfig::Slack(hook) | ChannelConfig::Teams(hook) => url(key, &hook.url),
        ChannelConfig::Webhook(hook) => url(key, &hook.url),
        ChannelConfig::Sms(sms) => self::sms(key, sms),
        ChannelConfig::Push(push) => url(key, &push.url),
        ChannelConfig::PagerDuty(duty) => {
            url(key, &duty.url)?;
            given(&format!("{key}.routing_key"), &duty.routing_key)
        }
    }
}

fn email(key: &str, email: &EmailConfig) -> Checked {
    not_empty(&format!("{key}.host"), &email.host)?;
    if email.host.contains([':', '/']) && !email.host.starts_with('[') {
        return fault(&format!("{key}.host"), format!("is '{}'; write a name only, the port is `port`", email.host));
    }
    address(&format!("{key}.from"), &email.from)?;
    some(&format!("{key}.to"), &email.to)?;
    for to in &email.to {
        address(&format!("{key}.to"), to)?;
    }
    if email.username.is_empty() != email.password.is_empty() {
        return fault(&format!("{key}.password"), "and username must both be given, or neither");
    }
    Ok(())
}

fn sms(key: &str, sms: &SmsConfig) -> Checked {
    url(key, &sms.url)?;
    some(&format!("{key}.to"), &sms.to)?;
    if sms.body.contains("{text}") {
        return Ok(());
    }
    fault(&format!("{key}.body"), "must contain {text}, where the message goes; also known are {to} and {id}")
}

fn route(key: &str, route: &RouteConfig, kinds: &BTreeMap<&str, &str>) -> Checked {
    if route.channels.is_empty() && route.owner_by.is_empty() {
        return fault(&format!("{key}.channels"), "is empty, and so is owner_by: the route would swallow its alerts");
    }
    known(&format!("{key}.channels"), &route.channels, kinds)?;
    if !route.owner_by.is_empty() {
        known(&format!("{key}.owner_by"), std::slice::from_ref(&route.owner_by), kinds)?;
        if kinds.get(route.owner_by.as_str()) != Some(&"email") {
            return fault(&format!("{key}.owner_by"), format!("is '{}', which is no email channel", route.owner_by));
        }
    }
    for (name, value) in &route.scope {
        if let Err(error) = name.parse::<ScopeKey>() {
            return fault(&format!("{key}.scope"), format!("names '{name}': {error}; the route would take nothing"));
        }
        if value.is_empty() {
            let problem = "without a value: the route would take nothing; write one, or \"*\" for any";
            return fault(&format!("{key}.scope"), format!("names '{name}' {problem}"));
        }
    }
    // What else keeps values from being a scope: the route would take nothing either.
    if let Err(errors) = Scope::new(route.scope.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
        let first = errors.first().map(ToString::to_string).unwrap_or_default();
        return fault(&format!("{key}.scope"), format!("is wrong: {first}; the route would take nothing"));
    }
    if let Some(quiet) = &route.quiet
        && quiet.from == quiet.until
    {
        return fault(&format!("{key}.quiet"), "begins when it ends; leave it out, or write two different times");
    }
    if !route.digest.is_zero() && route.digest.as_secs() == 0 {
        return fault(&format!("{key}.digest"), "must be at least 1s, or 0s for none");
    }
    Ok(())
}

fn known(key: &str, names: &[String], kinds: &BTreeMap<&str, &str>) -> Checked {
    match names.iter().find(|name| !kinds.contains_key(name.as_str())) {
        Some(name) => fault(key, format!("names '{name}', which is no channel; add it to [[notify.channels]]")),
        None => Ok(()),
    }
}

/// Names are in keys of the log and in metrics.
fn name(key: &str, name: &str) -> Checked {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(legal) {
        return fault(key, format!("is '{name}'; write 1 to 64 of the characters a-z, A-Z, 0-9, '.', '_' and '-'"));
    }
    Ok(())
}

fn some(key: &str, texts: &[String]) -> Checked {
    if texts.iter().all(|text| text.trim().is_empty()) {
        fault(key, "must name at least one recipient")
    } else {
        Ok(())
    }
}

fn address(key: &str, text: &str) -> Checked {
    let bare = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end().trim_end_matches('>'));
    match bare.trim().split_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() && !text.contains(['\r', '\n']) => Ok(()),
        _ => fault(key, format!("is '{text}'; write user@example.org or Name <user@example.org>")),
    }
}

fn url(key: &str, url: &Secret) -> Checked {
    if url.is_variable_or(is_http) {
        return Ok(());
    }
    fault(&format!("{key}.url"), "must be https://… or http://…, or env:NAME (it is not shown: it may hold a token)")
}

fn is_http(url: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

fn given(key: &str, secret: &Secret) -> Checked {
    if secret.is_empty() { fault(key, "must not be empty; env:NAME reads it from a variable") } else { Ok(()) }
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
