//! Who moved. In goes what each model, team, user, app … cost this hour and in the hours before, out comes which of them explain
//! the change, in words and exact money. No float is near.

#![deny(clippy::float_arithmetic)]

use std::cmp::Reverse;
use std::collections::BTreeMap;

use spendstream_schemas::money::{Amount, AmountError, div_half_even};

/// Of one dimension at most so many values are named.
const NAMED: usize = 3;
/// Once this share of the change is explained, no more values are named.
const EXPLAINED_PERCENT: i128 = 80;
/// A value that explains less is not named.
const LEAST_PERCENT: i128 = 10;

/// What one value of one dimension cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// `model`, `team`, `user`, `app`, `tags.env` …
    pub dimension: &'a str,
    /// None is spend that names no value.
    pub value: Option<&'a str>,
    /// This hour.
    pub now: Amount,
    /// What is expected for this hour, zero for a value never seen before; [`expected`] makes it from history.
    pub expected: Amount,
}

/// The values of one dimension that explain a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub dimension: String,
    pub movers: Vec<Mover>,
}

/// A value that moved with the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mover {
    pub value: Option<String>,
    pub now: Amount,
    pub expected: Amount,
    /// `now − expected`; negative when it fell.
    pub change: Amount,
    /// Of the change of the whole, rounded half-even; above 100 when others moved the other way.
    pub percent: i128,
}

/// What an hour is expected to cost when `hours` comparable ones cost `sum`, rounded half-even; zero without history.
///
/// # Errors
/// When it does not fit.
pub fn expected(sum: Amount, hours: u32) -> Result<Amount, AmountError> {
    if hours == 0 { Ok(Amount::ZERO) } else { Amount::from_units(div_half_even(sum.units(), i128::from(hours))) }
}

/// What explains a change, the most telling dimension first: the one whose largest mover explains the most. A dimension in which
/// nothing stands out, or a whole that did not change, has no cause.
pub fn find_causes(now: Amount, expected: Amount, parts: &[Part<'_>]) -> Vec<Cause> {
    let whole = now.units() - expected.units();
    let mut dimensions: BTreeMap<&str, Vec<Mover>> = BTreeMap::new();
    for part in parts {
        if let Some(mover) = mover(part, whole) {
            dimensions.entry(part.dimension).or_default().push(mover);
        }
    }
    let mut causes: Vec<Cause> = (dimensions.into_iter())
        .map(|(dimension, movers)| Cause { dimension: dimension.to_owned(), movers: named(movers) })
        .collect();
    causes.sort_by_key(|cause| Reverse(cause.movers.first().map(|mover| mover.percent)));
    causes
}

fn mover(part: &Part<'_>, whole: i128) -> Option<Mover> {
    let change = part.now - part.expected;
    let percent = percent(change.units(), whole)?;
    let value = part.value.map(ToOwned::to_owned);
    (percent >= LEAST_PERCENT).then_some(Mover { value, now: part.now, expected: part.expected, change, percent })
}

fn percent(change: i128, whole: i128) -> Option<i128> {
    if whole == 0 {
        return None;
    }
    Some(div_half_even(change.checked_mul(100)?.checked_mul(whole.signum())?, whole.abs()))
}

/// The largest first, until they explain enough; equal ones in the order of their names, so that an alert reads the same each time.
fn named(mut movers: Vec<Mover>) -> Vec<Mover> {
    movers.sort_by(|a, b| b.change.units().abs().cmp(&a.change.units().abs()).then_with(|| a.value.cmp(&b.value)));
    let mut explained = 0;
    let enough = |mover: &Mover| {
        let more = explained < EXPLAINED_PERCENT;
        explained += mover.percent;
        more
    };
    movers.into_iter().take(NAMED).take_while(enough).collect()
}

impl Cause {
    /// `model gpt-4o: 12.5 USD instead of 3 USD (+9.5 USD, 91 % of the change)`.
    pub fn words(&self, currency: &str) -> String {
        let movers: Vec<String> = self.movers.iter().map(|mover| mover.words(&self.dimension, currency)).collect();
        movers.join("; ")
    }
}

impl Mover {
    fn words(&self, dimension: &str, currency: &str) -> String {
        let [now, expected, change] = [self.now, self.expected, self.change].map(Amount::brief);
        let percent = &self.percent;
        // On one line, whatever an event says.
        let value = self.value.as_ref().map(|value| value.replace(char::is_control, " "));
        let who = value.map_or_else(|| format!("no {dimension}"), |value| format!("{dimension} {value}"));
        let sign = if change > Amount::ZERO { "+" } else { "" };
        let before = if expected.is_zero() { ", new" } else { "" };
        format!(
            "{who}: {now} {currency} instead of {expected} {currency} ({sign}{change} {currency}, {percent} % of the change{before})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Amount {
        Amount::from_decimal(text.parse().expect("a decimal")).expect("fits")
    }

    fn part<'a>(dimension: &'a str, value: &'a str, now: &str, expected: &str) -> Part<'a> {
        Part { dimension, value: (!value.is_empty()).then_some(value), now: usd(now), expected: usd(expected) }
    }

    fn words(now: &str, expected: &str, parts: &[Part<'_>]) -> Vec<String> {
        find_causes(usd(now), usd(expected), parts).iter().map(|cause| cause.words("USD")).collect()
    }

    #[test]
    fn the_one_who_moved_comes_first() {
        let parts = [
            part("team", "search", "9", "3"),
            part("team", "ads", "7", "3"),
            part("model", "gpt-4o", "14.5", "4"),
            part("model", "haiku", "1.5", "2"),
            part("user", "", "16", "6"),
        ];
        assert_eq!(
            words("16", "6", &parts),
            [
                "model gpt-4o: 14.5 USD instead of 4 USD (+10.5 USD, 105 % of the change)",
                "no user: 16 USD instead of 6 USD (+10 USD, 100 % of the change)",
                "team search: 9 USD instead of 3 USD (+6 USD, 60 % of the change); \
                 team ads: 7 USD instead of 3 USD (+4 USD, 40 % of the change)",
            ]
        );
    }

    #[test]
    fn a_new_value_is_called_new_and_exact_to_the_last_digit() {
        let parts = [part("app", "agent", "0.000000000000003", "0")];
        assert_eq!(
            words("0.000000000000003", "0", &parts),
            ["app agent: 0.000000000000003 USD instead of 0 USD (+0.000000000000003 USD, 100 % of the change, new)"]
        );
    }

    #[test]
    fn a_drop_has_a_cause_as_well() {
        let parts = [part("app", "batch", "0", "8"), part("app", "chat", "2.5", "2")];
        assert_eq!(words("2.5", "10", &parts), ["app batch: 0 USD instead of 8 USD (-8 USD, 107 % of the change)"]);
    }

    #[test]
    fn what_does_not_stand_out_is_not_named() {
        let users: Vec<String> = (0..50).map(|number| format!("u{number}")).collect();
        let parts: Vec<Part<'_>> = users.iter().map(|user| part("user", user, "2", "1")).collect();
        assert_eq!(words("100", "50", &parts), Vec::<String>::new());
        assert_eq!(words("5", "5", &[part("team", "a", "5", "0")]), Vec::<String>::new());
    }

    #[test]
    fn the_order_of_the_parts_does_not_matter() {
        let mut parts = vec![part("team", "b", "5", "0"), part("team", "a", "5", "0"), part("app", "x", "10", "0")];
        let once = words("10", "0", &parts);
        parts.reverse();
        assert_eq!(words("10", "0", &parts), once);
        assert!(once[1].starts_with("team a: "), "{once:?}");
    }

    #[test]
    fn expected_is_the_mean_of_comparable_hours() {
        assert_eq!(expected(usd("10"), 3), Ok(usd("3.333333333333333")));
        assert_eq!(expected(usd("10"), 0), Ok(Amount::ZERO));
    }
}
