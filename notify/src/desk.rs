//! The configured channels together: previews, tests and the sending of one message. The log is not touched here.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use spendstream_schemas::alert::{Alert, Kind, Level, series_alert_id};
use spendstream_schemas::config::notify::NotifyConfig;

use crate::channel::{Channel, Variables};
use crate::failure::Failure;
use crate::http::Sender;
use crate::link::Links;
use crate::message::Message;

/// Takes alerts as they are, where nobody reads a message: a topic of the bus.
pub trait Outlet: Send + Sync {
    /// Its name among the channels.
    fn name(&self) -> &str;

    /// Passes alerts on; the error says why they were not taken.
    fn send<'a>(&'a self, alerts: &'a [Alert]) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;
}

/// Everything that is needed to send.
pub struct Desk {
    channels: BTreeMap<String, Channel>,
    outlets: BTreeMap<String, Box<dyn Outlet>>,
    sender: Sender,
    links: Links,
    timeout: Duration,
}

impl Desk {
    /// `variables` reads the environment, for secrets that are written as `env:NAME`.
    ///
    /// # Errors
    /// The first channel that cannot be built, in one line.
    pub fn new(config: &NotifyConfig, public_url: &str, variables: Variables<'_>) -> Result<Self, String> {
        let built = config.channels.iter().map(|channel| Channel::new(channel, variables));
        let channels: Vec<Channel> = built.collect::<Result<_, _>>()?;
        Ok(Self {
            channels: channels.into_iter().map(|channel| (channel.name().to_owned(), channel)).collect(),
            outlets: BTreeMap::new(),
            sender: Sender::new(config.allow_private_addresses, config.timeout)?,
            links: Links::new(public_url)?,
            timeout: config.timeout,
        })
    }

    /// With one more way out.
    #[must_use]
    pub fn with(mut self, outlet: Box<dyn Outlet>) -> Self {
        self.outlets.insert(outlet.name().to_owned(), outlet);
        self
    }

    /// Names of the channels and of the outlets.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.channels.keys().chain(self.outlets.keys()).map(String::as_str)
    }

    /// Exactly what would be sent to `channel`, with secrets hidden.
    ///
    /// # Errors
    /// When there is no such channel, or no way to write the message; one line.
    pub fn preview(&self, channel: &str, alert: &Alert, now: DateTime<Utc>) -> Result<String, String> {
        let channel = self.channel(channel)?;
        let message = self.message(std::slice::from_ref(alert)).ok_or("there is no alert")?;
        channel.preview(&message, None, now)
    }

    /// Sends a test alert that says it is one.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn send_test(&self, channel: &str, now: DateTime<Utc>) -> Result<(), Failure> {
        self.send(channel, &[test_alert(now)], None, now).await
    }

    /// Sends `alerts` as one message.
    ///
    /// # Errors
    /// Why it was not taken, or not within the time that an attempt may take.
    pub async fn send(
        &self,
        channel: &str,
        alerts: &[Alert],
        target: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), Failure> {
        if let Some(outlet) = self.outlets.get(channel) {
            return match tokio::time::timeout(self.timeout, outlet.send(alerts)).await {
                Ok(result) => result,
                Err(_) => Err(Failure::retry("no answer in time")),
            };
        }
        let channel = self.channel(channel).map_err(Failure::refused)?;
        let Some(message) = self.message(alerts) else { return Ok(()) };
        match tokio::time::timeout(self.timeout, channel.send(&self.sender, &message, target, now)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::retry("no answer in time")),
        }
    }

    fn channel(&self, name: &str) -> Result<&Channel, String> {
        self.channels.get(name).ok_or_else(|| {
            let known = self.channels().collect::<Vec<_>>().join(", ");
            format!("there is no channel '{name}'; configured are: {}", if known.is_empty() { "none" } else { &known })
        })
    }

    fn message(&self, alerts: &[Alert]) -> Option<Message> {
        Message::new(alerts, &self.links)
    }
}

/// An alert that nobody can take for a real one. Its level is critical, so that every channel takes it.
#[must_use]
pub fn test_alert(now: DateTime<Utc>) -> Alert {
    Alert {
        id: series_alert_id("test", now, Kind::ThresholdWarning),
        kind: Kind::ThresholdWarning,
        level: Level::Critical,
        budget_id: None,
        scope: spendstream_schemas::budget::ResolvedScope::default(),
        title: "Test: this is how an alert looks".into(),
        message: "Somebody tried this channel. No budget is concerned.".into(),
        value: "81.25".into(),
        threshold: "80".into(),
        currency: "USD".into(),
        period_start: None,
        period_end: None,
        event_time: now,
        raised_at: now,
        owner: None,
        details: json!({"advice": "Nothing: it was only a test."}),
    }
}
