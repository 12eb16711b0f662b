//! How each budget stands in each of its cells: sums of the lake, prices and the directory come in, states go out. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use spendstream_schemas::budget::{Budget, ResolvedScope, ScopeKey, ScopeValue, State, provider_of, state};
use spendstream_schemas::dimension::Text;
use spendstream_schemas::directory::{Directory, Spellings};
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::{PriceBook, Rate};

use super::look::{Counted, cell_sql};
use super::own::OwnCurrency;
use super::sums::{Cells, Sum};

/// One budget in one cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub budget_id: String,
    pub name: String,
    pub revision: i64,
    /// The cell: a template has one per present value.
    pub scope: ResolvedScope,
    pub in_force: bool,
    /// Of all money here: the lake's.
    pub currency: String,
    /// What the budget is written in; its amount is converted.
    pub budget_currency: String,
    pub calls: i64,
    /// Calls whose cost is not known and not in `used`.
    pub unpriced_calls: i64,
    /// The start of the period, or the reset in it.
    pub counted_from: DateTime<Utc>,
    #[serde(flatten)]
    pub state: Option<State>,
    /// What was spent, where there is no state to say it.
    #[serde(rename = "used", skip_serializing_if = "Option::is_none")]
    pub used_alone: Option<String>,
    /// Why there is no state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// The event time up to which events are counted.
    pub as_of: Option<DateTime<Utc>>,
    /// The same in the budget's own currency, where that is not the lake's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_currency: Option<OwnCurrency>,
    /// A statement that gives `used`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
}

/// What budgets are judged by.
pub struct World<'a> {
    pub book: &'a PriceBook,
    pub directory: &'a Directory,
    /// All budgets: those that name a value stand in for its template.
    pub others: &'a [Budget],
    pub now: DateTime<Utc>,
    pub as_of: Option<DateTime<Utc>>,
    /// Whether to show the SQL behind.
    pub explain: bool,
}

/// The budget with the price book's name of its provider and the directory's of its team, as sums have them.
#[must_use]
pub fn canonical(budget: Budget, book: &PriceBook, spellings: &Spellings) -> Budget {
    let provider = provider_of(&budget.scope);
    let scope = budget.scope.spelled(|key, value| known((key, value), provider, book, spellings));
    Budget { scope, ..budget }
}

/// A value as sums have it; `None` where it is theirs already, or unknown.
#[must_use]
pub fn known(
    (key, value): (&ScopeKey, &str),
    provider: Option<&str>,
    book: &PriceBook,
    spellings: &Spellings,
) -> Option<String> {
    let known = match key {
        ScopeKey::Text(Text::ProviderSent) => book.provider_id(value),
        ScopeKey::Text(Text::Model) => book.model_id(provider, value),
        key => spellings.of(key, value),
    };
    known.map(str::to_owned)
}

/// Sums in the directory's spelling: what the lake has in several counts as one.
#[must_use]
pub fn spelled(cells: Arc<Cells>, keys: &[ScopeKey], spellings: &Spellings) -> Arc<Cells> {
    if !keys.iter().any(|key| spellings.concern(key)) {
        return cells;
    }
    let mut merged = Cells::new();
    for (values, sum) in cells.iter() {
        let spell = |(key, value): (&ScopeKey, &Option<String>)| {
            value.as_deref().map(|value| spellings.of(key, value).unwrap_or(value).to_owned())
        };
        let place = merged.entry(keys.iter().zip(values).map(spell).collect()).or_default();
        place.used = place.used + sum.used;
        place.calls += sum.calls;
        place.unpriced_calls += sum.unpriced_calls;
    }
    Arc::new(merged)
}

/// The cells of a budget: its own, or the present values of a template that nothing stands in for.
#[must_use]
pub fn present<'c>(counted: &'c Counted, cells: &'c Cells, world: &World<'_>) -> Vec<(&'c [Option<String>], Sum)> {
    let budget = &counted.budget;
    if !budget.scope.is_template() {
        return vec![(&counted.named, cells.get(&counted.named).copied().unwrap_or_default())];
    }
    let keys: Vec<_> = budget.scope.keys().collect();
    let replacing = Replacing::of(budget, world);
    let fits = |values: &[Option<String>]| {
        budget.scope.matches(budget.include_missing, value_of(&keys, values)) && !replacing.any(&keys, values)
    };
    cells.iter().filter(|(values, _)| fits(values)).map(|(values, sum)| (values.as_slice(), *sum)).collect()
}

fn value_of<'v>(keys: &'v [&ScopeKey], values: &'v [Option<String>]) -> impl Fn(&ScopeKey) -> Option<&'v str> {
    move |key| keys.iter().zip(values).find(|(known, _)| **known == key).and_then(|(_, value)| value.as_deref())
}

/// Budgets that stand in for a template, by a value that they name where it says each.
struct Replacing<'b>(HashMap<(&'b ScopeKey, &'b str), Vec<&'b Budget>>);

impl<'b> Replacing<'b> {
    fn of(template: &'b Budget, world: &World<'b>) -> Self {
        let mut by_value: HashMap<_, Vec<_>> = HashMap::new();
        let narrower = world
            .others
            .iter()
            .filter(|other| !other.additive && other.in_force(world.now) && other.scope.narrows(&template.scope));
        for other in narrower {
            let named = other.scope.iter().zip(template.scope.iter()).find_map(|((key, mine), (_, theirs))| {
                match (mine, theirs) {
                    (ScopeValue::Is(value), ScopeValue::Each) => Some((key, value.as_str())),
                    _ => None,
                }
            });
            if let Some(named) = named {
                by_value.entry(named).or_default().push(other);
            }
        }
        Self(by_value)
    }

    fn any(&self, keys: &[&'b ScopeKey], values: &[Option<String>]) -> bool {
        keys.iter().zip(values).any(|(key, value)| {
            let named = value.as_deref().and_then(|value| self.0.get(&(*key, value)));
            named.is_some_and(|others| {
                others.iter().any(|other| other.scope.matches(other.include_missing, value_of(keys, values)))
            })
        })
    }
}

/// How a budget stands in one of its cells.
#[must_use]
pub fn standing(counted: &Counted, values: &[Option<String>], sum: Sum, world: &World<'_>) -> Standing {
    let budget = &counted.budget;
    let scope = ResolvedScope::new(budget.scope.keys().cloned().zip(values.iter().cloned()));
    let limit = limit(counted, values, world);
    let unavailable = limit.is_none().then(|| {
        format!(
            "there is no exchange rate from {} to {} in force; add one to rates.csv (prices.book)",
            budget.currency,
            world.book.currency()
        )
    });
    let lake = world.book.currency();
    let own_currency = limit.as_ref().filter(|_| budget.currency != lake).and_then(|limit| {
        let Limit { figure, rate, at, .. } = *limit;
        OwnCurrency::new(&budget.currency, figure, world.book.convert_back(sum.used, &budget.currency, at)?, rate, lake)
    });
    Standing {
        budget_id: budget.id.clone(),
        name: budget.name.clone(),
        revision: budget.revision,
        in_force: budget.in_force(world.now),
        currency: lake.to_owned(),
        budget_currency: budget.currency.clone(),
        calls: sum.calls,
        unpriced_calls: sum.unpriced_calls,
        counted_from: counted.from,
        state: limit.map(|limit| state(budget, limit.amount, sum.used, Amount::ZERO, counted.span, world.now)),
        used_alone: unavailable.as_ref().map(|_| sum.used.to_string()),
        unavailable,
        as_of: world.as_of,
        own_currency,
        sql: world.explain.then(|| cell_sql(&scope, counted.from, counted.span.end(), world.directory.spellings())),
        scope,
    }
}

/// What may be spent.
struct Limit {
    /// In the lake's currency.
    amount: Amount,
    /// In the budget's.
    figure: Decimal,
    /// From the one to the other, and of when, microseconds since the epoch.
    rate: Rate,
    at: i64,
}

/// By the same rule as decisions: the rate is that of the period's start (of now for a rolling period), where rates begin later that of
/// now.
fn limit(counted: &Counted, values: &[Option<String>], world: &World<'_>) -> Option<Limit> {
    let budget = &counted.budget;
    let figure = budget.amount_at(world.now, |name| {
        let mut known = budget.scope.keys().zip(values);
        known.find_map(|(key, value)| world.directory.attribute(key, value.as_deref()?, name, world.now))
    });
    let now = world.now.timestamp_micros();
    let at = if budget.period.is_rolling() { now } else { counted.span.start().timestamp_micros() };
    let convert = |at| {
        let amount = world.book.convert(figure, &budget.currency, at)?;
        Some(Limit { amount, figure, rate: world.book.rate(&budget.currency, at)?, at })
    };
    // More than zero, whatever the rate: nothing can be divided by it.
    convert(at).or_else(|| convert(now)).filter(|limit| !limit.amount.is_zero())
}
