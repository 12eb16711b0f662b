//! Percentages of amounts, in integers. In: two amounts and a percentage; out: whether it is reached, or the figure to show.
//!
//! Amounts have at most 28 digits and percentages at most nine, so that no product leaves 128 bits; what would is
//! taken as exceeded. Whether one is reached says [`is_crossed`](spendstream_schemas::budget::is_crossed).

use rust_decimal::Decimal;
use spendstream_schemas::money::Amount;

/// `part × 100 > whole × percent`.
#[must_use]
pub fn exceeds(part: Amount, whole: Amount, percent: Decimal) -> bool {
    let percent = percent.normalize();
    let sides = || {
        let scale = 10_i128.checked_pow(percent.scale())?.checked_mul(100)?;
        Some((part.units().checked_mul(scale)?, whole.units().checked_mul(percent.mantissa())?))
    };
    sides().is_none_or(|(part, whole)| part > whole)
}

/// How full a budget is, to compare budgets with one another: millionths, rounded down. Any spending of a budget of nothing is
/// more than everything.
#[must_use]
pub fn fullness(part: Amount, whole: Amount) -> i128 {
    if whole.units() <= 0 {
        return if part.units() > 0 { i128::MAX } else { 1_000_000 };
    }
    part.units().checked_mul(1_000_000).map_or(i128::MAX, |part| part.div_euclid(whole.units()))
}

/// The percentage as text: four decimals, rounded down, without trailing zeros (`99.9999`, `87.5`, `120`).
#[must_use]
pub fn text(part: Amount, whole: Amount) -> String {
    if whole.units() <= 0 {
        return if part.units() > 0 { "100".to_owned() } else { "0".to_owned() };
    }
    let units = part.units().checked_mul(1_000_000).map_or(i128::MAX, |part| part.div_euclid(whole.units()));
    Decimal::try_from_i128_with_scale(units, 4).map_or_else(|_| "more".to_owned(), |text| text.normalize().to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use spendstream_schemas::money::Amount;

    use super::{exceeds, fullness, text};
    use spendstream_schemas::budget::is_crossed;

    fn amount(text: &str) -> Amount {
        Amount::from_decimal(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_percentage_is_reached_exactly() {
        for (part, whole, percent, reached, exceeded) in [
            ("75", "100", "75", true, false),
            ("74.999999999999999", "100", "75", false, false),
            ("75.000000000000001", "100", "75", true, true),
            ("0.335", "1", "33.5", true, false),
            ("0", "0", "100", true, false),
            ("0.000000000000001", "0", "100", true, true),
            ("9999999999999", "9999999999999.999", "100", false, false),
        ] {
            let percent: Decimal = percent.parse().unwrap();
            let (part, whole) = (amount(part), amount(whole));
            assert_eq!(
                (is_crossed(part, whole, percent), exceeds(part, whole, percent)),
                (reached, exceeded),
                "{part}/{whole}"
            );
        }
    }

    #[test]
    fn the_text_never_rounds_up_to_a_limit() {
        for (part, whole, expected) in [
            ("99.99999", "100", "99.9999"),
            ("87.5", "100", "87.5"),
            ("1.2", "1", "120"),
            ("0", "5", "0"),
            ("1", "0", "100"),
            ("-1", "3", "-33.3334"),
        ] {
            assert_eq!(text(amount(part), amount(whole)), expected);
        }
    }

    proptest! {
        #[test]
        fn a_fuller_budget_reaches_whatever_an_emptier_does(a in 0i64..1_000_000, b in 0i64..1_000_000, whole in 1i64..1_000_000, percent in 1i64..200) {
            let of = |units: i64| Amount::from_units(i128::from(units)).unwrap();
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(fullness(of(low), of(whole)) <= fullness(of(high), of(whole)));
            let percent = Decimal::from(percent);
            prop_assert!(!is_crossed(of(low), of(whole), percent) || is_crossed(of(high), of(whole), percent));
        }
    }
}
