//! Who is let in. In: the first messages of a connection; out: the settings of a session, or a refusal.
//!
//! TLS and GSSAPI are refused politely: a client that insists on them leaves, any other goes on in plain text. With `auth.mode = none` everybody
//! on this machine is let in; with `keys`, whoever sends an API key as the password. The user's and the database's names are free.

use std::collections::BTreeMap;
use std::sync::Arc;

use spendstream_control::gate::Gate;
use spendstream_control::keys::Role;
use spendstream_schemas::config::AuthMode;

use super::cancel::Sessions;
use super::failure::Failure;
use super::message::{First, Message};
use super::reply::{self, Severity};
use super::settings::{Set, Settings};
use super::socket::{End, Incoming, Outgoing};
use crate::http::App;

/// Who may read.
const READERS: &[Role] = &[Role::Admin, Role::Analyst];
/// Questions for encryption before the session starts; a client has one of each kind.
const MOST_QUESTIONS: usize = 4;
/// Parameters of the first message that are no settings.
const NO_SETTINGS: [&str; 4] = ["user", "database", "options", "replication"];

/// Lets clients in.
pub struct Door {
    pub app: Arc<App>,
    pub mode: AuthMode,
    pub gate: Gate,
}

/// Reads what a connection is for; a request to cancel is done at once. `None`: there is no more to do.
///
/// # Errors
/// When the client is gone or speaks something else.
pub async fn wanted(
    incoming: &mut Incoming,
    outgoing: &mut Outgoing,
    sessions: &Sessions,
) -> Result<Option<BTreeMap<String, String>>, End> {
    for _ in 0..MOST_QUESTIONS {
        match incoming.first().await? {
            First::Tls | First::Gss => outgoing.byte(b'N').await?,
            First::Cancel { process, secret } => {
                sessions.cancel(process, secret);
                return Ok(None);
            }
            First::Version(major) => {
                let text = format!("version {major} of the protocol is not spoken here; use version 3");
                refuse(outgoing, &Failure::protocol(&text)).await?;
                return Ok(None);
            }
            First::Start { minor, parameters } => {
                let options = parameters.keys().filter(|name| name.starts_with("_pq_."));
                let options: Vec<&str> = options.map(String::as_str).collect();
                if minor > 0 || !options.is_empty() {
                    reply::older_version(&mut outgoing.buffer, options.into_iter());
                }
                return Ok(Some(parameters));
            }
        }
    }
    Err(End::Gone)
}

/// Says why there will be no session.
///
/// # Errors
/// When the client is gone.
pub async fn refuse(outgoing: &mut Outgoing, failure: &Failure) -> Result<(), End> {
    reply::failure(&mut outgoing.buffer, Severity::Fatal, failure);
    outgoing.send().await
}

impl Door {
    /// The settings of the session, or `None` where the client was refused.
    ///
    /// # Errors
    /// When the client is gone.
    pub async fn enter(
        &self,
        incoming: &mut Incoming,
        outgoing: &mut Outgoing,
        parameters: &BTreeMap<String, String>,
    ) -> Result<Option<Settings>, End> {
        if parameters.get("replication").is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0")) {
            refuse(outgoing, &Failure::new("0A000", "there is nothing to replicate from here")).await?;
            return Ok(None);
        }
        if self.mode == AuthMode::Keys
            && let Err(failure) = self.key(incoming, outgoing).await?
        {
            refuse(outgoing, &failure).await?;
            return Ok(None);
        }
        let mut settings = Settings::default();
        for (name, value) in parameters.iter().filter(|(name, _)| !NO_SETTINGS.contains(&name.as_str())) {
            if let Set::Wrong(why) = settings.set(name, Some(value)) {
                refuse(outgoing, &Failure::new("22023", &why)).await?;
                return Ok(None);
            }
        }
        Ok(Some(settings))
    }

    async fn key(&self, incoming: &mut Incoming, outgoing: &mut Outgoing) -> Result<Result<(), Failure>, End> {
        reply::ask_password(&mut outgoing.buffer);
        outgoing.send().await?;
        let Message::Password(secret) = incoming.next().await? else {
            return Ok(Err(Failure::protocol("no password was sent")));
        };
        let store = async { self.app.control.get().await.ok() };
        let header = format!("Bearer {secret}");
        let now = (self.app.clock)();
        let entered = self.gate.enter(Some(&header), READERS, now, store).await;
        Ok(match entered {
            Ok(_) => Ok(()),
            Err(spendstream_control::gate::Denied::Missing) => Err(Failure::new(
                "28P01",
                "no key was sent; send an API key as the password, `spendstream keys create` makes one",
            )),
            Err(denied @ spendstream_control::gate::Denied::Role { .. }) => {
                Err(Failure::new("28000", &denied.to_string()))
            }
            Err(denied @ spendstream_control::gate::Denied::Away) => Err(Failure::new("57P03", &denied.to_string())),
            Err(denied) => Err(Failure::new("28P01", &denied.to_string())),
        })
    }
}
