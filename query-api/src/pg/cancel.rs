//! Which query a cancel request means. In: the number and the secret that a session was told; out: its query ends. Never tells whether there was one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use uuid::Uuid;

/// Raised by a cancel request, lowered when the next query starts.
#[derive(Debug, Default)]
pub struct Flag {
    raised: AtomicBool,
    news: Notify,
}

impl Flag {
    pub fn lower(&self) {
        self.raised.store(false, Ordering::Release);
    }

    /// Returns once it is raised.
    pub async fn raised(&self) {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // Before the look: a raise between the two is not missed.
            news.as_mut().enable();
            if self.raised.load(Ordering::Acquire) {
                return;
            }
            news.await;
        }
    }

    fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.news.notify_waiters();
    }
}

/// The sessions of a server.
#[derive(Debug, Default)]
pub struct Sessions {
    last: AtomicI32,
    flags: Mutex<HashMap<i32, (i32, Arc<Flag>)>>,
}

/// A session's place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    pub process: i32,
    pub secret: i32,
    pub flag: Arc<Flag>,
    sessions: Arc<Sessions>,
}

impl Sessions {
    /// A number and a secret for a session.
    pub fn enter(self: &Arc<Self>) -> Place {
        let process = self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let [a, b, c, d, ..] = *Uuid::new_v4().as_bytes();
        let (secret, flag) = (i32::from_be_bytes([a, b, c, d]), Arc::<Flag>::default());
        let mut flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        flags.insert(process, (secret, Arc::clone(&flag)));
        Place { process, secret, flag, sessions: Arc::clone(self) }
    }

    /// Ends what that session runs, if the secret is its own.
    pub fn cancel(&self, process: i32, secret: i32) {
        let flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((own, flag)) = flags.get(&process)
            && *own == secret
        {
            flag.raise();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.flags.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.process);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Sessions;

    #[tokio::test]
    async fn only_who_knows_the_secret_ends_a_query() {
        let sessions = Arc::<Sessions>::default();
        let (one, other) = (sessions.enter(), sessions.enter());
        assert_ne!(one.process, other.process);
        let raised = async |flag: &super::Flag| {
            tokio::select! { biased; () = flag.raised() => true, () = std::future::ready(()) => false }
        };
        sessions.cancel(one.process, one.secret.wrapping_add(1));
        assert!(!raised(&one.flag).await);
        sessions.cancel(one.process, one.secret);
        assert!(raised(&one.flag).await && !raised(&other.flag).await);
        one.flag.lower();
        assert!(!raised(&one.flag).await);
    }
}
