//! A budget in the currency that it is written in. In: its figure, what is used, and the rate that both are compared by; out: what is left, with the
//! rate and its date. Pure.

use rust_decimal::Decimal;
use serde::Serialize;
use spendstream_schemas::money::Amount;
use spendstream_schemas::price_book::{Rate, show_instant};

/// How a budget stands in its own currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnCurrency {
    pub currency: String,
    pub amount: String,
    /// Without holds.
    pub used: String,
    /// Less than zero when exceeded.
    pub remaining: String,
    /// Units of the lake's currency per unit of this one.
    pub rate: String,
    /// Since when the rate is in force; of two that make it, the older.
    pub rate_date: Option<String>,
    /// What to do about a rate that is of long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl OwnCurrency {
    /// `figure` is the amount and `used` what is used, both in `currency`; `rate` is what they were converted by, to `lake`'s. `None` where that does
    /// not fit.
    #[must_use]
    pub fn new(currency: &str, figure: Decimal, used: Amount, rate: Rate, lake: &str) -> Option<Self> {
        let amount = Amount::from_decimal(figure).ok()?;
        Some(Self {
            currency: currency.to_owned(),
            amount: amount.to_string(),
            used: used.to_string(),
            remaining: (amount - used).to_string(),
            rate: rate.value.to_string(),
            rate_date: rate.date.map(show_instant),
            advice: advice(currency, rate, lake),
        })
    }
}

/// What to say of a rate that is of long ago: the amount is judged by it all the same.
#[must_use]
pub fn advice(currency: &str, rate: Rate, lake: &str) -> Option<String> {
    let date = rate.date.filter(|_| rate.is_old).map(show_instant)?;
    let value = rate.value;
    Some(format!(
        "The amount is judged by an exchange rate of {date} (1 {currency} = {value} {lake}). Add newer ones to the file of prices.rates, \
         or write the budget in {lake}."
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spendstream_schemas::money::Amount;
    use spendstream_schemas::price_book::{Rate, parse_instant};

    use super::OwnCurrency;

    #[test]
    fn what_is_left_and_an_old_rate_are_told() {
        let rate =
            |value: &str, is_old| Rate { value: value.parse().unwrap(), date: parse_instant("2020-01-01"), is_old };
        let own = |used: &str, rate| {
            let used = Amount::from_decimal(used.parse().unwrap()).unwrap();
            serde_json::to_value(OwnCurrency::new("EUR", "100.00".parse().unwrap(), used, rate, "USD")).unwrap()
        };
        assert_eq!(
            own("40", rate("1.25", false)),
            json!({"currency": "EUR", "amount": "100", "used": "40", "remaining": "60", "rate": "1.25", "rate_date": "2020-01-01"})
        );
        let old = own("125", rate("1.2", true));
        assert_eq!((&old["used"], &old["remaining"]), (&"125".into(), &"-25".into()));
        assert_eq!(
            old["advice"],
            "The amount is judged by an exchange rate of 2020-01-01 (1 EUR = 1.2 USD). Add newer ones to the file of prices.rates, \
             or write the budget in USD."
        );
    }
}
