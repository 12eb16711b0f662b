//! Exact amounts. An [`Amount`] is a whole number of 10⁻¹⁵ units of the lake's currency, the same as `Decimal128(28, 15)`.
//!
//! No float comes near this module: an amount is made from a decimal or a ratio of integers, rounded half-even once.

#![deny(clippy::float_arithmetic)]

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};

use rust_decimal::Decimal;
use thiserror::Error;

/// Digits after the point of every money column.
pub const SCALE: i8 = 15;
/// Digits in all of every money column.
pub const PRECISION: u8 = 28;
const ONE: i128 = 1_000_000_000_000_000;
/// The largest magnitude a money column can hold, exclusive.
const LIMIT: i128 = 10_i128.pow(PRECISION as u32);

/// An amount that does not fit: more than 13 digits before the point, or text that is no decimal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    #[error("amount does not fit decimal({PRECISION},{SCALE})")]
    TooLarge,
    #[error("'{0}' is not a decimal number")]
    NotDecimal(String),
}

/// Money in the lake's currency, in units of 10⁻¹⁵.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

impl Amount {
    pub const ZERO: Amount = Amount(0);
    /// The largest that a money column holds.
    pub const MAX: Amount = Amount(LIMIT - 1);

    /// From the integer that a `Decimal128(28, 15)` column holds.
    ///
    /// # Errors
    /// When it has more than 28 digits.
    pub fn from_units(units: i128) -> Result<Self, AmountError> {
        if units.abs() < LIMIT { Ok(Self(units)) } else { Err(AmountError::TooLarge) }
    }

    /// The same, and the nearest amount that there is where it has more digits: a sum of more is more than any limit, and must not lift one.
    #[must_use]
    pub fn saturating(units: i128) -> Self {
        Self(units.clamp(1 - LIMIT, LIMIT - 1))
    }

    /// The integer that a `Decimal128(28, 15)` column holds.
    #[must_use]
    pub fn units(self) -> i128 {
        self.0
    }

    /// For a sentence to a person: rounded half-even to six digits after the point, unless nothing would be left.
    #[must_use]
    pub fn brief(self) -> Self {
        const MILLIONTH: i128 = ONE / 1_000_000;
        match div_half_even(self.0, MILLIONTH) {
            0 => self,
            millionths => Self(millionths * MILLIONTH),
        }
    }

    /// `numerator / denominator`, rounded half-even to 15 digits. `denominator` must be positive.
    ///
    /// # Errors
    /// When it does not fit, intermediate figures included.
    pub fn from_ratio(numerator: i128, denominator: i128) -> Result<Self, AmountError> {
        debug_assert!(denominator > 0, "a denominator is positive");
        // Dividing out 10^15 first keeps the multiplication small for prices given per 10^n.
        let (scaled, denominator) = if ONE % denominator == 0 {
            (numerator.checked_mul(ONE / denominator), 1)
        } else if denominator % ONE == 0 {
            (Some(numerator), denominator / ONE)
        } else {
            (numerator.checked_mul(ONE), denominator)
        };
        Self::from_units(div_half_even(scaled.ok_or(AmountError::TooLarge)?, denominator))
    }

    /// A decimal, rounded half-even to 15 digits.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn from_decimal(decimal: Decimal) -> Result<Self, AmountError> {
        Self::from_ratio(decimal.mantissa(), 10_i128.pow(decimal.scale()))
    }

    /// `self + other`, checked.
    ///
    /// # Errors
    /// When the sum does not fit.
    pub fn checked_add(self, other: Amount) -> Result<Self, AmountError> {
        Self::from_units(self.0 + other.0)
    }

    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// `numerator / denominator` rounded to the nearest integer, ties to even; `denominator > 0`.
#[must_use]
pub fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    if denominator == 1 {
        return numerator;
    }
    let quotient = numerator.div_euclid(denominator);
    let rest = numerator.rem_euclid(denominator);
    match rest.cmp(&(denominator - rest)) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

// Sums of amounts that each fit 28 digits stay far below i128's 38, so plain arithmetic cannot overflow in practice.
impl Add for Amount {
    type Output = Amount;
    fn add(self, other: Amount) -> Amount {
        Amount(self.0 + other.0)
    }
}

impl Sub for Amount {
    type Output = Amount;
    fn sub(self, other: Amount) -> Amount {
        Amount(self.0 - other.0)
    }
}

impl Neg for Amount {
    type Output = Amount;
    fn neg(self) -> Amount {
        Amount(-self.0)
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Amount>>(amounts: I) -> Amount {
        amounts.fold(Amount::ZERO, Add::add)
    }
}

/// Without trailing zeros: `0.00252`, `-3`, `0`.
impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (whole, fraction) = (magnitude / ONE.unsigned_abs(), magnitude % ONE.unsigned_abs());
        if fraction == 0 {
            return write!(out, "{sign}{whole}");
        }
        let digits = format!("{fraction:015}");
        write!(out, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::{Amount, div_half_even};

    #[test]
    fn rounds_ties_to_even() {
        for (numerator, denominator, expected) in
            [(1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (-3, 2, -2), (-5, 2, -2), (7, 3, 2), (8, 3, 3), (-8, 3, -3)]
        {
            assert_eq!(div_half_even(numerator, denominator), expected, "{numerator}/{denominator}");
        }
    }

    #[test]
    fn prints_without_trailing_zeros() {
        let show = |text: &str| Amount::from_decimal(text.parse().unwrap()).unwrap().to_string();
        for text in ["0", "0.00252", "-3", "12.5", "0.000000000000001", "-0.1"] {
            assert_eq!(show(text), text);
        }
        assert_eq!(show("1.500"), "1.5");
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let brief = |text: &str| Amount::from_decimal(text.parse().unwrap()).unwrap().brief().to_string();
        assert_eq!(
            ["85.476376041666667", "0.0000005", "-1.0000005", "2"].map(brief),
            ["85.476376", "0.0000005", "-1", "2"]
        );
        assert!(Amount::from_decimal(Decimal::MAX).is_err());
        assert!(Amount::from_ratio(i128::MAX, 3).is_err());
    }

    proptest! {
        #[test]
        fn a_ratio_of_powers_of_ten_is_the_decimal(mantissa in -1_000_000_000_000i64..1_000_000_000_000, scale in 0u32..16) {
            let decimal = Decimal::new(mantissa, scale);
            let amount = Amount::from_decimal(decimal).unwrap();
            prop_assert_eq!(amount.to_string().parse::<Decimal>().unwrap(), decimal);
        }

        #[test]
        fn rounding_is_never_off_by_more_than_half(numerator in -1_000_000i128..1_000_000, denominator in 1i128..10_000) {
            let twice = 2 * (div_half_even(numerator, denominator) * denominator - numerator);
            prop_assert!(twice.abs() <= denominator);
        }
    }
}
