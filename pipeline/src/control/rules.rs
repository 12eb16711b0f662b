//! Follows what people set: budgets, emergency stops and the directory. In: the control store, looked at twice a second. Out: the rules
//! that decisions and alerts go by, and what live totals must keep for them.
//!
//! Nothing is changed here but by a budget file at the start. A store that is away leaves the last known rules in force.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use spendstream_control::blocks::BlockAction;
use spendstream_control::budgets::BudgetFilter;
use spendstream_control::{Act, Result, Store, budget_file};
use spendstream_schemas::alert::{Alert, Kind};
use spendstream_schemas::budget::{Budget, Scope, ScopeKey, provider_of};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::{Directory, Filled, Precedence};
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::PriceBook;
use spendstream_schemas::pseudonym::Pseudonyms;
use tokio::sync::watch;

use super::{now, pause};
use crate::aggregate::live::Live as Totals;
use crate::aggregate::plan::Request;
use crate::budget::book::Book;
use crate::budget::crossing::Watched;
use crate::budget::limit::Attributes;
use crate::budget::live::Live;
use crate::budget::notice::{Over, over};
use crate::budget::stops::{Action, Stop, Stops};

/// How often the store is asked whether something changed: a stop must be in force within a second.
const LOOK: Duration = Duration::from_millis(500);
/// How often what was told is compared with the budgets.
const PERIODS: TimeDelta = TimeDelta::minutes(1);
/// The same after it failed.
const SOON: TimeDelta = TimeDelta::seconds(5);
/// Thresholds that are told and may recover; beyond it, those that were told longest ago are over with their period only.
const MOST_TOLD: u32 = 50_000;
/// How long it is of interest to others that a threshold was taken back.
const TAKEN_BACK: TimeDelta = TimeDelta::days(1);
/// Alerts that are looked through, once, for what an older version told.
const RECALLED: u32 = 100_000;

impl Attributes for Directory {
    fn attribute(&self, key: &ScopeKey, value: &str, attribute: &str, at: DateTime<Utc>) -> Option<&str> {
        Directory::attribute(self, key, value, attribute, at)
    }

    fn spelled(&self, key: &ScopeKey, value: &str) -> Option<&str> {
        self.spellings().of(key, value)
    }

    fn owner<'a>(&'a self, value_of: &dyn Fn(&ScopeKey) -> Option<&'a str>, at: DateTime<Utc>) -> Filled<'a> {
        self.resolve(value_of, at)
    }
}

/// See the module.
pub struct Rules {
    pub store: Store,
    pub live: Arc<Live>,
    pub totals: Totals,
    pub precedence: Precedence,
    /// What stands for users and others in events.
    pub pseudonyms: Pseudonyms,
    /// How late events may come: so long a period may still be judged.
    pub lateness: TimeDelta,
    /// What is watched beside budgets.
    pub own: Vec<Request>,
    /// Who owns what, for the decode threads.
    pub directory: watch::Sender<Arc<Directory>>,
    /// Told after every change that was taken.
    pub changed: watch::Sender<i64>,
}

impl Rules {
    /// Follows until it is stopped.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let (mut seen, mut is_away, mut is_first) = (None, false, true);
        let mut prices = self.live.prices();
        let mut periods_due = now();
        loop {
            // Another book may know other names of a provider.
            if prices.has_changed().unwrap_or(false) {
                prices.mark_unchanged();
                seen = None;
            }
            match self.look(seen).await {
                Ok(version) => {
                    if seen != Some(version) {
                        periods_due = now();
                    }
                    if is_away {
                        tracing::info!("the control store answers again");
                    }
                    (seen, is_away) = (Some(version), false);
                }
                Err(error) if !is_away => {
                    tracing::warn!(%error, "the last known budgets, stops and owners stay in force");
                    is_away = true;
                }
                Err(_) => {}
            }
            if let Some(version) = seen.filter(|_| now() >= periods_due && !is_away) {
                periods_due = now() + PERIODS;
                match self.compare(version, is_first).await {
                    Ok(()) => is_first = false,
                    Err(error) => {
                        tracing::debug!(%error, "what was told is asked for again");
                        periods_due = now() + SOON;
                    }
                }
            }
            if pause(LOOK, &mut stop).await {
                return;
            }
        }
    }

    /// Compares what was told with the budgets of now, at a version of the store: takes back what they do not watch any more, and has those who
    /// watch know what others told and took back. `is_first`: of this process.
    async fn compare(&self, version: i64, is_first: bool) -> Result<()> {
        if is_first {
            self.store.alerts().adopt(RECALLED).await?;
        }
        let known = self.store.alerts().standing(now() - TAKEN_BACK, MOST_TOLD).await?;
        // What a change of the rules took back elsewhere is judged by these rules, or not yet.
        if self.store.version().await? == version {
            self.take_back(&known);
            self.live.recall(known);
        }
        Ok(())
    }

    /// Takes back what was told of thresholds that no budget in force watches any more, and of periods that are over: nothing else ends an
    /// incident that was opened for one. Each is told once, for the store knows what was taken back.
    fn take_back(&self, known: &[Alert]) {
        let (at, book) = (now(), self.live.book());
        let watched = Watched::new(&book);
        let why = |alert: &Alert| {
            let id = alert.budget_id.as_deref()?;
            let has_ended = |after| alert.period_end.is_some_and(|end| end + after <= at);
            let is_rolling = alert.is_rolling();
            if (is_rolling || !has_ended(TimeDelta::zero())) && !watched.has(alert, at) {
                return Some(Over::Withdrawn);
            }
            if !is_rolling {
                return has_ended(self.lateness).then_some(Over::Period);
            }
            // A rolling window that moved on and has nothing in it any more: live totals forgot that there was something.
            let is_empty = || self.live.used(id, &alert.scope, at).is_some_and(Amount::is_zero);
            (has_ended(PERIODS) && is_empty()).then_some(Over::Period)
        };
        let told = known.iter().filter(|alert| alert.kind != Kind::Recovery);
        self.live.tell(told.filter_map(|alert| Some(over(alert, why(alert)?, at))));
    }

    /// Takes what changed since a version of the store; gives the version that is in force now.
    ///
    /// # Errors
    /// When the store is away: then nothing was changed.
    pub async fn look(&self, seen: Option<i64>) -> Result<i64> {
        // Read first: a change in between is taken twice, never left out.
        let version = self.store.version().await?;
        if seen == Some(version) {
            return Ok(version);
        }
        let budgets = self.store.budgets().list(&BudgetFilter { active: Some(true) }).await?;
        let blocks = self.store.blocks().active(now()).await?;
        let entries = self.store.directory().list().await?;
        let directory = Arc::new(Directory::new(self.pseudonyms.entries(entries), &self.precedence));
        let prices = Arc::clone(&self.live.prices().borrow());
        let spell = |key: &ScopeKey, value: &str| self.spelled((key, value), None, &prices, &directory);
        let spelled_scope = |scope: &Scope| {
            let provider = provider_of(scope);
            scope.spelled(|key, value| self.spelled((key, value), provider, &prices, &directory))
        };
        let budgets =
            budgets.into_iter().map(|budget| Arc::new(Budget { scope: spelled_scope(&budget.scope), ..budget }));
        let book = Book::new(budgets);
        for entry in book.entries() {
            let (name, currency) = (&entry.budget.name, &entry.budget.currency);
            if prices.convert(Decimal::ONE, currency, now().timestamp_micros()).is_none() {
                tracing::warn!(
                    budget = name,
                    "there is no exchange rate from {currency} to {}: the budget neither alerts nor blocks; add one to the file of prices.rates",
                    prices.currency()
                );
            }
        }
        let mut requests = book.requests();
        requests.extend(self.own.iter().cloned());
        let plan = self.totals.watch_spelled(&requests, directory.spellings());
        let (number, stops) = (book.entries().len(), blocks.len());
        self.live.spell_limits(&spell);
        self.live.set_attributes(Arc::clone(&directory) as _);
        self.directory.send_replace(Arc::clone(&directory));
        self.live.set_book(Arc::new(book.bound(&plan)));
        self.live.set_stops(Stops::new(blocks.into_iter().map(|block| Stop {
            id: block.id,
            scope: spelled_scope(&block.scope),
            action: match block.action {
                BlockAction::Block => Action::Block,
                BlockAction::Downgrade => Action::Downgrade,
            },
            until: block.until,
            reason: block.reason,
        })));
        tracing::info!(version, budgets = number, stops, "budgets taken");
        self.changed.send_replace(version);
        Ok(version)
    }

    /// A value of a scope as sums and questions have it: a provider or a model by the price book's id, a team as the directory spells it, a
    /// user by what stands for one.
    fn spelled(
        &self,
        (key, value): (&ScopeKey, &str),
        provider: Option<&str>,
        prices: &PriceBook,
        directory: &Directory,
    ) -> Option<String> {
        let known = match key {
            ScopeKey::Text(Text::ProviderSent) => prices.provider_id(value),
            ScopeKey::Text(Text::Model) => prices.model_id(provider, value),
            key => directory.spellings().of(key, value),
        };
        self.pseudonyms.of_scope(key, value).or_else(|| known.map(ToOwned::to_owned))
    }
}

/// Makes the budgets of a file those of the store.
///
/// # Errors
/// One line for each problem; nothing was changed then.
pub async fn apply_file(store: &Store, file: &str, currency: &str) -> Result<()> {
    let problem = |error: std::io::Error| {
        spendstream_control::Error::Invalid(vec![format!("budgets.file {file} cannot be read: {error}")])
    };
    let text = tokio::fs::read_to_string(file).await.map_err(problem)?;
    let drafts = budget_file::read(&text, file)?;
    let applied = store.budgets().apply("file", &drafts, currency, &Act { who: "file", now: now() }).await?;
    tracing::info!(
        created = applied.created.len(),
        changed = applied.changed.len(),
        unchanged = applied.unchanged.len(),
        removed = applied.removed.len(),
        "budgets of {file} applied"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spendstream_control::alerts::Raised;
    use spendstream_control::blocks::NewBlock;
    use spendstream_schemas::budget::{BudgetDraft, Quarter};
    use spendstream_schemas::config::{DecideConfig, LiveConfig};
    use spendstream_schemas::decision::Request;
    use spendstream_schemas::price_book::PriceBook;

    use super::{
        Act, Alert, Arc, Budget, Kind, Live, Precedence, Pseudonyms, Rules, Store, TimeDelta, Totals, now, watch,
    };
    use crate::aggregate::awaited::Awaited;

    fn rules(store: Store, config: DecideConfig) -> Rules {
        let totals = Totals::new(&LiveConfig::default());
        // Without its sender the last book stays.
        let (_, book) = watch::channel(PriceBook::builtin().unwrap());
        let live = Arc::new(Live::new(config, totals.view(), book, Arc::new(Awaited::default())));
        Rules {
            store,
            live,
            totals,
            precedence: Precedence::default(),
            pseudonyms: Pseudonyms::default(),
            lateness: TimeDelta::zero(),
            own: Vec::new(),
            directory: watch::channel(Arc::default()).0,
            changed: watch::channel(0).0,
        }
    }

    /// An alert about a threshold of a monthly budget, told a minute ago.
    fn told(budget: &Budget, scope: &serde_json::Value, threshold: &str) -> Alert {
        let span = budget.period.span(Quarter::of(now()));
        let told = json!({
            "id": format!("{} {threshold}", budget.name), "kind": "threshold_warning", "level": "warning", "budget_id": budget.id,
            "scope": scope, "title": "", "message": "", "value": "9", "threshold": "8", "currency": "USD",
            "period_start": span.start(), "period_end": span.end(), "event_time": now(),
            "raised_at": now() - TimeDelta::minutes(1), "owner": null,
            "details": {
                "budget": budget.name, "basis": "actual", "threshold_percent": threshold, "limit": "10",
                "occurrence": span.start(), "rolling": false, "revision": budget.revision,
                "seen": now() - TimeDelta::minutes(1),
            }
        });
        serde_json::from_value(told).unwrap()
    }

    /// What a change of a budget leaves nobody to watch is taken back, once; what another instance has taken back is not.
    #[tokio::test]
    async fn what_is_not_watched_any_more_is_taken_back() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let act = Act { who: "test", now: now() };
        let make = async |name: &str, scope: &serde_json::Value| {
            let draft =
                json!({"name": name, "scope": scope, "period": "monthly", "amount": "10", "thresholds": [50, 80]});
            store.budgets().create(&serde_json::from_value(draft).unwrap(), "USD", &act).await.unwrap()
        };
        let (search, ads) = (json!({"team": "search"}), json!({"project": "ads"}));
        let mut all = Vec::new();
        for name in ["kept", "scope", "thresholds", "later", "deleted"] {
            all.push((make(name, &search).await, search.clone()));
        }
        all.push((make("each", &json!({"project": "*"})).await, ads.clone()));
        for (budget, scope) in &all {
            for threshold in ["50", "80"] {
                let alert = told(budget, scope, threshold);
                store.alerts().raise(&alert, TimeDelta::zero(), &[]).await.unwrap();
            }
        }
        let rules = rules(store.clone(), DecideConfig::default());
        let compare = async || {
            let version = rules.look(None).await.unwrap();
            rules.compare(version, false).await.unwrap();
            rules.live.take_to_tell()
        };
        assert_eq!(compare().await, []);
        let known = rules.live.take_told();
        assert_eq!(known.len(), 12);
        rules.compare(0, true).await.unwrap();
        assert_eq!(rules.live.take_told(), [], "the rules are of another version");

        let id = |name: &str| all.iter().find(|(budget, _)| budget.name == name).unwrap().0.id.clone();
        for (name, change) in [
            ("scope", json!({"scope": {"team": "other"}})),
            ("thresholds", json!({"thresholds": [80, 95]})),
            ("later", json!({"valid_from": now() + TimeDelta::days(60)})),
        ] {
            let change = serde_json::from_value(change).unwrap();
            store.budgets().update(&id(name), &change, "USD", &act).await.unwrap();
        }
        store.budgets().delete(&id("deleted"), &act).await.unwrap();
        let named = make("ads", &ads).await;
        let over = compare().await;
        let mut shown: Vec<_> = over
            .iter()
            .map(|alert| {
                let text = |name: &str| alert.details[name].as_str().unwrap().to_owned();
                format!("{} {}", text("budget"), text("threshold_percent"))
            })
            .collect();
        shown.sort_unstable();
        assert_eq!(
            shown,
            [
                "deleted 50",
                "deleted 80",
                "each 50",
                "each 80",
                "later 50",
                "later 80",
                "scope 50",
                "scope 80",
                "thresholds 50"
            ]
        );
        for alert in &over {
            assert_eq!(alert.kind, Kind::Recovery);
            assert_eq!(store.alerts().raise(alert, TimeDelta::zero(), &[]).await, Ok(Raised::New), "{alert:?}");
        }
        assert_eq!(compare().await, []);
        // The template has its value back, and what is crossed there is told again.
        store.budgets().delete(&named.id, &act).await.unwrap();
        assert_eq!(compare().await, []);
        let mut again = told(&all[5].0, &ads, "80");
        again.raised_at = now();
        again.details["seen"] = json!(now());
        assert_eq!(store.alerts().raise(&again, TimeDelta::zero(), &[]).await, Ok(Raised::New));
    }

    /// Scopes are written in any spelling and with any name of a provider; calls and sums have the directory's and the book's.
    #[tokio::test]
    async fn scopes_are_compared_in_the_words_of_calls_and_sums() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("control.db").display())).await.unwrap();
        let act = Act { who: "test", now: now() };
        for scope in [
            r#"{"team": "search"}"#,
            r#"{"provider": "aws"}"#,
            r#"{"user": "ANN@example.org"}"#,
            r#"{"model": "Anthropic/Claude-Sonnet-4-5"}"#,
        ] {
            let draft = format!(r#"{{"name": {scope:?}, "scope": {scope}, "period": "monthly", "amount": "1"}}"#);
            let draft: BudgetDraft = serde_json::from_str(&draft).unwrap();
            store.budgets().create(&draft, "USD", &act).await.unwrap();
        }
        let csv = "kind,name,department\nteam,Search,Product\nuser,ann@example.org,\n";
        store.directory().import(csv, "d.csv", "hr", &act).await.unwrap();
        let until = now() + TimeDelta::hours(1);
        let scope = r#"{"provider": "AWS Bedrock", "team": "SEARCH"}"#;
        let block =
            format!(r#"{{"scope": {scope}, "action": "block", "until": "{}", "reason": "x"}}"#, until.to_rfc3339());
        let block: NewBlock = serde_json::from_str(&block).unwrap();
        store.blocks().create(block, &act).await.unwrap();

        let limits = "[[rate_limits]]\nscope = { team = \"search\" }\nper_minute = 1\n";
        let rules = rules(store, toml::from_str(limits).unwrap());
        let live = Arc::clone(&rules.live);
        rules.look(None).await.unwrap();
        let mut scopes: Vec<String> =
            live.book().entries().iter().map(|entry| entry.budget.scope.to_string()).collect();
        scopes.sort_unstable();
        assert_eq!(scopes, ["model=claude-sonnet-4-5", "provider=aws_bedrock", "team=Search", "user=ann@example.org"]);

        let ask = |fields: &str| {
            let body = format!(r#"{{"model": "m", "input_tokens": 1, {fields}}}"#);
            live.decide(&Request::parse(body.as_bytes()).unwrap(), now()).unwrap()
        };
        let stopped = ask(r#""provider": "bedrock", "team": "search""#);
        assert!(
            stopped.reasons[0].starts_with("an emergency stop on provider=aws_bedrock, team=Search blocks"),
            "{stopped:?}"
        );
        // One token for all spellings.
        assert!(ask(r#""team": "search-", "priority": "normal""#).allow);
        assert!(!ask(r#""team": "Search""#).allow);
        let unknown = ask(r#""user": " Ann@Example.org ""#);
        assert!(unknown.reasons[0].contains("ANN@example.org"), "its budget is looked at: {unknown:?}");
    }
}
