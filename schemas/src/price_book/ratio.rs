//! Exact fractions: a unit price as integers, and numerator / denominator as an amount. Never wraps, never rounds twice.

use rust_decimal::Decimal;

use crate::money::{Amount, AmountError, div_half_even};

/// 10¹⁵, the units of one whole in an [`Amount`].
const ONE: i128 = 1_000_000_000_000_000;
const DIGITS: u32 = 15;

/// A fraction that is not negative; the denominator is positive and the two have no common factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    pub numerator: i128,
    pub denominator: i128,
}

impl Ratio {
    /// `numerator / denominator` in lowest terms; `None` unless the denominator is positive.
    #[must_use]
    pub fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator <= 0 {
            return None;
        }
        let divisor = gcd(numerator.unsigned_abs(), denominator.unsigned_abs());
        let divisor = i128::try_from(divisor).ok()?;
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// A decimal divided by a unit.
    #[must_use]
    pub fn of(decimal: Decimal, per: u32) -> Option<Self> {
        let decimal = decimal.normalize();
        let denominator = 10_i128.checked_pow(decimal.scale())?.checked_mul(i128::from(per))?;
        Self::new(decimal.mantissa(), denominator)
    }

    /// The product; `None` when it does not fit.
    #[must_use]
    pub fn times(self, other: Ratio) -> Option<Self> {
        let left = Self::new(self.numerator, other.denominator)?;
        let right = Self::new(other.numerator, self.denominator)?;
        Self::new(left.numerator.checked_mul(right.numerator)?, left.denominator.checked_mul(right.denominator)?)
    }
}

/// The least common multiple of denominators; `None` when it does not fit.
#[must_use]
pub fn common_denominator(ratios: impl Iterator<Item = Ratio>) -> Option<i128> {
    ratios.into_iter().try_fold(1_i128, |common, ratio| {
        let divisor = i128::try_from(gcd(common.unsigned_abs(), ratio.denominator.unsigned_abs())).ok()?;
        common.checked_mul(ratio.denominator / divisor)
    })
}

fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Divides by one denominator many times; made once per price, so that a call needs no division where 10¹⁵ allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divider {
    denominator: i128,
    /// 10¹⁵ / denominator, when that is whole; otherwise 0.
    multiplier: i64,
}

impl Divider {
    #[must_use]
    pub fn new(denominator: i128) -> Self {
        let whole = denominator > 0 && ONE % denominator == 0;
        let multiplier = if whole { i64::try_from(ONE / denominator).unwrap_or_default() } else { 0 };
        Self { denominator, multiplier }
    }

    #[must_use]
    pub fn denominator(self) -> i128 {
        self.denominator
    }

    /// `numerator / denominator`, rounded half-even once to 15 digits.
    ///
    /// # Errors
    /// When the amount does not fit.
    pub fn amount(self, numerator: i128) -> Result<Amount, AmountError> {
        if numerator == 0 {
            return Ok(Amount::ZERO);
        }
        if self.multiplier != 0 {
            let multiplier = i128::from(self.multiplier);
            // Two 64-bit factors cannot overflow 128 bits, and multiplying them is one instruction.
            let units = match i64::try_from(numerator) {
                Ok(small) => i128::from(small) * multiplier,
                Err(_) => numerator.checked_mul(multiplier).ok_or(AmountError::TooLarge)?,
            };
            return Amount::from_units(units);
        }
        amount(numerator, self.denominator)
    }
}

/// `numerator / denominator` (positive), rounded half-even once to 15 digits, whatever the size of the two.
///
/// # Errors
/// When the amount does not fit, or the denominator is so large that the remainder of a division by it does not.
pub fn amount(numerator: i128, denominator: i128) -> Result<Amount, AmountError> {
    if let Some(scaled) = numerator.checked_mul(ONE) {
        return Amount::from_units(div_half_even(scaled, denominator));
    }
    // Digit by digit, as on paper: the remainder stays below the denominator and so does not overflow.
    let mut quotient = numerator.div_euclid(denominator);
    let mut rest = numerator.rem_euclid(denominator);
    for _ in 0..DIGITS {
        let grown = rest.checked_mul(10).ok_or(AmountError::TooLarge)?;
        quotient = quotient
            .checked_mul(10)
            .and_then(|quotient| quotient.checked_add(grown / denominator))
            .ok_or(AmountError::TooLarge)?;
        rest = grown % denominator;
    }
    let up = match rest.cmp(&(denominator - rest)) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Greater => 1,
        std::cmp::Ordering::Equal => quotient & 1,
    };
    Amount::from_units(quotient + up)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::{Divider, Ratio, amount, common_denominator};

    #[test]
    fn every_unit_is_exact() {
        let ratio = |price: &str, per| Ratio::of(price.parse().unwrap(), per).unwrap();
        assert_eq!(ratio("2.50", 1_000_000), Ratio { numerator: 1, denominator: 400_000 });
        assert_eq!(ratio("0.36", 3600), Ratio { numerator: 1, denominator: 10_000 });
        assert_eq!(ratio("0.111", 3600), Ratio { numerator: 37, denominator: 1_200_000 });
        let common = common_denominator([ratio("0.111", 3600), ratio("10", 1000)].into_iter());
        assert_eq!(common, Some(1_200_000));
        assert_eq!(Ratio::of(Decimal::ZERO, 1000), Some(Ratio { numerator: 0, denominator: 1 }));
        assert_eq!(ratio("3", 1000).times(ratio("0.875", 1)), Some(Ratio { numerator: 21, denominator: 8000 }));
    }

    #[test]
    fn a_large_numerator_is_divided_as_exactly_as_a_small_one() {
        // 10^24 / 3·10^14, whose scaled numerator would not fit.
        let amount = amount(10_i128.pow(24), 3 * 10_i128.pow(14)).unwrap();
        assert_eq!(amount.to_string(), "3333333333.333333333333333");
        assert!(super::amount(i128::MAX, 1).is_err());
        assert!(super::amount(i128::MAX / 2, 10_i128.pow(37)).is_ok());
    }

    proptest! {
        #[test]
        fn the_three_ways_to_divide_agree(numerator in -1_000_000_000_000i128..1_000_000_000_000, denominator in 1i128..100_000, zeros in 0u32..20) {
            let big = 10_i128.pow(zeros);
            let plain = amount(numerator, denominator).unwrap();
            prop_assert_eq!(Divider::new(denominator).amount(numerator).unwrap(), plain);
            prop_assert_eq!(amount(numerator * big, denominator * big).unwrap(), plain);
        }
    }
}
