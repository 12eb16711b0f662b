//! `[decide]`: what `POST /v1/decide` answers by. In: what was typed; out: typed and checked limits, percentages and lists.
//!
//! Never looks at prices or budgets: whether a named model is in the price book is found when it is asked for.

use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Text, millis};
use crate::budget::Scope;

/// Figures, policies and bounds of decide. Percentages are of a budget's amount and count used + held + the estimate.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct DecideConfig {
    /// Only report: everything is allowed, and the answer's `would` says what had been decided.
    pub shadow: bool,
    /// From here on `reduce_rate` for low priority and `downgrade_model` otherwise.
    #[serde(with = "decimal")]
    pub cheaper_percent: Decimal,
    /// From here on the cheapest suitable model, and `fallback` for low priority.
    #[serde(with = "decimal")]
    pub cheapest_percent: Decimal,
    /// How long an allowed estimate is held while its event has not arrived.
    #[serde(with = "millis")]
    pub hold_ttl: Duration,
    /// The longest `hold_seconds` that a request may ask for (evaluation runs).
    #[serde(with = "millis")]
    pub max_hold_ttl: Duration,
    /// Estimates held at a time; further ones are answered but not held, and the answer says so. About 250 bytes each.
    pub max_holds: usize,
    /// While the total of a hard budget is not known: after a start, for a new budget.
    pub unknown: UnknownPolicy,
    /// Models that the price book has no price for.
    pub unpriced: UnpricedPolicy,
    /// `provider/model` whose price stands in with `unpriced = "estimate"`.
    pub unpriced_as: String,
    /// Whether an emergency stop holds for critical calls too. Budgets never block those.
    pub stop_critical: bool,
    /// One of so many allowed calls is written to the table `decisions`; 0: none. What was not simply allowed always is.
    pub sample_allows: u32,
    /// Decisions that may wait to be written; further ones are dropped and counted.
    pub log_rows: usize,
    /// How often logged decisions are written to the lake.
    #[serde(with = "millis")]
    pub log_interval: Duration,
    /// Bytes of a request; more is answered 413.
    pub max_request_bytes: usize,
    /// Longer texts are counted as a quarter of their characters: a tokenizer needs about 0.2 ms per kilobyte.
    pub max_tokenized_bytes: usize,
    /// USD per item and metric of an evaluation run whose project has no cost of its own yet.
    #[serde(with = "decimal")]
    pub metric_cost: Decimal,
    /// Models that may stand in for one another.
    pub models: Vec<LadderConfig>,
    /// Requests per minute, by scope.
    pub rate_limits: Vec<RateLimitConfig>,
    /// Scopes with a request rate of their own; further ones share one rate per limit.
    pub max_rate_scopes: usize,
}

impl Default for DecideConfig {
    fn default() -> Self {
        Self {
            shadow: false,
            cheaper_percent: Decimal::from(75),
            cheapest_percent: Decimal::from(90),
            hold_ttl: Duration::from_mins(10),
            max_hold_ttl: Duration::from_hours(24),
            max_holds: 1_000_000,
            unknown: UnknownPolicy::Allow,
            unpriced: UnpricedPolicy::FailOpen,
            unpriced_as: String::new(),
            stop_critical: true,
            sample_allows: 100,
            log_rows: 100_000,
            log_interval: Duration::from_secs(10),
            max_request_bytes: 1 << 20,
            max_tokenized_bytes: 64 << 10,
            metric_cost: Decimal::new(25, 3),
            models: ladders(),
            rate_limits: Vec::new(),
            max_rate_scopes: 100_000,
        }
    }
}

/// What is answered where a hard budget cannot be judged.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPolicy {
    #[default]
    Allow,
    /// A 503 body with a short retry; critical calls are allowed.
    Block,
}

/// What is answered for a model without a price.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum UnpricedPolicy {
    /// Judged with an estimate of zero.
    #[default]
    FailOpen,
    /// Refused, unless critical.
    FailClosed,
    /// Judged by the price of `unpriced_as`.
    Estimate,
}

/// A list of models, any of which may be suggested instead of another of the list when it costs less.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct LadderConfig {
    /// `provider/model`, as the price book names them.
    pub models: Vec<String>,
    /// Only for these task types; empty: for all.
    pub task_types: Vec<String>,
}

/// A token bucket per scope, or with `"*"` per value of it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct RateLimitConfig {
    pub scope: Scope,
    pub per_minute: u32,
    /// Requests at once after a pause; by default a minute's.
    #[serde(default)]
    pub burst: Option<u32>,
}

/// The families that ship: one vendor each, same modality and tools, the strongest first.
fn ladders() -> Vec<LadderConfig> {
    const FAMILIES: [&[&str]; 6] = [
        &["openai/gpt-5", "openai/gpt-5-mini", "openai/gpt-5-nano"],
        &["openai/gpt-4.1", "openai/gpt-4.1-mini", "openai/gpt-4.1-nano"],
        &["openai/gpt-4o", "openai/gpt-4o-mini"],
        &["anthropic/claude-opus-4-5", "anthropic/claude-sonnet-4-5", "anthropic/claude-haiku-4-5"],
        &["anthropic/claude-opus-4-1", "anthropic/claude-sonnet-4-5", "anthropic/claude-haiku-4-5"],
        &["google/gemini-2.5-pro", "google/gemini-2.5-flash", "google/gemini-2.5-flash-lite"],
    ];
    let owned = |models: &[&str]| models.iter().map(|model| (*model).to_owned()).collect();
    FAMILIES.iter().map(|models| LadderConfig { models: owned(models), task_types: Vec::new() }).collect()
}

/// The first key that cannot work, with what is wrong.
pub(super) fn check(config: &DecideConfig) -> Result<(), (String, String)> {
    let fault = |key: &str, problem: String| Err((format!("decide.{key}"), problem));
    for (key, percent) in [("cheaper_percent", config.cheaper_percent), ("cheapest_percent", config.cheapest_percent)] {
        if percent <= Decimal::ZERO || percent > Decimal::from(1000) || percent.normalize().scale() > 6 {
            return fault(
                key,
                format!("is {percent}; write a percentage above 0 and up to 1000, with at most 6 decimals"),
            );
        }
    }
    if config.cheapest_percent < config.cheaper_percent {
        return fault("cheapest_percent", "must not be below decide.cheaper_percent".into());
    }
    for (key, zero) in [
        ("hold_ttl", config.hold_ttl.is_zero()),
        ("max_hold_ttl", config.max_hold_ttl.is_zero()),
        ("max_holds", config.max_holds == 0),
        ("log_rows", config.log_rows == 0),
        ("max_request_bytes", config.max_request_bytes == 0),
        ("max_rate_scopes", config.max_rate_scopes == 0),
    ] {
        if zero {
            return fault(key, "must be more than zero".into());
        }
    }
    if config.max_hold_ttl < config.hold_ttl {
        return fault("max_hold_ttl", "must not be below decide.hold_ttl".into());
    }
    if config.metric_cost.is_sign_negative() {
        return fault("metric_cost", format!("is {}; write USD per item and metric, 0 or more", config.metric_cost));
    }
    if config.unpriced == UnpricedPolicy::Estimate && !is_model(&config.unpriced_as) {
        return fault(
            "unpriced_as",
            "must name a 'provider/model' of the price book for decide.unpriced = \"estimate\"".into(),
        );
    }
    lists(config)
}

fn lists(config: &DecideConfig) -> Result<(), (String, String)> {
    for (at, ladder) in config.models.iter().enumerate() {
        if let Some(bad) = ladder.models.iter().find(|model| !is_model(model)) {
            return Err((format!("decide.models[{at}].models"), format!("has '{bad}'; write provider/model")));
        }
        if ladder.models.len() < 2 {
            return Err((format!("decide.models[{at}].models"), "needs two models or more: one has no other".into()));
        }
    }
    for (at, limit) in config.rate_limits.iter().enumerate() {
        for (key, number) in [("per_minute", Some(limit.per_minute)), ("burst", limit.burst)] {
            if number.is_some_and(|number| number == 0 || number > 10_000_000) {
                let problem = format!("is {}; write 1 to 10000000 requests", number.unwrap_or_default());
                return Err((format!("decide.rate_limits[{at}].{key}"), problem));
            }
        }
    }
    Ok(())
}

fn is_model(text: &str) -> bool {
    text.split_once('/').is_some_and(|(provider, model)| !provider.trim().is_empty() && !model.trim().is_empty())
}

/// Decimals as people write them: `75`, `"0.025"`. A float of TOML is refused, as it would not be exact.
pub(super) mod decimal {
    use rust_decimal::Decimal;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        let text = super::Text::deserialize(deserializer)?.0;
        Decimal::from_str_exact(text.trim())
            .map_err(|_| D::Error::custom(format!("'{text}' is not a decimal; write 75 or \"0.025\"")))
    }

    pub fn serialize<S: Serializer>(decimal: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&decimal.normalize().to_string())
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::{DecideConfig, LadderConfig, UnpricedPolicy, check};

    fn refused(change: impl FnOnce(&mut DecideConfig), expected: &str) {
        let mut config = DecideConfig::default();
        change(&mut config);
        let (key, problem) = check(&config).unwrap_err();
        let line = format!("{key} {problem}");
        assert!(line.starts_with(expected), "expected '{expected}…', got '{line}'");
    }

    #[test]
    fn the_default_is_valid_and_each_fault_names_its_key() {
        assert_eq!(check(&DecideConfig::default()), Ok(()));
        refused(|c| c.cheaper_percent = Decimal::ZERO, "decide.cheaper_percent is 0; write");
        refused(|c| c.cheapest_percent = Decimal::from(50), "decide.cheapest_percent must not be below");
        refused(|c| c.max_holds = 0, "decide.max_holds must be more than zero");
        refused(|c| c.unpriced = UnpricedPolicy::Estimate, "decide.unpriced_as must name");
        refused(|c| c.metric_cost = Decimal::new(-1, 0), "decide.metric_cost is -1");
        let one = LadderConfig { models: vec!["a/b".into()], task_types: Vec::new() };
        refused(|c| c.models = vec![one], "decide.models[0].models needs two");
        let bare = LadderConfig { models: vec!["gpt-4o".into(), "a/b".into()], task_types: Vec::new() };
        refused(|c| c.models = vec![bare], "decide.models[0].models has 'gpt-4o'");
    }

    #[test]
    fn numbers_and_texts_are_decimals_and_scopes_are_tables() {
        let text = "cheaper_percent = 70\nmetric_cost = \"0.03\"\n[[rate_limits]]\nscope = { organization = \"*\" }\nper_minute = 60\n";
        let config: DecideConfig = toml::from_str(text).unwrap();
        assert_eq!((config.cheaper_percent, config.metric_cost), (Decimal::from(70), Decimal::new(3, 2)));
        assert_eq!((config.rate_limits[0].per_minute, config.rate_limits[0].burst), (60, None));
        assert!(toml::from_str::<DecideConfig>("metric_cost = 0.03").is_err());
    }

    #[test]
    fn every_model_of_the_families_that_ship_is_in_the_book_that_ships() {
        use crate::price_book::{PriceBook, Question};
        let book = PriceBook::builtin().unwrap();
        for name in DecideConfig::default().models.iter().flat_map(|ladder| &ladder.models) {
            let (provider, model) = name.split_once('/').unwrap();
            let plan = book.resolve(&Question { provider: Some(provider), model: Some(model), ..Question::default() });
            assert_eq!(
                plan.map(|plan| format!("{}/{}", plan.provider_id, plan.model_id)).as_deref(),
                Ok(name.as_str())
            );
        }
    }
}
