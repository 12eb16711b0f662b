//! "May this call run?": the words of `POST /v1/decide`. In: a request body; out: a typed [`Request`], and the [`Answer`] and
//! [`Refusal`] that are written back. It decides nothing and reads no clock.

mod answer;
mod request;

use serde::{Deserialize, Serialize};

pub use answer::{Answer, BudgetLine, ErrorBody, Refusal, Would};
pub use request::{Request, RequestError};

/// How much a call matters; critical calls are never blocked by a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Critical,
}

impl Priority {
    /// The word in requests and in the table `decisions`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Priority::Low => "low",
            Priority::Normal => "normal",
            Priority::High => "high",
            Priority::Critical => "critical",
        }
    }

    /// The priority of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Priority::Low, Priority::Normal, Priority::High, Priority::Critical].into_iter().find(|one| one.word() == word)
    }
}

/// What the caller should do; only `block` and an `allow` of false refuse the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Go on.
    #[default]
    None,
    /// Send fewer of these.
    ReduceRate,
    /// Use `suggested_model`.
    DowngradeModel,
    /// Answer without a model.
    Fallback,
    /// Do not call.
    Block,
}

impl Strategy {
    /// The word in answers and in the table `decisions`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Strategy::None => "none",
            Strategy::ReduceRate => "reduce_rate",
            Strategy::DowngradeModel => "downgrade_model",
            Strategy::Fallback => "fallback",
            Strategy::Block => "block",
        }
    }
}

/// What an estimate rests on: for calls the output tokens, for evaluation runs the cost per item and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// `output_tokens` were given.
    Given,
    /// The upper bound was given.
    MaxOutputTokens,
    /// What 95 of 100 such calls of the scope needed over 30 days.
    P95,
    /// 50 for classification, 0.5 × input for summarisation, 0.8 × for question answering.
    TaskType,
    /// 1.5 × input.
    Ratio,
    /// An evaluation run: every metric has a cost of the project's own.
    MetricHistory,
    /// An evaluation run: at least one metric is taken at the configured cost.
    MetricDefault,
    /// By the price of the configured stand-in model.
    StandIn,
    /// The model has no price: judged as 0.
    Unpriced,
}

impl Basis {
    /// The word in answers and in the table `decisions`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Basis::Given => "given",
            Basis::MaxOutputTokens => "max_output_tokens",
            Basis::P95 => "p95",
            Basis::TaskType => "task_type",
            Basis::Ratio => "ratio",
            Basis::MetricHistory => "metric_history",
            Basis::MetricDefault => "metric_default",
            Basis::StandIn => "stand_in",
            Basis::Unpriced => "unpriced",
        }
    }
}

#[cfg(test)]
mod tests;
