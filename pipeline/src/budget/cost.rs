//! What a call, or a whole evaluation run, would cost. In: a request, its tokens, the price book's plan, what such calls needed
//! before; out: an exact amount and what it rests on. Pure; plans are kept, as looking one up costs more than a decision.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hashbrown::HashMap;
use rust_decimal::Decimal;
use spendstream_schemas::config::{DecideConfig, UnpricedPolicy};
use spendstream_schemas::count::Counts;
use spendstream_schemas::decision::{Basis, Request, RequestError};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::estimate::{self, OutputBasis, OutputQuestion, TokenCount};
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::{Plan, PriceBook, Question, Unpriced, Usage};
use xxhash_rust::xxh3::xxh3_128;

use super::history::History;
use crate::aggregate::key;

/// Plans that are kept; at the limit all are forgotten and looked up again.
const MAX_PLANS: usize = 10_000;

/// Prices for a question, or one line why there are none.
pub type Found = Result<Arc<Plan>, Arc<str>>;

/// Plans of one price book.
#[derive(Debug)]
pub struct Plans {
    book: Arc<PriceBook>,
    by_question: HashMap<u128, Found>,
}

impl Plans {
    #[must_use]
    pub fn new(book: Arc<PriceBook>) -> Self {
        Self { book, by_question: HashMap::new() }
    }

    /// Takes the newest book.
    pub fn refresh(&mut self, book: &Arc<PriceBook>) {
        if !Arc::ptr_eq(&self.book, book) {
            *self = Self::new(Arc::clone(book));
        }
    }

    /// The prices for a question.
    ///
    /// # Errors
    /// Why there are none.
    pub fn find(&mut self, question: &Question<'_>) -> Found {
        let Question { provider, model, service_tier, region, organization, billing_account, operation, .. } =
            *question;
        let words = [provider, model, service_tier, region, organization, billing_account, operation];
        let hash = xxh3_128(&key::of(&words));
        if let Some(found) = self.by_question.get(&hash) {
            return found.clone();
        }
        let found = match estimate::resolve(&self.book, question) {
            Ok(plan) => Ok(Arc::new(plan)),
            Err(error) => Err(Arc::from(error.to_string())),
        };
        if self.by_question.len() >= MAX_PLANS {
            self.by_question.clear();
        }
        self.by_question.insert(hash, found.clone());
        found
    }
}

/// The question that a request asks the price book.
#[must_use]
pub fn question<'a>(request: &'a Request<'_>) -> Question<'a> {
    let text = |text| request.texts.get(text);
    Question {
        provider: text(Text::ProviderSent),
        model: text(Text::Model),
        service_tier: text(Text::ServiceTier),
        region: text(Text::Region),
        organization: text(Text::Organization),
        billing_account: text(Text::BillingAccount),
        operation: text(Text::Operation),
        model_answered: None,
    }
}

/// What a call would cost.
#[derive(Clone, Debug)]
pub struct Quote {
    pub amount: Amount,
    pub basis: Basis,
    /// `None` for evaluation runs.
    pub input_basis: Option<estimate::Basis>,
    /// One line why the model has no price.
    pub unpriced: Option<String>,
    pub counts: Counts,
}

/// What quotes are made from.
#[derive(Clone, Copy)]
pub struct Prices<'a> {
    pub book: &'a PriceBook,
    pub history: &'a History,
    pub config: &'a DecideConfig,
    pub now: DateTime<Utc>,
}

impl Prices<'_> {
    /// The quote for one call. `stand_in` is the plan of `decide.unpriced_as`.
    ///
    /// # Errors
    /// When the counts contradict each other.
    pub fn call(
        &self,
        request: &Request<'_>,
        input: TokenCount,
        plan: &Found,
        stand_in: Option<&Plan>,
    ) -> Result<Quote, RequestError> {
        let (output, basis) = self.output(request, input.tokens, plan);
        let invalid = |error: estimate::EstimateError| RequestError(error.to_string());
        let counts = estimate::settle(request.parts, input.tokens, output).map_err(invalid)?;
        let quote = |amount, basis, unpriced| Quote { amount, basis, input_basis: Some(input.basis), unpriced, counts };
        let why = match plan {
            Ok(plan) => match self.price(plan, &counts) {
                Ok(amount) => return Ok(quote(amount, basis_word(basis), None)),
                Err(Unpriced::AmountTooLarge) => return Ok(quote(Amount::MAX, basis_word(basis), None)),
                Err(why) => why.to_string(),
            },
            Err(why) => why.to_string(),
        };
        if self.config.unpriced == UnpricedPolicy::Estimate
            && let Some(Ok(amount)) = stand_in.map(|plan| self.price(plan, &counts))
        {
            return Ok(quote(amount, Basis::StandIn, None));
        }
        Ok(quote(Amount::ZERO, Basis::Unpriced, Some(why)))
    }

    /// The exact price of counts by a plan.
    ///
    /// # Errors
    /// Why there is none.
    pub fn price(&self, plan: &Plan, counts: &Counts) -> Result<Amount, Unpriced> {
        let usage = Usage { counts, quantities: &[], committed: false, cache_hit: false };
        plan.price(self.now.timestamp_micros(), &usage).map(|priced| priced.cost)
    }

    fn output(&self, request: &Request<'_>, input: i64, plan: &Found) -> (i64, OutputBasis) {
        let text = |text| request.texts.get(text);
        let task_type = text(Text::TaskType);
        let p95 = plan.as_ref().ok().and_then(|plan| {
            self.history.output_p95(text(Text::Organization), text(Text::Project), &plan.model_id, task_type)
        });
        let question = OutputQuestion {
            output_tokens: request.output_tokens,
            max_output_tokens: request.max_output_tokens,
            operation: text(Text::Operation),
            task_type,
        };
        question.expect_tokens(input, p95)
    }

    /// The quote for an evaluation run: every item by every metric, at the project's own cost where it has one.
    ///
    /// # Errors
    /// When the amount does not fit.
    pub fn run(&self, request: &Request<'_>) -> Result<Quote, RequestError> {
        let items = i128::from(request.items.unwrap_or_default());
        let text = |text| request.texts.get(text);
        let (mut units, mut basis, mut unpriced) = (0_i128, Basis::MetricHistory, None);
        for metric in &request.metrics {
            let own = self.history.metric_cost(text(Text::Organization), text(Text::Project), metric);
            let each = own.unwrap_or_else(|| {
                basis = Basis::MetricDefault;
                self.default_metric().unwrap_or_else(|| {
                    unpriced = Some(format!("no exchange rate from USD to {} is in force", self.book.currency()));
                    Amount::ZERO
                })
            });
            units = units.saturating_add(each.units().saturating_mul(items));
        }
        let amount = Amount::from_units(units)
            .map_err(|error| RequestError(format!("'items' by 'metrics' costs too much to say: {error}")))?;
        let basis = if unpriced.is_some() { Basis::Unpriced } else { basis };
        Ok(Quote { amount, basis, input_basis: None, unpriced, counts: Counts::default() })
    }

    fn default_metric(&self) -> Option<Amount> {
        let dollars: Decimal = self.config.metric_cost;
        self.book.convert(dollars, "USD", self.now.timestamp_micros())
    }
}

fn basis_word(basis: OutputBasis) -> Basis {
    match basis {
        OutputBasis::Given => Basis::Given,
        OutputBasis::MaxOutputTokens => Basis::MaxOutputTokens,
        OutputBasis::P95 => Basis::P95,
        OutputBasis::TaskType => Basis::TaskType,
        OutputBasis::Ratio => Basis::Ratio,
    }
}
