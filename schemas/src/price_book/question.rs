//! The words between a price book and who asks it: question, plan, usage, answer.

use std::borrow::Cow;

use rust_decimal::Decimal;
use thiserror::Error;

use super::plan::Timetable;
use crate::count::Counts;
use crate::money::Amount;
use crate::note::{CostQuality, Notes};
use crate::usage_event::Quantity;

/// What decides which prices apply, except time and counts. Words as the event sent them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Question<'a> {
    pub provider: Option<&'a str>,
    pub model: Option<&'a str>,
    pub service_tier: Option<&'a str>,
    pub region: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub billing_account: Option<&'a str>,
    pub operation: Option<&'a str>,
    /// The model that the answer names: asked for where the book does not know `model`.
    pub model_answered: Option<&'a str>,
}

/// What one call used.
#[derive(Clone, Copy, Debug)]
pub struct Usage<'a> {
    pub counts: &'a Counts,
    /// By meter name ([`crate::meter`]); names are unique.
    pub quantities: &'a [Quantity<'a>],
    /// Runs on capacity paid for otherwise: costs 0, `list_cost` stays at on-demand.
    pub committed: bool,
    /// Answered from the app's own response cache: costs 0, `cache_savings` is what it would have cost.
    pub cache_hit: bool,
}

/// The prices that apply to a question at any time.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The book's provider id.
    pub provider_id: String,
    /// The book's model id.
    pub model_id: String,
    /// The book's word; `standard` when none was sent.
    pub service_tier: String,
    /// The book's word; `None` where the price does not depend on it.
    pub region: Option<String>,
    /// What matching had to assume.
    pub notes: Notes,
    /// What else pricing looked at, for the column `pricing_inputs`; sorted by name.
    pub pricing_inputs: Vec<(String, String)>,
    pub(super) timetable: Timetable,
}

/// The answer: amounts in the lake's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced<'a> {
    /// The sum of the five parts.
    pub cost: Amount,
    pub list_cost: Amount,
    pub input_cost: Amount,
    pub output_cost: Amount,
    pub cache_read_cost: Amount,
    pub cache_write_cost: Amount,
    pub other_cost: Amount,
    pub cache_savings: Amount,
    /// Which price of the book was used.
    pub price_id: &'a str,
    /// The price's own currency.
    pub price_currency: &'a str,
    /// Units of the lake's currency per unit of the price's; 1 when they are the same.
    pub fx_rate: Decimal,
    /// Those of the plan and those that pricing added.
    pub notes: Notes,
    pub quality: CostQuality,
    /// `standard` or `committed`.
    pub category: &'static str,
}

impl Priced<'_> {
    /// The amounts in the order of `table::usage::MONEY`, without the last (`reported_cost`), which no price decides.
    #[must_use]
    pub fn amounts(&self) -> [Amount; 8] {
        [
            self.cost,
            self.list_cost,
            self.input_cost,
            self.output_cost,
            self.cache_read_cost,
            self.cache_write_cost,
            self.other_cost,
            self.cache_savings,
        ]
    }
}

/// Why a row has no price. Its event is kept, counted and priced later by a reprice.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unpriced {
    #[error("no provider was sent, and the model does not name one")]
    NoProvider,
    #[error("provider '{provider}' is not in the price book")]
    UnknownProvider { provider: String },
    #[error("model '{model}' of provider '{provider}' is not in the price book")]
    UnknownModel { provider: String, model: String },
    #[error("{provider}/{model} has no price in force at the time of the call")]
    NoPriceAtTime { provider: String, model: String },
    #[error("{provider}/{model} has no price for meter '{meter}'")]
    NoPriceForMeter { provider: String, model: String, meter: Cow<'static, str> },
    #[error("no exchange rate from {from} to {to} is in force at the time of the call")]
    NoExchangeRate { from: String, to: String },
    #[error("the amount does not fit the money columns")]
    AmountTooLarge,
    #[error("a part of the counts is larger than its whole ({meter})")]
    InconsistentCounts { meter: &'static str },
}

impl Unpriced {
    /// The word in `unpriced_reason` and in metrics.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Unpriced::NoProvider | Unpriced::UnknownProvider { .. } => "unknown_provider",
            Unpriced::UnknownModel { .. } => "unknown_model",
            Unpriced::NoPriceAtTime { .. } => "no_price_at_time",
            Unpriced::NoPriceForMeter { .. } => "no_price_for_meter",
            Unpriced::NoExchangeRate { .. } => "no_exchange_rate",
            Unpriced::AmountTooLarge => "amount_too_large",
            Unpriced::InconsistentCounts { .. } => "inconsistent_counts",
        }
    }

    /// The column `unpriced_reason`: the word, and for a meter its name (`no_price_for_meter:web_search`).
    #[must_use]
    pub fn reason(&self) -> Cow<'static, str> {
        match self {
            Unpriced::NoPriceForMeter { meter, .. } => format!("no_price_for_meter:{meter}").into(),
            other => other.word().into(),
        }
    }
}
