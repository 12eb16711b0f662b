//! Budgets, totals and worlds for tests: texts in, values out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use spendstream_schemas::budget::{Budget, BudgetDraft, Context, Quarter, Span};
use spendstream_schemas::config::DecideConfig;
use spendstream_schemas::decision::{Answer, Request};
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::{BookFiles, PriceBook};
use tokio::sync::watch;

use super::book::Book;
use super::live::Live;
use crate::aggregate::awaited::Awaited;
use crate::aggregate::plan::{WatchId, WatchPlan};
use crate::aggregate::read::{AsOf, Spend, Unknown};

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn amount(text: &str) -> Amount {
    Amount::from_decimal(text.parse().unwrap()).unwrap()
}

/// A budget out of a draft, monthly unless it says otherwise; its name is its id.
pub fn budget(json: &str) -> Arc<Budget> {
    let mut draft: BudgetDraft = serde_json::from_str(json).unwrap();
    draft.0.entry("period").or_insert("monthly".into());
    let name = draft.0["name"].as_str().unwrap().to_owned();
    let context = Context { id: &name, currency: "USD", now: DateTime::UNIX_EPOCH };
    Arc::new(draft.check(None, &context).unwrap())
}

/// A book whose budgets are all watched.
pub fn book(budgets: &[Arc<Budget>]) -> Book {
    let book = Book::new(budgets.iter().cloned());
    let plan = WatchPlan::default().next(&book.requests());
    book.bound(&plan)
}

type Cell = (WatchId, Vec<Option<String>>);

/// Totals that a test sets.
#[derive(Debug, Default)]
pub struct FakeSpend {
    sums: Mutex<BTreeMap<Cell, BTreeMap<Quarter, Amount>>>,
    unknown: Mutex<BTreeSet<WatchId>>,
}

impl FakeSpend {
    pub fn add(&self, watch: WatchId, values: &[Option<&str>], time: DateTime<Utc>, more: Amount) {
        let key = (watch, values.iter().map(|value| value.map(ToOwned::to_owned)).collect());
        let mut sums = self.sums.lock();
        let sum = sums.entry(key).or_default().entry(Quarter::of(time)).or_default();
        *sum = *sum + more;
    }

    pub fn set_unknown(&self, watch: WatchId) {
        self.unknown.lock().insert(watch);
    }
}

impl Spend for FakeSpend {
    fn used(&self, watch: WatchId, values: &[Option<&str>], span: Span) -> Result<Amount, Unknown> {
        if self.unknown.lock().contains(&watch) {
            return Err(Unknown::Loading);
        }
        let key = (watch, values.iter().map(|value| value.map(ToOwned::to_owned)).collect());
        let sums = self.sums.lock();
        Ok(sums.get(&key).map_or(Amount::ZERO, |sums| sums.range(span.from..span.to).map(|(_, sum)| *sum).sum()))
    }

    fn as_of(&self) -> AsOf {
        let newest = at("2026-11-22T11:59:58Z").timestamp_micros();
        AsOf { watermark: Some(newest), newest: Some(newest) }
    }
}

/// A process that decides, with one price list: `acme/big` 10, `acme/mid` 5, `acme/small` 1 and `bolt/near` 9 USD per million tokens.
pub struct Desk {
    pub live: Live,
    pub spend: Arc<FakeSpend>,
    pub book: Arc<Book>,
    pub now: DateTime<Utc>,
    _prices: watch::Sender<Arc<PriceBook>>,
}

const HEADER: &str = "provider,model,meter,price,per,currency,effective_from,effective_until,tier_min_tokens,\
                      service_tier,region,schedule,source,source_ref\n";

/// See [`Desk`].
pub fn prices() -> Arc<PriceBook> {
    let list = [("acme,big", "10"), ("acme,mid", "5"), ("acme,small", "1"), ("bolt,near", "9")];
    let mut prices = HEADER.to_owned();
    for (model, price) in list {
        for meter in ["input", "output"] {
            prices.extend([model, ",", meter, ",", price, ",1000000,USD,,,,,,,own,\n"]);
        }
    }
    Arc::new(PriceBook::load(&BookFiles { prices: &prices, currency: "USD", ..BookFiles::default() }).unwrap())
}

impl Desk {
    /// `config`: TOML of the section `[decide]`; `acme/big`, `mid` and `small` may stand in for one another unless it says otherwise.
    pub fn new(config: &str, budgets: &[&str]) -> Self {
        let budgets: Vec<Arc<Budget>> = budgets.iter().map(|json| budget(json)).collect();
        let desk = Self { book: Arc::new(book(&budgets)), ..Self::unread(config) };
        desk.live.set_book(Arc::clone(&desk.book));
        desk
    }

    /// Before any budget was read.
    pub fn unread(config: &str) -> Self {
        let mut config: DecideConfig = toml::from_str(config).unwrap();
        if config.models == DecideConfig::default().models {
            let models = "[[models]]\nmodels = [\"acme/big\", \"acme/mid\", \"acme/small\"]";
            config.models = toml::from_str::<DecideConfig>(models).unwrap().models;
        }
        let (sender, receiver) = watch::channel(prices());
        let spend = Arc::new(FakeSpend::default());
        let shared: super::live::SharedSpend = Arc::clone(&spend) as _;
        let live = Live::new(config, shared, receiver, Arc::new(Awaited::default()));
        Self { live, spend, book: Arc::default(), now: at("2026-11-22T12:00:00Z"), _prices: sender }
    }

    /// Spends in the cell of a budget, now.
    pub fn spend(&self, budget: &str, values: &[Option<&str>], more: &str) {
        self.spend.add(self.watch(budget), values, self.now, amount(more));
    }

    pub fn watch(&self, budget: &str) -> WatchId {
        self.book.entries().iter().find(|entry| entry.budget.id == budget).and_then(|entry| entry.watch).unwrap()
    }

    /// Asks; `fields` are added to a call of `acme/big` with 1000 tokens in and none out, which costs 0.01.
    pub fn ask(&self, fields: &str) -> Answer {
        let comma = if fields.is_empty() { "" } else { "," };
        self.ask_all(&format!(
            r#"{{"provider": "acme", "model": "big", "input_tokens": 1000, "output_tokens": 0{comma}{fields}}}"#
        ))
    }

    pub fn ask_all(&self, body: &str) -> Answer {
        let request = Request::parse(body.as_bytes()).unwrap();
        self.live.decide(&request, self.now).unwrap()
    }
}
