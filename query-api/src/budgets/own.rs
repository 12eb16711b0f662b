//! A budget in the currency that it is written in. In: its figure, what is used in the lake's currency, and the rate that both are compared
//! by; out: the same in its own currency, with the rate and its date. Pure.

use rust_decimal::Decimal;
use serde::Serialize;
use spendstream_schemas::money::{Amount, SCALE, div_half_even};
use spendstream_schemas::price_book::{Rate, show_instant};

/// Digits after the point: a rate is rounded, so what is divided by it is no truer than this.
const DIGITS: u32 = 9;

/// How a budget stands in its own currency, rounded to nine digits after the point.
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
    /// `figure` is the amount in `currency`, `used` is in `lake`'s. `None` where that does not fit.
    #[must_use]
    pub fn new(currency: &str, figure: Decimal, used: Amount, rate: Rate, lake: &str) -> Option<Self> {
        let (amount, used) = (Amount::from_decimal(figure).ok()?, divided(used, rate.value)?);
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

/// Rounded half-even to [`DIGITS`]; a rate is more than zero.
fn divided(amount: Amount, rate: Decimal) -> Option<Amount> {
    let scaled = amount.units().checked_mul(10_i128.checked_pow(rate.scale())?)?;
    let least = 10_i128.pow(u32::from(SCALE.unsigned_abs()) - DIGITS);
    Amount::from_units(div_half_even(scaled, rate.mantissa().checked_mul(least)?) * least).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spendstream_schemas::money::Amount;
    use spendstream_schemas::price_book::{Rate, parse_instant};

    use super::OwnCurrency;

    #[test]
    fn figures_are_divided_by_the_rate_that_the_amount_was_multiplied_by() {
        let rate =
            |value: &str, is_old| Rate { value: value.parse().unwrap(), date: parse_instant("2020-01-01"), is_old };
        let own = |used: &str, rate| {
            let used = Amount::from_decimal(used.parse().unwrap()).unwrap();
            serde_json::to_value(OwnCurrency::new("EUR", "100.00".parse().unwrap(), used, rate, "USD")).unwrap()
        };
        assert_eq!(
            own("50", rate("1.25", false)),
            json!({"currency": "EUR", "amount": "100", "used": "40", "remaining": "60", "rate": "1.25", "rate_date": "2020-01-01"})
        );
        let old = own("150", rate("1.2", true));
        assert_eq!((&old["used"], &old["remaining"]), (&"125".into(), &"-25".into()));
        assert_eq!(
            old["advice"],
            "The amount is judged by an exchange rate of 2020-01-01 (1 EUR = 1.2 USD). Add newer ones to the file of prices.rates, \
             or write the budget in USD."
        );
        assert_eq!(own("1", rate("3", false))["used"], "0.333333333");
        // 1 USD = 0.92 EUR, as its inverse is kept.
        assert_eq!(own("2", rate("1.086956521739", false))["used"], "1.84");
    }
}
