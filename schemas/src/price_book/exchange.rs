//! Dated exchange rates. Text comes in (`date,currency,rate`: units of the currency per USD), rates at a moment go out.
//!
//! The rate in force is that of the latest date that is not after the event's (UTC). A rate between two currencies is the
//! quotient of their rates, rounded half-even to 12 digits; that rounded figure is what a row shows and what it is priced with.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::instant::{self, DAY};
use super::ratio::Ratio;
use super::row;
use crate::money::div_half_even;

/// The columns of `rates.csv`, in order.
pub const COLUMNS: [&str; 3] = ["date", "currency", "rate"];
/// Every rate is per one unit of this currency, whose own rate is 1.
pub const BASE: &str = "USD";
/// Digits after the point of a rate.
const SCALE: u32 = 12;
/// A rate that is older than this many days when a call ends is an estimate of the day's.
const EXACT_DAYS: i64 = 31;

/// A rate in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub value: Decimal,
    /// Since when it is in force, microseconds since the epoch; of two that make it, the older. `None`: both currencies are the same.
    pub date: Option<i64>,
    /// More than [`EXACT_DAYS`] passed since its date.
    pub is_old: bool,
}

impl Rate {
    /// Of a currency to itself.
    pub(super) const SAME: Rate = Rate { value: Decimal::ONE, date: None, is_old: false };
}

/// Rates by currency and date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    rates: BTreeMap<String, BTreeMap<i64, Decimal>>,
    /// A rate older than this many days is not used; `None`: any age will do.
    max_age_days: Option<u32>,
}

impl Exchange {
    /// Reads a `rates.csv`; every bad line is named in the errors. An empty text has no rates.
    #[must_use]
    pub fn parse(text: &str, max_age_days: Option<u32>, errors: &mut Vec<String>) -> Self {
        let mut rates: BTreeMap<String, BTreeMap<i64, Decimal>> = BTreeMap::new();
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        for (position, record) in reader.records().enumerate() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    errors.push(format!("rates.csv: {error}"));
                    break;
                }
            };
            let line = record.position().map_or(0, csv::Position::line);
            if position == 0 {
                if record.iter().ne(COLUMNS) {
                    errors.push(format!("rates.csv:1: the columns must be {}", COLUMNS.join(",")));
                    break;
                }
                continue;
            }
            match read(&record) {
                Ok((date, currency, rate)) => {
                    if rates.entry(currency.clone()).or_default().insert(date, rate).is_some() {
                        errors
                            .push(format!("rates.csv:{line}: a second rate of {currency} for {}", instant::show(date)));
                    }
                }
                Err(error) => errors.push(format!("rates.csv:{line}: {error}")),
            }
        }
        Self { rates, max_age_days }
    }

    /// Units of `to` per unit of `from` at a moment; `None` when either has no rate in force.
    #[must_use]
    pub fn rate(&self, from: &str, to: &str, micros: i64) -> Option<Rate> {
        if from == to {
            return Some(Rate::SAME);
        }
        let (from, to) = (self.per_base(from, micros)?, self.per_base(to, micros)?);
        let is_old = from.is_old || to.is_old;
        let since = [from.date, to.date].into_iter().flatten().min();
        let (from, to) = (from.value, to.value);
        let numerator = to.mantissa().checked_mul(10_i128.checked_pow(from.scale() + SCALE)?)?;
        let denominator = from.mantissa().checked_mul(10_i128.checked_pow(to.scale())?)?;
        let rate = Decimal::try_from_i128_with_scale(div_half_even(numerator, denominator), SCALE).ok()?;
        (!rate.is_zero()).then(|| Rate { value: rate.normalize(), date: since, is_old })
    }

    /// The same, not rounded: 1 USD at 0.92 EUR is 1 / 0.92 of a EUR's worth.
    pub(super) fn exact(&self, from: &str, to: &str, micros: i64) -> Option<Ratio> {
        if from == to {
            return Ratio::new(1, 1);
        }
        let of = |currency| Ratio::of(self.per_base(currency, micros)?.value, 1);
        let (from, to) = (of(from)?, of(to)?);
        to.times(Ratio::new(from.denominator, from.numerator)?)
    }

    fn per_base(&self, currency: &str, micros: i64) -> Option<Rate> {
        if currency == BASE {
            return Some(Rate::SAME);
        }
        let (date, value) = self.rates.get(currency)?.range(..=micros).next_back()?;
        let within = |days: i64| micros - date < (days + 1) * DAY;
        let fresh = self.max_age_days.is_none_or(|days| within(i64::from(days)));
        fresh.then(|| Rate { value: *value, date: Some(*date), is_old: !within(EXACT_DAYS) })
    }
}

fn read(record: &csv::StringRecord) -> Result<(i64, String, Decimal), String> {
    let [date, currency, rate] = std::array::from_fn(|at| record.get(at).unwrap_or_default().trim());
    if record.len() != COLUMNS.len() {
        return Err(format!("{} fields, expected {}", record.len(), COLUMNS.len()));
    }
    let micros = instant::parse(date)
        .filter(|_| date.len() == 10)
        .ok_or_else(|| format!("date '{date}' is not of the form 2026-11-22"))?;
    let currency = row::currency(currency)?;
    if currency == BASE {
        return Err(format!("{BASE} is what the rates are given in; it has none of its own"));
    }
    let rate = Decimal::from_str_exact(rate)
        .ok()
        .filter(|rate| !rate.is_zero() && rate.is_sign_positive() && rate.scale() <= SCALE)
        .ok_or_else(|| format!("rate '{rate}' is not a positive decimal of at most {SCALE} digits after the point"))?;
    Ok((micros, currency.to_owned(), rate))
}

#[cfg(test)]
mod tests {
    use super::Exchange;
    use crate::price_book::instant;

    const RATES: &str =
        "date,currency,rate\n2026-01-01,EUR,0.92\n2026-02-01,EUR,0.95\n2026-01-01,GBP,0.79\n2026-01-01,JPY,149.50\n";

    fn rate(max_age_days: Option<u32>, from: &str, to: &str, at: &str) -> Option<String> {
        let mut errors = Vec::new();
        let exchange = Exchange::parse(RATES, max_age_days, &mut errors);
        assert_eq!(errors, Vec::<String>::new());
        exchange.rate(from, to, instant::parse(at).unwrap()).map(|rate| rate.value.to_string())
    }

    #[test]
    fn the_latest_rate_that_is_not_later_than_the_event_is_used() {
        for (from, to, at, expected) in [
            ("USD", "EUR", "2026-01-01", Some("0.92")),
            ("USD", "EUR", "2026-01-31T23:59:59Z", Some("0.92")),
            ("USD", "EUR", "2026-02-01", Some("0.95")),
            ("USD", "EUR", "2025-12-31T23:59:59Z", None),
            ("USD", "USD", "1999-01-01", Some("1")),
            ("EUR", "USD", "2026-01-01", Some("1.086956521739")),
            ("JPY", "GBP", "2026-01-01", Some("0.005284280936")),
            ("CHF", "USD", "2026-01-01", None),
        ] {
            assert_eq!(rate(None, from, to, at).as_deref(), expected, "{from} to {to} at {at}");
        }
    }

    #[test]
    fn a_rate_that_is_too_old_is_no_rate() {
        assert_eq!(rate(Some(7), "USD", "GBP", "2026-01-08T23:59:59Z").as_deref(), Some("0.79"));
        assert_eq!(rate(Some(7), "USD", "GBP", "2026-01-09"), None);
    }

    #[test]
    fn a_rate_of_another_month_is_old() {
        let exchange = Exchange::parse(RATES, None, &mut Vec::new());
        let old = |at| exchange.rate("GBP", "USD", instant::parse(at).unwrap()).unwrap().is_old;
        assert_eq!(["2026-01-01", "2026-02-01T23:59:59Z", "2026-02-02"].map(old), [false, false, true]);
    }

    #[test]
    fn a_rate_says_since_when_it_is_in_force() {
        let exchange = Exchange::parse(RATES, None, &mut Vec::new());
        let since = |from: &str, to: &str| {
            let rate = exchange.rate(from, to, instant::parse("2026-02-03").unwrap()).unwrap();
            rate.date.map(instant::show)
        };
        assert_eq!(since("EUR", "USD").as_deref(), Some("2026-02-01"));
        assert_eq!(since("EUR", "GBP").as_deref(), Some("2026-01-01"), "the older of the two");
        assert_eq!(since("EUR", "EUR"), None);
    }

    #[test]
    fn bad_lines_are_named() {
        let mut errors = Vec::new();
        let text = "date,currency,rate\n2026-01-01,EUR,0\n2026-1-1,EUR,1\n2026-01-01,euro,1\n2026-01-01,USD,1\n2026-01-01,EUR,1e3\n2026-01-01,EUR,1\n2026-01-01,EUR,2\n";
        let _ = Exchange::parse(text, None, &mut errors);
        for (error, expected) in errors.iter().zip([
            ":2: rate '0'",
            ":3: date",
            ":4: currency 'euro'",
            ":5: USD",
            ":6: rate '1e3'",
            ":8: a second rate of EUR",
        ]) {
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(errors.len(), 6);
    }
}
