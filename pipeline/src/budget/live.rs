//! Everything that decides, for one process. In: requests, and from elsewhere new budgets, stops, prices, arrived events; out: answers and
//! rows to write down. It only locks and passes on: what is decided is decided in the pure modules around it.
//!
//! Nothing here waits for IO. The lock of the promises is held from the first look at the totals to the hold (microseconds), so
//! that two calls never share the same room, and a release, which takes it too, never happens in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use spendstream_schemas::alert::Alert;
use spendstream_schemas::budget::{Quarter, ResolvedScope, ScopeKey, Span};
use spendstream_schemas::config::DecideConfig;
use spendstream_schemas::decision::{Answer, Request, RequestError, Strategy};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::estimate::{Basis, TokenCount, tokens_of_text};
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::{PriceBook, Question};
use spendstream_schemas::pseudonym::Cover;
use spendstream_schemas::table::decisions::Row;

use super::book::{Book, BudgetCell, Entry};
use super::cost::{self, Found, Plans, Prices, Quote};
use super::decide::{Promises, Verdict, World, decide};
use super::history::History;
use super::holds::Holds;
use super::journal::Journal;
use super::last::LastKnown;
use super::limit::{Attributes, NoAttributes, Rates};
use super::models::{Ladders, Suggestion, usual_call};
use super::rate::Limiter;
use super::standing::{Ground, Resets};
use super::stops::Stops;
use super::subject::{self, Subject};
use super::words::Telling;
use crate::aggregate::awaited::Awaited;
use crate::aggregate::plan::WatchId;
use crate::aggregate::read::{AsOf, Spend, Unknown};
use crate::aggregate::totals::Totals;
use crate::price::reload::CurrentBook;

/// Readers share the lock of live totals with the live thread, which takes it for short slices.
impl Spend for RwLock<Totals> {
    fn used(&self, watch: WatchId, values: &[Option<&str>], span: Span) -> Result<Amount, Unknown> {
        self.read().used(watch, values, span)
    }

    fn as_of(&self) -> AsOf {
        self.read().as_of()
    }
}

const USER: ScopeKey = ScopeKey::Text(Text::UserId);

/// Live totals, as far as decide looks at them.
pub type SharedSpend = Arc<dyn Spend + Send + Sync>;
/// The directory, as far as budgets look at it.
pub type SharedAttributes = Arc<dyn Attributes + Send + Sync>;

/// What changes as a whole, now and then; cheap to clone.
#[derive(Clone)]
struct Rules {
    book: Arc<Book>,
    stops: Stops,
    resets: Arc<Resets>,
    history: Arc<History>,
    attributes: SharedAttributes,
    /// Budgets and stops were read once.
    is_set: bool,
}

/// See the module.
pub struct Live {
    config: DecideConfig,
    spend: SharedSpend,
    prices: CurrentBook,
    rules: RwLock<Rules>,
    /// Who is not to be named.
    cover: RwLock<Arc<Cover>>,
    plans: Mutex<Plans>,
    pub(super) promises: Mutex<Promises>,
    journal: Mutex<Journal>,
    ladders: Ladders,
    pub(super) awaited: Arc<Awaited>,
    /// Every threshold is to be judged again.
    look_again: AtomicBool,
    /// Every budget is to be looked at.
    look_soon: AtomicBool,
    /// What was told before this process started, until who watches takes it.
    told: Mutex<Vec<Alert>>,
    /// Alerts that do not follow from totals.
    to_tell: Mutex<Vec<Alert>>,
    /// This process ends, and grants nothing any more.
    is_closed: AtomicBool,
}

impl Live {
    /// Without budgets and stops until they are set; `awaited` is whom the decode threads ask which ids to report.
    #[must_use]
    pub fn new(config: DecideConfig, spend: SharedSpend, prices: CurrentBook, awaited: Arc<Awaited>) -> Self {
        let newest = Arc::clone(&prices.borrow());
        Self {
            spend,
            rules: RwLock::new(Rules {
                book: Arc::default(),
                stops: Stops::default(),
                resets: Arc::default(),
                history: Arc::default(),
                attributes: Arc::new(NoAttributes),
                is_set: false,
            }),
            cover: RwLock::default(),
            plans: Mutex::new(Plans::new(newest)),
            promises: Mutex::new(Promises {
                others: 0,
                is_told: true,
                holds: Holds::new(config.max_holds, Arc::clone(&awaited)),
                limiter: Limiter::new(&config.rate_limits, config.max_rate_scopes),
                last: LastKnown::new(config.max_holds),
            }),
            journal: Mutex::new(Journal::new(config.log_rows, config.sample_allows)),
            ladders: Ladders::new(&config.models),
            awaited,
            look_again: AtomicBool::new(false),
            look_soon: AtomicBool::new(false),
            told: Mutex::default(),
            to_tell: Mutex::default(),
            is_closed: AtomicBool::new(false),
            prices,
            config,
        }
    }

    #[must_use]
    pub fn config(&self) -> &DecideConfig {
        &self.config
    }

    /// What was spent, as decide sees it.
    #[must_use]
    pub fn spend(&self) -> &dyn Spend {
        &*self.spend
    }

    /// The budgets in force.
    #[must_use]
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&self.rules.read().book)
    }

    /// What budgets are judged by at a moment, with totals that the caller has at hand.
    pub fn with_ground<T>(&self, spend: &dyn Spend, now: DateTime<Utc>, look: impl FnOnce(Ground<'_>) -> T) -> T {
        let rules = self.rules.read().clone();
        let prices = Arc::clone(&self.prices.borrow());
        look(Ground {
            book: &rules.book,
            spend,
            rates: Rates { prices: &prices, attributes: &*rules.attributes, now },
            resets: &rules.resets,
        })
    }

    /// Takes new budgets, bound to the plan that live totals follow. What is held for one whose value is spelled otherwise now is held on, and what
    /// it had used is remembered.
    pub fn set_book(&self, book: Arc<Book>) {
        let before = {
            let mut rules = self.rules.write();
            rules.is_set = true;
            std::mem::replace(&mut rules.book, Arc::clone(&book))
        };
        let cell = |entry: &Entry| entry.named().map(|values| entry.cell(&values));
        let old: HashMap<&str, BudgetCell> =
            before.entries().iter().filter_map(|entry| Some((&*entry.budget.id, cell(entry)?))).collect();
        let renamed = book.entries().iter().filter_map(|entry| {
            let (from, to) = (*old.get(&*entry.budget.id)?, cell(entry)?);
            (from != to).then_some((from, to))
        });
        let mut promises = self.promises.lock();
        for (from, to) in renamed {
            promises.holds.rename(from, to);
            promises.last.rename(from, to);
        }
    }

    /// Whether budgets were ever set: until then nothing is known of any.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.rules.read().is_set
    }

    /// The prices in force, to follow.
    #[must_use]
    pub fn prices(&self) -> CurrentBook {
        self.prices.clone()
    }

    /// Compares the scopes of request rates in these words from now on.
    pub fn spell_limits(&self, spell: &dyn Fn(&ScopeKey, &str) -> Option<String>) {
        self.promises.lock().limiter.spell(spell);
    }

    pub fn set_stops(&self, stops: Stops) {
        self.rules.write().stops = stops;
    }

    /// Takes what was spent before resets. `is_news`: not only the figures are newer; thresholds that a reset ends are seen then.
    pub fn set_resets(&self, resets: Arc<Resets>, is_news: bool) {
        self.rules.write().resets = resets;
        if is_news {
            self.look_soon.store(true, Ordering::Release);
        }
    }

    /// Asks by what stands for these persons from now on.
    pub fn set_cover(&self, cover: Arc<Cover>) {
        *self.cover.write() = cover;
    }

    /// Makes a question one about the call as its event will be kept: it meets those budgets and sums, and nothing else is written down.
    pub fn cover(&self, request: &mut Request<'_>) {
        let cover = Arc::clone(&self.cover.read());
        if !cover.is_nothing() {
            cover.request(request);
        }
    }

    pub fn set_history(&self, history: Arc<History>) {
        self.rules.write().history = history;
    }

    pub fn set_attributes(&self, attributes: SharedAttributes) {
        self.rules.write().attributes = attributes;
    }

    /// Has every threshold judged again, also those that were raised: the store knows what was told.
    pub fn look_again(&self) {
        self.look_again.store(true, Ordering::Release);
    }

    /// Whether that was asked for since the last time.
    #[must_use]
    pub fn take_look_again(&self) -> bool {
        self.look_again.swap(false, Ordering::AcqRel)
    }

    /// Alerts about budgets that were told and not taken back before this process started; call it once the budgets are set.
    pub fn recall(&self, told: Vec<Alert>) {
        *self.told.lock() = told;
    }

    /// From now on nothing is granted.
    pub fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// These are to be told, whatever the totals are.
    pub fn tell(&self, alerts: impl IntoIterator<Item = Alert>) {
        self.to_tell.lock().extend(alerts);
    }

    /// The same, once.
    #[must_use]
    pub fn take_to_tell(&self) -> Vec<Alert> {
        std::mem::take(&mut *self.to_tell.lock())
    }

    /// What [`Live::recall`] was given, once.
    #[must_use]
    pub fn take_told(&self) -> Vec<Alert> {
        std::mem::take(&mut *self.told.lock())
    }

    /// Whether figures have changed since the last time by something else than spending.
    #[must_use]
    pub fn take_look_soon(&self) -> bool {
        self.look_soon.swap(false, Ordering::AcqRel)
    }

    /// Decisions to write down, the oldest first.
    #[must_use]
    pub fn take_decisions(&self, most: usize) -> Vec<Row> {
        self.journal.lock().take(most)
    }

    /// Decisions that were dropped because they were not taken in time.
    #[must_use]
    pub fn dropped_decisions(&self) -> u64 {
        self.journal.lock().dropped()
    }

    /// Whether counting the tokens of a request takes so long that it should not hold up others.
    #[must_use]
    pub fn is_slow(request: &Request<'_>) -> bool {
        const SLOW: usize = 4 << 10;
        request.input_tokens.is_none() && request.text.as_ref().is_some_and(|text| text.len() > SLOW)
    }

    /// What a cell of a budget has used in its period of now; `None` where that is not known, or there is no such budget.
    #[must_use]
    pub fn used(&self, budget_id: &str, scope: &ResolvedScope, now: DateTime<Utc>) -> Option<Amount> {
        let rules = self.rules.read().clone();
        let prices = Arc::clone(&self.prices.borrow());
        let entry = rules.book.entries().iter().find(|entry| entry.budget.id == budget_id)?;
        let values: Vec<Option<&str>> = rules.book.keys(entry).keys().iter().map(|key| scope.get(key)).collect();
        let ground = Ground {
            book: &rules.book,
            spend: &*self.spend,
            rates: Rates { prices: &prices, attributes: &*rules.attributes, now },
            resets: &rules.resets,
        };
        ground.standing(entry, &values, Quarter::of(now)).ok().map(|standing| standing.used)
    }

    /// Answers one request.
    ///
    /// # Errors
    /// When its counts contradict each other or its amount does not fit.
    pub fn decide(&self, request: &Request<'_>, now: DateTime<Utc>) -> Result<Answer, RequestError> {
        let rules = self.rules.read().clone();
        let prices = Arc::clone(&self.prices.borrow());
        let quoting = Prices { book: &prices, history: &rules.history, config: &self.config, now };
        let plan = self.plan(&prices, &cost::question(request));
        let quote = self.quote(request, &quoting, &plan)?;
        let sent = request.texts.get(Text::ProviderSent);
        let known = plan.as_ref().ok();
        let subject = Subject {
            request,
            provider: known
                .map(|plan| plan.provider_id.as_str())
                .or_else(|| sent.and_then(|sent| prices.provider_id(sent)))
                .or(sent),
            model_id: known.map(|plan| plan.model_id.as_str()),
            // The calls of a run may differ in these.
            place: known.filter(|_| !request.is_run()).map(|plan| (plan.service_tier.as_str(), plan.region.as_deref())),
            user: request.texts.get(Text::UserId).and_then(|user| rules.attributes.spelled(&USER, user)),
            owner: rules.attributes.owner(&|key| subject::sent(request, key), now),
            now,
        };
        let world = World {
            ground: Ground {
                book: &rules.book,
                spend: &*self.spend,
                rates: Rates { prices: &prices, attributes: &*rules.attributes, now },
                resets: &rules.resets,
            },
            stops: &rules.stops,
            config: &self.config,
            is_set: rules.is_set,
        };
        let verdict = decide(&subject, &quote, &world, &mut self.promises.lock());
        let suggestion = self.suggestion(&verdict, &subject, &quote, &plan, &quoting);
        let telling = Telling {
            subject: &subject,
            quote: &quote,
            world: &world,
            verdict: &verdict,
            suggestion: suggestion.as_ref(),
            currency: prices.currency(),
            as_of: self.spend.as_of().newest.and_then(DateTime::from_timestamp_micros),
        };
        self.write_down(&telling);
        Ok(telling.answer())
    }

    fn plan(&self, book: &Arc<PriceBook>, question: &Question<'_>) -> Found {
        let mut plans = self.plans.lock();
        plans.refresh(book);
        plans.find(question)
    }

    fn quote(&self, request: &Request<'_>, prices: &Prices<'_>, plan: &Found) -> Result<Quote, RequestError> {
        if request.is_run() {
            return prices.run(request);
        }
        let stand_in = match self.config.unpriced_as.split_once('/').filter(|_| plan.is_err()) {
            Some((provider, model)) => {
                let question = Question { provider: Some(provider), model: Some(model), ..Question::default() };
                self.plans.lock().find(&question).ok()
            }
            None => None,
        };
        prices.call(request, self.tokens(request), plan, stand_in.as_deref())
    }

    fn tokens(&self, request: &Request<'_>) -> TokenCount {
        let text = request.text.as_deref().unwrap_or_default();
        match request.input_tokens {
            Some(tokens) => TokenCount { tokens, basis: Basis::Given },
            None if text.len() > self.config.max_tokenized_bytes => {
                let tokens = i64::try_from(text.chars().count().div_ceil(4)).unwrap_or(i64::MAX);
                TokenCount { tokens, basis: Basis::Characters }
            }
            None => tokens_of_text(request.texts.get(Text::Model).unwrap_or_default(), text),
        }
    }

    fn suggestion(
        &self,
        verdict: &Verdict<'_>,
        subject: &Subject<'_>,
        quote: &Quote,
        plan: &Found,
        prices: &Prices<'_>,
    ) -> Option<Suggestion> {
        let (step, plan) = (verdict.step?, plan.as_ref().ok()?);
        let asked = cost::question(subject.request);
        let task_type = subject.request.texts.get(Text::TaskType);
        // Nobody knows the tokens of a whole run: its models are compared by a usual call, and what it saves is not said.
        let is_run = subject.request.is_run();
        let (counts, cost) = if is_run {
            let usual = usual_call();
            (usual, prices.price(plan, &usual).ok()?)
        } else {
            (quote.counts, quote.amount)
        };
        let found = self.ladders.suggest(plan, cost, task_type, step, |provider, model| {
            let question = Question { provider: Some(provider), model: Some(model), ..asked };
            let plan = self.plans.lock().find(&question).ok()?;
            let amount = prices.price(&plan, &counts).ok()?;
            Some((plan, amount))
        });
        found.map(|found| Suggestion { savings: found.savings.filter(|_| !is_run), ..found })
    }

    fn write_down(&self, telling: &Telling<'_, '_>) {
        let verdict = telling.verdict;
        let is_plain = verdict.is_allowed() && verdict.strategy == Strategy::None;
        let wanted = self.journal.lock().wants(is_plain);
        if let Some(sampled) = wanted {
            let row = telling.row(sampled);
            self.journal.lock().push(row);
        }
    }
}
