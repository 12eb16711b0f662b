//! The words that a book gives a call: its ids of provider and model, tier and region, and what else pricing looked at. In: a question and its answer.
//! Out: texts for the columns beside the money. Pure; the same for a call that has just come and for a row that is priced again.

use spendstream_schemas::note::Note;
use spendstream_schemas::price_book::{Plan, PriceBook, Question, Unpriced};

/// Key of `pricing_inputs`: the service tier as it was sent, where the lake's column says something else.
pub const TIER_SENT: &str = "service_tier_sent";
/// Key of `pricing_inputs`: the region as it was sent, where the lake's column says something else; empty for none.
pub const REGION_SENT: &str = "region_sent";
/// Key of `pricing_inputs`: the model that the answer names, where the price was looked for by it.
pub const MODEL_ANSWERED: &str = "model_answered";
/// The service tier of who says nothing.
pub const STANDARD_TIER: &str = "standard";

/// Texts of a row; `None` where the column is null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub provider: Option<String>,
    pub model_id: Option<String>,
    pub service_tier: Option<String>,
    pub region: Option<String>,
    /// Entries of `pricing_inputs`.
    pub inputs: Vec<(String, String)>,
}

/// The words of a question that the book resolved, or could not.
#[must_use]
pub fn of(book: &PriceBook, question: &Question<'_>, plan: &Result<Plan, Unpriced>) -> Words {
    let Ok(plan) = plan else {
        let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
        return Words {
            provider: owned(question.provider.and_then(|name| book.provider_id(name))),
            model_id: None,
            service_tier: owned(question.service_tier),
            region: owned(question.region),
            // Kept, so that a later book finds it.
            inputs: question
                .model_answered
                .map(|model| (MODEL_ANSWERED.to_owned(), model.to_owned()))
                .into_iter()
                .collect(),
        };
    };
    let mut inputs = plan.pricing_inputs.clone();
    let mut add = |name: &str, sent: Option<&str>| inputs.push((name.to_owned(), sent.unwrap_or_default().to_owned()));
    if plan.notes.contains(Note::ModelOfAnswer) {
        add(MODEL_ANSWERED, question.model_answered);
    }
    let known = |name: &str| plan.pricing_inputs.iter().any(|(other, _)| other == name);
    if !known(TIER_SENT) && plan.service_tier != question.service_tier.unwrap_or(STANDARD_TIER) {
        add(TIER_SENT, question.service_tier);
    }
    if !known(REGION_SENT) && plan.region.as_deref() != question.region {
        add(REGION_SENT, question.region);
    }
    Words {
        provider: Some(plan.provider_id.clone()),
        model_id: Some(plan.model_id.clone()),
        service_tier: Some(plan.service_tier.clone()),
        region: plan.region.clone(),
        inputs,
    }
}
