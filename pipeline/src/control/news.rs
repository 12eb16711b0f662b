//! Alerts on their way to people. In: alerts that budgets and detectors found, perhaps again. Out: rows in the control store, whose unique
//! insert decides which are news, together with their deliveries; a courier works through those.
//!
//! While the store is away alerts wait here; the channel before is bounded, and who finds it full finds its alerts again later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use spendstream_control::Store;
use spendstream_control::alerts::Raised;
use spendstream_control::notifications::Delivery;
use spendstream_notify::courier::{Courier, Limits, Outcome};
use spendstream_notify::desk::Desk;
use spendstream_notify::route::{Routes, plan};
use spendstream_notify::store_log::to_log;
use spendstream_schemas::alert::Alert;
use spendstream_schemas::budget::ScopeKey;
use spendstream_schemas::config::Config;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::Directory;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::{RETRY, now, pause};
use crate::budget::live::Live;
use crate::metrics::Metrics;
use crate::price::reload::CurrentBook;

/// Alerts of no budget of which the same was raised too shortly before; further ones are told when they are found again.
const MOST_GUARDED: usize = 10_000;
/// How often guarded alerts are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
pub struct News {
    store: Store,
    routes: Arc<Routes>,
    guard: TimeDelta,
    metrics: Arc<Metrics>,
    wake: watch::Sender<u64>,
    /// Where every alert goes, whatever the routes say.
    always: Vec<Delivery>,
    guarded: VecDeque<(DateTime<Utc>, Alert)>,
    live: Arc<Live>,
    /// Whom an alert is for that names nobody.
    directory: watch::Receiver<Arc<Directory>>,
    /// When budgets are judged again because something of theirs was raised too shortly after the same.
    look_at: Option<DateTime<Utc>>,
}

impl News {
    #[must_use]
    pub fn new(
        store: Store,
        (routes, live): (Arc<Routes>, Arc<Live>),
        directory: watch::Receiver<Arc<Directory>>,
        guard: TimeDelta,
        metrics: Arc<Metrics>,
        wake: watch::Sender<u64>,
    ) -> Self {
        Self {
            store,
            routes,
            guard,
            metrics,
            wake,
            always: Vec::new(),
            guarded: VecDeque::new(),
            live,
            directory,
            look_at: None,
        }
    }

    /// Sends every alert to this channel as well.
    #[must_use]
    pub fn always(mut self, channel: String) -> Self {
        self.always.push(Delivery { channel, target: String::new(), not_before: None });
        self
    }

    /// Works until whoever finds alerts is gone. After a stop an alert waits no longer for a store that is away: it is found again at the
    /// next start.
    pub async fn run(mut self, mut alerts: mpsc::Receiver<Alert>, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                alert = alerts.recv() => match alert {
                    Some(alert) => self.raise(alert, &alerts, &mut stop).await,
                    None => return,
                },
                () = tokio::time::sleep(LOOK) => self.try_guarded(&alerts, &mut stop).await,
            }
        }
    }

    async fn try_guarded(&mut self, queue: &mpsc::Receiver<Alert>, stop: &mut watch::Receiver<bool>) {
        // What still holds is found by the figures of now; what does not is not told.
        if self.look_at.is_some_and(|due| due <= now()) {
            self.look_at = None;
            self.live.look_again();
        }
        for _ in 0..self.guarded.len() {
            match self.guarded.pop_front() {
                Some((due, alert)) if due <= now() => self.raise(alert, queue, stop).await,
                Some(later) => self.guarded.push_back(later),
                None => return,
            }
        }
    }

    /// Raises one alert, however long the store is away; `queue` has those that wait behind it.
    async fn raise(&mut self, mut alert: Alert, queue: &mpsc::Receiver<Alert>, stop: &mut watch::Receiver<bool>) {
        let waiting = |more: usize| i64::try_from(queue.len() + more).unwrap_or(i64::MAX);
        loop {
            self.metrics.alerts_waiting.set(waiting(1));
            // When it was told, not when it was first tried.
            alert.raised_at = now();
            if alert.owner.is_none() {
                let directory = Arc::clone(&self.directory.borrow());
                alert.owner = directory.contact(&alert.scope, alert.raised_at).map(ToOwned::to_owned);
            }
            let mut deliveries = to_log(plan(&alert, &self.routes, alert.raised_at));
            deliveries.extend(self.always.iter().cloned());
            match self.store.alerts().raise(&alert, self.guard, &deliveries).await {
                Ok(raised) => {
                    self.metrics.alerts_waiting.set(waiting(0));
                    return self.raised(alert, raised);
                }
                Err(error) if error.is_away() => tracing::warn!(%error, "an alert waits for the control store"),
                Err(error) => {
                    tracing::error!(%error, alert = alert.id, "an alert cannot be kept, and so is not delivered");
                    self.metrics.alerts_waiting.set(waiting(0));
                    return;
                }
            }
            if pause(RETRY, stop).await {
                return;
            }
        }
    }

    fn raised(&mut self, alert: Alert, raised: Raised) {
        let outcome = match raised {
            Raised::New => "new",
            Raised::Snoozed => "snoozed",
            Raised::Known => "known",
            Raised::Guarded => "guarded",
        };
        self.metrics.alerts.with_label_values(&[alert.kind.word(), outcome]).inc();
        match raised {
            Raised::New => {
                tracing::info!(alert = alert.id, kind = alert.kind.word(), title = alert.title, "alert raised");
                self.wake.send_modify(|count| *count += 1);
            }
            Raised::Guarded if alert.budget_id.is_some() => {
                let due = alert.raised_at + self.guard;
                self.look_at = Some(self.look_at.map_or(due, |known| known.min(due)));
            }
            Raised::Guarded if self.guarded.len() < MOST_GUARDED => {
                self.guarded.push_back((alert.raised_at + self.guard, alert));
            }
            Raised::Snoozed | Raised::Known | Raised::Guarded => {}
        }
    }
}

/// The channels of a configuration.
///
/// # Errors
/// One line: which channel cannot be built, and why.
pub fn desk(config: &Config) -> Result<Desk, String> {
    Desk::new(&config.notify, &config.server.public_url, &|name: &str| std::env::var(name).ok())
}

/// The routes of a configuration. What they say of providers and models is compared by the price book's ids, as budgets' scopes are.
pub fn routes(config: &Config, prices: CurrentBook) -> Arc<Routes> {
    let spell = move |key: &ScopeKey, provider: Option<&str>, value: &str| {
        let prices = Arc::clone(&prices.borrow());
        let known = match key {
            ScopeKey::Text(Text::ProviderSent) => prices.provider_id(value),
            ScopeKey::Text(Text::Model) => prices.model_id(provider, value),
            _ => None,
        };
        known.map(ToOwned::to_owned)
    };
    Arc::new(Routes::new(&config.notify).spelled(Arc::new(spell)))
}

/// A courier that works for these channels and makes digests by these routes.
pub fn courier(
    config: &Config,
    (desk, routes): (Desk, Arc<Routes>),
    store: &Store,
    metrics: &Arc<Metrics>,
) -> Courier<Store> {
    let metrics = Arc::clone(metrics);
    let owner = Uuid::new_v4();
    let observer = move |channel: &str, outcome: Outcome| {
        let outcome = match outcome {
            Outcome::Sent => "sent",
            Outcome::Failed => "failed",
            Outcome::GivenUp => "given_up",
        };
        metrics.deliveries.with_label_values(&[channel, outcome]).inc();
    };
    Courier {
        log: Arc::new(store.clone()),
        desk: Arc::new(desk),
        routes,
        limits: Limits::new(&config.notify, u64::from(owner.as_fields().0)),
        clock: Arc::new(now),
        observer: Arc::new(observer),
        owner: owner.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use spendstream_notify::desk::test_alert;
    use spendstream_notify::route::plan;
    use spendstream_schemas::alert::Alert;
    use spendstream_schemas::budget::ResolvedScope;
    use spendstream_schemas::config::Config;
    use spendstream_schemas::price_book::PriceBook;
    use tokio::sync::watch;

    /// An alert has the price book's id of its provider, whatever name the route and the budget were written with.
    #[test]
    fn a_route_names_a_provider_as_a_budget_may() {
        let text = "[notify]\ndefault_channels = ['chat']\n\
                    [[notify.channels]]\nkind = 'slack'\nname = 'chat'\nurl = 'https://example.org/x'\n\
                    [[notify.channels]]\nkind = 'slack'\nname = 'cloud'\nurl = 'https://example.org/y'\n\
                    [[notify.routes]]\nname = 'r'\nscope = { provider = 'bedrock' }\nchannels = ['cloud']\n";
        let config: Config = toml::from_str(text).unwrap();
        let (_sender, prices) = watch::channel(PriceBook::builtin().unwrap());
        let routes = super::routes(&config, prices);
        let told = |provider: &str| {
            let scope = ResolvedScope::new([("provider".parse().unwrap(), Some(provider.to_owned()))]);
            let alert = Alert { scope, ..test_alert("2026-11-22T12:00:00Z".parse().unwrap()) };
            plan(&alert, &routes, alert.raised_at).into_iter().map(|one| one.channel).collect::<Vec<_>>()
        };
        assert_eq!(told("aws_bedrock"), ["cloud"]);
        assert_eq!(told("openai"), ["chat"]);
    }
}
