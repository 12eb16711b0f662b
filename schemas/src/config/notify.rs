//! What an operator can set about alerts' delivery: channels, routes, limits. Values in, typed values out.
//!
//! Secrets are kept as they were typed, a text or `env:NAME`; who builds the channels reads the environment. Neither
//! `Debug` nor serialisation ever shows one. Whether values can work is checked in `notify_check`.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{NaiveTime, Weekday};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::millis;
pub use super::secret::Secret;
use crate::alert::{Kind, Level};

/// What others call this installation.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Where people reach the query API and its dashboard, `https://…`; empty: messages name commands instead of links.
    pub public_url: String,
}

/// Delivery of alerts.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyConfig {
    /// Whether URLs of channels may lead to loopback, private, link-local and metadata addresses.
    pub allow_private_addresses: bool,
    /// One attempt may take this long, from the look-up of the name to the end of the answer.
    #[serde(with = "millis")]
    pub timeout: Duration,
    /// Deliveries of one channel that are under way at a time; other channels are not held up by them.
    pub channel_concurrency: usize,
    /// How often the log is looked at for deliveries that became due.
    #[serde(with = "millis")]
    pub poll_interval: Duration,
    /// A claimed delivery belongs to its process for this long; then another may take it. More than twice `timeout`.
    #[serde(with = "millis")]
    pub lease: Duration,
    /// Attempts of one delivery, over all restarts; then it is given up, loudly.
    pub max_attempts: u32,
    /// Upper end of the first wait before another attempt; it doubles with each.
    #[serde(with = "millis")]
    pub backoff: Duration,
    /// No wait is longer than this, not even one that the receiver asked for.
    #[serde(with = "millis")]
    pub backoff_max: Duration,
    /// Alerts in one digest at most; further ones go into the next message.
    pub digest_alerts: usize,
    /// Channels for alerts that no route takes.
    pub default_channels: Vec<String>,
    pub channels: Vec<ChannelConfig>,
    pub routes: Vec<RouteConfig>,
}

impl Default for NotifyConfig {
    fn default() -> Self {
        Self {
            allow_private_addresses: false,
            timeout: Duration::from_secs(10),
            channel_concurrency: 4,
            poll_interval: Duration::from_secs(1),
            lease: Duration::from_mins(1),
            max_attempts: 12,
            backoff: Duration::from_secs(5),
            backoff_max: Duration::from_hours(1),
            digest_alerts: 50,
            default_channels: Vec::new(),
            channels: Vec::new(),
            routes: Vec::new(),
        }
    }
}

/// One way to reach people; `kind` says which.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ChannelConfig {
    Email(EmailConfig),
    Slack(HookConfig),
    Teams(HookConfig),
    Webhook(WebhookConfig),
    Sms(SmsConfig),
    Push(PushConfig),
    PagerDuty(PagerDutyConfig),
}

impl ChannelConfig {
    /// By which routes and the log know it.
    pub fn name(&self) -> &str {
        match self {
            Self::Email(channel) => &channel.name,
            Self::Slack(channel) | Self::Teams(channel) => &channel.name,
            Self::Webhook(channel) => &channel.name,
            Self::Sms(channel) => &channel.name,
            Self::Push(channel) => &channel.name,
            Self::PagerDuty(channel) => &channel.name,
        }
    }

    /// Its `kind` as written in the file.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Slack(_) => "slack",
            Self::Teams(_) => "teams",
            Self::Webhook(_) => "webhook",
            Self::Sms(_) => "sms",
            Self::Push(_) => "push",
            Self::PagerDuty(_) => "pagerduty",
        }
    }
}

/// A mail server and who is written to.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    pub name: String,
    /// Name of the mail server, without a port.
    pub host: String,
    /// 0: 465 for `tls = "implicit"`, 25 for `none`, otherwise 587.
    #[serde(default)]
    pub port: u16,
    #[serde(default)]
    pub tls: MailTls,
    /// PEM file of an authority that is trusted besides those of the system; empty: none.
    #[serde(default)]
    pub ca_file: String,
    /// Login; empty: none.
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub password: Secret,
    /// `spendstream <alerts@example.org>`.
    pub from: String,
    /// Recipients of alerts that have no owner to write to.
    pub to: Vec<String>,
}

/// How a mail connection is encrypted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// STARTTLS, or nothing is sent.
    #[default]
    Required,
    /// STARTTLS where the server offers it.
    Opportunistic,
    /// TLS from the first byte (SMTPS).
    Implicit,
    None,
}

/// A chat's incoming webhook; whoever knows its URL can post, so the URL is a secret.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct HookConfig {
    pub name: String,
    pub url: Secret,
}

/// A receiver of JSON.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    pub name: String,
    pub url: Secret,
    /// Key of the HMAC-SHA256 signature; empty: unsigned.
    #[serde(default)]
    pub secret: Secret,
    /// Further headers, each value a text or `env:NAME`.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

/// A gateway that turns an HTTP request into a short message; critical and emergency alerts only.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct SmsConfig {
    pub name: String,
    pub url: Secret,
    /// Telephone numbers, one request each.
    pub to: Vec<String>,
    /// `form` or `json`; says how values are escaped in `body`.
    #[serde(default)]
    pub format: SmsFormat,
    /// Text with `{to}`, `{text}` and `{id}`.
    pub body: String,
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

/// How the gateway reads its request.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SmsFormat {
    #[default]
    Form,
    Json,
}

/// An endpoint that pushes to telephones.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PushConfig {
    pub name: String,
    pub url: Secret,
    /// Sent as `Authorization: Bearer …`; empty: not sent.
    #[serde(default)]
    pub token: Secret,
    /// Group of devices that the endpoint knows; sent as `topic`.
    #[serde(default)]
    pub topic: String,
}

/// Events API v2 of `PagerDuty` or of what speaks like it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PagerDutyConfig {
    pub name: String,
    pub routing_key: Secret,
    #[serde(default = "pagerduty_url")]
    pub url: Secret,
}

fn pagerduty_url() -> Secret {
    Secret::new("https://events.pagerduty.com/v2/enqueue")
}

/// Which alerts go to which channels. Every route that fits an alert takes it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    pub name: String,
    /// The least level it takes.
    #[serde(default = "info")]
    pub level: Level,
    /// Kinds it takes; empty: all.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Dimension → value that the alert's scope must have (`*`: any); empty: any scope.
    #[serde(default)]
    pub scope: BTreeMap<String, String>,
    #[serde(default)]
    pub channels: Vec<String>,
    /// An email channel by which the alert's owner is told too; without an owner, its `to`. Empty: not told.
    #[serde(default)]
    pub owner_by: String,
    #[serde(default)]
    pub quiet: Option<QuietConfig>,
    /// Alerts within this time go out as one message; zero: each at once.
    #[serde(with = "millis", default)]
    pub digest: Duration,
    /// Whether critical and emergency alerts wait for quiet hours and digests too.
    #[serde(default)]
    pub hold_critical: bool,
}

const fn info() -> Level {
    Level::Info
}

/// Hours in which a route holds its messages back until they end.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct QuietConfig {
    /// `22:00`, local time of `timezone`.
    #[serde(with = "time_of_day")]
    pub from: NaiveTime,
    /// `07:00`; before `from`: on the next day.
    #[serde(with = "time_of_day")]
    pub until: NaiveTime,
    /// IANA name.
    #[serde(with = "zone")]
    pub timezone: Tz,
    /// Days on which the hours begin (`mon` … `sun`); empty: every day.
    #[serde(default)]
    pub days: Vec<Weekday>,
}

mod time_of_day {
    use super::{Deserialize, Deserializer, NaiveTime, Serializer};
    use serde::de::Error;

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        NaiveTime::parse_from_str(&text, "%H:%M")
            .map_err(|_| D::Error::custom(format!("'{text}' is not a time of day; write 22:00")))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub fn serialize<S: Serializer>(time: &NaiveTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.format("%H:%M").to_string())
    }
}

mod zone {
    use super::{Deserialize, Deserializer, Serializer, Tz};
    use serde::de::Error;

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("'{text}' is not an IANA time zone; write Europe/Berlin")))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }
}
