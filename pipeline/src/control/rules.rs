//! Follows what people set: budgets, emergency stops and the directory. In: the control store, looked at twice a second. Out: the rules
//! that decisions and alerts go by, and what live totals must keep for them.
//!
//! Nothing is changed here but by a budget file at the start. A store that is away leaves the last known rules in force.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use spendstream_control::alerts::AlertFilter;
use spendstream_control::blocks::BlockAction;
use spendstream_control::budgets::BudgetFilter;
use spendstream_control::{Act, Result, Store, budget_file};
use spendstream_schemas::alert::{Alert, Kind};
use spendstream_schemas::budget::{Budget, Scope, ScopeKey, provider_of};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::{Directory, Filled, Precedence};
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::PriceBook;
use tokio::sync::watch;

use super::{now, pause};
use crate::aggregate::live::Live as Totals;
use crate::aggregate::plan::Request;
use crate::budget::book::Book;
use crate::budget::limit::Attributes;
use crate::budget::live::Live;
use crate::budget::notice::{Over, over};
use crate::budget::stops::{Action, Stop, Stops};

/// How often the store is asked whether something changed: a stop must be in force within a second.
const LOOK: Duration = Duration::from_millis(500);
/// How often periods are looked for that are over.
const PERIODS: TimeDelta = TimeDelta::minutes(1);
/// Alerts that are looked through at a start for thresholds that were told and may recover.
const RECALLED: u32 = 10_000;

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
        let (mut seen, mut is_away, mut is_recalled) = (None, false, false);
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
                    if !is_recalled {
                        match self.told().await {
                            Ok(told) => {
                                self.live.recall(told);
                                is_recalled = true;
                            }
                            Err(error) => tracing::debug!(%error, "what was told before is asked for again"),
                        }
                    }
                }
                Err(error) if !is_away => {
                    tracing::warn!(%error, "the last known budgets, stops and owners stay in force");
                    is_away = true;
                }
                Err(_) => {}
            }
            if now() >= periods_due && !is_away {
                periods_due = now() + PERIODS;
                if let Err(error) = self.take_back().await {
                    tracing::debug!(%error, "what is over is looked for again");
                }
            }
            if pause(LOOK, &mut stop).await {
                return;
            }
        }
    }

    /// The newest alerts about budgets that no recovery took back.
    async fn told(&self) -> Result<Vec<Alert>> {
        let page = self.store.alerts().list(&AlertFilter::default(), RECALLED).await?;
        let about = |alert: &Alert| {
            let detail = |name: &str| alert.details.get(name).map(ToString::to_string);
            let parts = ["occurrence", "basis", "threshold_percent"].map(detail);
            (alert.budget_id.clone(), alert.scope.to_string(), parts)
        };
        // Newest first: what comes after its recovery in this order was taken back.
        let (mut over, mut told) = (HashSet::new(), Vec::new());
        for alert in page.alerts.into_iter().map(|stored| stored.alert).filter(|alert| alert.budget_id.is_some()) {
            if alert.kind == Kind::Recovery {
                over.insert(about(&alert));
            } else if !over.contains(&about(&alert)) {
                told.push(alert);
            }
        }
        Ok(told)
    }

    /// Takes back what was told of budgets that are not in force any more, and of periods that are over: nothing else ends an incident that was
    /// opened for one. Each is told once, for the id of a recovery follows from its alert's.
    async fn take_back(&self) -> Result<()> {
        let (at, book) = (now(), self.live.book());
        let why = |alert: &Alert| {
            let id = alert.budget_id.as_deref()?;
            let has_ended = |after| alert.period_end.is_some_and(|end| end + after <= at);
            let is_rolling = alert.details.get("rolling").is_some_and(|rolling| rolling == true);
            let entry = book.entries().iter().find(|entry| entry.budget.id == id);
            if entry.is_none_or(|entry| entry.budget.valid_until.is_some_and(|until| until <= at)) {
                return (is_rolling || !has_ended(TimeDelta::zero())).then_some(Over::Withdrawn);
            }
            if !is_rolling {
                return has_ended(self.lateness).then_some(Over::Period);
            }
            // A rolling window that moved on and has nothing in it any more: live totals forgot that there was something.
            let is_empty = || self.live.used(id, &alert.scope, at).is_some_and(Amount::is_zero);
            (has_ended(PERIODS) && is_empty()).then_some(Over::Period)
        };
        let told = self.told().await?;
        self.live.tell(told.iter().filter_map(|alert| Some(over(alert, why(alert)?, at))));
        Ok(())
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
        let budgets =
            self.store.budgets().list(&BudgetFilter { active: Some(true), ..BudgetFilter::default() }).await?;
        let blocks = self.store.blocks().active(now()).await?;
        let entries = self.store.directory().list().await?;
        let directory = Arc::new(Directory::new(entries, &self.precedence));
        let prices = Arc::clone(&self.live.prices().borrow());
        let spell = |key: &ScopeKey, value: &str| spelled((key, value), None, &prices, &directory);
        let spelled_scope = |scope: &Scope| {
            let provider = provider_of(scope);
            scope.spelled(|key, value| spelled((key, value), provider, &prices, &directory))
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
}

/// A value of a scope as sums and questions have it: a provider or a model by the price book's id, a team as the directory spells it.
fn spelled(
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
    known.map(ToOwned::to_owned)
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
    use spendstream_control::blocks::NewBlock;
    use spendstream_schemas::budget::BudgetDraft;
    use spendstream_schemas::config::{DecideConfig, LiveConfig};
    use spendstream_schemas::decision::Request;
    use spendstream_schemas::price_book::PriceBook;

    use super::{Act, Arc, Live, Precedence, Rules, Store, Totals, now, watch};
    use crate::aggregate::awaited::Awaited;

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
        let until = now() + chrono::TimeDelta::hours(1);
        let scope = r#"{"provider": "AWS Bedrock", "team": "SEARCH"}"#;
        let block =
            format!(r#"{{"scope": {scope}, "action": "block", "until": "{}", "reason": "x"}}"#, until.to_rfc3339());
        let block: NewBlock = serde_json::from_str(&block).unwrap();
        store.blocks().create(block, &act).await.unwrap();

        let totals = Totals::new(&LiveConfig::default());
        let (_prices, book) = watch::channel(PriceBook::builtin().unwrap());
        let limits = "[[rate_limits]]\nscope = { team = \"search\" }\nper_minute = 1\n";
        let config: DecideConfig = toml::from_str(limits).unwrap();
        let live = Arc::new(Live::new(config, totals.view(), book, Arc::new(Awaited::default())));
        let rules = Rules {
            store,
            live: Arc::clone(&live),
            totals,
            precedence: Precedence::default(),
            lateness: chrono::TimeDelta::zero(),
            own: Vec::new(),
            directory: watch::channel(Arc::default()).0,
            changed: watch::channel(0).0,
        };
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
