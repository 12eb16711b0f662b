//! What would a call cost? In come a model and tokens or text, out comes an exact amount and what it rests on.
//!
//! The price is the price book's, by the same arithmetic as the ledger's. Pure: the book and the time are arguments.

mod tokens;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::count::{Count, Counts};
use crate::money::Amount;
use crate::note::Note;
use crate::price_book::{Plan, PriceBook, Question, Unpriced, Usage};

pub use tokens::{Basis, TokenCount, tokens_of_text};

/// Providers that sell models of their own; others resell them.
const VENDORS: [&str; 7] = ["openai", "anthropic", "google", "mistral", "deepseek", "xai", "cohere"];

/// What `task_type` may be.
pub const TASK_TYPES: [&str; 3] = ["classification", "summarisation", "question_answering"];

/// What calls of a kind usually answer with.
enum Usual {
    Tokens(i64),
    /// Tenths of the input.
    Tenths(i64),
}

/// How the kinds of [`TASK_TYPES`] are spelt, in their order.
const SPELLINGS: [(Usual, &[&str]); 3] = [
    (Usual::Tokens(50), &["classification"]),
    (Usual::Tenths(5), &["summarisation", "summarization"]),
    (Usual::Tenths(8), &["question_answering", "question answering", "question-answering", "qa"]),
];

/// A question as clients send it. Counts are as in event v1: `input_tokens` and `output_tokens` are totals.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EstimateRequest {
    /// May be absent when the model's name says enough.
    pub provider: Option<String>,
    pub model: String,
    pub service_tier: Option<String>,
    pub region: Option<String>,
    pub organization: Option<String>,
    pub operation: Option<String>,
    /// All input tokens; counted from `text` when absent.
    pub input_tokens: Option<i64>,
    /// The prompt; it is counted and forgotten.
    pub text: Option<String>,
    pub output_tokens: Option<i64>,
    /// Taken for `output_tokens` when those are absent.
    pub max_output_tokens: Option<i64>,
    /// Decides the expected output when neither is given: one of [`TASK_TYPES`], or nothing.
    pub task_type: Option<String>,
    pub cache_read_tokens: i64,
    pub cache_write_tokens: i64,
    pub cache_write_1h_tokens: i64,
    pub audio_input_tokens: i64,
    pub image_input_tokens: i64,
    pub reasoning_tokens: i64,
    pub audio_output_tokens: i64,
    pub web_searches: i64,
}

/// Where the number of output tokens comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputBasis {
    /// Given as `output_tokens`.
    Given,
    /// The upper bound that was given.
    MaxOutputTokens,
    /// What 95 of 100 such calls needed before.
    P95,
    /// 50 for classification, 0.5 × input for summarisation, 0.8 × for question answering.
    TaskType,
    /// 1.5 × input: nothing better is known.
    Ratio,
}

/// The answer; money is exact text in the book's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// The book's id of the provider.
    pub provider: String,
    /// The model as it was asked for.
    pub model: String,
    /// The book's id of the model.
    pub model_id: String,
    pub service_tier: String,
    pub region: Option<String>,
    pub currency: String,
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// Where `input_tokens` comes from.
    pub basis: Basis,
    pub output_basis: OutputBasis,
    pub estimated_cost: String,
    /// Before the organisation's own prices.
    pub list_cost: String,
    pub input_cost: String,
    pub output_cost: String,
    pub cache_read_cost: String,
    pub cache_write_cost: String,
    pub other_cost: String,
    /// What had to be assumed, as in `price_notes`.
    pub price_notes: Vec<&'static str>,
    pub price_id: String,
    pub price_book_version: String,
}

/// Why there is no estimate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EstimateError {
    #[error("{0}")]
    Invalid(String),
    #[error("no price: {0}")]
    Unpriced(#[from] Unpriced),
}

/// What the call would cost at `now_micros` (microseconds since the epoch, UTC).
///
/// # Errors
/// When counts are missing, negative or contradict each other, or the book has no price for the call.
pub fn estimate(book: &PriceBook, request: &EstimateRequest, now_micros: i64) -> Result<Estimate, EstimateError> {
    if request.model.is_empty() {
        return Err(EstimateError::Invalid("'model' is missing".into()));
    }
    let input = match (request.input_tokens, &request.text) {
        (Some(tokens), _) => TokenCount { tokens, basis: Basis::Given },
        (None, Some(text)) => tokens_of_text(&request.model, text),
        (None, None) => return Err(EstimateError::Invalid("give 'input_tokens' or 'text'".into())),
    };
    request.check_task_type()?;
    book.check_tier(request.service_tier.as_deref()).map_err(EstimateError::Invalid)?;
    let (output, output_basis) = request.output().expect_tokens(input.tokens, None);
    let counts = settle(request.parts(), input.tokens, output)?;
    let plan = resolve(book, &question(request))?;
    let usage = Usage { counts: &counts, quantities: &[], committed: false, cache_hit: false };
    let priced = plan.price(now_micros, &usage)?;
    let text = |amount: Amount| amount.to_string();
    Ok(Estimate {
        provider: plan.provider_id.clone(),
        model: request.model.clone(),
        model_id: plan.model_id.clone(),
        service_tier: plan.service_tier.clone(),
        region: plan.region.clone(),
        currency: book.currency().to_owned(),
        input_tokens: input.tokens,
        output_tokens: output,
        basis: input.basis,
        output_basis,
        estimated_cost: text(priced.cost),
        list_cost: text(priced.list_cost),
        input_cost: text(priced.input_cost),
        output_cost: text(priced.output_cost),
        cache_read_cost: text(priced.cache_read_cost),
        cache_write_cost: text(priced.cache_write_cost),
        other_cost: text(priced.other_cost),
        price_notes: priced.notes.iter().map(Note::name).collect(),
        price_id: priced.price_id.to_owned(),
        price_book_version: book.version().to_owned(),
    })
}

/// The prices for a question; where it names no provider, those of the vendor whose model it is.
///
/// # Errors
/// When the book does not know the model, or several sell it and none is its vendor.
pub fn resolve(book: &PriceBook, question: &Question<'_>) -> Result<Plan, EstimateError> {
    match book.resolve(question) {
        Err(Unpriced::NoProvider) => {
            let provider = Some(vendor(book, question.model.unwrap_or_default())?);
            Ok(book.resolve(&Question { provider, ..*question })?)
        }
        plan => Ok(plan?),
    }
}

/// Who sells a model when nobody was named: the only one who does, or the vendor itself.
fn vendor<'a>(book: &'a PriceBook, model: &str) -> Result<&'a str, EstimateError> {
    let mut sellers = book
        .rows()
        .iter()
        .filter(|row| row.model.eq_ignore_ascii_case(model))
        .map(|row| &*row.provider)
        .collect::<Vec<_>>();
    sellers.dedup();
    match sellers.as_slice() {
        [] => Err(EstimateError::Invalid(format!(
            "nobody in the price book sells '{model}' under that name; give 'provider' too"
        ))),
        [only] => Ok(only),
        several => several.iter().copied().find(|seller| VENDORS.contains(seller)).ok_or_else(|| {
            EstimateError::Invalid(format!("'{model}' is sold by {}; say which with 'provider'", several.join(", ")))
        }),
    }
}

fn question(request: &EstimateRequest) -> Question<'_> {
    Question {
        provider: request.provider.as_deref(),
        model: Some(&request.model),
        service_tier: request.service_tier.as_deref(),
        region: request.region.as_deref(),
        organization: request.organization.as_deref(),
        billing_account: None,
        operation: request.operation.as_deref(),
        model_answered: None,
    }
}

impl EstimateRequest {
    /// A misspelt kind of task would quietly be estimated as any other.
    fn check_task_type(&self) -> Result<(), EstimateError> {
        let Some(asked) = &self.task_type else { return Ok(()) };
        if SPELLINGS.iter().any(|(_, words)| words.iter().any(|word| asked.eq_ignore_ascii_case(word))) {
            return Ok(());
        }
        let known = TASK_TYPES.join(", ");
        Err(EstimateError::Invalid(format!(
            "task_type '{asked}' is not known; it is one of {known}, or is left out for anything else"
        )))
    }

    fn output(&self) -> OutputQuestion<'_> {
        OutputQuestion {
            output_tokens: self.output_tokens,
            max_output_tokens: self.max_output_tokens,
            operation: self.operation.as_deref(),
            task_type: self.task_type.as_deref(),
        }
    }

    fn parts(&self) -> Counts {
        let mut counts = Counts::default();
        for (count, value) in [
            (Count::CacheRead, self.cache_read_tokens),
            (Count::CacheWrite, self.cache_write_tokens),
            (Count::CacheWrite1h, self.cache_write_1h_tokens),
            (Count::AudioInput, self.audio_input_tokens),
            (Count::ImageInput, self.image_input_tokens),
            (Count::Reasoning, self.reasoning_tokens),
            (Count::AudioOutput, self.audio_output_tokens),
            (Count::WebSearches, self.web_searches),
        ] {
            counts.set(count, value);
        }
        counts
    }
}

/// What is known of a call's output before it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputQuestion<'a> {
    pub output_tokens: Option<i64>,
    pub max_output_tokens: Option<i64>,
    pub operation: Option<&'a str>,
    pub task_type: Option<&'a str>,
}

impl OutputQuestion<'_> {
    /// The given number, the given bound, what such calls needed (`p95`), or what calls of that kind usually need.
    #[must_use]
    pub fn expect_tokens(&self, input: i64, p95: Option<i64>) -> (i64, OutputBasis) {
        let tenths = |tenths: i64| input.saturating_mul(tenths).saturating_add(9) / 10;
        let task = self.task_type.unwrap_or_default();
        let usual = SPELLINGS.iter().find(|(_, words)| words.iter().any(|word| task.eq_ignore_ascii_case(word)));
        if let Some(tokens) = self.output_tokens {
            return (tokens, OutputBasis::Given);
        }
        if let Some(tokens) = self.max_output_tokens {
            return (tokens, OutputBasis::MaxOutputTokens);
        }
        if self.operation == Some("embeddings") {
            return (0, OutputBasis::TaskType);
        }
        if let Some(tokens) = p95 {
            return (tokens, OutputBasis::P95);
        }
        match usual {
            Some((Usual::Tokens(tokens), _)) => (*tokens, OutputBasis::TaskType),
            Some((Usual::Tenths(share), _)) => (tenths(*share), OutputBasis::TaskType),
            None => (tenths(15), OutputBasis::Ratio),
        }
    }
}

/// Disjoint counts from totals and their parts.
///
/// # Errors
/// When a count is negative, or the cached tokens are more than all.
pub fn settle(parts: Counts, input: i64, output: i64) -> Result<Counts, EstimateError> {
    let mut counts = parts;
    counts.set(Count::Input, input);
    counts.set(Count::Output, output);
    counts.set(Count::UncachedInput, 0);
    for count in Count::ALL {
        if counts.get(count) < 0 {
            return Err(EstimateError::Invalid(format!("'{}' is negative", count.column())));
        }
    }
    let cached = [Count::CacheRead, Count::CacheWrite, Count::CacheWrite1h]
        .into_iter()
        .fold(0_i64, |sum, count| sum.saturating_add(counts.get(count)));
    if cached > input {
        return Err(EstimateError::Invalid(format!(
            "the cached tokens ({cached}) are more than all input tokens ({input}), which include them"
        )));
    }
    counts.set(Count::UncachedInput, input - cached);
    Ok(counts)
}

#[cfg(test)]
mod tests;
