//! The simple rule: this hour cost more than three times the historical hourly mean. In go exact amounts, out comes a breach or
//! nothing. No float is near.

#![deny(clippy::float_arithmetic)]

use rust_decimal::Decimal;
use spendstream_schemas::money::{Amount, AmountError};

/// When an hour is too expensive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Times the hourly mean; more than this is a breach.
    pub times: Decimal,
    /// An hour below this amount is never one.
    pub minimum: Amount,
    /// Hours of history before the rule speaks.
    pub hours: u32,
}

impl Default for Rule {
    /// Three times the mean of at least a day, and at least one unit of currency.
    fn default() -> Self {
        let minimum = Amount::from_ratio(1, 1).unwrap_or(Amount::ZERO);
        Self { times: Decimal::from(3), minimum, hours: 24 }
    }
}

/// The hours before this one: how many, quiet ones included, and what they cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourlyMean {
    pub hours: u32,
    pub cost: Amount,
}

/// An hour that is too expensive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    pub cost: Amount,
    /// The hourly mean, rounded half-even to 15 digits.
    pub mean: Amount,
    pub hours: u32,
    /// The least that is a breach: the larger of the minimum and `times` the mean.
    pub limit: Amount,
}

impl HourlyMean {
    /// Adds an hour that is over.
    ///
    /// # Errors
    /// When the sum no longer fits; then the history did not change.
    pub fn add(&mut self, cost: Amount) -> Result<(), AmountError> {
        self.cost = self.cost.checked_add(cost)?;
        self.hours = self.hours.saturating_add(1);
        Ok(())
    }

    /// Takes out an hour that is too old to count, which was added before.
    pub fn remove(&mut self, cost: Amount) {
        if self.hours > 0 {
            self.cost = self.cost - cost;
            self.hours -= 1;
        }
    }
}

impl Rule {
    /// Judges what an hour cost so far, which only grows: a breach can be said before the hour is over.
    ///
    /// Exact: `cost × hours > times × sum`, in integers. Nothing is said when `times × mean` does not fit an amount.
    pub fn judge(&self, cost: Amount, history: HourlyMean) -> Option<Breach> {
        if history.hours == 0 || history.hours < self.hours || cost < self.minimum {
            return None;
        }
        let scale = 10_i128.checked_pow(self.times.scale())?;
        let most = self.times.mantissa().checked_mul(history.cost.units())?;
        let divisor = scale.checked_mul(i128::from(history.hours))?;
        // A whole number is above a fraction when it is above the whole part of it.
        let whole = most.div_euclid(divisor);
        if cost.units() <= whole {
            return None;
        }
        let mean = Amount::from_ratio(history.cost.units(), i128::from(history.hours).checked_mul(UNITS)?).ok()?;
        let limit = Amount::from_units(whole.checked_add(1)?).ok()?.max(self.minimum);
        Some(Breach { cost, mean, hours: history.hours, limit })
    }
}

/// Units in one of the currency.
const UNITS: i128 = 1_000_000_000_000_000;

impl Breach {
    /// The reason in words.
    pub fn reason(&self, currency: &str) -> String {
        let Self { cost, mean, hours, limit } = self;
        format!(
            "this hour cost {cost} {currency}; the mean of the {hours} hours before is {mean} {currency}, and from \
             {limit} {currency} on it is too much"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(units: i128) -> Amount {
        Amount::from_units(units).expect("fits")
    }

    fn usd(text: &str) -> Amount {
        Amount::from_decimal(text.parse().expect("a decimal")).expect("fits")
    }

    fn history(hours: u32, cost: &str) -> HourlyMean {
        HourlyMean { hours, cost: usd(cost) }
    }

    #[test]
    fn more_than_three_times_the_mean_to_the_last_digit() {
        let rule = Rule::default();
        assert_eq!(rule.judge(usd("6"), history(24, "48")), None);
        let breach = rule.judge(usd("6.000000000000001"), history(24, "48")).expect("a breach");
        assert_eq!((breach.mean, breach.limit), (usd("2"), usd("6.000000000000001")));
    }

    #[test]
    fn a_mean_that_no_decimal_holds_is_compared_exactly() {
        // 10 over 27 hours: three times the mean is 1.1111…, which lies between two amounts.
        let rule = Rule::default();
        assert_eq!(rule.judge(usd("1.111111111111111"), history(27, "10")), None);
        assert!(rule.judge(usd("1.111111111111112"), history(27, "10")).is_some());
    }

    #[test]
    fn the_factor_may_have_decimals() {
        let rule = Rule { times: "2.5".parse().expect("a decimal"), ..Rule::default() };
        assert_eq!(rule.judge(usd("5"), history(24, "48")), None);
        assert!(rule.judge(usd("5.000000000000001"), history(24, "48")).is_some());
    }

    #[test]
    fn little_money_and_little_history_are_no_breach() {
        let rule = Rule::default();
        assert_eq!(rule.judge(usd("0.99"), history(24, "0.24")), None);
        assert!(rule.judge(usd("1"), history(24, "0.24")).is_some());
        assert!(rule.judge(usd("1"), history(24, "0")).is_some(), "a quiet series that starts to cost");
        assert_eq!(rule.judge(usd("100"), history(23, "23")), None);
        assert_eq!(Rule { hours: 0, ..rule }.judge(usd("100"), HourlyMean::default()), None);
    }

    #[test]
    fn the_largest_history_does_not_overflow() {
        let most = units(10_i128.pow(28) - 1);
        let history = HourlyMean { hours: u32::MAX, cost: most };
        assert!(Rule::default().judge(most, history).is_some());
    }

    #[test]
    fn hours_come_and_go() {
        let mut history = HourlyMean::default();
        history.add(usd("2")).expect("fits");
        history.add(usd("3")).expect("fits");
        history.remove(usd("2"));
        assert_eq!(history, HourlyMean { hours: 1, cost: usd("3") });
    }

    #[test]
    fn the_reason_is_a_sentence() {
        let breach = Rule::default().judge(usd("12.5"), history(24, "48")).expect("a breach");
        assert_eq!(
            breach.reason("USD"),
            "this hour cost 12.5 USD; the mean of the 24 hours before is 2 USD, and from 6.000000000000001 USD on it is too much"
        );
    }
}
