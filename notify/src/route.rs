//! Who is told, by which channel, and when: an alert and the routes in, planned deliveries out. Pure.
//!
//! Every route that fits takes the alert; a channel and target that several name is used once, at the earliest of their
//! times. An alert that no route takes goes to the default channels. Short messages carry critical and emergency alerts
//! only. A recovery goes where the alert it ends went: `details.recovers` (`{"kind", "level"}`) says what that was; without
//! it, levels and kinds do not keep it back, so that an incident is never left open.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_schemas::alert::{Alert, Kind, Level, PERIOD_OVER};
use spendstream_schemas::budget::{ResolvedScope, Scope, ScopeKey, ScopeValue};
use spendstream_schemas::config::notify::{ChannelConfig, NotifyConfig, RouteConfig};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::normal;

use crate::quiet;

/// The word by which a value of a dimension is known where alerts come from, at a provider where one is named (a model's id may depend on
/// it); `None` where it has no other.
pub type Spell = Arc<dyn Fn(&ScopeKey, Option<&str>, &str) -> Option<String> + Send + Sync>;

/// One message to be delivered, as it is put into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub channel: String,
    /// Whom the channel writes to; `None`: whom its configuration names.
    pub target: Option<String>,
    pub not_before: DateTime<Utc>,
    /// Deliveries of one channel and target that share it go out as one message.
    pub digest_key: Option<String>,
}

/// The routes, and what of the channels matters to them.
#[derive(Clone)]
pub struct Routes {
    all: Vec<Route>,
    defaults: Vec<String>,
    channels: BTreeMap<String, Way>,
    spell: Spell,
}

#[derive(Clone)]
struct Route {
    config: RouteConfig,
    /// `None`: what it says is no scope, which a checked configuration does not have.
    scope: Option<Scope>,
}

#[derive(Clone, Debug)]
enum Way {
    Whole,
    /// Each telephone number is a delivery by itself: one that fails must not repeat the others.
    Sms(Vec<String>),
    /// Incidents are opened and closed one by one.
    Incidents,
    Mail,
}

impl Routes {
    fn is_mail(&self, channel: &str) -> bool {
        matches!(self.channels.get(channel), Some(Way::Mail))
    }

    /// Providers and models of scopes are compared as they are written, until [`Routes::spelled`] says how.
    #[must_use]
    pub fn new(config: &NotifyConfig) -> Self {
        let way = |channel: &ChannelConfig| match channel {
            ChannelConfig::Sms(sms) => Way::Sms(sms.to.clone()),
            ChannelConfig::PagerDuty(_) => Way::Incidents,
            ChannelConfig::Email(_) => Way::Mail,
            _ => Way::Whole,
        };
        let channels = config.channels.iter().map(|channel| (channel.name().to_owned(), way(channel))).collect();
        let route = |route: &RouteConfig| Route {
            config: route.clone(),
            scope: Scope::new(route.scope.iter().map(|(name, value)| (name.as_str(), value.as_str()))).ok(),
        };
        let (all, defaults) = (config.routes.iter().map(route).collect(), config.default_channels.clone());
        Self { all, defaults, channels, spell: Arc::new(|_, _, _| None) }
    }

    /// Compares what routes and alerts say in these words.
    #[must_use]
    pub fn spelled(self, spell: Spell) -> Self {
        Self { spell, ..self }
    }

    fn takes(&self, route: &Route, alert: &Alert, told: Told) -> bool {
        let Route { config, scope } = route;
        let fits = |(key, wanted): (&ScopeKey, &ScopeValue)| {
            let there = alert.scope.iter().find(|(known, _)| *known == key);
            there.is_some_and(|(_, value)| match wanted {
                ScopeValue::Each => true,
                ScopeValue::Is(wanted) => value.is_some_and(|value| self.same(&alert.scope, key, value, wanted)),
            })
        };
        told.level.is_none_or(|level| level >= config.level)
            && (config.kinds.is_empty() || told.kind.is_none_or(|kind| config.kinds.contains(&kind)))
            && scope.as_ref().is_some_and(|scope| scope.iter().all(fits))
    }

    /// Whether both are names of one thing: in any spelling, for the alert has the directory's, and by any name that `spell` knows.
    fn same(&self, scope: &ResolvedScope, key: &ScopeKey, value: &str, wanted: &str) -> bool {
        let same = |one: &str, other: &str| normal(key, one) == normal(key, other);
        if same(value, wanted) {
            return true;
        }
        // As the alert's budget has it: the model's id at the provider that its scope names.
        let provider = scope.get(&ScopeKey::Text(Text::ProviderSent));
        let spelled = |value: &str| (self.spell)(key, provider, value).unwrap_or_else(|| value.to_owned());
        same(&spelled(value), &spelled(wanted))
    }
}

/// The deliveries of `alert`, raised at `now`, sorted by channel and target.
#[must_use]
pub fn plan(alert: &Alert, routes: &Routes, now: DateTime<Utc>) -> Vec<Delivery> {
    let told = Told::of(alert);
    let only_incidents = alert.details.get(PERIOD_OVER).is_some_and(|over| over == true);
    let mut plan = Plan { routes, told, only_incidents, deliveries: BTreeMap::new() };
    let mut taken = false;
    let mut first: Option<(Timing, &str)> = None;
    for Route { config: route, .. } in routes.all.iter().filter(|route| routes.takes(route, alert, told)) {
        taken = true;
        let timing = timing(route, told, now);
        for channel in &route.channels {
            plan.add(channel, None, &timing);
        }
        if !route.owner_by.is_empty() {
            plan.add(&route.owner_by, contact(alert), &timing);
        }
        let mail = route.channels.iter().find(|name| routes.is_mail(name)).map_or("", String::as_str);
        let by = if route.owner_by.is_empty() { mail } else { &route.owner_by };
        if first.as_ref().is_none_or(|(_, known)| known.is_empty()) {
            first = Some((timing, by));
        }
    }
    if !taken {
        for channel in &routes.defaults {
            plan.add(channel, None, &Timing::at_once(now));
        }
    }
    // Whom the budget names is told once: by the channel that tells owners, or the routes' mail, or else the first there is.
    let (timing, by) = first.unwrap_or_else(|| (Timing::at_once(now), ""));
    let mail = || routes.channels.keys().find(|name| routes.is_mail(name)).map(String::as_str);
    if let Some(by) = Some(by).filter(|by| !by.is_empty()).or_else(mail) {
        for address in contacts(alert) {
            plan.add(by, Some(address), &timing);
        }
    }
    plan.deliveries.into_values().collect()
}

/// The digest in which a delivery of `alert` to `channel` and `target` goes out, if any. It follows from when the alert
/// was raised, so it need not be stored.
#[must_use]
pub fn digest_key(alert: &Alert, routes: &Routes, channel: &str, target: Option<&str>) -> Option<String> {
    let planned = plan(alert, routes, alert.raised_at).into_iter();
    planned.filter(|one| one.channel == channel && one.target.as_deref() == target).find_map(|one| one.digest_key)
}

/// As what an alert is routed: itself, or for a recovery the alert that it ends, as far as known.
#[derive(Clone, Copy)]
struct Told {
    kind: Option<Kind>,
    level: Option<Level>,
}

impl Told {
    fn of(alert: &Alert) -> Self {
        if alert.kind != Kind::Recovery {
            return Self { kind: Some(alert.kind), level: Some(alert.level) };
        }
        let word = |key: &str| alert.details.get("recovers")?.get(key)?.as_str();
        Self {
            kind: word("kind").and_then(|word| word.parse().ok()),
            level: word("level").and_then(|word| word.parse().ok()),
        }
    }

    fn is_pressing(self) -> bool {
        self.level >= Some(Level::Critical)
    }
}

/// When a route lets its message go.
struct Timing {
    not_before: DateTime<Utc>,
    /// The end of the digest's window, if it is one, and its key.
    digest: Option<(DateTime<Utc>, String)>,
}

impl Timing {
    fn at_once(now: DateTime<Utc>) -> Self {
        Self { not_before: now, digest: None }
    }
}

fn timing(route: &RouteConfig, told: Told, now: DateTime<Utc>) -> Timing {
    if told.is_pressing() && !route.hold_critical {
        return Timing::at_once(now);
    }
    let audible = |time| route.quiet.as_ref().map_or(time, |quiet| quiet::earliest(quiet, time));
    // What quiet hours hold back until one moment is one message where the route makes digests.
    let digest = window_end(route.digest, now).map(|end| {
        let end = audible(end);
        (end, format!("{}@{}", route.name, end.timestamp()))
    });
    Timing { not_before: audible(now), digest }
}

/// The end of the window of this length that `now` lies in; windows are counted from the Unix epoch, so that all
/// processes cut the same ones.
fn window_end(length: Duration, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let length = i64::try_from(length.as_secs()).ok().filter(|length| *length > 0)?;
    let into = now.timestamp().rem_euclid(length);
    DateTime::from_timestamp(now.timestamp(), 0)?.checked_add_signed(TimeDelta::seconds(length - into))
}

/// The owner's mail address, when the directory's contact is one.
fn contact(alert: &Alert) -> Option<String> {
    let owner = alert.owner.as_deref()?.trim();
    owner.parse::<lettre::message::Mailbox>().is_ok().then(|| owner.to_owned())
}

/// The addresses that the alert's budget names besides its owner.
fn contacts(alert: &Alert) -> Vec<String> {
    let named =
        alert.details.get("contacts").and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let addresses = named.iter().filter_map(serde_json::Value::as_str).map(str::trim);
    addresses.filter(|one| one.parse::<lettre::message::Mailbox>().is_ok()).map(ToOwned::to_owned).collect()
}

struct Plan<'r> {
    routes: &'r Routes,
    told: Told,
    /// That a period is over is no message.
    only_incidents: bool,
    deliveries: BTreeMap<(String, Option<String>), Delivery>,
}

impl Plan<'_> {
    fn add(&mut self, channel: &str, target: Option<String>, timing: &Timing) {
        let routes = self.routes;
        match routes.channels.get(channel) {
            Some(Way::Whole | Way::Mail | Way::Sms(_)) if self.only_incidents => {}
            Some(Way::Whole | Way::Mail) => match &timing.digest {
                Some((end, key)) => self.put(channel, target, *end, Some(key.clone())),
                None => self.put(channel, target, timing.not_before, None),
            },
            Some(Way::Incidents) => self.put(channel, target, timing.not_before, None),
            Some(Way::Sms(numbers)) if self.told.is_pressing() => {
                for number in numbers {
                    self.put(channel, Some(number.clone()), timing.not_before, None);
                }
            }
            None | Some(Way::Sms(_)) => {}
        }
    }

    fn put(&mut self, channel: &str, target: Option<String>, not_before: DateTime<Utc>, digest_key: Option<String>) {
        let delivery = Delivery { channel: channel.to_owned(), target: target.clone(), not_before, digest_key };
        self.deliveries
            .entry((channel.to_owned(), target))
            .and_modify(|known| {
                if delivery.not_before < known.not_before {
                    known.clone_from(&delivery);
                }
            })
            .or_insert(delivery);
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
