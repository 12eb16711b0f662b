//! Quantities as prices count them, and what one of them cost. In: units of 10⁻⁹ and of 10⁻¹⁵. Out: units of 10⁻¹⁵. Pure.

use arrow::datatypes::i256;

use super::meters::ONE;

/// 10⁻⁹ in units of 10⁻¹⁵.
const FINER: i128 = 1_000_000;
/// One in units of 10⁻¹⁵.
const WHOLE: i128 = ONE * FINER;

/// How much of something a price is for; never zero, for its product with a price is a cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PricingQuantity {
    consumed: i128,
    units: i128,
}

impl PricingQuantity {
    /// `quantity` in units of 10⁻⁹; `per` of them (a power of ten up to 10⁶) are one of what a price is for. What was not counted and costs something all the
    /// same is one.
    #[must_use]
    pub fn of(quantity: i128, per: i128) -> Self {
        let consumed = quantity.saturating_mul(FINER);
        if consumed == 0 {
            return Self { consumed: 0, units: WHOLE };
        }
        // Quantities have 9 digits after the point, so that a millionth of one is still exact here.
        Self { consumed, units: consumed / per }
    }

    /// As it was counted.
    #[must_use]
    pub fn consumed(self) -> i128 {
        self.consumed
    }

    /// As prices count it.
    #[must_use]
    pub fn units(self) -> i128 {
        self.units
    }

    /// One, with a sign.
    #[must_use]
    pub fn one(is_negative: bool) -> Self {
        let units = if is_negative { -WHOLE } else { WHOLE };
        Self { consumed: units, units }
    }
}

/// The cost of one, rounded half-even to 15 digits: exactly the list's price wherever all calls of a line paid one price.
#[must_use]
pub fn unit_price(cost: i128, quantity: PricingQuantity) -> i128 {
    if quantity.units == 0 {
        return 0;
    }
    let scaled = i256::from_i128(cost).wrapping_mul(i256::from_i128(WHOLE));
    let by = i256::from_i128(quantity.units);
    let (whole, rest) = (scaled.wrapping_div(by), scaled.wrapping_rem(by).wrapping_abs());
    let whole = whole.to_i128().unwrap_or_default();
    let left = by.wrapping_abs().wrapping_sub(rest);
    let up = match rest.cmp(&left) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Greater => 1,
        std::cmp::Ordering::Equal => whole & 1,
    };
    whole + up * cost.signum() * quantity.units.signum()
}

#[cfg(test)]
mod tests {
    use super::{PricingQuantity, unit_price};

    const UNIT: i128 = 1_000_000_000;
    const MONEY: i128 = 1_000_000_000_000_000;

    #[test]
    fn a_price_is_the_lists() {
        // 1234 tokens at 2.50 per million are 0.003085.
        let quantity = PricingQuantity::of(1234 * UNIT, 1_000_000);
        assert_eq!(quantity.units(), 1_234_000_000_000);
        assert_eq!(unit_price(3_085_000_000_000, quantity), 2_500_000_000_000_000);
    }

    #[test]
    fn a_price_is_rounded_half_even_and_never_divided_by_nothing() {
        let three = PricingQuantity::of(3 * UNIT, 1);
        assert_eq!(unit_price(MONEY, three), MONEY / 3);
        assert_eq!(unit_price(2 * MONEY, three), 2 * MONEY / 3 + 1);
        let none = PricingQuantity::of(0, 1);
        assert_eq!((none.consumed(), unit_price(5, none)), (0, 5));
        assert_eq!(unit_price(-7 * MONEY, PricingQuantity::one(true)), 7 * MONEY);
    }
}
