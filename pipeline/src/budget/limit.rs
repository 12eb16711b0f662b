//! What a budget may spend in a period, in the lake's currency. In: the budget, its values, the period, the price book's dated rates
//! and the directory's attributes; out: an exact amount. Pure.
//!
//! The rate is that of the period's start (for a rolling budget: of now), so that a limit does not move within a period; where
//! the rates begin later, that of now.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use spendstream_schemas::budget::{Budget, ScopeKey, Span};
use spendstream_schemas::directory::Filled;
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::PriceBook;

/// What the directory says of who spends.
pub trait Attributes {
    /// The owner of a call with these values at a moment: the one that it names where nothing else is known.
    fn owner<'a>(&'a self, value_of: &dyn Fn(&ScopeKey) -> Option<&'a str>, _at: DateTime<Utc>) -> Filled<'a> {
        Filled::own(value_of)
    }

    /// A value as it is summed up, where its spelling is known.
    fn spelled(&self, _key: &ScopeKey, _value: &str) -> Option<&str> {
        None
    }

    /// The attribute (`plan`) of a dimension's value at a moment.
    fn attribute(&self, key: &ScopeKey, value: &str, attribute: &str, at: DateTime<Utc>) -> Option<&str>;
}

/// A directory that knows nobody: amounts by attribute are their default.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAttributes;

impl Attributes for NoAttributes {
    fn attribute(&self, _: &ScopeKey, _: &str, _: &str, _: DateTime<Utc>) -> Option<&str> {
        None
    }
}

/// What turns a budget's figure into the lake's currency.
#[derive(Clone, Copy)]
pub struct Rates<'a> {
    pub prices: &'a PriceBook,
    pub attributes: &'a dyn Attributes,
    pub now: DateTime<Utc>,
}

/// What the budget says, in its own currency: its amount, or that of the attribute, with a temporary increase.
#[must_use]
pub fn figure(budget: &Budget, keys: &[ScopeKey], values: &[Option<&str>], rates: Rates<'_>) -> Decimal {
    budget.amount_at(rates.now, |attribute| {
        let mut known = keys.iter().zip(values);
        known.find_map(|(key, value)| rates.attributes.attribute(key, (*value)?, attribute, rates.now))
    })
}

/// The limit of a budget for these values in that period; `None` where no exchange rate is in force or the amount does not fit.
#[must_use]
pub fn limit(
    budget: &Budget,
    keys: &[ScopeKey],
    values: &[Option<&str>],
    span: Span,
    rates: Rates<'_>,
) -> Option<Amount> {
    let figure = figure(budget, keys, values, rates);
    let prices = rates.prices;
    let now = rates.now.timestamp_micros();
    let at = if budget.period.is_rolling() { now } else { span.start().timestamp_micros() };
    prices.convert(figure, &budget.currency, at).or_else(|| prices.convert(figure, &budget.currency, now))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use spendstream_schemas::budget::{Quarter, ScopeKey};
    use spendstream_schemas::price_book::{BookFiles, PriceBook};

    use super::super::fixture::{at, budget};
    use super::{Attributes, Rates, limit};

    struct Plans;

    impl Attributes for Plans {
        fn attribute(&self, key: &ScopeKey, value: &str, attribute: &str, _: DateTime<Utc>) -> Option<&str> {
            (key.to_string() == "organization" && attribute == "plan" && value == "acme").then_some("basic")
        }
    }

    fn check(json: &str, organization: Option<&str>, now: &str, expected: Option<&str>) {
        let rates = "date,currency,rate\n2026-10-15,EUR,0.8\n2026-11-10,EUR,0.5\n";
        let prices = PriceBook::load(&BookFiles { rates, ..BookFiles::builtin() }).unwrap();
        let (budget, now) = (budget(json), at(now));
        let keys: Vec<ScopeKey> = budget.scope.keys().cloned().collect();
        let values: Vec<Option<&str>> = keys.iter().map(|_| organization).collect();
        let span = budget.period.span(Quarter::of(now));
        let found = limit(&budget, &keys, &values, span, Rates { prices: &prices, attributes: &Plans, now });
        assert_eq!(found.map(|amount| amount.to_string()).as_deref(), expected, "{json}");
    }

    #[test]
    fn the_rate_is_that_of_the_periods_start() {
        let euros = r#"{"name": "n", "scope": {}, "amount": "100", "currency": "EUR"}"#;
        check(euros, None, "2026-11-22T00:00:00Z", Some("125"));
        check(euros, None, "2026-12-01T00:00:00Z", Some("200"));
        check(euros, None, "2026-10-20T00:00:00Z", Some("125"));
        check(euros, None, "2026-10-10T00:00:00Z", None);
        let day = r#"{"name": "n", "scope": {}, "amount": "100", "currency": "EUR", "period": "PT24H"}"#;
        check(day, None, "2026-11-10T00:00:00Z", Some("200"));
        check(
            r#"{"name": "n", "scope": {}, "amount": "0.10", "currency": "USD"}"#,
            None,
            "2026-11-22T00:00:00Z",
            Some("0.1"),
        );
    }

    #[test]
    fn an_increase_lasts_until_its_end() {
        let more = r#"{"name": "n", "scope": {}, "amount": "100", "increase": {"amount": "25.5", "until": "2026-11-20T00:00:00Z"}}"#;
        check(more, None, "2026-11-19T23:59:59Z", Some("125.5"));
        check(more, None, "2026-11-20T00:00:00Z", Some("100"));
    }

    #[test]
    fn an_attribute_of_who_spends_chooses_the_amount() {
        let by_plan = r#"{"name": "n", "scope": {"organization": "*"}, 
            "amounts_by": {"attribute": "plan", "basic": "50", "default": "100"}}"#;
        check(by_plan, Some("acme"), "2026-11-22T00:00:00Z", Some("50"));
        check(by_plan, Some("bolt"), "2026-11-22T00:00:00Z", Some("100"));
    }
}
