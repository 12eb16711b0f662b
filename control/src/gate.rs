//! Who asks. In: what a request carries in `Authorization`, and which roles may; out: its key, or why not.
//!
//! A key that was looked up is remembered for [`REMEMBERED`], so that ten thousand decisions a second do not ask the database as often; one
//! that is revoked is refused after that time, or once the database answers again: while it is away, what is remembered holds.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Error;
use crate::keys::{Key, Role, hash};
use crate::store::Store;

/// How long a looked up key is taken for what it was.
pub const REMEMBERED: TimeDelta = TimeDelta::seconds(5);
/// Secrets that are remembered; at the limit all are looked up again.
const MOST: usize = 10_000;
/// How long a key that was looked up before waits for the database, and how long nobody asks it again when it did not answer: decisions
/// must not wait for a database that is away.
const PATIENCE: Duration = Duration::from_millis(500);
const AWAY: TimeDelta = TimeDelta::seconds(5);
/// A longer header is no key of ours.
const LONGEST: usize = 256;

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// 401: it carries no key.
    Missing,
    /// 401: nobody has that key, or it was revoked.
    Unknown,
    /// 403: its key may not do this.
    Role { name: String, role: Role, wanted: &'static [Role] },
    /// 503: keys cannot be looked up.
    Away,
}

impl fmt::Display for Denied {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => {
                out.write_str("no key was sent; send 'Authorization: Bearer KEY', `spendstream keys create` makes one")
            }
            Self::Unknown => out.write_str(
                "the key is not known, or was revoked; `spendstream keys list` shows those that are in force",
            ),
            Self::Role { name, role, wanted } => {
                let wanted: Vec<&str> = wanted.iter().map(|role| role.word()).collect();
                write!(out, "the key '{name}' has the role {role}; this needs {}", wanted.join(" or "))
            }
            Self::Away => {
                out.write_str("keys cannot be looked up while the control store does not answer; try again shortly")
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Known {
    key: Option<Key>,
    since: DateTime<Utc>,
}

/// See the module. One per process.
#[derive(Debug, Default)]
pub struct Gate {
    known: RwLock<HashMap<String, Known>>,
    /// Until when the database is not asked.
    away: RwLock<Option<DateTime<Utc>>>,
}

impl Gate {
    /// The key of a request whose role is one of `roles`. `store` is only waited for when the key has to be looked up.
    ///
    /// # Errors
    /// Why it is not let in.
    pub async fn enter(
        &self,
        authorization: Option<&str>,
        roles: &'static [Role],
        now: DateTime<Utc>,
        store: impl Future<Output = Option<Store>>,
    ) -> Result<Key, Denied> {
        let secret = authorization.and_then(bearer).ok_or(Denied::Missing)?;
        let key = self.key(secret, now, store).await?.ok_or(Denied::Unknown)?;
        if roles.contains(&key.role) {
            return Ok(key);
        }
        Err(Denied::Role { name: key.name, role: key.role, wanted: roles })
    }

    async fn key(
        &self,
        secret: &str,
        now: DateTime<Utc>,
        store: impl Future<Output = Option<Store>>,
    ) -> Result<Option<Key>, Denied> {
        let hash = hash(secret);
        let before = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some(known) = before.as_ref().filter(|known| now - known.since < REMEMBERED) {
            return Ok(known.key.clone());
        }
        let last_known = |before: Option<Known>| before.map(|known| known.key).ok_or(Denied::Away);
        if self.away.read().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until) {
            return last_known(before);
        }
        let look = Box::pin(async {
            match store.await {
                Some(store) => Some(store.keys().find(secret).await),
                None => None,
            }
        });
        let found =
            if before.is_some() { tokio::time::timeout(PATIENCE, look).await.unwrap_or(None) } else { look.await };
        let key = match found {
            Some(Ok(key)) => key,
            failed => {
                if let Some(Err(error)) = failed.filter(|failed| !matches!(failed, Err(Error::Away(_)))) {
                    tracing::error!(%error, "looking up a key");
                }
                *self.away.write().unwrap_or_else(PoisonError::into_inner) = Some(now + AWAY);
                return last_known(before);
            }
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(hash, Known { key: key.clone(), since: now });
        Ok(key)
    }
}

/// The secret of `Bearer SECRET`.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, secret) = header.split_once(' ')?;
    let secret = secret.trim();
    let is_key = scheme.eq_ignore_ascii_case("bearer") && !secret.is_empty() && header.len() <= LONGEST;
    is_key.then_some(secret)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::{Denied, Gate, REMEMBERED};
    use crate::keys::Role;
    use crate::{Act, Store};

    const READERS: &[Role] = &[Role::Admin, Role::Analyst];

    #[tokio::test]
    async fn a_key_enters_where_its_role_may_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("control.db").display())).await.unwrap();
        let now: DateTime<Utc> = "2026-11-27T12:00:00Z".parse().unwrap();
        let act = Act { who: "ann", now };
        let analyst = store.keys().create("finance", Role::Analyst, &[], &act).await.unwrap();
        let producer = store.keys().create("app", Role::Producer, &[], &act).await.unwrap();
        let gate = Gate::default();
        let ask = async |header: Option<&str>, at: DateTime<Utc>, is_there: bool| {
            let entered = gate.enter(header, READERS, at, async { is_there.then(|| store.clone()) }).await;
            entered.map(|key| key.name)
        };
        let (good, wrong_role) = (format!("Bearer {}", analyst.secret), format!("bearer {}", producer.secret));
        assert_eq!(ask(None, now, true).await, Err(Denied::Missing));
        for header in ["Bearer", "Bearer ", "Basic abc"] {
            assert_eq!(ask(Some(header), now, true).await, Err(Denied::Missing), "{header}");
        }
        assert_eq!(ask(Some("Bearer ssk_0"), now, true).await, Err(Denied::Unknown));
        let before = now - TimeDelta::seconds(10);
        assert_eq!(ask(Some(&good), before, false).await, Err(Denied::Away));
        assert_eq!(
            ask(Some(&good), before + TimeDelta::seconds(4), true).await,
            Err(Denied::Away),
            "nobody asks again at once"
        );
        assert_eq!(ask(Some(&good), now, true).await, Ok("finance".to_owned()));
        let denied = ask(Some(&wrong_role), now, true).await.unwrap_err();
        assert_eq!(denied.to_string(), "the key 'app' has the role producer; this needs admin or analyst");

        // Remembered for a moment, longer while the database is away, and gone once it was asked again.
        store.keys().revoke(&analyst.key.id, &act).await.unwrap();
        let later = now + REMEMBERED;
        assert!(ask(Some(&good), later - TimeDelta::milliseconds(1), true).await.is_ok());
        assert!(ask(Some(&good), later, false).await.is_ok());
        assert!(ask(Some(&good), later + TimeDelta::seconds(4), true).await.is_ok());
        let asked = later + TimeDelta::seconds(5);
        assert_eq!(ask(Some(&good), asked, true).await, Err(Denied::Unknown));
        assert_eq!(ask(Some(&good), asked, false).await, Err(Denied::Unknown));
    }
}
