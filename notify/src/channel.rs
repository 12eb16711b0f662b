//! The ways of delivery, one file each with the same shape: what it was configured with, the request it builds (pure), and
//! its secrets. HTTP ones are sent by [`crate::http`]; mail sends itself.

pub mod email;
pub mod pagerduty;
pub mod push;
pub mod slack;
pub mod sms;
pub mod teams;
pub mod webhook;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use spendstream_schemas::config::notify::{ChannelConfig, Secret};
use url::Url;

use crate::failure::Failure;
use crate::http::{Request, Sender};
use crate::message::Message;
use crate::redact::{self, Redactor};

/// Reads a variable of the environment.
pub type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// A configured channel.
#[derive(Debug)]
pub struct Channel {
    name: String,
    redactor: Redactor,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Email(Box<email::Email>),
    Slack(slack::Slack),
    Teams(teams::Teams),
    Webhook(webhook::Webhook),
    Sms(sms::Sms),
    Push(push::Push),
    PagerDuty(pagerduty::PagerDuty),
}

impl Channel {
    /// # Errors
    /// When a variable is missing, a URL is none or a file cannot be read: one line that names channel and key.
    pub fn new(config: &ChannelConfig, variables: Variables<'_>) -> Result<Self, String> {
        let mut secrets = Secrets { channel: config.name(), variables, known: Vec::new() };
        let way = match config {
            ChannelConfig::Email(config) => Way::Email(Box::new(email::Email::new(config, &mut secrets)?)),
            ChannelConfig::Slack(config) => Way::Slack(slack::Slack::new(config, &mut secrets)?),
            ChannelConfig::Teams(config) => Way::Teams(teams::Teams::new(config, &mut secrets)?),
            ChannelConfig::Webhook(config) => Way::Webhook(webhook::Webhook::new(config, &mut secrets)?),
            ChannelConfig::Sms(config) => Way::Sms(sms::Sms::new(config, &mut secrets)?),
            ChannelConfig::Push(config) => Way::Push(push::Push::new(config, &mut secrets)?),
            ChannelConfig::PagerDuty(config) => Way::PagerDuty(pagerduty::PagerDuty::new(config, &mut secrets)?),
        };
        Ok(Self { name: config.name().to_owned(), redactor: Redactor::new(secrets.known), way })
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends one message.
    ///
    /// # Errors
    /// When it was not taken; the reason shows no secret.
    pub async fn send(
        &self,
        sender: &Sender,
        message: &Message,
        target: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), Failure> {
        let sent = match (&self.way, self.request(message, target, now)) {
            (Way::Email(email), _) => email.send(message, target).await,
            (_, Some(request)) => sender.send(&request, now).await,
            (_, None) => Ok(()),
        };
        sent.map_err(|failure| Failure { reason: self.redactor.clean(&failure.reason), ..failure })
    }

    /// What would be sent, secrets hidden.
    ///
    /// # Errors
    /// When the message cannot be written, such as mail to what is no address.
    pub fn preview(&self, message: &Message, target: Option<&str>, now: DateTime<Utc>) -> Result<String, String> {
        let text = match (&self.way, self.request(message, target, now)) {
            (Way::Email(email), _) => email.preview(message, target)?,
            (_, Some(request)) => Self::shown(&request),
            (_, None) => "nothing is sent".to_owned(),
        };
        Ok(self.redactor.clean(&text))
    }

    /// The HTTP request of a message; `None` for mail.
    fn request(&self, message: &Message, target: Option<&str>, now: DateTime<Utc>) -> Option<Request> {
        match &self.way {
            Way::Email(_) => None,
            Way::Slack(slack) => Some(slack.request(message)),
            Way::Teams(teams) => Some(teams.request(message)),
            Way::Webhook(webhook) => Some(webhook.request(message, now)),
            Way::Sms(sms) => sms.request(message, target),
            Way::Push(push) => Some(push.request(message)),
            Way::PagerDuty(duty) => duty.request(message),
        }
    }

    fn shown(request: &Request) -> String {
        let mut text = format!("POST {}\nContent-Type: {}\n", redact::shown(&request.url), request.content_type);
        for (name, value) in &request.headers {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{name}: {value}");
        }
        format!("{text}\n{}\n", request.body)
    }
}

/// Reads the secrets of a channel and remembers them, so that they can be hidden.
pub struct Secrets<'a> {
    channel: &'a str,
    variables: Variables<'a>,
    known: Vec<String>,
}

impl Secrets<'_> {
    /// # Errors
    /// When the variable is not set.
    pub fn text(&mut self, key: &str, secret: &Secret) -> Result<String, String> {
        let text = secret.reveal(self.variables).map_err(|problem| self.fault(key, &problem))?;
        self.known.push(text.clone());
        Ok(text)
    }

    /// # Errors
    /// When the variable is not set or its text is no URL of a web server.
    pub fn url(&mut self, secret: &Secret) -> Result<Url, String> {
        let text = self.text("url", secret)?;
        match Url::parse(text.trim()) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => {
                self.known.extend(redact::secrets_of(&url));
                Ok(url)
            }
            _ => Err(self
                .fault("url", "is no URL that begins with https:// or http:// (it is not shown: it may hold a token)")),
        }
    }

    /// # Errors
    /// When a variable is not set.
    pub fn headers(&mut self, headers: &BTreeMap<String, Secret>) -> Result<Vec<(String, String)>, String> {
        headers
            .iter()
            .map(|(name, secret)| Ok((name.clone(), self.text(&format!("headers.{name}"), secret)?)))
            .collect()
    }

    #[must_use]
    pub fn fault(&self, key: &str, problem: &str) -> String {
        format!("channel '{}': {key} {problem}", self.channel)
    }
}
