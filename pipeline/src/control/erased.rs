//! Follows who is erased. In: the control store's list, looked at every so often; out: what the decode threads and decide cover. A store that is
//! away leaves the last known list in force: intake goes on, and what slips in is covered by the next rewrite of the lake.

use std::sync::Arc;
use std::time::Duration;

use spendstream_control::{Result, Store};
use spendstream_schemas::config::Config;
use spendstream_schemas::pseudonym::Cover;
use tokio::sync::watch;

use super::pause;
use super::start::Wires;
use crate::budget::live::Live;

/// See the module.
pub struct Erased {
    every: Duration,
    live: Arc<Live>,
    cover: watch::Sender<Arc<Cover>>,
}

impl Erased {
    #[must_use]
    pub fn new(config: &Config, wires: &Wires) -> Self {
        Self { every: config.privacy.refresh_interval, live: Arc::clone(&wires.live), cover: wires.cover.clone() }
    }

    /// Takes the list as it is now. Without a key nobody can be recognised; that is said.
    ///
    /// # Errors
    /// When the store is away: the list stays what it was.
    pub async fn look(&self, store: &Store) -> Result<()> {
        let before = Arc::clone(&self.cover.borrow());
        let Some(key) = before.pseudonyms().key() else {
            let number = store.erasures().list().await?.len();
            if number > 0 {
                tracing::error!(
                    erased = number,
                    "persons were erased, but there is no key to recognise them by: what arrives of them is kept in clear; set privacy.key_file to the key that they were erased with"
                );
            }
            return Ok(());
        };
        let erased = store.erasures().erased(key).await?;
        // The decode threads forget what they decided when they get another one.
        if erased != *before.erased() {
            tracing::info!(erased = erased.len(), "the list of the erased is taken");
            let cover = Arc::new(Cover::new(before.pseudonyms().clone(), erased));
            self.live.set_cover(Arc::clone(&cover));
            self.cover.send_replace(cover);
        }
        Ok(())
    }

    /// Follows until it is stopped.
    pub async fn run(self, store: Store, mut stop: watch::Receiver<bool>) {
        let mut is_away = false;
        while !pause(self.every, &mut stop).await {
            // Without a key it was said once, at the start.
            if self.cover.borrow().pseudonyms().key().is_none() {
                continue;
            }
            match self.look(&store).await {
                Ok(()) => is_away = false,
                Err(error) if !is_away => {
                    tracing::warn!(%error, "the last known list of the erased stays in force");
                    is_away = true;
                }
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spendstream_control::Act;
    use spendstream_schemas::config::{DecideConfig, LiveConfig};
    use spendstream_schemas::decision::{Answer, Request};
    use spendstream_schemas::directory::Precedence;
    use spendstream_schemas::price_book::PriceBook;
    use spendstream_schemas::pseudonym::{Dimension, ErasedList, Erasure, PrivacyKey, Pseudonyms};

    use super::{Arc, Cover, Duration, Erased, Live, Store, watch};
    use crate::aggregate::awaited::Awaited;
    use crate::aggregate::live::Live as Totals;
    use crate::control::now;
    use crate::control::rules::Rules;

    fn key() -> PrivacyKey {
        PrivacyKey::new("0123456789abcdef").unwrap()
    }

    /// What follows the store, and what decides.
    fn follow(store: &Store, pseudonyms: Pseudonyms) -> (Rules, Erased, Arc<Live>) {
        let config: DecideConfig = toml::from_str("unknown = \"block\"").unwrap();
        let totals = Totals::new(&LiveConfig::default());
        let book = watch::channel(PriceBook::builtin().unwrap()).1;
        let live = Arc::new(Live::new(config, totals.view(), book, Arc::new(Awaited::default())));
        let cover = Arc::new(Cover::new(pseudonyms.clone(), ErasedList::default()));
        live.set_cover(Arc::clone(&cover));
        let erased = Erased { every: Duration::from_secs(1), live: Arc::clone(&live), cover: watch::channel(cover).0 };
        let rules = Rules {
            store: store.clone(),
            live: Arc::clone(&live),
            totals,
            precedence: Precedence::default(),
            pseudonyms,
            lateness: chrono::TimeDelta::zero(),
            own: Vec::new(),
            directory: watch::channel(Arc::default()).0,
            changed: watch::channel(0).0,
        };
        (rules, erased, live)
    }

    fn ask(live: &Live, user: &str) -> Answer {
        let body = format!(r#"{{"model": "m", "input_tokens": 1, "id": "{user}/1", "user": "{user}"}}"#);
        let mut request = Request::parse(body.as_bytes()).unwrap();
        live.cover(&mut request);
        live.decide(&request, now()).unwrap()
    }

    async fn store(budget_on: &str) -> Store {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let act = Act { who: "test", now: now() };
        let draft =
            json!({"name": "b", "scope": {"user": budget_on}, "period": "monthly", "amount": "1", "hard_limit": true});
        store.budgets().create(&serde_json::from_value(draft).unwrap(), "USD", &act).await.unwrap();
        let csv = "kind,name,team\nuser,eve@x.org,Search\n";
        store.directory().import(csv, "d.csv", "hr", &act).await.unwrap();
        store
    }

    /// A budget that blocks, since nothing is known of it, is met by whatever name either side uses.
    #[tokio::test]
    async fn questions_in_clear_meet_budgets_on_pseudonyms_and_the_other_way_round() {
        let pseudonyms = Pseudonyms::new(key(), [Dimension::USER]);
        let eve = key().pseudonym(&Dimension::USER, "eve@x.org");
        for budget_on in ["Eve@x.org", &eve] {
            let (rules, _, live) = follow(&store(budget_on).await, pseudonyms.clone());
            rules.look(None).await.unwrap();
            assert_eq!(live.book().entries()[0].budget.scope.to_string(), format!("user={eve}"));
            for user in ["eve@x.org", "EVE@x.org", &eve] {
                assert!(!ask(&live, user).allow, "{user}");
            }
            assert!(ask(&live, "bob").allow);
            let rows = live.take_decisions(10);
            assert_eq!(rows.len(), 3);
            let shown = format!("{rows:?}");
            assert!(shown.contains(&eve) && shown.contains("Search"), "its owner is found: {shown}");
            assert!(!shown.to_lowercase().contains("eve@"), "{shown}");
        }
    }

    #[tokio::test]
    async fn who_is_erased_is_forgotten_once_the_list_was_read() {
        let store = store("eve@x.org").await;
        let (rules, erased, live) = follow(&store, Pseudonyms::new(key(), []));
        rules.look(None).await.unwrap();
        erased.look(&store).await.unwrap();
        assert!(!ask(&live, "eve@x.org").allow);
        let _ = live.take_decisions(10);
        let before = Arc::clone(&erased.cover.borrow());
        assert!(before.is_nothing());

        let act = Act { who: "test", now: now() };
        store.erasures().add(&Erasure::new(&key(), Dimension::USER, "Eve@x.org"), &act).await.unwrap();
        erased.look(&store).await.unwrap();
        let taken = Arc::clone(&erased.cover.borrow());
        assert!(taken.erased().is_erased(&Dimension::USER, "eve@x.org"));
        erased.look(&store).await.unwrap();
        assert!(Arc::ptr_eq(&taken, &erased.cover.borrow()), "the same list is no news");
        assert!(ask(&live, "eve@x.org").allow, "nobody's budget any more");
        assert!(!format!("{:?}", live.take_decisions(10)).contains("eve@"));
        store.close().await;
        assert!(erased.look(&store).await.unwrap_err().is_away());
        assert!(Arc::ptr_eq(&taken, &erased.cover.borrow()), "the last known list stays");
    }

    #[tokio::test]
    async fn without_a_key_nobody_is_recognised() {
        let store = store("eve@x.org").await;
        let act = Act { who: "test", now: now() };
        store.erasures().add(&Erasure::new(&key(), Dimension::USER, "eve@x.org"), &act).await.unwrap();
        let (_, erased, _) = follow(&store, Pseudonyms::default());
        erased.look(&store).await.unwrap();
        assert!(erased.cover.borrow().is_nothing());
    }
}
