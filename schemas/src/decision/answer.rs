//! What decide answers: always 200 with an [`Answer`]; a refused one carries the [`Refusal`] to pass on. Money and percentages
//! are texts with the exact figure.

use serde::Serialize;

use super::{Basis, Strategy};

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    pub allow: bool,
    pub strategy: Strategy,
    /// One line each, the weightiest first.
    pub reasons: Vec<String>,
    /// Budgets that the call goes beyond, the tightest first.
    pub violated: Vec<BudgetLine>,
    /// Budgets that come near, the tightest first.
    pub warnings: Vec<BudgetLine>,
    /// The price book's id of a cheaper model that may stand in.
    pub suggested_model: Option<String>,
    pub suggested_provider: Option<String>,
    /// What the suggested model costs less, for this call; null for an evaluation run.
    pub savings: Option<String>,
    pub estimated_cost: String,
    /// The lake's; of every amount in the answer.
    pub currency: String,
    pub basis: Basis,
    /// Where the input tokens come from: `given`, `tokenizer`, …; absent for evaluation runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_basis: Option<&'static str>,
    /// Whether the estimate is held until the event with this `id` arrives.
    pub held: bool,
    pub retry_after_seconds: Option<i64>,
    /// Event time that the totals cover, RFC 3339; null while nothing was read.
    pub as_of: Option<String>,
    /// The response to pass on when the call is refused.
    pub body: Option<Refusal>,
    /// The HTTP status that belongs to `body`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// In shadow mode: what had been decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would: Option<Box<Would>>,
}

/// What shadow mode held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Would {
    pub allow: bool,
    pub strategy: Strategy,
    pub suggested_model: Option<String>,
    pub retry_after_seconds: Option<i64>,
    pub body: Option<Refusal>,
}

/// One budget as the call sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetLine {
    pub budget_id: String,
    pub name: String,
    /// `team=search`, `everything`.
    pub scope: String,
    pub used: String,
    pub held: String,
    pub limit: String,
    /// Of used + held + the estimate, four decimals, rounded down.
    pub percent: String,
    pub hard_limit: bool,
    /// RFC 3339.
    pub period_start: String,
    /// RFC 3339, exclusive: when the budget starts afresh.
    pub period_end: String,
}

/// An error body in the form that LLM clients know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub error: ErrorBody,
}

/// See [`Refusal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// `cost_limit_exceeded`, `rate_limit_exceeded`, `blocked`, `budget_unknown` or `unpriced_model`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_cost: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// RFC 3339: when it is worth asking again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<i64>,
}
